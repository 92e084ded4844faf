//! Says what happens: events with their time, secrets taken out before they exist.

use super::custom_stats::CustomStats;
use super::prepare::Item;
use super::scope::TaskScope;
use super::world::PlayContext;
use super::{Run, facts, millis, promise};
use crate::event::{Event, EventKind, Stats, Status, TaskResult};
use crate::modules::conceal;
use crate::playbook::{Play, Task};
use crate::template::{Raw, Scope};
use crate::value::{HostName, Mapping, Masks, Value, display};
use sha2::Digest;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names that krun itself defines.
const DEFINED: [&str; 6] = [
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "groups",
    "group_names",
    "playbook_dir",
];

/// Covers values whose names say that they are secret, too.
fn masked_wish(masks: &Masks, wish: Mapping, salt: &str) -> Mapping {
    let one = |(name, bare): (Value, Value)| {
        let mut value = bare.clone();
        if conceal::variable(&display(&name), &value).is_some() {
            value = "***".into();
        }
        masks.mask_value(&mut value);
        // That it is another one can be seen, and nothing else.
        if let (Value::String(shown), true) = (&mut value, is_short(&bare))
            && *shown != display(&bare)
        {
            let hash = sha2::Sha256::digest(format!("{salt}{}", display(&bare)));
            *shown = format!("{shown} #{}", &hex::encode(hash)[..6]);
        }
        (name, value)
    };
    wish.into_iter().map(one).collect()
}

fn is_short(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.contains('\n'))
}

impl Run {
    /// A review: says what each host is given.
    pub(super) fn tell_inputs(&mut self, context: &Arc<PlayContext>, hosts: &[HostName]) {
        for host in hosts {
            let scope = TaskScope::new(&self.world, Some(context), host, None);
            let groups = self.world.inventory().group_names(host);
            let given = |name: &String| match scope.lookup(name)? {
                Raw::Lazy(value) | Raw::Plain(value) => Some((name.as_str().into(), value)),
                Raw::Pending | Raw::Unknown(_) => None,
            };
            let is_given = |name: &&String| !facts::is_fact(name) && !DEFINED.contains(&&***name);
            let names = scope.names();
            let vars: Mapping = names.iter().filter(is_given).filter_map(given).collect();
            let salt = &self.world.settings.review_salt;
            let vars = masked_wish(&self.world.masks.read().expect("masks lock"), vars, salt);
            let host = Arc::clone(host);
            self.emit(EventKind::Inputs { host, groups, vars });
        }
    }

    pub(super) fn emit(&mut self, kind: EventKind) {
        self.fleeting.hear(&kind);
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, millis);
        (self.sink)(&Event { at, kind });
    }

    pub(super) fn stats(&mut self, host: &HostName) -> &mut Stats {
        self.stats.entry(Arc::clone(host)).or_default()
    }

    /// Takes secrets out of a text.
    pub(super) fn mask(&self, text: &str) -> String {
        self.world
            .masks
            .read()
            .expect("masks lock")
            .mask(text)
            .into_owned()
    }

    /// Takes secrets out of a result; with `no_log`, everything but how it ended.
    pub(super) fn show(&self, mut result: TaskResult, no_log: bool) -> TaskResult {
        let bare = self.salt().map(|salt| (salt, result.diffs.clone()));
        let mut shown = self.masked(&mut result, no_log);
        if let Some((salt, bare)) = bare
            && bare != shown.diffs
        {
            shown.covered = Some(promise::cover(&self.fleeting.diffs(&bare), salt));
        }
        shown
    }

    /// Of a plan that is saved, or a saved plan that is applied: what makes its hashes its own.
    fn salt(&self) -> Option<&str> {
        let kept = self.promise.as_ref().map(|promise| promise.salt.as_str());
        kept.or(self.world.settings.salt.as_deref())
    }

    fn masked(&self, result: &mut TaskResult, no_log: bool) -> TaskResult {
        if no_log {
            let hidden = "hidden by `no_log`";
            let failed = result.status == Status::Failed;
            let hidden = || format!("the task failed; its output is {hidden}");
            // What krun itself says of an earlier run gives nothing away.
            let own = result.restored && failed;
            return TaskResult {
                msg: if own {
                    result.msg.take()
                } else {
                    failed.then(hidden)
                },
                help: result.help.take().filter(|_| own),
                restored: result.restored,
                delegated_to: result.delegated_to.take(),
                elapsed_ms: result.elapsed_ms,
                is_loop: result.is_loop,
                ..TaskResult::new(result.status)
            };
        }
        let masks = self.world.masks.read().expect("masks lock");
        let text = |text: &mut String| *text = masks.mask(text).into_owned();
        result.msg.iter_mut().for_each(text);
        result.causes.iter_mut().for_each(text);
        result.destroys.iter_mut().for_each(text);
        result.warnings.iter_mut().for_each(text);
        result.help.iter_mut().for_each(text);
        let mut data = Value::Mapping(std::mem::take(&mut result.data));
        masks.mask_value(&mut data);
        if let Value::Mapping(data) = data {
            result.data = data;
        }
        if let Some(wish) = result.wish.take() {
            let salt = &self.world.settings.review_salt;
            result.wish = Some(masked_wish(&masks, wish, salt));
        }
        result
            .show
            .iter_mut()
            .for_each(|value| masks.mask_value(value));
        for diff in &mut result.diffs {
            diff.mask(&masks);
            *diff = conceal::diff(std::mem::take(diff));
        }
        std::mem::replace(result, TaskResult::new(Status::Ok))
    }

    /// What `set_stats` said, at the end of the run.
    pub(super) fn say_custom_stats(&mut self) {
        let CustomStats {
            mut of_run,
            mut of_hosts,
        } = std::mem::take(&mut self.custom_stats);
        if of_run.is_empty() && of_hosts.is_empty() {
            return;
        }
        let masks = self.world.masks.read().expect("masks lock");
        for stats in of_hosts.values_mut().chain([&mut of_run]) {
            let values = stats.iter_mut().map(|(_, value)| value);
            values.for_each(|value| masks.mask_value(value));
        }
        drop(masks);
        of_hosts.sort_keys();
        self.emit(EventKind::CustomStats { of_run, of_hosts });
    }

    /// What is shown for an item of a loop.
    pub(super) fn shown_label(&self, item: &Item, no_log: bool) -> String {
        if no_log {
            "(hidden by no_log)".into()
        } else {
            self.mask(&item.label)
        }
    }

    /// Renders a title where that is possible; else as it was written.
    pub(super) fn render_title(
        &self,
        context: &Arc<PlayContext>,
        host: &HostName,
        task: &Arc<Task>,
        title: &str,
    ) -> String {
        let scope = TaskScope::new(&self.world, Some(context), host, Some(task)).shared();
        self.templar
            .render_text(title, &scope)
            .unwrap_or_else(|_| title.to_owned())
    }

    pub(super) fn render_play_name(&self, play: &Play) -> String {
        if !play.name.contains("{{") {
            return play.name.clone();
        }
        let scope = TaskScope::new(&self.world, None, &HostName::from("localhost"), None)
            .with(play.vars.values.clone())
            .shared();
        self.templar
            .render_text(&play.name, &scope)
            .unwrap_or_else(|_| play.name.clone())
    }
}
