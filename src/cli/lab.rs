//! `krun lab`: hosts of this machine for rehearsals and tests, from the command line.

use super::apply::{load, paint, say, show_diagnostics};
use super::config::{self, Config};
use super::exit;
use super::fetching::rehearsed;
use super::options::{FileOptions, RunOptions};
use super::settings::Machine;
use crate::artifacts::Fetching;
use crate::diag::{Diagnostic, Diagnostics};
use crate::lab::{EngineKind, EngineSpec, Error, Lab, LabSpec, Site, Snapshot};
use crate::run::Settings;
use crate::transport::Confined;
use clap::{Args, Subcommand};
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct LabOptions {
    /// Where labs, their image and their artifacts are kept (default: /var/cache/krun for root, else krun in the
    /// user's cache).
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineOption,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Args)]
pub(super) struct EngineOption {
    /// The engine (default: podman where it works, else docker).
    #[arg(long, value_name = "NAME", global = true, value_parser = engine)]
    engine: Option<EngineKind>,
}

/// What the hosts of a lab begin as.
#[derive(Debug, Args)]
pub(super) struct BeginOptions {
    /// The image that hosts begin as (default debian:12).
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Begin where `krun lab snapshot NAME` was.
    #[arg(long, value_name = "NAME")]
    from_snapshot: Option<String>,
}

/// `--on-lab`: leaves a run no hosts but those of a lab, and lets it keep its state there and fetch as a rehearsal does.
pub(super) fn on_lab(
    options: &RunOptions,
    machine: &Machine,
    settings: &mut Settings,
    fetching: &mut Fetching,
) -> Result<Option<Confined>, Error> {
    let Some(named) = &options.on_lab else {
        return Ok(None);
    };
    let name = named.file_name().unwrap_or_default().to_string_lossy();
    let root = match named.parent().and_then(Path::parent) {
        Some(root) if root.is_absolute() => root.to_owned(),
        _ => machine.lab_root(),
    };
    let lab = Lab::find(&root, &name)?;
    settings.state_dir = lab.state_dir();
    let hosts = lab.hosts.iter().map(|host| host.name.clone());
    let reached = lab.sites.iter().cloned().chain(hosts).collect();
    // What is wrong with the settings was said when the run was loaded.
    let said = &mut Diagnostics::new();
    let config = config::read(machine, said);
    *fetching = rehearsed(options.locked, &config, reached, machine, said);
    Ok(Some(Confined {
        hosts: lab.hosts.iter().map(|host| host.name.clone()).collect(),
        ssh_config: lab.ssh_config(),
        allow_local: options.on_lab_local,
        lab: lab.name,
    }))
}

/// Adds to what a lab shall be what the settings and these options say; the options win.
pub(super) fn settle(
    spec: LabSpec,
    config: &Config,
    engine: &EngineOption,
    begin: &BeginOptions,
) -> LabSpec {
    LabSpec {
        engine: EngineSpec {
            kind: engine.engine.or(config.engine.kind),
            ..config.engine.clone()
        },
        base: begin.base.clone().or_else(|| config.base.clone()),
        memory_per_host: config.memory_per_host,
        packages: [config.packages.clone(), spec.packages].concat(),
        snapshot: begin.from_snapshot.clone(),
        ..spec
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make hosts, each with a systemd and a sshd of its own.
    Up(Box<UpOptions>),
    /// Print the labs of this machine.
    List,
    /// Log in to a host of a lab, or run a command there. The lab may be left out where only one has that host.
    #[command(override_usage = "krun lab ssh [LAB] HOST [COMMAND]...")]
    Ssh {
        /// The host, after its lab where several have one of that name; then what to run there.
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "HOST"
        )]
        words: Vec<String>,
    },
    /// Keep the state of a lab's hosts; `krun lab up --from-snapshot NAME` begins there.
    Snapshot {
        /// The snapshot's name: small letters, digits and `-`.
        #[arg(required_unless_present_any = ["list", "remove"])]
        name: Option<String>,
        /// Which lab; may be left out where only one is up.
        #[arg(long)]
        lab: Option<String>,
        /// Print the snapshots of this machine.
        #[arg(long, conflicts_with_all = ["name", "remove"])]
        list: bool,
        /// Remove a snapshot.
        #[arg(long, value_name = "NAME", conflicts_with = "name")]
        remove: Option<String>,
    },
    /// Print the path of a lab's file for `ssh -F` and `--ssh-common-args`.
    SshConfig {
        /// Which lab.
        lab: String,
    },
    /// Remove a lab: its hosts, its network, its files.
    Down {
        /// Which lab.
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
    /// Give the hosts a dnf with an empty package of that name; may be given several times.
    #[arg(long, value_name = "NAME")]
    stand_in: Vec<String>,
    /// A web site that the lab stands in for, and the directory with its files.
    #[arg(long, value_name = "NAME=DIR", value_parser = site)]
    site: Vec<(String, PathBuf)>,
    #[command(flatten)]
    begin: BeginOptions,
    /// The lab's name: small letters, digits and `-`.
    lab: String,
    /// Names of hosts, beside those of the inventory.
    hosts: Vec<String>,
}

/// A base and the settings, for its image alone.
pub(super) fn settled(base: Option<String>, config: &Config) -> LabSpec {
    let begin = BeginOptions {
        base,
        from_snapshot: None,
    };
    settle(
        LabSpec::default(),
        config,
        &EngineOption { engine: None },
        &begin,
    )
}

