//! Renders what surrounds a task's arguments: who runs it, where, with what environment, and how its failure counts.

use super::scope::TaskScope;
use super::world::{Guards, Settings};
use crate::modules::{self, Nature, Place};
use crate::playbook::Task;
use crate::proto::Identity;
use crate::template::{Error, Raw, Scope, Templar, is_omit};
use crate::value::{HostName, Secret, Value, as_bool, display};
use crate::yaml::Node;
use std::sync::Arc;

/// Everything about a task that is not its arguments, rendered for one host and item.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
pub(super) struct Envelope {
    pub identity: Option<Identity>,
    pub environment: Vec<(String, String)>,
    pub check_mode: bool,
    /// The task says itself that it is in check mode: it changes nothing in any run.
    pub only_looks: bool,
    /// `changed_when: false`.
    pub changes_nothing: bool,
    /// Seconds.
    pub deadline: Option<u64>,
    pub on_failure: OnFailure,
    pub delegate_to: Option<HostName>,
    pub delegate_facts: bool,
    pub show_diff: bool,
}

impl Envelope {
    /// Whose facts the task brings: with `delegate_facts` those of the host to which it is delegated.
    pub(super) fn owner_of_facts<'a>(&'a self, host: &'a HostName) -> &'a HostName {
        let delegate = self.delegate_to.as_ref();
        delegate.filter(|_| self.delegate_facts).unwrap_or(host)
    }
}

/// What a failure of the task does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnFailure {
    /// `ignore_errors`.
    pub is_ignored: bool,
    /// `ignore_unreachable`.
    pub is_loss_ignored: bool,
    /// `any_errors_fatal`.
    pub is_fatal: bool,
}

/// Renders a keyword that is true or false.
pub(super) fn flag(
    templar: &Templar,
    node: Option<&Node>,
    scope: &Arc<dyn Scope>,
) -> Result<Option<bool>, Error> {
    let Some(node) = node else { return Ok(None) };
    let value = templar.render_value(&node.to_value(), scope)?;
    Ok(as_bool(&value))
}

/// Renders a keyword that is a text.
pub(super) fn text(
    templar: &Templar,
    node: Option<&Node>,
    scope: &Arc<dyn Scope>,
) -> Result<Option<String>, Error> {
    let Some(node) = node else { return Ok(None) };
    match templar.render_value(&node.to_value(), scope)? {
        value if value.is_null() || is_omit(&value) => Ok(None),
        value => Ok(Some(display(&value))),
    }
}

/// Renders a variable by its name, if it is defined.
pub(super) fn variable(
    templar: &Templar,
    name: &str,
    scope: &Arc<dyn Scope>,
) -> Result<Option<Value>, Error> {
    match scope.lookup(name) {
        None => Ok(None),
        Some(Raw::Plain(value)) => Ok(Some(value)),
        Some(_) => templar
            .render_str(&format!("{{{{ {name} }}}}"), scope)
            .map(Some),
    }
}

/// Renders all that surrounds `task` on the host of `scope`.
pub(super) fn envelope(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
) -> Result<Envelope, Error> {
    let shared: Arc<dyn Scope> = scope.clone().shared();
    let keywords = &task.keywords;
    let settings = &scope.world.settings;
    let flag = |node: &Option<Node>| flag(templar, node.as_ref(), &shared);
    let text = |node: &Option<Node>| text(templar, node.as_ref(), &shared);
    let delegate_to = text(&keywords.delegate_to)?.map(|name| HostName::from(name.as_str()));
    let is_gathering = modules::find(&task.module).is_some_and(|entry| entry.name == "setup");
    let environment = environment(templar, &shared, &keywords.environment, is_gathering)?;
    let number = |node: &Option<Node>| {
        Ok::<_, Error>(text(node)?.and_then(|text| text.trim().parse::<u64>().ok()))
    };
    let check_mode = flag(&keywords.check_mode)?.filter(|&it| it || !is_foreseen(settings, task));
    Ok(Envelope {
        identity: identity(templar, scope, task, delegate_to.as_ref())?,
        environment,
        check_mode: check_mode.unwrap_or(settings.check_mode),
        only_looks: check_mode == Some(true),
        changes_nothing: (task.changed_when.as_ref())
            .is_some_and(|node| node.to_value() == Value::Bool(false)),
        deadline: number(&keywords.timeout)?
            .filter(|&seconds| seconds > 0)
            .or(number(&task.async_)?.filter(|&seconds| seconds > 0)),
        on_failure: OnFailure {
            is_ignored: flag(&keywords.ignore_errors)?.unwrap_or(false),
            is_loss_ignored: flag(&keywords.ignore_unreachable)?.unwrap_or(false),
            is_fatal: flag(&keywords.any_errors_fatal)?.unwrap_or(false),
        },
        delegate_to,
        delegate_facts: flag(&keywords.delegate_facts)?.unwrap_or(false),
        show_diff: flag(&keywords.diff)?.unwrap_or(settings.diff),
    })
}

