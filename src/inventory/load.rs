//! Turns the sources given with `-i` into an inventory: files, directories, scripts and lists of hosts.

use super::model::Inventory;
use super::vars_dir::VarsDir;
use super::{connection, ini, script, yaml_form};
use crate::diag::{Diagnostic, Diagnostics, Source, Span};
use crate::vault::{self, Vault};
use crate::yaml::{self, Kind, Vars};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names in an inventory directory that are no inventories, by their ends (Ansible's list).
const IGNORED_ENDS: [&str; 12] = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
];

/// What loading needs beside the sources.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Where relative sources are looked up; absolute.
    pub cwd: &'a Path,
    pub vault: &'a Vault,
}

/// Reads all sources, one over the other, and the `group_vars` and `host_vars` beside them.
///
/// A source is a file (INI, YAML, or an executable that prints JSON), a directory of such, or a
/// list of hosts with a comma in it. Every fault becomes a diagnostic.
pub fn load(
    sources: &[String],
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Inventory {
    let mut loader = Loader {
        inventory: Inventory::default(),
        options: *options,
        faults: diagnostics,
    };
    loader.inventory.sources = sources.to_vec();
    for source in sources {
        loader.source(source);
    }
    loader.inventory.begin_source(None);
    loader.inventory.reconcile();
    loader.vars_dirs(sources);
    let inventory = loader.inventory;
    inventory.report_vars_dirs(diagnostics);
    inventory.warn_of_shared_names(diagnostics);
    for vars in inventory.every_vars() {
        connection::warn_of_misspelled(vars, diagnostics);
    }
    inventory
}

struct Loader<'a> {
    inventory: Inventory,
    options: LoadOptions<'a>,
    faults: &'a mut Diagnostics,
}

impl Loader<'_> {
    fn source(&mut self, source: &str) {
        let path = Path::new(source);
        let full = self.options.cwd.join(path);
        if source.contains(',') && !full.exists() {
            self.list(source);
        } else if full.is_dir() {
            if !self.directory(path) {
                let message = format!("inventory directory `{source}` holds no inventory");
                let mut warning = Diagnostic::global(message);
                warning.severity = crate::diag::Severity::Warning;
                self.faults.push(warning);
            }
        } else if full.exists() {
            self.file(path);
        } else {
            let message = format!("inventory `{source}` does not exist");
            let siblings = names_in(full.parent().unwrap_or(self.options.cwd));
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or(source);
            let fault = Diagnostic::global(message);
            let fault = fault.did_you_mean(name, siblings.iter().map(String::as_str));
            let help = format!("to name a host itself, write `-i {source},`");
            let is_bare = !source.contains('/') && fault.help.is_none();
            self.faults
                .push(if is_bare { fault.help(help) } else { fault });
        }
    }

    /// `a,b,` on the command line.
    fn list(&mut self, list: &str) {
        self.inventory.begin_source(Some(PathBuf::from(list)));
        let source = Source::new("<-i>", list);
        let mut column = 1;
        for part in list.split(',') {
            let name = part.trim();
            let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let span = Span::new(&source, 1, column, small(part.chars().count()));
            column += small(part.chars().count()) + 1;
            if name.is_empty() {
                continue;
            }
            match super::range::expand(name) {
                Ok((names, port)) => {
                    for name in names {
                        self.inventory
                            .declare_host(&name, "ungrouped", port, &source, &span);
                    }
                }
                Err(error) => self.faults.push(span.error(error.message)),
            }
        }
    }

    /// Reads every inventory in a directory and below, by name; `false` if there was none.
    fn directory(&mut self, dir: &Path) -> bool {
        let full = self.options.cwd.join(dir);
        let mut found = false;
        for name in names_in(&full) {
            let is_vars = matches!(name.as_str(), "group_vars" | "host_vars" | "vars_plugins");
            let is_ignored = IGNORED_ENDS.iter().any(|end| name.ends_with(end));
            if name.starts_with('.') || is_vars || is_ignored {
                continue;
            }
            let path = dir.join(&name);
            if full.join(&name).is_dir() {
                found |= self.directory(&path);
            } else {
                self.file(&path);
                found = true;
            }
        }
        found
    }

    fn file(&mut self, path: &Path) {
        let full = self.options.cwd.join(path);
        let bytes = match fs::read(&full) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("cannot read inventory `{}`: {error}", path.display());
                self.faults.push(Diagnostic::global(message));
                return;
            }
        };
        self.inventory.begin_source(Some(full.clone()));
        if is_program(&full, &bytes) {
            script::read(path, &full, &mut self.inventory, self.faults);
            return;
        }
        let source = Source::new(path, String::from_utf8_lossy(&bytes));
        match form_of(path, &source) {
            Form::Ini => ini::parse(&source, &mut self.inventory, self.faults),
            Form::Yaml => self.yaml(&source),
        }
    }

    fn yaml(&mut self, source: &Arc<Source>) {
        let Some(root) = self.options.vault.parse(source, self.faults) else {
            return;
        };
        match &root.kind {
            Kind::Null => {}
            Kind::Map(map) => yaml_form::read(source, map, &mut self.inventory, self.faults),
            _ => {
                let message = format!(
                    "a YAML inventory must be a mapping of groups, found {}",
                    root.kind_name()
                );
                let help = "begin with `all:` and its `hosts:`";
                self.faults.push(root.span.error(message).help(help));
            }
        }
    }

    fn vars_dirs(&mut self, sources: &[String]) {
        for source in sources {
            let path = Path::new(source);
            let full = self.options.cwd.join(path);
            if source.contains(',') && !full.exists() {
                continue;
            }
            let dir = if full.is_dir() {
                path.to_path_buf()
            } else {
                path.parent().unwrap_or(Path::new("")).to_path_buf()
            };
            // Of the same directory twice only the last counts: its variables win anyway.
            self.inventory.source_dirs.retain(|known| known.path != dir);
            let loaded = VarsDir::load(self.options.cwd, &dir, self.options.vault);
            self.inventory.source_dirs.push(loaded);
        }
    }
}

