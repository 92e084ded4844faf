//! `slurp`: turns a file of the host into Base64.

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slurp {
    src: PathBuf,
}

impl Module for Slurp {
    const NAME: &'static str = "slurp";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[Arg::new("src", ArgKind::Path, "the file")
        .required()
        .aliases(&["path"])];
    const DOC: &'static str = "Registers a file's content in Base64, as `content`.\n\n    - slurp: src=/data/kafka-logs/meta.properties\n      register: meta\n    - debug: msg=\"{{ meta.content | b64decode }}\"\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let shown = self.src.display();
        match sys.stat(&self.src)? {
            None => return Err(Error::new(format!("file not found: `{shown}`"))),
            Some(stat) if stat.is_dir() => {
                let text = format!("source is a directory and must be a file: `{shown}`");
                return Err(Error::new(text));
            }
            Some(_) => {}
        }
        let content = STANDARD.encode(sys.read(&self.src)?);
        Ok(Found::same(
            Outcome::new()
                .with("content", content)
                .with("source", shown.to_string())
                .with("encoding", "base64"),
        ))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;

    #[test]
    fn a_file_comes_in_base64_and_nothing_else_does() {
        let host = Host::with("slurp", &[("/d/a", "x\n")]);
        assert_eq!(host.run("{src: /d/a}").unwrap().data["content"], "eAo=");
        assert_eq!(host.fails("{src: /b}"), "file not found: `/b`");
        assert_eq!(
            host.fails("{src: /d}"),
            "source is a directory and must be a file: `/d`"
        );
    }
}