/// Whether a run in check mode knows what the task does without doing it: `check_mode: false` has no work to do there.
fn is_foreseen(settings: &Settings, task: &Task) -> bool {
    let entry = modules::find(&task.module).filter(|entry| entry.place == Place::Agent);
    settings.check_mode
        && settings.guards != Guards::Off
        && entry.is_some_and(|entry| {
            entry.nature != Nature::Action || (entry.rehearses && entry.name != "fetch")
        })
}

/// `environment:` of the task and what it stands in, the outermost first.
///
/// Where facts are gathered, entries are left out that read what only facts can bring (`ansible_env.PATH`).
fn environment(
    templar: &Templar,
    scope: &Arc<dyn Scope>,
    nodes: &[Node],
    is_gathering: bool,
) -> Result<Vec<(String, String)>, Error> {
    let mut all = Vec::new();
    for node in nodes {
        let entries = match node.to_value() {
            Value::Mapping(written) => written,
            template => match templar.render_value(&template, scope)? {
                Value::Mapping(rendered) => rendered,
                _ => continue,
            },
        };
        for (name, value) in &entries {
            match templar.render_value(value, scope) {
                Ok(value) if is_omit(&value) => {}
                Ok(value) => all.push((display(name), display(&value))),
                Err(error) if is_gathering && error.is_undefined() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Who runs the task: variables beat keywords, keywords beat the command line (semantics: connection keywords).
fn identity(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
    delegate_to: Option<&HostName>,
) -> Result<Option<Identity>, Error> {
    let shared: Arc<dyn Scope> = scope.clone().shared();
    let settings = &scope.world.settings;
    // The connection variables of a delegated task are its target's.
    let of_host = match delegate_to {
        Some(target) => shared
            .hostvars(target)
            .unwrap_or_else(|| Arc::clone(&shared)),
        None => Arc::clone(&shared),
    };
    let variable = |name: &str| {
        variable(templar, name, &of_host).map(|value| value.filter(|value| !value.is_null()))
    };
    let keyword = |node: &Option<Node>| text(templar, node.as_ref(), &shared);
    let wanted = match variable("ansible_become")? {
        Some(value) => as_bool(&value).unwrap_or(false),
        None => {
            flag(templar, task.keywords.r#become.as_ref(), &shared)?.unwrap_or(settings.r#become)
        }
    };
    if !wanted {
        return Ok(None);
    }
    let choose = |name: &str, node: &Option<Node>| {
        Ok::<_, Error>(
            variable(name)?
                .map(|value| display(&value))
                .or(keyword(node)?),
        )
    };
    let password = match variable("ansible_become_password")?
        .or(variable("ansible_become_pass")?)
        .or(variable("ansible_sudo_pass")?)
    {
        Some(value) => Some(display(&value)),
        None => settings
            .become_password
            .as_ref()
            .map(|secret| secret.reveal().to_owned()),
    };
    if let Some(password) = &password {
        scope
            .world
            .masks
            .write()
            .expect("masks lock")
            .add(&Secret::new(password));
    }
    Ok(Some(Identity {
        method: choose("ansible_become_method", &task.keywords.become_method)?
            .or_else(|| settings.become_method.clone())
            .unwrap_or_else(|| "sudo".into()),
        user: choose("ansible_become_user", &task.keywords.become_user)?
            .or_else(|| settings.become_user.clone())
            .unwrap_or_else(|| "root".into()),
        flags: choose("ansible_become_flags", &task.keywords.become_flags)?,
        password,
    }))
}