/// The names in a directory, sorted.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

enum Form {
    Ini,
    Yaml,
}

/// YAML by its name, or, without an extension, by its text.
fn form_of(path: &Path, source: &Arc<Source>) -> Form {
    let first = source
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        .unwrap_or("");
    let is_section = first.starts_with('[') && first.ends_with(']');
    match path.extension().and_then(|e| e.to_str()) {
        Some("yml" | "yaml" | "json") if !is_section => return Form::Yaml,
        None if vault::is_encrypted(&source.text) => return Form::Yaml,
        None => {}
        _ => return Form::Ini,
    }
    let starts_yaml =
        first == "---" || first == "{" || (first.ends_with(':') && !first.contains(' '));
    if starts_yaml {
        return Form::Yaml;
    }
    let mut ignored = Diagnostics::new();
    match yaml::parse(source, &mut ignored) {
        Some(node) if node.as_map().is_some() => Form::Yaml,
        _ => Form::Ini,
    }
}

/// An executable file that says how it is run; other executables are mere files with a bit too many.
fn is_program(full: &Path, bytes: &[u8]) -> bool {
    let is_executable = fs::metadata(full).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    is_executable && (bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF"))
}

impl Inventory {
    /// Reads the `group_vars` and `host_vars` beside a playbook; `dir` as the user would type it.
    pub fn add_playbook_vars(
        &mut self,
        dir: &Path,
        options: &LoadOptions<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        if self.playbook_dirs.iter().any(|known| known.path == dir) {
            return;
        }
        let loaded = VarsDir::load(options.cwd, dir, options.vault);
        for vars in loaded.all() {
            connection::warn_of_misspelled(vars, diagnostics);
        }
        self.playbook_dirs.push(loaded);
        self.report_vars_dirs(diagnostics);
    }

    fn report_vars_dirs(&self, faults: &mut Diagnostics) {
        for dir in self.source_dirs.iter().chain(&self.playbook_dirs) {
            for name in self.groups.keys() {
                dir.report_group(name, faults);
            }
            for name in self.hosts.keys() {
                dir.report_host(name, faults);
            }
            for name in super::model::LOCALHOST {
                dir.report_host(name, faults);
            }
        }
    }

    fn warn_of_shared_names(&self, faults: &mut Diagnostics) {
        for (name, host) in &self.hosts {
            if let (true, Some(span)) = (self.groups.contains_key(&**name), &host.span) {
                faults.push(span.warning(format!("`{name}` is both a host and a group")));
            }
        }
    }

    fn every_vars(&self) -> impl Iterator<Item = &Vars> {
        let hosts = self.hosts.values().map(|host| &host.vars);
        let groups = self.groups.values().map(|group| &group.vars);
        let dirs = self.source_dirs.iter().flat_map(VarsDir::all);
        hosts.chain(groups).chain(dirs)
    }
}
