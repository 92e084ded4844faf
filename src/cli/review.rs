//! `krun review BASE..HEAD`: plans imagined hosts at both revisions, and draws what differs.

use super::apply::{paint, say};
use super::options::{FileOptions, Format, RunOptions};
use super::settings::Machine;
use super::{ansible_cfg, exit};
use crate::event::Event;
use crate::report;
use crate::review::revision::{self, Range, Repository};
use crate::review::{Review, Side};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

#[derive(Debug, clap::Args)]
pub(super) struct ReviewOptions {
    /// What is compared: `BASE..HEAD`, `BASE...HEAD` (since they parted), or `BASE` against the working tree.
    #[arg(value_name = "BASE..HEAD")]
    range: String,
    /// What is known of the hosts: a file that `krun facts -o` wrote. What it lacks is shown as `<name>`.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    #[command(flatten)]
    run: RunOptions,
}

/// Why there is no review.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Revision(#[from] revision::Error),
    #[error("{0}")]
    Files(String),
    #[error(transparent)]
    Machine(#[from] std::io::Error),
}

pub(super) fn review(options: &ReviewOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    match reviewed(options, args, &machine) {
        Ok(code) => code,
        Err(Error::Machine(error)) => {
            say(&format!("error: {error}"));
            exit::internal()
        }
        Err(error) => {
            say(&format!("error: {error}"));
            if matches!(error, Error::Revision(revision::Error::NoRevision(_))) {
                say(
                    "help: `git log --oneline` names revisions; in a shallow clone, `git fetch --unshallow` (or `fetch-depth: 0`) brings them",
                );
            }
            exit::usage()
        }
    }
}

fn reviewed(
    options: &ReviewOptions,
    args: &[OsString],
    machine: &Machine,
) -> Result<ExitCode, Error> {
    let repository = Repository::of(&machine.cwd)?;
    let range = Range::parse(&options.range, &repository)?;
    repository.resolve(&range.base)?;
    if options.run.playbooks.is_empty() {
        return Err(Error::Files("no playbook was given".into()));
    }
    let place = tempfile::tempdir()?;
    let mut warnings = Vec::new();
    let base_tree = place.path().join("base");
    repository.check_out(&range.base, &base_tree)?;
    let (head_tree, head_name) = match &range.head {
        Some(head) => {
            let tree = place.path().join("head");
            repository.check_out(head, &tree)?;
            (tree.join(&repository.below), head.clone())
        }
        None => (machine.cwd.clone(), "working tree".to_owned()),
    };
    let hosts = place.path().join("hosts");
    let salt = format!("{:032x}", rand::random::<u128>());
    let plan = |tree: &Path, name: &str, run: &RunOptions| {
        planned(&Planning {
            options,
            run,
            args,
            machine,
            repository: &repository,
            tree,
            name,
            hosts: &hosts,
            salt: &salt,
        })
    };
    let old_run = present(
        &options.run,
        &base_tree.join(&repository.below),
        &head_tree,
        &range.base,
        &mut warnings,
    );
    let base_tree = base_tree.join(&repository.below);
    std::fs::create_dir_all(&base_tree)?;
    let base = if old_run.playbooks.is_empty() {
        Vec::new()
    } else {
        plan(&base_tree, &range.base, &old_run)?
    };
    let head = plan(&head_tree, &head_name, &options.run)?;
    let side = |name, events| Side { name, events };
    let review = Review::of(
        &side(&range.base, &base),
        &side(&head_name, &head),
        warnings,
    );
    let format = options.run.format.unwrap_or(Format::Text);
    let drawn = review.draw(
        report::Format::from(format),
        paint(std::io::stdout().is_terminal(), machine),
    );
    // A pager that was left early is no fault.
    let _ = std::io::stdout().write_all(drawn.as_bytes());
    let is_pending = options.run.exit_code && !review.is_empty();
    Ok(ExitCode::from(if is_pending { exit::PENDING } else { 0 }))
}

