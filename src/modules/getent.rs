//! `getent`: turns entries of the host's name databases (passwd, group, hosts, services, …) into facts.

use super::args::{Arg, ArgKind, yes};
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::sys::process::{Command, Output};
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Databases that are a file of `/etc`, with fields between colons.
const FILES: [&str; 4] = ["passwd", "shadow", "group", "gshadow"];

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Getent {
    database: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    split: Option<String>,
    #[serde(default = "yes")]
    fail_key: bool,
}

impl Module for Getent {
    const NAME: &'static str = "getent";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "database",
            ArgKind::Str,
            "passwd, group, hosts, services, or another that getent knows",
        )
        .required(),
        Arg::new("key", ArgKind::Str, "one entry of it (default: all)"),
        Arg::new(
            "service",
            ArgKind::Str,
            "the one source that is asked, of nsswitch.conf's",
        ),
        Arg::new(
            "split",
            ArgKind::Str,
            "what stands between fields (default a colon for passwd, shadow, group and gshadow, else white space)",
        ),
        Arg::new(
            "fail_key",
            ArgKind::Bool,
            "fail if there is no such entry (default yes)",
        ),
    ];
    const DOC: &'static str = "Looks entries up in a name database and sets the fact `getent_DATABASE`: a list of fields for each name.\n\n    - getent:\n        database: passwd\n        key: kafka\n    - debug: msg=\"home is {{ ansible_facts.getent_passwd.kafka[4] }}\"\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        if self.split.as_deref() == Some("") {
            return Err(Error::new("`split` is empty"));
        }
        let mut outcome = Outcome::new();
        let entries = match self.lines(sys)? {
            Some(lines) => self.entries(&lines),
            None if self.fail_key => return Err(self.no_such_key()),
            None => {
                outcome = outcome.msg(self.no_such_key().message);
                let key = self.key.as_deref().unwrap_or_default();
                [(key.into(), Value::Null)].into_iter().collect()
            }
        };
        outcome.facts = [(self.fact().into(), entries.into())].into_iter().collect();
        if self.key.is_none() {
            sys.miss(|| format!("another entry of the database `{}`", self.database));
        }
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl Getent {
    /// The fact that it sets.
    pub fn fact(&self) -> String {
        format!("getent_{}", self.database)
    }

    /// Returns the lines of the database; `None` if it has no such key.
    fn lines(&self, sys: &Sys) -> Result<Option<Vec<String>>, Error> {
        // Check mode: accounts that earlier tasks would have made are in the overlay's files, which getent does not see.
        let from_file = FILES.contains(&self.database.as_str())
            && self.service.is_none()
            && (sys.overlay().is_some() || !sys.is_host());
        if from_file {
            let found = self.lines_of_file(sys)?;
            if found.is_some() || !sys.is_host() {
                return Ok(found);
            }
        }
        let mut argv = vec!["getent", &self.database];
        argv.extend(self.key.as_deref());
        argv.extend(
            self.service
                .iter()
                .flat_map(|service| ["-s", service.as_str()]),
        );
        let output = tool::start(sys, &Command::tool(&argv).only_reads(), &argv)?;
        match output.rc {
            0 => Ok(Some(output.stdout.lines().map(str::to_owned).collect())),
            2 => {
                sys.miss(|| self.shown_key());
                Ok(None)
            }
            rc => Err(self.failure(rc, &output)),
        }
    }

    fn lines_of_file(&self, sys: &Sys) -> Result<Option<Vec<String>>, Error> {
        let path = Path::new("/etc").join(&self.database);
        let text = if sys.exists(&path)? {
            String::from_utf8_lossy(&sys.read(&path)?).into_owned()
        } else {
            String::new()
        };
        let is_wanted = |line: &&str| {
            let mut fields = line.split(':');
            let name = fields.next();
            let number = matches!(&*self.database, "passwd" | "group").then(|| fields.nth(1));
            self.key
                .as_deref()
                .is_none_or(|key| name == Some(key) || number == Some(Some(key)))
        };
        // Check mode: what it is, an earlier task may decide.
        match (self.key.as_deref(), &*self.database) {
            (Some(user), "passwd") => drop(sys.user_named(user)?),
            (Some(group), "group") => drop(sys.group_named(group)?),
            _ => {}
        }
        let lines: Vec<String> = text.lines().filter(is_wanted).map(str::to_owned).collect();
        Ok((self.key.is_none() || !lines.is_empty()).then_some(lines))
    }

    fn failure(&self, rc: i32, output: &Output) -> Error {
        let database = &self.database;
        let error = match rc {
            1 => Error::new(format!("getent knows no database `{database}`")),
            3 => Error::new(format!("`{database}` cannot be listed whole"))
                .help("look for one entry, by `key`"),
            _ => tool::failure(&["getent", database], output),
        };
        error
            .with("rc", rc)
            .with("stderr", output.stderr.trim_end())
    }

    fn shown_key(&self) -> String {
        let key = self.key.as_deref().unwrap_or_default();
        format!("`{key}` in the database `{}`", self.database)
    }

    fn no_such_key(&self) -> Error {
        Error::new(format!("there is no {}", self.shown_key()))
    }

    /// Splits lines into fields. A name that occurs more than once gets a list of lists.
    fn entries(&self, lines: &[String]) -> Mapping {
        let colon = FILES.contains(&self.database.as_str()).then_some(":");
        let separator = self.split.as_deref().or(colon);
        let mut entries: Vec<(String, Vec<Value>)> = Vec::new();
        for line in lines {
            let fields: Vec<&str> = match separator {
                Some(separator) => line.split(separator).collect(),
                None => line.split_whitespace().collect(),
            };
            let Some((name, rest)) = fields.split_first() else {
                continue;
            };
            let rest: Value = rest.iter().map(|field| Value::from(*field)).collect();
            match entries.iter_mut().find(|(known, _)| known == name) {
                Some((_, all)) => all.push(rest),
                None => entries.push(((*name).to_owned(), vec![rest])),
            }
        }
        let entries = entries.into_iter().map(|(name, mut all)| {
            let value = if all.len() == 1 {
                all.remove(0)
            } else {
                Value::Sequence(all)
            };
            (name.into(), value)
        });
        entries.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::Host;

    fn host() -> Host {
        Host::with(
            "getent",
            &[
                (
                    "/etc/passwd",
                    "root:x:0:0:root:/root:/bin/sh\nkafka:x:970:971::/data:/bin/false\n",
                ),
                ("/etc/group", "root:x:0:\nkafka:x:971:alice\n"),
            ],
        )
    }

    fn json(value: &Value) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn an_account_is_a_list_of_fields_under_its_name() {
        let outcome = host().run("{database: passwd, key: kafka}").unwrap();
        let fact = json(&outcome.facts["getent_passwd"]);
        assert_eq!(
            fact,
            r#"{"kafka":["x","970","971","","/data","/bin/false"]}"#
        );
        let outcome = host().run("{database: group}").unwrap();
        let fact = json(&outcome.facts["getent_group"]);
        assert_eq!(fact, r#"{"root":["x","0",""],"kafka":["x","971","alice"]}"#);
    }

    #[test]
    fn a_name_that_is_missing_fails_unless_it_may() {
        let fault = "there is no `none` in the database `passwd`";
        assert_eq!(host().fails("{database: passwd, key: none}"), fault);
        let outcome = host()
            .run("{database: passwd, key: none, fail_key: no}")
            .unwrap();
        assert_eq!(json(&outcome.facts["getent_passwd"]), r#"{"none":null}"#);
    }

    #[test]
    fn a_user_whom_an_earlier_task_would_make_is_found_in_check_mode() {
        let host = host();
        let over = host.sys.clone().over(host.sys.new_overlay());
        let line = b"new:x:1:1::/:/bin/sh\n";
        let attributes = crate::sys::fs::Attributes::default();
        over.write_atomic(Path::new("/etc/passwd"), line, attributes)
            .unwrap();
        let args: Mapping = serde_yaml::from_str("{database: passwd, key: new}").unwrap();
        let getent: Getent = serde_yaml::from_value(Value::Mapping(args)).unwrap();
        let found = getent.check(&over).unwrap();
        assert_eq!(
            json(&found.outcome.facts["getent_passwd"]),
            r#"{"new":["x","1","1","","/","/bin/sh"]}"#
        );
    }

    #[test]
    fn names_that_occur_more_than_once_and_other_separators_are_read() {
        let getent = |args: &str| serde_yaml::from_str::<Getent>(args).unwrap();
        let lines = ["::1  localhost", "127.0.0.1 a b", "127.0.0.1 c"].map(str::to_owned);
        let entries = getent("{database: hosts}").entries(&lines);
        let expected = r#"{"::1":["localhost"],"127.0.0.1":[["a","b"],["c"]]}"#;
        assert_eq!(json(&entries.into()), expected);
        let entries = getent("{database: hosts, split: ' '}").entries(&lines[..1]);
        assert_eq!(json(&entries.into()), r#"{"::1":["","localhost"]}"#);
    }
}
