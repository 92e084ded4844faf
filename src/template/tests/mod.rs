//! A scope in memory, and the table of expressions whose results were taken from ansible-core 2.19.14.

mod behaviour;
mod files;
mod table;

use super::{Files, Raw, Scope, Templar};
use crate::value::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Variables of one host, other hosts beside it, files by their path.
#[derive(Default, Clone)]
pub(super) struct Memory {
    pub vars: BTreeMap<String, Raw>,
    pub others: BTreeMap<String, Arc<Memory>>,
    pub files: BTreeMap<PathBuf, String>,
}

impl Memory {
    pub(super) fn lazy(yaml: &str) -> Self {
        let mut memory = Self::default();
        let vars: BTreeMap<String, Value> = serde_yaml::from_str(yaml).unwrap();
        for (name, value) in vars {
            memory.vars.insert(name, Raw::Lazy(value));
        }
        memory
    }

    pub(super) fn scope(self) -> Arc<dyn Scope> {
        Arc::new(self)
    }
}

impl Scope for Memory {
    fn lookup(&self, name: &str) -> Option<Raw> {
        self.vars.get(name).cloned()
    }
    fn names(&self) -> Vec<String> {
        self.vars.keys().cloned().collect()
    }
    fn hostvars(&self, host: &str) -> Option<Arc<dyn Scope>> {
        let found = self.others.get(host)?;
        Some(Arc::clone(found) as Arc<dyn Scope>)
    }
    fn hosts(&self) -> Vec<String> {
        self.others.keys().cloned().collect()
    }
    fn files(&self) -> Arc<dyn Files> {
        Arc::new(MemoryFiles(self.files.clone()))
    }
}

struct MemoryFiles(BTreeMap<PathBuf, String>);

impl Files for MemoryFiles {
    fn find(&self, _kind: &str, name: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(name);
        if self.0.contains_key(&path) {
            Ok(path)
        } else {
            Err(format!("searched: {name}"))
        }
    }
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_string())
    }
    fn pipe(&self, command: &str) -> Result<String, String> {
        Ok(format!("{command}\n"))
    }
    fn glob(&self, _pattern: &str) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }
}

pub(super) fn render(text: &str, memory: &Memory) -> Result<Value, super::Error> {
    Templar::new().render_str(text, &memory.clone().scope())
}
