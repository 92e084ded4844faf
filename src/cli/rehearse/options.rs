//! The options of `krun rehearse`.

use crate::cli::lab::{BeginOptions, EngineOption, site};
use crate::cli::options::RunOptions;
use crate::rehearse::estimate::bytes;
use crate::rehearse::fault::Wish;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(in crate::cli) struct RehearseOptions {
    #[command(flatten)]
    pub(super) run: RunOptions,
    /// A playbook that brings the lab to today's state; may be given several times.
    #[arg(long, value_name = "PLAYBOOK")]
    pub(super) from: Vec<PathBuf>,
    /// Write the report to a file: `.md` or `.html`; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Vec<PathBuf>,
    /// Run the playbook in check mode first, and show where what happened differs.
    #[arg(long, value_enum, value_name = "plan")]
    pub(super) compare: Option<Compare>,
    /// Exit with 0 even if a second run changes something.
    #[arg(long)]
    pub(super) allow_non_idempotent: bool,
    /// What a broker of production has on its disks, as `700GB`: for the estimate.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(super) data_per_broker: Option<u64>,
    /// What a broker of production fetches from the others, as `100MB/s`: for the estimate.
    #[arg(long, value_name = "BYTES/s", value_parser = bytes)]
    pub(super) replication_rate: Option<u64>,
    /// Records a second, with acks=all and as many with acks=1.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: u32,
    /// A setting of librdkafka for the load's clients, where the brokers want a login; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) client_setting: Vec<String>,
    /// The program that makes the load (default: `krun-canary` beside krun).
    #[arg(long, value_name = "FILE")]
    pub(super) canary: Option<PathBuf>,
    /// Rehearse without load.
    #[arg(long, conflicts_with = "canary")]
    pub(super) no_load: bool,
    /// The lab's name: small letters, digits and `-`.
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    pub(super) lab: String,
    /// Leave the lab up in the end.
    #[arg(long)]
    pub(super) keep: bool,
    /// A web site that the lab stands in for, and the directory with its files.
    #[arg(long, value_name = "NAME=DIR", value_parser = site)]
    pub(super) site: Vec<(String, PathBuf)>,
    /// A further Debian package of the hosts.
    #[arg(long, value_name = "NAME")]
    pub(super) package: Vec<String>,
    /// Give the hosts a dnf with empty packages of the names that the playbooks ask dnf and yum for.
    #[arg(long)]
    pub(super) stand_ins: bool,
    /// An empty package of that name besides; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(super) stand_in: Vec<String>,
    /// Break something while the playbook runs, go on, and check that nothing is otherwise than without:
    /// `KIND[:HOST][@TASK]`, `random`, `random:N` or `all`; may be given several times.
    #[arg(long, value_name = "FAULT")]
    pub(super) fault: Vec<Wish>,
    /// What chance begins with, for faults that leave something to it.
    #[arg(long, value_name = "N", requires = "fault")]
    pub(super) seed: Option<u64>,
    /// Let `connection: local` and `delegate_to: localhost` change this machine.
    #[arg(long)]
    pub(super) allow_local: bool,
    #[command(flatten)]
    pub(super) engine: EngineOption,
    #[command(flatten)]
    pub(super) begin: BeginOptions,
    /// Where labs and their image are kept (default: /var/cache/krun for root, else krun in the user's cache).
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Compare {
    Plan,
}
