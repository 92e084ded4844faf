//! Tests against real hosts: each needs root, podman and a few minutes, and runs only with `KRUN_LAB=1`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what tests stand on is test code, too"
)]

mod brokers;
mod lab;
mod stage;
