//! Rules of the sources, and tests against real hosts: those need root, podman and minutes, and run only with `KRUN_LAB=1`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what tests stand on is test code, too"
)]

mod back;
mod book;
mod brokers;
#[path = "../shared/end_state.rs"]
mod end_state;
mod faults;
mod guards;
#[path = "../transport/hold.rs"]
mod hold;
mod interrupted;
mod krun_run;
mod lab;
mod plan;
mod rehearse;
mod secure;
mod sight;
mod stage;
mod tidy;
mod upgrade;
