//! The variables that one host sees at one task: Ansible's precedence, from the strongest level down.

use super::facts;
use super::files::TaskFiles;
use super::world::{HostVars, PlayContext, World, names, read};
use crate::playbook::{Role, Task, absolute};
use crate::template::{Files, Raw, Scope};
use crate::value::{Dict, HostName, Mapping, Value};
use std::sync::{Arc, RwLock};

/// A host at a task (or at a play, where `task` is `None`).
#[derive(Clone)]
pub struct TaskScope {
    pub world: Arc<World>,
    pub play: Option<Arc<PlayContext>>,
    pub host: HostName,
    pub task: Option<Arc<Task>>,
    /// The loop's variables, a result under judgement, …: the strongest level.
    pub locals: Arc<Dict>,
    /// The linear order has come to the task: what other hosts did before it can be read.
    pub turn: bool,
    /// Another host, looked at ahead of the task's turn: nothing of it can be read yet.
    hidden: bool,
    /// What is rendered is for a host that is only imagined: unknown values stand by their names.
    names_unknown: bool,
}

impl TaskScope {
    /// The controller's files as the task sees them.
    pub(super) fn local_files(&self) -> TaskFiles {
        TaskFiles {
            world: Arc::clone(&self.world),
            task: self.task.clone(),
            play_dir: self.play.as_ref().map(|play| play.play.dir.clone()),
        }
    }

    pub fn new(
        world: &Arc<World>,
        play: Option<&Arc<PlayContext>>,
        host: &HostName,
        task: Option<&Arc<Task>>,
    ) -> Self {
        Self {
            world: Arc::clone(world),
            play: play.cloned(),
            host: Arc::clone(host),
            task: task.cloned(),
            locals: Arc::default(),
            turn: true,
            hidden: false,
            names_unknown: false,
        }
    }

    /// Returns this scope for what a host is to get: of one that is only imagined, unknown values stand by their names.
    #[must_use]
    pub fn for_host(self) -> Self {
        Self {
            names_unknown: self.world.settings.is_imagined,
            ..self
        }
    }

    /// Returns this scope, knowing whether the task's turn has come.
    #[must_use]
    pub fn at_turn(self, turn: bool) -> Self {
        Self { turn, ..self }
    }

    /// Returns this scope with further local names.
    #[must_use]
    pub fn with(&self, locals: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut all = (*self.locals).clone();
        all.extend(locals);
        Self {
            locals: Arc::new(all),
            ..self.clone()
        }
    }

    pub fn shared(self) -> Arc<dyn Scope> {
        Arc::new(self)
    }

    fn host_vars(&self) -> Arc<RwLock<HostVars>> {
        self.world.host(&self.host)
    }

    /// Levels 15 to 21: what the task and what it stands in define.
    fn task_level(&self, name: &str) -> Option<Value> {
        let task = self.task.as_ref()?;
        let own = std::iter::once(&task.vars).chain(task.block_vars.iter().rev());
        own.map(|vars| &vars.values)
            .find_map(|vars| vars.get(name))
            .cloned()
    }

    /// A fact of a host that is only imagined, and that no file of facts has.
    fn unknown_fact(&self, name: &str) -> Option<Raw> {
        let is_one = self.world.settings.is_imagined && facts::is_fact(name);
        is_one.then(|| Raw::Unknown(format!("`{name}`, a fact that is not known here")))
    }

    fn params(&self, name: &str) -> Option<Value> {
        let task = self.task.as_ref()?;
        task.params
            .iter()
            .rev()
            .find_map(|vars| vars.values.get(name))
            .cloned()
    }

    /// The task's own role first, then the play's others, the last one first.
    fn roles(&self) -> impl Iterator<Item = Arc<Role>> {
        let own = self.task.as_ref().and_then(|task| task.role.clone());
        let of_play = self.play.iter().flat_map(|play| {
            let public = play.public_roles.read().expect("public roles lock").clone();
            let listed = play.play.role_list.iter().rev().cloned();
            public.into_iter().rev().chain(listed)
        });
        own.into_iter().chain(of_play)
    }

    fn play_level(&self, name: &str) -> Option<Raw> {
        let play = self.play.as_ref()?;
        let files = play.file_vars.read().expect("play variables lock");
        if let Some(value) = files.get(&self.host).and_then(|vars| vars.get(name)) {
            return Some(Raw::Lazy(value.clone()));
        }
        if let Some(value) = play.prompted.get(name) {
            return Some(Raw::Plain(value.clone()));
        }
        play.play.vars.values.get(name).cloned().map(Raw::Lazy)
    }

