//! Loads small trees of files and compares the faults, or what the tasks became.

mod faults;
mod inherit;
mod old;
mod plays;
mod roles;

use super::keywords::is_template;
use super::{Item, LoadOptions, Playbook, Task, load, notify};
use crate::diag::{Diagnostics, Severity};
use crate::value::{Dict, Value, display};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Replaces `{{ name }}` by the variable, and nothing else.
fn render(text: &str, vars: &Dict) -> Result<Value, String> {
    let mut rendered = text.to_owned();
    for (name, value) in vars {
        rendered = rendered.replace(&format!("{{{{ {name} }}}}"), &display(value));
    }
    if is_template(&rendered) {
        return Err("a variable is undefined".into());
    }
    Ok(Value::String(rendered))
}

/// Writes files, loads the first, and returns what came of it and the faults as text.
fn load_files(files: &[(&str, &str)]) -> (Option<Playbook>, String) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    load_dir(dir.path(), files[0].0)
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn options() -> LoadOptions<'static> {
    LoadOptions {
        roles_path: Vec::new(),
        render: &render,
        decrypt: None,
    }
}

fn load_dir(dir: &Path, playbook: &str) -> (Option<Playbook>, String) {
    let options = options();
    let mut diagnostics = Diagnostics::new();
    let playbook = load(&dir.join(playbook), &options, &mut diagnostics);
    let faults = shown(&diagnostics).replace(&format!("{}/", dir.display()), "");
    (playbook, faults)
}

/// `error: … --> file:line:column`, then labels and help.
fn shown(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for fault in diagnostics.iter() {
        let severity = match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let at = fault.span.as_ref().map(ToString::to_string);
        let at = at.unwrap_or_else(|| "nowhere".into());
        writeln!(text, "{severity}: {} --> {at}", fault.message).unwrap();
        for (span, label) in &fault.labels {
            writeln!(text, "  {span}: {label}").unwrap();
        }
        if let Some(help) = &fault.help {
            writeln!(text, "  help: {help}").unwrap();
        }
    }
    text
}

/// The faults of a playbook that is one file.
fn faults(text: &str) -> String {
    load_files(&[("site.yml", text)]).1
}

/// The faults of the tasks of a play that is otherwise sound.
fn task_faults(tasks: &str) -> String {
    faults(&play_of(tasks))
}

fn play_of(tasks: &str) -> String {
    let tasks: Vec<String> = tasks.lines().map(|line| format!("    {line}")).collect();
    format!("- hosts: all\n  tasks:\n{}\n", tasks.join("\n"))
}

/// The tasks of a play that must be sound.
fn tasks_of(tasks: &str) -> Vec<Arc<Task>> {
    let (playbook, faults) = load_files(&[("site.yml", &play_of(tasks))]);
    assert!(!faults.contains("error"), "{faults}");
    notify::tasks(&playbook.unwrap().plays[0].tasks)
}

fn titles(items: &[Item]) -> String {
    let tasks = notify::tasks(items);
    let titles: Vec<String> = tasks.iter().map(|task| task.full_title()).collect();
    titles.join(", ")
}
