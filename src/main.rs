//! The program: hands its arguments to the part they name.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("agent") => {
            let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
            let executable = std::env::current_exe().unwrap_or_default();
            krun::agent::main(&arguments[1..], home.as_deref(), executable)
        }
        _ => ExitCode::FAILURE,
    }
}