/// What is wrong with `--site`.
pub(super) fn check_sites(sites: &[(String, PathBuf)], diagnostics: &mut Diagnostics) {
    for (name, dir) in sites.iter().filter(|(_, dir)| !dir.is_dir()) {
        let dir = dir.display();
        let fault = format!("`--site {name}={dir}`: there is no directory `{dir}`");
        diagnostics.push(Diagnostic::global(fault));
    }
}

/// The sites as the lab has them; to an engine, a directory that does not begin with `/` is the name of a volume.
pub(super) fn lab_sites(
    sites: impl Iterator<Item = (String, PathBuf)>,
    machine: &Machine,
) -> Vec<Site> {
    let site = |(name, dir)| Site {
        name,
        root: machine.cwd.join(dir),
    };
    sites.map(site).collect()
}

pub(super) fn site(text: &str) -> Result<(String, PathBuf), String> {
    let (name, dir) = text
        .split_once('=')
        .ok_or("it has the form NAME=DIR, as archive.apache.org=/srv/mirror")?;
    Ok((name.to_owned(), dir.into()))
}

fn engine(text: &str) -> Result<EngineKind, String> {
    let found = EngineKind::ALL
        .into_iter()
        .find(|kind| kind.program() == text);
    found.ok_or_else(|| "it is podman or docker".to_owned())
}

pub(super) fn lab(options: LabOptions) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    let config = config::read(&machine, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let root = options.root.unwrap_or_else(|| machine.lab_root());
    let engine = EngineSpec {
        kind: options.engine.engine.or(config.engine.kind),
        ..config.engine.clone()
    };
    let answer = match options.what {
        What::Up(up) => {
            let Some(spec) = spec(*up, &config, &options.engine, &machine) else {
                return exit::usage();
            };
            let faults = Lab::obstacles(&root, &spec);
            for error in &faults {
                tell(error);
            }
            if !faults.is_empty() {
                return exit::usage();
            }
            Lab::up(&root, &spec, &|step| say(step)).map(|lab| lab.to_string())
        }
        What::List => Lab::list(&root, &engine).map(|labs| {
            let lines: Vec<String> = labs.iter().map(ToString::to_string).collect();
            lines.join("\n")
        }),
        What::Ssh { words } => Lab::with_host(&root, &engine, &words)
            .and_then(|(lab, host, command)| Ok((lab.ssh(host)?, command)))
            .and_then(|(mut ssh, command)| {
                // Only a failure returns: the terminal and the exit code are ssh's from here on.
                let source = ssh.args(command).exec();
                Err(Error::Start { source })
            }),
        What::SshConfig { lab } => {
            Lab::find(&root, &lab).map(|lab| lab.ssh_config().display().to_string())
        }
        What::Snapshot {
            remove: Some(name), ..
        } => Snapshot::remove(&root, &name).map(|()| format!("removed: {name}")),
        What::Snapshot { name: None, .. } => Snapshot::list(&root).map(|all| {
            let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
            lines.join("\n")
        }),
        What::Snapshot {
            name: Some(name),
            lab,
            ..
        } => lab
            .map_or_else(|| Lab::only(&root, &engine), |lab| Lab::find(&root, &lab))
            .and_then(|lab| lab.snapshot(&root, &name, &|step| say(step)))
            .map(|snapshot| snapshot.to_string()),
        What::Down { lab: Some(lab), .. } => {
            Lab::down(&root, &engine, &lab).map(|()| format!("removed: {lab}"))
        }
        What::Down { lab: None, .. } => {
            Lab::down_all(&root, &engine).map(|names| format!("removed: {}", names.join(" ")))
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
            tell(&error);
            exit::of_lab(&error)
        }
    }
}

/// An error with its causes, each on a line.
pub(super) fn tell(error: &dyn std::error::Error) {
    say(&format!("error: {error}"));
    let mut cause = error.source();
    while let Some(it) = cause {
        say(&format!("Caused by: {it}"));
        cause = it.source();
    }
}

/// What `lab up` shall make; none if the inventory has faults, which are shown.
fn spec(
    options: UpOptions,
    config: &Config,
    engine: &EngineOption,
    machine: &Machine,
) -> Option<LabSpec> {
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
    let spec = LabSpec {
        name: options.lab,
        hosts,
        users: options.user,
        packages: options.package,
        stand_ins: options.stand_in,
        stop: Some(until_interrupted()),
        sites: lab_sites(sites, machine),
        ..LabSpec::default()
    };
    Some(settle(spec, config, engine, &options.begin))
}

/// A flag that Ctrl-C, TERM and HUP set; the programs that run meanwhile hear it themselves.
fn until_interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        runtime.block_on(async {
            let kinds = [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
            ];
            let heard = kinds.map(|kind| async move {
                match signal(kind) {
                    Ok(mut signals) => drop(signals.recv().await),
                    Err(_) => std::future::pending().await,
                }
            });
            let [interrupt, terminate, hangup] = heard;
            tokio::select! { () = interrupt => (), () = terminate => (), () = hangup => () }
            set.store(true, Ordering::Relaxed);
            // The signals stay caught: a second one must not leave half of a lab behind.
            std::future::pending::<()>().await;
        });
    });
    flag
}
