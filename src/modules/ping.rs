//! `ping`: turns a reachable host into `pong`.

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    #[serde(default)]
    data: Option<String>,
}

impl Module for Ping {
    const NAME: &'static str = "ping";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[Arg::new(
        "data",
        ArgKind::Str,
        "what to answer (default `pong`); `crash` fails",
    )];
    const DOC: &'static str =
        "Answers `pong` when the host is there and krun can run on it.\n\n    - ping:\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        // Playbooks for Ansible provoke a failure with it.
        if self.data.as_deref() == Some("crash") {
            return Err(Error::new("boom"));
        }
        Ok(Found::same(
            Outcome::new().with("ping", self.data.as_deref().unwrap_or("pong")),
        ))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_pong() {
        let found = Ping { data: None }.check(&Sys::host()).unwrap();
        assert_eq!(found.outcome.data.get("ping"), Some(&"pong".into()));
    }
}
