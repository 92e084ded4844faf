//! `raw`: turns a line into what a shell on the host makes of it, with nothing added.

use super::args::{Arg, ArgKind};
use super::command::{Frame, Streams};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::sys::process::Command;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    #[serde(default, rename = "_raw_params")]
    free_form: Option<String>,
    #[serde(default)]
    executable: Option<String>,
}

impl Module for Raw {
    const NAME: &'static str = "raw";
    const NATURE: Nature = Nature::Action;
    const LEAVES_UNKNOWN: bool = true;
    const ARGS: &'static [Arg] = &[Arg::new(
        "executable",
        ArgKind::Path,
        "the shell (default /bin/sh)",
    )];
    const DOC: &'static str = "Runs a line in a shell. With krun a host needs no Python, so `shell` does as well.\n\n    - raw: uptime\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        match self.free_form.as_deref().map(str::trim) {
            None | Some("") => Err(Error::new("no command given").with("rc", 256)),
            Some(_) => Ok(Found::change((), Outcome::new())),
        }
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let text = self.free_form.as_deref().unwrap_or_default();
        let shell = self.executable.as_deref();
        Frame::default().run(
            sys,
            Command::shell(text, shell),
            &Streams::default(),
            shell.unwrap_or("/bin/sh"),
            text.into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::Host;

    #[test]
    fn a_line_runs_and_its_output_is_kept_whole() {
        let host = Host::with("raw", &[]);
        let outcome = host.run("_raw_params: echo $((1 + 2))").unwrap();
        assert_eq!(outcome.data["stdout"], "3\n");
        assert!(outcome.changed);
    }
}
