//! `krun facts`: asks hosts for their facts and keeps them in a file, for `krun review`.

use super::apply::{Errand, compile, load, paint, run_plan, say, show_diagnostics};
use super::exit;
use super::options::RunOptions;
use super::settings::Machine;
use crate::diag::Diagnostics;
use crate::event::{Event, EventKind};
use crate::value::{Dict, Value, display};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// The name of the form, and its version.
const FORMAT: &str = "krun-facts";
const VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub(super) struct FactsOptions {
    /// Where they go (default: to the terminal).
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which hosts: a pattern. Options of a run follow, `-i` first of all.
    #[command(flatten)]
    run: RunOptions,
}

/// What such a file holds.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: String,
    version: u32,
    /// When they were asked, in UTC.
    #[serde(default)]
    taken: String,
    /// Names without `ansible_` before them.
    hosts: IndexMap<String, Dict>,
}

/// Reads a file of facts: host by host.
pub(super) fn read(path: &Path) -> Result<IndexMap<String, Dict>, String> {
    let why = |error: String| format!("the facts in `{}` cannot be read: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| why(error.to_string()))?;
    let file: File = serde_json::from_slice(&text).map_err(|error| why(error.to_string()))?;
    if file.format != FORMAT || file.version != VERSION {
        return Err(why(format!(
            "it is a `{}` of version {}, not a `{FORMAT}` of version {VERSION}; make it anew with `krun facts -o`",
            file.format, file.version
        )));
    }
    Ok(file.hosts)
}

pub(super) fn facts(options: FactsOptions, args: &[OsString]) -> ExitCode {
    match gather(options, args) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error}"));
            exit::internal()
        }
    }
}

fn gather(options: FactsOptions, args: &[OsString]) -> std::io::Result<ExitCode> {
    let machine = Machine::read();
    let mut run = options.run;
    let pattern = match run.playbooks.split_first() {
        None => "all".to_owned(),
        Some((pattern, [])) => pattern.display().to_string(),
        Some(_) => {
            say(
                "error: `krun facts` takes one pattern of hosts: `krun facts -i HOSTS kafka -o facts.json`",
            );
            return Ok(exit::usage());
        }
    };
    // A playbook like any other, so that hosts are reached as in any run.
    let directory = tempfile::tempdir()?;
    let playbook = directory.path().join("facts.yml");
    let pattern = serde_json::to_string(&pattern)?;
    std::fs::write(
        &playbook,
        format!(
            "- hosts: {pattern}\n  gather_facts: true\n  tasks:\n    - kafka_facts:\n      ignore_errors: true\n"
        ),
    )?;
    run.playbooks = vec![playbook];
    run.check = true;
    run.no_record = true;
    let mut diagnostics = Diagnostics::new();
    let loaded = load(&run.files, &run.playbooks, &machine, &mut diagnostics);
    let plan = compile(&loaded, &run.files, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    if diagnostics.has_errors() {
        return Ok(exit::usage());
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let errand = Errand {
        is_silent: true,
        heard: Some(Arc::clone(&heard)),
        ..Errand::default()
    };
    let code = run_plan(plan, loaded, &run, &machine, args, errand)?;
    let heard = heard.lock().expect("nobody panics with it");
    let (hosts, lost) = found(&heard);
    for line in &lost {
        say(&format!("warning: {line}"));
    }
    let file = File {
        format: FORMAT.into(),
        version: VERSION,
        taken: jiff::Timestamp::now().to_string(),
        hosts,
    };
    let text = serde_json::to_string_pretty(&file)? + "\n";
    match &options.out {
        Some(out) => {
            std::fs::write(out, text)
                .map_err(|error| std::io::Error::other(format!("`{}`: {error}", out.display())))?;
            let n = file.hosts.len();
            say(&format!("{n} host(s): {}", out.display()));
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(code)
}

/// What the hosts said, and why some did not.
fn found(events: &[Event]) -> (IndexMap<String, Dict>, Vec<String>) {
    let (mut hosts, mut lost) = (IndexMap::<String, Dict>::new(), Vec::new());
    for event in events {
        match &event.kind {
            EventKind::TaskEnded { host, result, .. } => {
                let Some(Value::Mapping(facts)) = result.data.get("ansible_facts") else {
                    continue;
                };
                let known = hosts.entry(host.to_string()).or_default();
                for (name, value) in facts {
                    let name = display(name);
                    let name = name.strip_prefix("ansible_").unwrap_or(&name);
                    known.insert(name.to_owned(), value.clone());
                }
            }
            EventKind::HostUnreachable { host, message, .. } => {
                lost.push(format!("{host}: {message}"));
            }
            _ => {}
        }
    }
    (hosts, lost)
}
