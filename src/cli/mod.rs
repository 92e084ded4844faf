//! Turns the command line and the environment into one call of the library; the only part that knows all others.

mod apply;
mod exit;
mod lab;
mod options;
mod settings;
mod show;

use clap::{CommandFactory, Parser, Subcommand};
use options::RunOptions;
use std::ffi::OsString;
use std::process::ExitCode;

/// Brings hosts to the state that playbooks describe; speaks Ansible's language.
#[derive(Debug, Parser)]
#[command(
    name = "krun",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Contact the hosts, change nothing, and show what a run would change: `--check` by another name.
    Plan(Box<RunOptions>),
    /// Print the dependency graph of playbooks, each edge with its reason.
    Graph(show::GraphOptions),
    /// Print the hosts, groups and variables of an inventory.
    Inventory(show::InventoryOptions),
    /// Print what a module does and takes.
    Doc {
        /// The module; without one, all are listed.
        module: Option<String>,
    },
    /// Make, reach and remove throw-away hosts of this machine.
    Lab(lab::LabOptions),
    /// Serve a controller over standard input and output (started on hosts by krun itself).
    #[command(hide = true)]
    Agent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Runs the program; returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                exit::usage()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match cli.command {
        None if cli.run.playbooks.is_empty() => {
            let _ = Cli::command().print_help();
            exit::usage()
        }
        None => apply::apply(&cli.run, &args),
        Some(Command::Plan(mut options)) => {
            options.check = true;
            apply::apply(&options, &args)
        }
        Some(Command::Graph(options)) => show::graph(&options),
        Some(Command::Inventory(options)) => show::inventory(&options),
        Some(Command::Doc { module }) => show::doc(module.as_deref()),
        Some(Command::Lab(options)) => lab::lab(options),
        Some(Command::Agent { .. }) => settings::serve_agent(&args),
    }
}