    /// Names that krun itself defines.
    fn magic(&self, name: &str) -> Option<Value> {
        let settings = &self.world.settings;
        let play_hosts = |pick: fn(&super::world::PlayHosts) -> &Vec<HostName>| {
            self.play
                .as_ref()
                .map(|play| names(pick(&play.hosts.read().expect("play hosts lock"))))
        };
        let task_dir = || {
            self.task
                .as_ref()
                .map(|task| task.playbook_dir.clone())
                .or_else(|| self.play.as_ref().map(|play| play.play.dir.clone()))
        };
        let texts = |list: &[String]| {
            Value::Sequence(
                list.iter()
                    .map(|text| Value::String(text.clone()))
                    .collect(),
            )
        };
        let role = || self.task.as_ref().and_then(|task| task.role.clone());
        Some(match name {
            "inventory_hostname" => self.host.as_ref().into(),
            "inventory_hostname_short" => self.host.split('.').next().unwrap_or_default().into(),
            "groups" => {
                let inventory = self.world.inventory();
                let groups = inventory.groups_map().into_iter();
                Value::Mapping(
                    groups
                        .map(|(name, hosts)| (Value::String(name), names(&hosts)))
                        .collect(),
                )
            }
            "group_names" => texts(&self.world.inventory().group_names(&self.host)),
            "playbook_dir" => absolute(&task_dir()?).into(),
            "ansible_inventory_sources" => texts(&settings.inventory_sources),
            "role_name" | "ansible_role_name" => role()?.name.clone().into(),
            "role_path" => absolute(&role()?.path).into(),
            "ansible_parent_role_names" => texts(&role()?.parents),
            "role_names" | "ansible_role_names" | "ansible_play_role_names" => texts(
                &self
                    .play
                    .as_ref()?
                    .play
                    .role_list
                    .iter()
                    .map(|role| role.name.clone())
                    .collect::<Vec<_>>(),
            ),
            "ansible_dependent_role_names" => {
                let roles = &self.play.as_ref()?.play.role_list;
                let of_others = roles.iter().filter(|role| !role.parents.is_empty());
                texts(&of_others.map(|role| role.name.clone()).collect::<Vec<_>>())
            }
            "ansible_play_name" => self.play.as_ref()?.play.name.clone().into(),
            "ansible_play_hosts_all" => play_hosts(|hosts| &hosts.all)?,
            "ansible_play_hosts" | "play_hosts" => play_hosts(|hosts| &hosts.active)?,
            "ansible_play_batch" => play_hosts(|hosts| &hosts.batch)?,
            "ansible_check_mode" => settings.check_mode.into(),
            "ansible_diff_mode" => settings.diff.into(),
            "ansible_verbosity" => u64::from(settings.verbosity).into(),
            "ansible_forks" => (settings.forks as u64).into(),
            "ansible_run_tags" if settings.tags.is_empty() => Value::Sequence(vec!["all".into()]),
            "ansible_run_tags" => texts(&settings.tags),
            "ansible_skip_tags" => texts(&settings.skip_tags),
            "ansible_limit" => settings.limit.as_ref()?.text().into(),
            "ansible_version" => version(),
            "environment" => Value::Sequence(Vec::new()),
            _ => return None,
        })
    }
}

/// The release of Ansible's language that krun speaks.
fn version() -> Value {
    let pairs: [(&str, Value); 5] = [
        ("full", "2.19.14".into()),
        ("major", 2.into()),
        ("minor", 19.into()),
        ("revision", 14.into()),
        ("string", "2.19.14".into()),
    ];
    Value::Mapping(
        pairs
            .into_iter()
            .map(|(key, value)| (Value::from(key), value))
            .collect::<Mapping>(),
    )
}

/// What modules other than `setup` bring is known without `ansible_`, too.
fn has_own_name(name: &str) -> bool {
    matches!(name, "services" | "packages") || name.starts_with("getent_")
}

/// `ansible_…` as facts inject it, or the whole of `ansible_facts`.
fn fact(host: &HostVars, name: &str, is_imagined: bool) -> Option<Value> {
    if name == "ansible_facts" && !(is_imagined && host.facts.is_empty()) {
        return Some(Value::Mapping(
            host.facts
                .iter()
                .map(|(k, v)| (Value::String(k.clone()), v.clone()))
                .collect(),
        ));
    }
    if name == "ansible_local" {
        return host
            .facts
            .get("ansible_local")
            .or_else(|| host.facts.get("local"))
            .cloned();
    }
    let own = has_own_name(name).then_some(name);
    let name = own.or_else(|| name.strip_prefix("ansible_"))?;
    host.facts.get(name).cloned()
}

