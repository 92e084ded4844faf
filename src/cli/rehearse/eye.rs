//! `krun eye`, on a lab's host: hands its standard output to the eye of a rehearsal, or does an errand for it.

use crate::cli::exit;
use crate::rehearse::eye::{self, Errand};
use crate::rehearse::fault::state::of_host;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::cli) struct EyeOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Look at this host's brokers until nobody reads any more.
    Watch,
    /// Print what playbooks may have left on this host.
    State,
    /// Do something once, as the broker that was started with that file.
    Errand {
        server_properties: PathBuf,
        #[arg(value_parser = |text: &str| serde_json::from_str::<Errand>(text))]
        errand: Errand,
    },
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "cli speaks to whom started it"
)]
pub(in crate::cli) fn eye(options: EyeOptions) -> ExitCode {
    match options.what {
        What::Watch => {
            // Whoever looked is gone, which is how it ends.
            let _ = eye::watch(&mut std::io::stdout());
            ExitCode::SUCCESS
        }
        What::State => match of_host(Path::new("/")) {
            Ok(state) => {
                println!("{}", serde_json::to_string(&state).unwrap_or_default());
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                exit::internal()
            }
        },
        What::Errand {
            server_properties,
            errand,
        } => match eye::errand(&errand, server_properties) {
            Ok(seen) => {
                println!("{}", serde_json::to_string(&seen).unwrap_or_default());
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{}", error.chain());
                exit::internal()
            }
        },
    }
}
