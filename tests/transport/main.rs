//! Links to real hosts: sshd on loopback, started by the tests.

mod bootstrap;
mod identity;
mod killed;
mod login;
mod speed;

mod sshd;
