//! `setup`: turns a host into facts.

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome, words};
use crate::facts::{self, Wanted};
use crate::sys::Sys;
use crate::value::display;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    #[serde(default)]
    gather_subset: Vec<String>,
    #[serde(default)]
    gather_timeout: Option<u64>,
    #[serde(default)]
    filter: Vec<String>,
    #[serde(default)]
    fact_path: Option<String>,
}

impl Module for Setup {
    const NAME: &'static str = "setup";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "gather_subset",
            ArgKind::StrList,
            "all (default), min, hardware, network, virtual, …; `!` takes one out",
        ),
        Arg::new(
            "gather_timeout",
            ArgKind::Int,
            "seconds that a file system which does not answer is waited for (default 10)",
        ),
        Arg::new(
            "filter",
            ArgKind::StrList,
            "patterns of the names that are wanted",
        ),
        Arg::new(
            "fact_path",
            ArgKind::Path,
            "where the host's own facts lie (default /etc/ansible/facts.d)",
        ),
    ];
    const DOC: &'static str = "Gathers facts of the host: what plays do first unless `gather_facts: no`.\n\n    - setup:\n        gather_subset: [min, network]\n        filter: ansible_default_ipv4\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let mut wanted = Wanted {
            subset: self.gather_subset.clone(),
            ..Wanted::default()
        };
        if let Some(path) = &self.fact_path {
            wanted.fact_path = words::expand(sys, path).into();
        }
        if let Some(seconds) = self.gather_timeout {
            wanted.timeout = Duration::from_secs(seconds);
        }
        let mut facts = facts::gather(sys, &wanted).map_err(Error::new)?;
        let wishes: Vec<&str> = self.filter.iter().map(String::as_str).collect();
        if !wishes.is_empty() && !wishes.contains(&"*") {
            facts.retain(|name, _| {
                let name = display(name);
                let long = format!("ansible_{name}");
                let fits = |wish: &&str| words::matches(wish, &name) || words::matches(wish, &long);
                wishes.iter().any(fits)
            });
        }
        let outcome = Outcome {
            facts,
            ..Outcome::new()
        };
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::Host;

    #[test]
    fn a_filter_keeps_the_facts_that_fit() {
        let host = Host::with(
            "setup",
            &[("/etc/os-release", "ID=debian\nVERSION_ID=12\n")],
        );
        let facts = host.run("filter: ansible_distribution*").unwrap().facts;
        assert!(facts.contains_key("distribution_version"));
        assert!(!facts.contains_key("hostname"));
        let facts = host.run("filter: [os_family, 'user_?d']").unwrap().facts;
        assert_eq!(facts["os_family"], "Debian");
        assert_eq!(facts.len(), 2);
    }
}