impl Scope for TaskScope {
    fn lookup(&self, name: &str) -> Option<Raw> {
        if self.hidden {
            return Some(Raw::Pending);
        }
        if let Some(value) = self.locals.get(name) {
            return Some(Raw::Plain(value.clone()));
        }
        if let Some(value) = self.world.extra.get(name) {
            return Some(Raw::Lazy(value.clone()));
        }
        let written = |value: Value| {
            self.world.hide_value(name, &value);
            Raw::Lazy(value)
        };
        if let Some(value) = self.params(name) {
            return Some(written(value));
        }
        if let Some(value) = self.magic(name) {
            return Some(Raw::Plain(value));
        }
        let host = self.host_vars();
        let is_imagined = self.world.settings.is_imagined;
        let known = read(&host, |host| {
            if host.is_pending(name)
                || (host.are_facts_pending()
                    && (name.starts_with("ansible_") || has_own_name(name))
                    && fact(host, name, is_imagined).is_none())
                || (host.are_facts_pending() && name == "ansible_facts")
            {
                return Some(Raw::Pending);
            }
            if let Some(cause) = host.unknown.get(name) {
                return Some(Raw::Unknown(cause.clone()));
            }
            host.set
                .get(name)
                .cloned()
                .map(Raw::Plain)
                .or_else(|| host.included.get(name).cloned().map(Raw::Lazy))
        });
        known
            .or_else(|| self.task_level(name).map(written))
            .or_else(|| {
                self.roles()
                    .find_map(|role| role.vars.values.get(name).cloned())
                    .map(written)
            })
            .or_else(|| {
                let raw = self.play_level(name)?;
                if let Raw::Lazy(value) | Raw::Plain(value) = &raw {
                    self.world.hide_value(name, value);
                }
                Some(raw)
            })
            .or_else(|| {
                read(&host, |host| {
                    fact(host, name, is_imagined)
                        .map(Raw::Plain)
                        .or_else(|| host.inventory.get(name).cloned().map(Raw::Lazy))
                })
            })
            .or_else(|| {
                self.roles()
                    .find_map(|role| role.defaults.values.get(name).cloned())
                    .map(written)
            })
            .or_else(|| self.unknown_fact(name))
    }

    fn rendered(&self, name: &str, text: &str) {
        self.world.hide_value(name, &text.into());
    }

    fn names_unknown(&self) -> bool {
        self.names_unknown
    }

    fn names(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .locals
            .keys()
            .chain(self.world.extra.keys())
            .cloned()
            .collect();
        read(&self.host_vars(), |host| {
            all.extend(
                host.set
                    .keys()
                    .chain(host.included.keys())
                    .chain(host.inventory.keys())
                    .cloned(),
            );
            all.extend(host.facts.keys().map(|fact| format!("ansible_{fact}")));
        });
        if let Some(task) = &self.task {
            let layers = task
                .params
                .iter()
                .chain(std::iter::once(&task.vars))
                .chain(&task.block_vars);
            all.extend(layers.flat_map(|vars| vars.values.keys().cloned()));
        }
        for role in self.roles() {
            all.extend(
                role.vars
                    .values
                    .keys()
                    .chain(role.defaults.values.keys())
                    .cloned(),
            );
        }
        if let Some(play) = &self.play {
            all.extend(
                play.play
                    .vars
                    .values
                    .keys()
                    .chain(play.prompted.keys())
                    .cloned(),
            );
            let files = play.file_vars.read().expect("play variables lock");
            all.extend(
                files
                    .get(&self.host)
                    .into_iter()
                    .flat_map(|vars| vars.keys().cloned()),
            );
        }
        all.extend(
            [
                "inventory_hostname",
                "groups",
                "group_names",
                "playbook_dir",
            ]
            .map(str::to_owned),
        );
        all.sort();
        all.dedup();
        all
    }

    fn hostvars(&self, host: &str) -> Option<Arc<dyn Scope>> {
        self.world.inventory().host(host)?;
        let host = HostName::from(host);
        Some(
            Self {
                world: Arc::clone(&self.world),
                play: None,
                task: None,
                locals: Arc::default(),
                turn: self.turn,
                hidden: !self.turn && host != self.host,
                names_unknown: self.names_unknown,
                host,
            }
            .shared(),
        )
    }

    fn hosts(&self) -> Vec<String> {
        self.world
            .inventory()
            .hosts
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.local_files())
    }
}
