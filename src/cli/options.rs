//! The options of a run, with Ansible's names.

use super::exit::Program;
use crate::report;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What all commands that read playbooks take.
#[derive(Debug, Clone, Args)]
pub(super) struct FileOptions {
    /// Inventory: a file, a directory, or `host,host,`; may be given several times.
    #[arg(short = 'i', long = "inventory", value_name = "HOSTS")]
    pub inventory: Vec<String>,
    /// Only these hosts: a pattern, or @FILE.
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Option<String>,
    /// Only tasks with these tags.
    #[arg(short, long, value_delimiter = ',')]
    pub tags: Vec<String>,
    /// No tasks with these tags.
    #[arg(long, value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Variables that beat all others: key=value, YAML or JSON, or @FILE.
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// A file with the vault password, or a program that prints it.
    #[arg(long, value_name = "FILE", alias = "vault-pass-file")]
    pub vault_password_file: Vec<PathBuf>,
    /// ID@FILE of a vault password.
    #[arg(long, value_name = "ID@FILE")]
    pub vault_id: Vec<String>,
    /// Ask for the vault password.
    #[arg(short = 'J', long, alias = "ask-vault-password")]
    pub ask_vault_pass: bool,
    /// Begin at the task of this name.
    #[arg(long, value_name = "NAME")]
    pub start_at_task: Option<String>,
    #[arg(skip)]
    pub program: Program,
}

/// Where records of runs are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RecordOptions {
    /// Where records of runs are kept (default `.krun/runs`; also in the variable `KRUN_RECORD`).
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// What a run takes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[derive(Debug, Clone, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    pub files: FileOptions,
    /// Show what would change, change nothing.
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show differences (always on; taken for Ansible's sake).
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// With --check, or of a plan: exit with 3 if something would change.
    #[arg(long)]
    pub exit_code: bool,
    /// Hosts to connect to at once (default 50).
    #[arg(short, long)]
    pub forks: Option<usize>,
    /// Run tasks as another user.
    #[arg(short = 'b', long)]
    pub r#become: bool,
    /// The other user (default root).
    #[arg(long, value_name = "USER")]
    pub become_user: Option<String>,
    /// How to become another user: sudo (default), su, doas.
    #[arg(long, value_name = "METHOD")]
    pub become_method: Option<String>,
    /// A file with the become password, or a program that prints it.
    #[arg(long, value_name = "FILE", alias = "become-pass-file")]
    pub become_password_file: Option<PathBuf>,
    /// Ask for the become password.
    #[arg(short = 'K', long, alias = "ask-become-password")]
    pub ask_become_pass: bool,
    /// Ask for the connection password.
    #[arg(short = 'k', long)]
    pub ask_pass: bool,
    /// A file with the connection password, or a program that prints it.
    #[arg(long, value_name = "FILE", alias = "conn-pass-file")]
    pub connection_password_file: Option<PathBuf>,
    /// How to reach hosts that do not say so themselves: ssh (default), local, docker, podman.
    #[arg(short = 'c', long, value_name = "CONNECTION")]
    pub connection: Option<String>,
    /// Log in as this user.
    #[arg(short = 'u', long = "user", value_name = "USER")]
    pub remote_user: Option<String>,
    /// The key that ssh logs in with.
    #[arg(long = "private-key", alias = "key-file", value_name = "FILE")]
    pub private_key: Option<String>,
    /// Seconds for connecting to a host (default 10).
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Further arguments of ssh: -F, -J, -i, -p, -o.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// Do what is guarded: remove directories with what is in them.
    #[arg(long)]
    pub allow_destroy: bool,
    /// Fetch only what `krun.lock` has, and exactly those bytes.
    #[arg(long)]
    pub locked: bool,
    #[command(flatten)]
    pub record: RecordOptions,
    /// Run on the hosts of this lab, which is up, instead of the inventory's, and reach nothing else: its name or directory.
    #[arg(long, value_name = "LAB")]
    pub on_lab: Option<PathBuf>,
    /// With --on-lab: `connection: local` still means this machine.
    #[arg(long, hide = true)]
    pub on_lab_local: bool,
    /// What would be asked for comes as JSON on standard input.
    #[arg(long, hide = true)]
    pub answers_on_stdin: bool,
    /// Leave no record.
    #[arg(long)]
    pub no_record: bool,
    /// The same; taken for Ansible's sake.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_extra_args: Option<String>,
    /// Run notified handlers on hosts that fail, too, where a play does not say.
    #[arg(long)]
    pub force_handlers: bool,
    /// Without effect: facts are not kept between runs.
    #[arg(long, hide = true)]
    pub flush_cache: bool,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub output: Output,
    /// Say nothing meanwhile, and draw what changed (with `krun plan`: what would) at the end.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// More detail; up to -vvvv.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only check the files.
    #[arg(long)]
    pub syntax_check: bool,
    /// Only print the hosts of each play.
    #[arg(long)]
    pub list_hosts: bool,
    /// Only print the tasks of each play.
    #[arg(long)]
    pub list_tasks: bool,
    /// What to run, in this order.
    pub playbooks: Vec<PathBuf>,
}

/// What `krun plan` takes.
#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Keep the plan in a file, for `krun show FILE` and `krun apply FILE`.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Human,
    /// One event a line.
    Json,
}

/// How a run or plan is drawn at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a terminal.
    Text,
    /// A comment on a pull request, within GitHub's limit.
    Markdown,
    /// One document: docs/report.schema.json.
    Json,
    /// One page that needs nothing else.
    Html,
    /// What `git apply` reads.
    Patch,
}

impl From<Format> for report::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Markdown => Self::Markdown,
            Format::Json => Self::Json,
            Format::Html => Self::Html,
            Format::Patch => Self::Patch,
        }
    }
}
