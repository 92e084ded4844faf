//! Judges the files of this machine that a task names: is each there, or may an earlier task bring it?

use super::freeform::RAW;
use super::judge::severity;
use super::keywords::is_template;
use super::load::Loader;
use super::{Task, search};
use crate::diag::{Severity, Span};
use crate::value::{self, Value, expand};
use crate::yaml::{Entry, Map, Node};
use std::path::PathBuf;

/// Names of this machine, and of the connection to it.
const HERE: &[&str] = &["localhost", "127.0.0.1", "local"];
/// Modules that write no file, wherever they run.
const INERT: &[&str] = &[
    "add_host",
    "assert",
    "debug",
    "fail",
    "group_by",
    "include_vars",
    "meta",
    "pause",
    "ping",
    "set_fact",
    "setup",
    "stat",
    "wait_for",
];

impl Loader<'_> {
    /// Reports files of the controller that a task needs and that are nowhere.
    pub(super) fn judge_sources(&mut self, task: &Task, module: &str, map: &Map) {
        let args = &task.args.entries;
        let is = |name: &str, wanted: bool| {
            args.get(name).is_some_and(|entry| {
                // A template could be either.
                value::as_bool(&entry.value.to_value()).is_none_or(|flag| flag == wanted)
            })
        };
        let (kind, entry) = match module {
            "copy" | "uri" if !is("remote_src", true) => ("files", args.get("src")),
            "unarchive" if !is("remote_src", true) && !is("copy", false) => {
                ("files", args.get("src"))
            }
            "template" => ("templates", args.get("src")),
            "script" => ("files", args.get(RAW).or_else(|| args.get("cmd"))),
            "include_vars" if !args.contains_key("dir") => {
                ("vars", args.get("file").or_else(|| args.get(RAW)))
            }
            _ => return,
        };
        let Some(entry) = entry else { return };
        let Some(text) = entry.value.as_str() else {
            return;
        };
        let name = match module {
            "script" => shlex::split(text)
                .and_then(|words| words.into_iter().next())
                .unwrap_or_default(),
            _ => text.to_owned(),
        };
        let is_known = !is_template(text) && !expand::concerns(&name) && !name.contains("://");
        if !is_known || name.is_empty() {
            return;
        }
        let paths = super::search_paths(task, kind, &name);
        if !paths.iter().any(|path| path.exists()) {
            self.missing(entry, &name, &paths, map);
        }
    }

    /// Whether a task may leave a file on this machine.
    pub(super) fn brings_files(&self, task: &Task, module: &str) -> bool {
        let keywords = [&task.keywords.delegate_to, &task.keywords.connection];
        let mut keywords = keywords.into_iter().flatten();
        let is_here = self.state.is_of_this_machine || keywords.any(names_this_machine);
        module == "fetch" || (is_here && !INERT.contains(&module))
    }

    pub(super) fn missing(&mut self, entry: &Entry, name: &str, paths: &[PathBuf], map: &Map) {
        let span: &Span = &entry.value.span;
        let mut fault = severity(map, span.error(format!("no file `{name}`")));
        let mut help = search::looked_for(paths);
        if self.may_bring_files {
            fault.severity = Severity::Warning;
            help.push_str("; an earlier task may bring it");
        }
        self.push(fault.help(help));
    }
}

/// Whether hosts, a `delegate_to` or a connection may be this machine.
pub(super) fn names_this_machine(node: &Node) -> bool {
    let value = node.to_value();
    let texts: Vec<&str> = match &value {
        Value::Sequence(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let is_one = |text: &str| {
        is_template(text)
            || text
                .split([',', ':'])
                .any(|name| HERE.contains(&name.trim()))
    };
    texts.into_iter().any(is_one)
}
