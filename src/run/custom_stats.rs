//! Gathers what `set_stats` says, for the end of the run.

use crate::modules::{Error, Outcome};
use crate::value::{HostName, Mapping, Value, as_bool, display};
use indexmap::IndexMap;

/// What a run was told to say at its end.
#[derive(Debug, Default)]
pub(super) struct CustomStats {
    pub of_run: Mapping,
    pub of_hosts: IndexMap<HostName, Mapping>,
}

impl CustomStats {
    /// Takes the arguments of a `set_stats`, of `host`.
    pub(super) fn set(&mut self, host: &HostName, given: &Mapping) -> Result<Outcome, Error> {
        let data = match given.get("data") {
            Some(Value::Mapping(data)) => data.clone(),
            Some(other) => {
                let text = format!("`data` must be a mapping, not `{}`", display(other));
                return Err(Error::new(text));
            }
            None => Mapping::new(),
        };
        let flag = |name: &str| given.get(name).and_then(as_bool);
        let per_host = flag("per_host").unwrap_or(false);
        let aggregate = flag("aggregate").unwrap_or(true);
        let into = if per_host {
            self.of_hosts.entry(HostName::clone(host)).or_default()
        } else {
            &mut self.of_run
        };
        for (name, value) in &data {
            let old = into.get(name).filter(|_| aggregate);
            let new = old.map_or_else(|| Some(value.clone()), |old| sum(old, value));
            if let Some(new) = new {
                into.insert(name.clone(), new);
            }
        }
        let stats = [
            ("data", Value::Mapping(data)),
            ("per_host", per_host.into()),
            ("aggregate", aggregate.into()),
        ];
        let stats = stats.into_iter().map(|(name, value)| (name.into(), value));
        Ok(Outcome::new().with("ansible_stats", Value::Mapping(stats.collect())))
    }
}

/// Adds numbers up, puts texts and lists behind each other, lays mappings over each other; of different kinds, `None`.
fn sum(old: &Value, new: &Value) -> Option<Value> {
    Some(match (old, new) {
        (Value::Number(old), Value::Number(new)) => match (old.as_i64(), new.as_i64()) {
            (Some(old), Some(new)) => old.checked_add(new)?.into(),
            _ => (old.as_f64()? + new.as_f64()?).into(),
        },
        (Value::String(old), Value::String(new)) => format!("{old}{new}").into(),
        (Value::Sequence(old), Value::Sequence(new)) => old.iter().chain(new).cloned().collect(),
        (Value::Mapping(old), Value::Mapping(new)) => {
            let mut all = old.clone();
            for (name, value) in new {
                let deep = match (all.get(name), value) {
                    (Some(old @ Value::Mapping(_)), Value::Mapping(_)) => sum(old, value),
                    _ => None,
                };
                all.insert(name.clone(), deep.unwrap_or_else(|| value.clone()));
            }
            Value::Mapping(all)
        }
        (Value::Bool(old), Value::Bool(new)) => (i64::from(*old) + i64::from(*new)).into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_added_up_unless_it_is_to_replace() {
        let mut stats = CustomStats::default();
        let mut set = |args: &str| {
            let given = serde_yaml::from_str(args).unwrap();
            stats.set(&HostName::from("a"), &given).unwrap();
        };
        set("data: {n: 1, t: x, l: [1], m: {a: {b: 1}, c: 1}}");
        set("data: {n: 2, t: y, l: [2], m: {a: {d: 2}, c: 2}}");
        set("data: {n: word}");
        set("{data: {n: 5}, per_host: yes}");
        set("{data: {n: 7}, per_host: yes, aggregate: no}");
        let json = |stats: &Mapping| serde_json::to_string(stats).unwrap();
        assert_eq!(
            json(&stats.of_run),
            r#"{"n":3,"t":"xy","l":[1,2],"m":{"a":{"b":1,"d":2},"c":2}}"#
        );
        assert_eq!(json(&stats.of_hosts["a"]), r#"{"n":7}"#);
    }
}
