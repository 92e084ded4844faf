//! `krun lab`: hosts of this machine for rehearsals and tests, from the command line.

use super::apply::{load, paint, show_diagnostics};
use super::exit;
use super::options::FileOptions;
use super::settings::Machine;
use crate::diag::Diagnostics;
use crate::lab::{Error, Lab, LabSpec, Site};
use clap::{Args, Subcommand};
use std::error::Error as _;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct LabOptions {
    /// Where labs, their image and their artifacts are kept (default: /var/cache/krun for root, else krun in the
    /// user's cache).
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make hosts, each with a systemd and a sshd of its own.
    Up(Box<UpOptions>),
    /// Print the labs of this machine.
    List,
    /// Log in to a host of a lab, or run a command there.
    Ssh {
        lab: String,
        host: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Print the path of a lab's file for `ssh -F` and `--ssh-common-args`.
    SshConfig { lab: String },
    /// Remove a lab: its hosts, its network, its files.
    Down {
        #[arg(required_unless_present = "all")]
        lab: Option<String>,
        /// Every lab that krun made on this machine.
        #[arg(long, conflicts_with = "lab")]
        all: bool,
    },
}

#[derive(Debug, Args)]
struct UpOptions {
    #[command(flatten)]
    files: FileOptions,
    /// A further login with sudo, beside `root` and `krun`.
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// A further Debian package of the image.
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// A web site that the lab stands in for, and the directory with its files.
    #[arg(long, value_name = "NAME=DIR", value_parser = site)]
    site: Vec<(String, PathBuf)>,
    /// The lab's name: small letters, digits and `-`.
    lab: String,
    /// Names of hosts, beside those of the inventory.
    hosts: Vec<String>,
}

pub(super) fn site(text: &str) -> Result<(String, PathBuf), String> {
    let (name, dir) = text
        .split_once('=')
        .ok_or("it has the form NAME=DIR, as archive.apache.org=/srv/mirror")?;
    Ok((name.to_owned(), dir.into()))
}

pub(super) fn lab(options: LabOptions) -> ExitCode {
    let machine = Machine::read();
    let root = options.root.unwrap_or_else(|| machine.lab_root());
    let answer = match options.what {
        What::Up(up) => {
            let Some(spec) = spec(*up, &machine) else {
                return exit::usage();
            };
            Lab::up(&root, &spec, &|step| say(step)).map(|lab| lab.to_string())
        }
        What::List => Lab::list(&root).map(|labs| {
            let lines: Vec<String> = labs.iter().map(ToString::to_string).collect();
            lines.join("\n")
        }),
        What::Ssh { lab, host, command } => Lab::find(&root, &lab)
            .and_then(|lab| lab.ssh(&host))
            .and_then(|mut ssh| {
                // Only a failure returns: the terminal and the exit code are ssh's from here on.
                let source = ssh.args(command).exec();
                Err(Error::Start { source })
            }),
        What::SshConfig { lab } => {
            Lab::find(&root, &lab).map(|lab| lab.ssh_config().display().to_string())
        }
        What::Down { lab: Some(lab), .. } => {
            Lab::down(&root, &lab).map(|()| format!("removed: {lab}"))
        }
        What::Down { lab: None, .. } => {
            Lab::down_all(&root).map(|names| format!("removed: {}", names.join(" ")))
        }
    };
    match answer {
        Ok(text) => {
            #[expect(clippy::print_stdout, reason = "cli speaks to the user")]
            if !text.is_empty() {
                println!("{text}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error}"));
            let mut cause = error.source();
            while let Some(it) = cause {
                say(&format!("Caused by: {it}"));
                cause = it.source();
            }
            exit::internal()
        }
    }
}

/// What `lab up` shall make; none if the inventory has faults, which are shown.
fn spec(options: UpOptions, machine: &Machine) -> Option<LabSpec> {
    let mut hosts = options.hosts;
    if !options.files.inventory.is_empty() {
        let mut diagnostics = Diagnostics::new();
        let loaded = load(&options.files, &[], machine, &mut diagnostics);
        show_diagnostics(
            &diagnostics,
            paint(std::io::stderr().is_terminal(), machine),
        );
        if diagnostics.has_errors() {
            return None;
        }
        let named = loaded.inventory.hosts.keys().cloned().collect();
        let named = match &loaded.limit {
            Some(limit) => loaded
                .inventory
                .limited(named, limit, &mut Vec::new())
                .ok()?,
            None => named,
        };
        hosts.extend(named.iter().map(ToString::to_string));
    }
    let sites = options.site.into_iter();
    Some(LabSpec {
        name: options.lab,
        hosts,
        users: options.user,
        packages: options.package,
        sites: sites.map(|(name, root)| Site { name, root }).collect(),
        ..LabSpec::default()
    })
}

#[expect(clippy::print_stderr, reason = "cli speaks to the user")]
fn say(text: &str) {
    eprintln!("{text}");
}
