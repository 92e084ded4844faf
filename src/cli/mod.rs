//! Turns the command line and the environment into one call of the library; the only part that knows all others.

mod ansible_cfg;
mod answers;
mod apply;
mod config;
mod exit;
mod facts;
mod fetching;
mod imagine;
mod lab;
mod left_out;
mod lock;
mod options;
mod prompt;
mod prove;
mod record;
mod records;
mod rehearse;
mod resume;
mod review;
mod rollback;
mod saved;
mod settings;
mod show;
mod sink;
mod wants;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::Program;
use options::{PlanOptions, RunOptions};
use std::ffi::OsString;
use std::path::Path;
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

/// What `ansible-playbook` takes: the same, under Ansible's name for it.
#[derive(Debug, Parser)]
#[command(
    name = "ansible-playbook",
    version = concat!("[krun ", env!("CARGO_PKG_VERSION"), "]"),
    infer_long_args = true
)]
struct AnsiblePlaybook {
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Contact the hosts, change nothing, and show what a run would change (with `--check`, task by task).
    Plan(Box<PlanOptions>),
    /// Do what a saved plan showed, and nothing else.
    Apply(saved::ApplyOptions),
    /// Show what the change between two git revisions means for every host; contacts none.
    Review(Box<review::ReviewOptions>),
    /// Ask hosts for their facts and keep them in a file, for `krun review`.
    Facts(Box<facts::FactsOptions>),
    /// Plan hosts that nobody contacts (started by `krun review` itself).
    #[command(hide = true)]
    Imagine(Box<imagine::ImagineOptions>),
    /// Run playbooks twice, and name what the second run changed again, with its diffs.
    Prove(Box<RunOptions>),
    /// Print the dependency graph of playbooks, each edge with its reason.
    Graph(show::GraphOptions),
    /// Print the hosts, groups and variables of an inventory.
    Inventory(show::InventoryOptions),
    /// Print what a module does and takes.
    Doc {
        /// The module; without one, all are listed.
        module: Option<String>,
    },
    /// List the recorded runs.
    Runs(records::RunsOptions),
    /// Go on with the last run that stopped, at the host and task where it stopped.
    Resume(resume::ResumeOptions),
    /// Put back the files and links that a recorded run changed, host by host, under the same gates.
    Rollback(rollback::RollbackOptions),
    /// Render a recorded run again.
    Show(records::ShowOptions),
    /// Write `krun.lock`: what playbooks fetch, and the bytes that it must be.
    Lock(Box<lock::LockOptions>),
    /// Make, reach and remove throw-away hosts of this machine.
    Lab(lab::LabOptions),
    /// Run playbooks on throw-away hosts of the inventory's names, and prove what they do.
    Rehearse(Box<rehearse::RehearseOptions>),
    /// Look at brokers for a rehearsal (started on hosts of a lab by krun itself).
    #[command(hide = true)]
    Eye(rehearse::EyeOptions),
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
    if program(&args) == Program::AnsiblePlaybook {
        return ansible_playbook(&args);
    }
    let cli = match understood(&args) {
        Ok(cli) => cli,
        Err(error) => {
            let code = not_understood(&error, Program::Krun);
            if error.use_stderr()
                && let Some(right) = with_command_first(&args)
            {
                apply::say(&format!("help: the command comes first: {right}"));
            }
            return code;
        }
    };
    match cli.command {
        None if cli.run.playbooks.iter().any(is_command) => {
            let right = with_command_first(&args).unwrap_or_default();
            apply::say(&format!("error: the command comes first\nhelp: {right}"));
            exit::usage()
        }
        None if cli.run.playbooks.is_empty() => {
            let _ = Cli::command().print_help();
            exit::usage()
        }
        None => apply::apply(&cli.run, &args),
        Some(Command::Plan(options)) => plan(*options, &args),
        Some(Command::Apply(options)) => saved::apply(&options, &args[0]),
        Some(Command::Review(options)) => review::review(&options, &args),
        Some(Command::Facts(options)) => facts::facts(*options, &args),
        Some(Command::Imagine(options)) => imagine::imagine(*options, &args),
        Some(Command::Prove(options)) => prove::prove(&options, &args),
        Some(Command::Graph(options)) => show::graph(&options),
        Some(Command::Inventory(options)) => show::inventory(&options),
        Some(Command::Doc { module }) => show::doc(module.as_deref()),
        Some(Command::Runs(options)) => records::runs(&options),
        Some(Command::Resume(options)) => resume::resume(&options),
        Some(Command::Rollback(options)) => rollback::rollback(&options, &args),
        Some(Command::Show(options)) => records::show(&options),
        Some(Command::Lock(options)) => lock::lock(&options),
        Some(Command::Lab(options)) => lab::lab(options),
        Some(Command::Rehearse(options)) => rehearse::rehearse(&options, &args),
        Some(Command::Eye(options)) => rehearse::eye(options),
        Some(Command::Agent { .. }) => settings::serve_agent(&args),
    }
}

fn understood(args: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = left_out::command().try_get_matches_from(args)?;
    left_out::check(&matches)?;
    Cli::from_arg_matches(&matches)
}

/// A command's name, and not that of a file.
fn is_command(word: impl AsRef<Path>) -> bool {
    let word = word.as_ref();
    let named = |command: &clap::Command| word.as_os_str() == command.get_name();
    !word.exists() && Cli::command().get_subcommands().any(named)
}

/// The command line of somebody who wrote options before the command; `None` where it is in its place.
fn with_command_first(args: &[OsString]) -> Option<String> {
    let position = args.iter().skip(1).position(is_command)? + 1;
    let mut words: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
    let command = words.remove(position);
    words[0] = "krun".into();
    words.insert(1, command);
    (position > 1).then(|| words.join(" "))
}

/// `--check` by another name, drawn when it is over.
fn plan(options: PlanOptions, args: &[OsString]) -> ExitCode {
    let mut run = options.run;
    run.check = true;
    if run.output == options::Output::Human {
        run.format.get_or_insert(options::Format::Text);
    }
    match options.out {
        Some(out) => saved::plan(&run, &out, args),
        None => apply::apply(&run, args),
    }
}

/// A copy of the program under that name is still an agent where it is started as one.
fn program(args: &[OsString]) -> Program {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    if name.is_some_and(|name| name == "ansible-playbook")
        && args.get(1).is_none_or(|word| word != "agent")
    {
        Program::AnsiblePlaybook
    } else {
        Program::Krun
    }
}

fn ansible_playbook(args: &[OsString]) -> ExitCode {
    let program = Program::AnsiblePlaybook;
    let mut options = match AnsiblePlaybook::try_parse_from(args) {
        Ok(cli) => cli.run,
        Err(error) => return not_understood(&error, program),
    };
    if options.playbooks.is_empty() {
        let _ = AnsiblePlaybook::command().print_help();
        return program.wrong_options();
    }
    options.files.program = program;
    apply::apply(&options, args)
}

/// Options that cannot be read, or a wish for help.
fn not_understood(error: &clap::Error, program: Program) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        program.wrong_options()
    } else {
        ExitCode::SUCCESS
    }
}
