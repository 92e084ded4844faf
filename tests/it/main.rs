//! Tests against real hosts: each needs root, podman and a few minutes, and runs only with `KRUN_LAB=1`.

mod lab;