/// The options for the earlier revision: a playbook that it does not have makes nothing, and of an inventory that it
/// does not have the later one is taken.
fn present(
    run: &RunOptions,
    base: &Path,
    head: &Path,
    name: &str,
    warnings: &mut Vec<String>,
) -> RunOptions {
    let mut old = run.clone();
    old.playbooks.retain(|path| {
        let is_there = path.is_absolute() || base.join(path).exists();
        if !is_there {
            warnings.push(format!(
                "`{}` does not exist at {name}: everything in it is new",
                path.display()
            ));
        }
        is_there
    });
    for source in &mut old.files.inventory {
        let is_list = source.contains(',');
        if !is_list && !base.join(&*source).exists() && head.join(&*source).exists() {
            warnings.push(format!(
                "the inventory `{source}` does not exist at {name}: both revisions are compared on the later one's hosts"
            ));
            *source = head.join(&*source).display().to_string();
        }
    }
    old
}

/// One revision's plan.
struct Planning<'a> {
    options: &'a ReviewOptions,
    run: &'a RunOptions,
    args: &'a [OsString],
    machine: &'a Machine,
    repository: &'a Repository,
    tree: &'a Path,
    name: &'a str,
    hosts: &'a Path,
    salt: &'a str,
}

/// Has another krun plan in that revision's directory: its own configuration, relative paths and libraries hold there.
fn planned(planning: &Planning<'_>) -> Result<Vec<Event>, Error> {
    let Planning {
        run, machine, tree, ..
    } = planning;
    let _ = planning.args;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .current_dir(tree)
        .arg("imagine")
        .arg("--directory")
        .arg(planning.hosts)
        .arg("--salt")
        .arg(planning.salt);
    // Only the working directory has what git does not keep.
    let here = |path: &Path| machine.cwd.join(path);
    if let Some(facts) = &planning.options.facts {
        command.arg("--facts").arg(here(facts));
    }
    file_options(&mut command, &run.files, &here);
    if run.files.vault_password_file.is_empty() && run.files.vault_id.is_empty() {
        let configured = machine
            .configuration
            .paths(ansible_cfg::VAULT_PASSWORD_FILE, &[',']);
        for path in configured
            .into_iter()
            .flatten()
            .filter(|path| path.exists())
        {
            command.arg("--vault-password-file").arg(here(&path));
        }
    }
    command.args(run.playbooks.iter().map(|path| in_tree(planning, path)));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Where a revision lies for the moment is no difference.
    let top = tree_top(planning).display().to_string();
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.replace(&top, &planning.repository.top.display().to_string());
    let events: Vec<Event> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if events.is_empty() {
        let said = said.trim_end();
        let what = if said.is_empty() {
            "nothing was planned"
        } else {
            said
        };
        return Err(Error::Files(format!("at {}:\n{what}", planning.name)));
    }
    Ok(events)
}

/// A path that was given whole lies in the revision's directory, too, where it is the repository's.
fn in_tree(planning: &Planning<'_>, path: &Path) -> PathBuf {
    let below = path.strip_prefix(&planning.repository.top);
    match below {
        Ok(below) if path.is_absolute() => tree_top(planning).join(below),
        _ => path.to_path_buf(),
    }
}

/// The topmost directory of the revision's files.
fn tree_top(planning: &Planning<'_>) -> PathBuf {
    let mut top = planning.tree.to_path_buf();
    for _ in planning.repository.below.components() {
        top.pop();
    }
    top
}

fn file_options(command: &mut Command, files: &FileOptions, here: &dyn Fn(&Path) -> PathBuf) {
    for source in &files.inventory {
        command.arg("-i").arg(source);
    }
    for (option, value) in [
        ("--limit", &files.limit),
        ("--start-at-task", &files.start_at_task),
    ] {
        if let Some(value) = value {
            command.arg(option).arg(value);
        }
    }
    for (option, values) in [("--tags", &files.tags), ("--skip-tags", &files.skip_tags)] {
        if !values.is_empty() {
            command.arg(option).arg(values.join(","));
        }
    }
    for value in &files.extra_vars {
        command.arg("-e").arg(value);
    }
    for path in &files.vault_password_file {
        command.arg("--vault-password-file").arg(here(path));
    }
    for id in &files.vault_id {
        let id = match id.split_once('@') {
            Some((id, path)) => format!("{id}@{}", here(Path::new(path)).display()),
            None => id.clone(),
        };
        command.arg("--vault-id").arg(id);
    }
}
