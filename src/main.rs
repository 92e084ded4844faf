//! The `krun` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    krun::cli::main(std::env::args_os())
}
