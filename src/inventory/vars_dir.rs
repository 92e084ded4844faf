//! Turns the `group_vars` and `host_vars` beside an inventory or a playbook into variables by name.

use crate::diag::{Diagnostic, Diagnostics, Source};
use crate::vault::Vault;
use crate::yaml::{Kind, Vars};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What may follow a name; the first that is there counts.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// The variables of one directory with `group_vars` and `host_vars`.
#[derive(Debug, Clone, Default)]
pub(super) struct VarsDir {
    pub(super) path: PathBuf,
    groups: HashMap<String, Loaded>,
    hosts: HashMap<String, Loaded>,
}

/// Files of names that nobody has (yet) may be as broken as they like: their faults wait here.
#[derive(Debug, Clone, Default)]
struct Loaded {
    vars: Vars,
    faults: Vec<Diagnostic>,
}

impl VarsDir {
    /// Reads everything; `path` as the user would type it, below `cwd`.
    pub(super) fn load(cwd: &Path, path: &Path, vault: &Vault) -> Self {
        let reader = Reader { cwd, vault };
        Self {
            path: path.into(),
            groups: reader.names(&path.join("group_vars")),
            hosts: reader.names(&path.join("host_vars")),
        }
    }

    pub(super) fn group(&self, name: &str) -> Option<&Vars> {
        self.groups.get(name).map(|loaded| &loaded.vars)
    }

    pub(super) fn host(&self, name: &str) -> Option<&Vars> {
        self.hosts.get(name).map(|loaded| &loaded.vars)
    }

    /// Hands over the faults of a name that is in use.
    pub(super) fn report_group(&self, name: &str, faults: &mut Diagnostics) {
        report(self.groups.get(name), faults);
    }

    pub(super) fn report_host(&self, name: &str, faults: &mut Diagnostics) {
        report(self.hosts.get(name), faults);
    }

    /// All variables of all names.
    pub(super) fn all(&self) -> impl Iterator<Item = &Vars> {
        let loaded = self.groups.values().chain(self.hosts.values());
        loaded.map(|loaded| &loaded.vars)
    }
}

fn report(loaded: Option<&Loaded>, faults: &mut Diagnostics) {
    for fault in loaded.into_iter().flat_map(|loaded| &loaded.faults) {
        faults.push(fault.clone());
    }
}

struct Reader<'a> {
    cwd: &'a Path,
    vault: &'a Vault,
}

impl Reader<'_> {
    fn names(&self, dir: &Path) -> HashMap<String, Loaded> {
        let names: BTreeSet<String> = self
            .entries(dir)
            .iter()
            .filter(|name| !name.starts_with('.') && !name.ends_with('~'))
            .flat_map(|name| {
                let stems = EXTENSIONS.iter().filter_map(|e| name.strip_suffix(e));
                stems.map(ToString::to_string).collect::<Vec<_>>()
            })
            .filter(|name| !name.is_empty())
            .collect();
        names
            .into_iter()
            .map(|name| {
                let loaded = self.name(dir, &name);
                (name, loaded)
            })
            .collect()
    }

    /// Sorted; empty where there is no such directory.
    fn entries(&self, dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.cwd.join(dir)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn name(&self, dir: &Path, name: &str) -> Loaded {
        let mut loaded = Loaded::default();
        let found = EXTENSIONS
            .iter()
            .map(|extension| dir.join(format!("{name}{extension}")))
            .find(|path| self.cwd.join(path).exists());
        match found {
            Some(path) if self.cwd.join(&path).is_dir() => self.directory(&path, &mut loaded),
            Some(path) => self.file(&path, &mut loaded),
            None => {}
        }
        loaded
    }

    /// Every file below, by name; directories only if their name has no dot.
    fn directory(&self, dir: &Path, loaded: &mut Loaded) {
        for name in self.entries(dir) {
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let path = dir.join(&name);
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            let is_dir = self.cwd.join(&path).is_dir();
            if is_dir && extension.is_empty() {
                self.directory(&path, loaded);
            } else if !is_dir && matches!(extension, "" | "yml" | "yaml" | "json") {
                self.file(&path, loaded);
            }
        }
    }

    fn file(&self, path: &Path, loaded: &mut Loaded) {
        let mut faults = Diagnostics::new();
        match fs::read(self.cwd.join(path)) {
            Ok(bytes) => {
                let source = Source::new(path, String::from_utf8_lossy(&bytes));
                if let Some(node) = self.vault.parse(&source, &mut faults) {
                    match node.kind {
                        Kind::Null => {}
                        Kind::Map(map) => loaded.vars.extend(Vars::from_map(&map)),
                        _ => faults.push(node.span.error(format!(
                            "a file of variables must be a mapping, found {}",
                            node.kind_name()
                        ))),
                    }
                }
            }
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                faults.push(Diagnostic::global(message));
            }
        }
        loaded.faults.extend(faults.iter().cloned());
    }
}
