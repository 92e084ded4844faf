//! Links to real hosts: sshd on loopback, started by the tests.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "what tests stand on is test code, too"
)]

mod bootstrap;
mod due;
mod hold;
mod identity;
mod killed;
mod login;
mod lost;
mod rehearsal;
mod speed;
mod sshd;
mod started;
mod tasks;
