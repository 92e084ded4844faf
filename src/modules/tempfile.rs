//! `tempfile`: makes a file or directory under a name that nothing had.

use super::args::{Arg, ArgKind};
use super::attributes::describe;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tempfile {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    suffix: String,
}

impl Module for Tempfile {
    const NAME: &'static str = "tempfile";
    const NATURE: Nature = Nature::Action;
    const REHEARSES: bool = true;
    const ARGS: &'static [Arg] = &[
        Arg::new("state", ArgKind::Str, "what is made (default `file`)")
            .choices(&["directory", "file"]),
        Arg::new("path", ArgKind::Path, "where (default `/tmp`)"),
        Arg::new(
            "prefix",
            ArgKind::Str,
            "how the name begins (default `ansible.`)",
        ),
        Arg::new("suffix", ArgKind::Str, "how the name ends (default empty)"),
    ];
    const DOC: &'static str = "Makes a temporary file or directory, for its owner only, and registers its `path`.\n\n    - tempfile: state=directory suffix=build\n      register: work\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let directory = match &self.path {
            Some(path) => path.clone(),
            None => sys.temporary_directory()?,
        };
        let prefix = self.prefix.as_deref().unwrap_or("ansible.");
        let path = loop {
            let middle: String = rand::rng()
                .sample_iter(Alphanumeric)
                .take(8)
                .map(char::from)
                .collect();
            let path = directory.join(format!("{prefix}{middle}{}", self.suffix));
            if sys.lstat(&path)?.is_none() {
                break path;
            }
        };
        if self.state.as_deref() == Some("directory") {
            sys.create_dir(&path, Some(0o700))?;
        } else {
            let private = Attributes {
                mode: Some(0o600),
                ..Attributes::default()
            };
            sys.write_atomic(&path, b"", private)?;
        }
        let outcome = Outcome::new()
            .changed()
            .with("path", path.display().to_string());
        Ok(match sys.lstat(&path)? {
            Some(stat) => describe(sys, outcome, &stat),
            None => outcome,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;
    use crate::value::display;

    #[test]
    fn every_run_makes_another_private_file_or_directory() {
        let host = Host::with("tempfile", &[]);
        let first = host.run("{}").unwrap();
        let second = host
            .run("{state: directory, prefix: a., suffix: .z}")
            .unwrap();
        assert!(first.changed && second.changed);
        let (first, second) = (display(&first.data["path"]), display(&second.data["path"]));
        assert!(first.starts_with("/tmp/ansible."), "{first}");
        assert!(second.starts_with("/tmp/a."), "{second}");
        assert_eq!(std::path::Path::new(&second).extension().unwrap(), "z");
        assert_eq!(host.lstat(&first).mode, 0o600);
        assert_eq!(host.lstat(&second).mode, 0o700);
    }
}
