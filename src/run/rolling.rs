//! Decides which hosts a play has, how wide its batches are, and before each who goes next: with `order: kafka`, a broker that is down or half done first, the active controller last.

use super::Run;
use super::questions;
use super::scope::TaskScope;
use super::world::PlayContext;
use crate::event::EventKind;
use crate::modules::Action;
use crate::plan::PlayPlan;
use crate::playbook::Play;
use crate::template::is_omit;
use crate::value::{Dict, HostName, Mapping, Value, display};
use std::collections::HashMap;
use std::sync::Arc;

/// How a broker stands before the next batch; the smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Does not run, or runs something else than what it is linked to.
    InBetween,
    Ordinary,
    Controller,
}

impl Run {
    /// Puts the hosts that are still to be done into order; asks each broker where the play says `order: kafka`.
    pub(super) async fn decide_order(
        &mut self,
        context: &Arc<PlayContext>,
        waiting: &mut [HostName],
    ) -> Result<(), String> {
        let order = context.play.order.as_ref().and_then(|node| node.as_str());
        if order != Some("kafka") || waiting.is_empty() || self.world.settings.is_imagined {
            return Ok(());
        }
        let facts = self.ask_brokers(context, waiting).await?;
        let mut reasons: HashMap<HostName, (Rank, String)> = HashMap::new();
        for host in waiting.iter() {
            let known = facts.get(host).cloned().unwrap_or_default();
            reasons.insert(Arc::clone(host), rank(&known));
        }
        // Stable: within a rank the inventory's order stays.
        waiting.sort_by_key(|host| reasons.get(host).map(|(rank, _)| *rank));
        if let Some((host, (rank, reason))) =
            waiting.first().and_then(|host| reasons.remove_entry(host))
            && rank != Rank::Ordinary
        {
            self.emit(EventKind::OrderDecided { host, reason });
        }
        Ok(())
    }

    /// Asks all hosts for `kafka_facts`, at once.
    async fn ask_brokers(
        &mut self,
        context: &Arc<PlayContext>,
        hosts: &[HostName],
    ) -> Result<HashMap<HostName, Mapping>, String> {
        let mut asked = Vec::new();
        for host in hosts {
            let task = Arc::new(super::gather_task(&context.play));
            let scope = TaskScope::new(&self.world, Some(context), host, Some(&task));
            let given = self.facts_arguments(&scope);
            let action = Action::new("kafka_facts", given).map_err(|faults| faults.join("; "))?;
            let envelope = super::keywords::envelope(&self.templar, &scope, &task)
                .map_err(|error| error.to_string())?;
            self.open(host, context, None, host)
                .map_err(|error| error.to_string())?;
            let seq = self.links.next_seq();
            let question = questions::task(seq, "who goes next", action, envelope);
            asked.push(self.ask(host, question));
        }
        let mut facts = HashMap::new();
        for (asked, answer) in self.answers(asked).await? {
            let host = asked.host;
            let outcome =
                answer.map_err(|error| format!("{host} cannot be asked how it stands: {error}"))?;
            facts.insert(host, outcome.facts);
        }
        Ok(facts)
    }

    /// Arguments of `kafka_facts` as the play's variable `kafka_connection` gives them.
    fn facts_arguments(&self, scope: &TaskScope) -> Mapping {
        let shared = scope.clone().shared();
        match super::keywords::variable(&self.templar, "kafka_connection", &shared) {
            Ok(Some(Value::Mapping(arguments))) => arguments,
            _ => Mapping::new(),
        }
    }
}

impl Run {
    /// The hosts of a play whose pattern may be a template.
    pub(super) fn play_hosts(&mut self, plan: &PlayPlan) -> Result<Vec<HostName>, String> {
        let order = plan
            .play
            .order
            .as_ref()
            .and_then(|node| node.as_str())
            .unwrap_or_default()
            .to_owned();
        // Groups may have grown while running, so the pattern is read anew.
        let pattern = self.host_pattern(&plan.play)?;
        let hosts = crate::plan::serial::select(
            &pattern,
            &self.world.inventory(),
            self.world.settings.limit.as_ref(),
            &mut Vec::new(),
        )?;
        Ok(crate::plan::serial::ordered(hosts, &order))
    }

    fn host_pattern(&self, play: &Play) -> Result<String, String> {
        if let Some(pattern) = crate::plan::serial::pattern_text(&play.hosts) {
            return Ok(pattern);
        }
        let scope = TaskScope::new(&self.world, None, &HostName::from("localhost"), None)
            .with(play.vars.values.clone());
        let value = self
            .templar
            .render_value(&play.hosts.to_value(), &scope.shared())
            .map_err(|error| error.to_string())?;
        Ok(match value {
            Value::Sequence(list) => list.iter().map(display).collect::<Vec<_>>().join(","),
            value => display(&value),
        })
    }

    pub(super) fn widths(
        &self,
        context: &Arc<PlayContext>,
        hosts: &[HostName],
    ) -> Result<Vec<usize>, String> {
        let scope = TaskScope::new(&self.world, Some(context), &hosts[0], None).shared();
        let mut widths = Vec::new();
        for node in &context.play.serial {
            let value = self
                .templar
                .render_value(&node.to_value(), &scope)
                .map_err(|error| format!("`serial` cannot be read: {error}"))?;
            let entries = match value {
                Value::Sequence(entries) => entries,
                single => vec![single],
            };
            for entry in entries {
                if is_omit(&entry) {
                    continue;
                }
                let text = display(&entry);
                widths.push(
                    crate::plan::serial::width(&text, hosts.len()).ok_or_else(|| {
                        format!("`serial` must be a number or a percentage, not `{text}`")
                    })?,
                );
            }
        }
        Ok(widths)
    }
}

/// Reads how a broker stands from its facts.
fn rank(facts: &Mapping) -> (Rank, String) {
    let kafka: Dict = match facts.get("kafka") {
        Some(Value::Mapping(kafka)) => kafka
            .iter()
            .map(|(key, value)| (crate::value::display(key), value.clone()))
            .collect(),
        _ => Dict::new(),
    };
    let flag = |name: &str| kafka.get(name).and_then(Value::as_bool).unwrap_or(false);
    if kafka.get("running").is_none_or(Value::is_null) {
        (Rank::InBetween, "its broker is down".into())
    } else if flag("restart_needed") {
        (
            Rank::InBetween,
            "its broker does not run what it is linked to".into(),
        )
    } else if flag("is_controller") {
        (
            Rank::Controller,
            "it is the active controller, which goes last".into(),
        )
    } else {
        (Rank::Ordinary, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, Value)]) -> Mapping {
        let kafka: Mapping = pairs
            .iter()
            .map(|(key, value)| (Value::from(*key), value.clone()))
            .collect();
        std::iter::once((Value::from("kafka"), Value::Mapping(kafka))).collect()
    }

    #[test]
    fn a_broker_that_is_down_goes_before_all_and_the_controller_after_all() {
        let runs = ("running", Value::Mapping(Mapping::new()));
        let down = rank(&facts(&[("running", Value::Null)])).0;
        let half = rank(&facts(&[
            runs.clone(),
            ("restart_needed", true.into()),
            ("is_controller", true.into()),
        ]))
        .0;
        let ordinary = rank(&facts(std::slice::from_ref(&runs))).0;
        let controller = rank(&facts(&[runs, ("is_controller", true.into())])).0;
        assert!(down <= half && half < ordinary && ordinary < controller);
    }
}
