//! Turns YAML arguments into a module's run on a temporary root: what module tests stand on.

mod refusals;

use super::diff::Content;
use super::{Action, Error, Outcome, Permission, Ran};
use crate::sys::Sys;
use crate::sys::fs::{Attributes, Stat};
use crate::value::{Mapping, Value, display};
use std::path::Path;

mod random_tests;
mod rehearsal_tests;

/// A host in a temporary directory, and the module that is tried on it.
pub(crate) struct Host {
    _directory: tempfile::TempDir,
    pub(crate) sys: Sys,
    module: &'static str,
    /// Whether everything that is applied is rehearsed first, and the two compared.
    pub(crate) rehearses: bool,
}

impl Host {
    /// Makes a host with these files, all of mode 0644 in directories of mode 0755.
    pub(crate) fn with(module: &'static str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sys = Sys::at(directory.path());
        let host = Self {
            _directory: directory,
            sys,
            module,
            rehearses: true,
        };
        for (path, text) in files {
            host.write(path, text.as_bytes());
        }
        host
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = Path::new(path);
        let mut missing: Vec<_> = path.ancestors().skip(1).collect();
        missing.reverse();
        for directory in missing {
            if !self.sys.exists(directory).unwrap() {
                self.sys.create_dir(directory, Some(0o755)).unwrap();
            }
        }
        let attributes = Attributes {
            mode: Some(0o644),
            ..Attributes::default()
        };
        self.sys.write_atomic(path, content, attributes).unwrap();
    }

    pub(crate) fn action(&self, args: &str) -> Action {
        let mapping: Mapping = serde_yaml::from_str(args).unwrap();
        Action::new(self.module, mapping).unwrap()
    }

    pub(crate) fn run_action(&self, action: &Action) -> Result<Outcome, Error> {
        // As it arrives at an agent.
        let frame = rmp_serde::to_vec(action).unwrap();
        let action: Action = rmp_serde::from_slice(&frame).unwrap();
        let foreseen = (self.rehearses && rehearsal_tests::is_comparable(&action))
            .then(|| rehearsal_tests::foresee(&self.sys, &action));
        let result = match action.run(&self.sys, &mut |_| Permission::Apply) {
            Ok(Ran::Done(outcome)) => Ok(outcome),
            Ok(Ran::Cancelled) => unreachable!(),
            Err(error) => Err(error),
        };
        if let Some(foreseen) = foreseen {
            foreseen.compare(&self.sys, &action, &result);
        }
        result
    }

    pub(crate) fn run(&self, args: &str) -> Result<Outcome, Error> {
        self.run_action(&self.action(args))
    }

    /// Applies, then checks that a second time there is nothing to do.
    pub(crate) fn converges(&self, args: &str) -> Outcome {
        self.converges_action(&self.action(args))
    }

    pub(crate) fn converges_action(&self, action: &Action) -> Outcome {
        let first = self.run_action(action).unwrap();
        let second = self.run_action(action).unwrap();
        assert!(!second.changed, "{action:?}: {:?}", second.diffs);
        assert!(second.diffs.is_empty(), "{action:?}: {:?}", second.diffs);
        first
    }

    /// Runs something that has nothing to do.
    pub(crate) fn is_content_with(&self, args: &str) {
        let outcome = self.run(args).unwrap();
        assert!(!outcome.changed, "{args}: {:?}", outcome.diffs);
    }

    pub(crate) fn fails(&self, args: &str) -> String {
        self.run(args).unwrap_err().message
    }

    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8(self.sys.read(Path::new(path)).unwrap()).unwrap()
    }

    pub(crate) fn lstat(&self, path: &str) -> Stat {
        self.sys.lstat(Path::new(path)).unwrap().unwrap()
    }

    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let names = self.sys.list(Path::new(path)).unwrap();
        let name = |name: std::ffi::OsString| name.into_string().unwrap();
        names.into_iter().map(name).collect()
    }
}

/// `path: attribute before -> after`, one a line, contents as `path: "before" -> "after"`.
pub(crate) fn shown(outcome: &Outcome) -> String {
    let side = |value: &Option<Value>| value.as_ref().map(display).unwrap_or_default();
    let lines = outcome.diffs.iter().flat_map(|diff| {
        let content = diff.content.iter().map(|content| match content {
            Content::Text { before, after } => format!("{before:?} -> {after:?}"),
            Content::Opaque { reason, .. } => reason.clone(),
        });
        let attributes = diff.attributes.iter().map(|attribute| {
            let (before, after) = (side(&attribute.before), side(&attribute.after));
            format!("{} {before} -> {after}", attribute.name)
        });
        let lines: Vec<_> = content.chain(attributes).collect();
        lines
            .into_iter()
            .map(|line| format!("{}: {line}", diff.subject))
    });
    lines.collect::<Vec<_>>().join("\n")
}
