//! What a run knows: the inventory, and of each host its facts, registered results and set variables, by Ansible's precedence.

use super::foreseen::ForeseenFiles;
use crate::inventory::Inventory;
use crate::modules::conceal;
use crate::playbook::{Play, Role};
use crate::value::{Dict, HostName, Masks, Value};
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by all templates of a run.
pub struct World {
    inventory: RwLock<Inventory>,
    hosts: RwLock<HashMap<HostName, Arc<RwLock<HostVars>>>>,
    /// `-e`: beats everything.
    pub extra: Dict,
    pub settings: Settings,
    pub masks: RwLock<Masks>,
    /// Check mode: files of the controller that are not yet what the plan would make them.
    pub foreseen: ForeseenFiles,
}

/// What becomes of tasks that would destroy what nobody can bring back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Guards {
    /// They are not begun.
    #[default]
    Hold,
    /// `--allow-destroy`: they are said, and done.
    Allow,
    /// Nobody asks: as Ansible has it.
    Off,
}

/// What the command line decided, for `ansible_…` names and the scheduler.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Settings {
    pub check_mode: bool,
    /// No host is contacted: a review. What only a host could say is unknown, and wishes are told with their results.
    pub is_imagined: bool,
    /// A review: makes the short hashes its own by which two secrets are told apart.
    pub review_salt: String,
    pub diff: bool,
    pub forks: usize,
    pub verbosity: u8,
    pub limit: Option<crate::inventory::Limit>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    /// `-b`, `--become-user`, `-u`: used where neither keyword nor variable says otherwise.
    pub r#become: bool,
    pub become_user: Option<String>,
    pub become_password: Option<crate::value::Secret>,
    pub remote_user: Option<String>,
    pub private_key_file: Option<String>,
    pub ssh_common_args: Option<String>,
    /// `-c`: how hosts are reached that do not say so themselves.
    pub connection: Option<String>,
    /// `-k`.
    pub connection_password: Option<crate::value::Secret>,
    pub become_method: Option<String>,
    pub guards: Guards,
    /// `--force-handlers`: where a play does not say.
    pub force_handlers: bool,
    pub inventory_sources: Vec<String>,
    /// Environment of the controller, for `lookup('env')`.
    pub environment: Vec<(String, String)>,
    /// The controller's own name, for `template_host`.
    pub hostname: String,
    /// Where handlers that did not run are kept.
    pub state_dir: std::path::PathBuf,
    /// The command line, to be shown again where a run can go on.
    pub command: String,
    /// `gathering = explicit`: facts are gathered only where a play says so.
    pub gathers_only_when_told: bool,
    /// How a person is asked while the run goes on; `None` where nobody sits at a terminal.
    pub ask: Option<super::ask::Ask>,
    /// A plan that is saved: what makes the hashes of what it may not show its own.
    pub salt: Option<String>,
}

/// What is known of one host beyond the inventory's files.
#[derive(Debug, Default)]
pub struct HostVars {
    /// Levels 3 to 10 of the precedence list, merged.
    pub inventory: Dict,
    /// Without the `ansible_` prefix, as `ansible_facts` holds them.
    pub facts: Dict,
    /// `include_vars`.
    pub included: Dict,
    /// `set_fact` and `register`.
    pub set: Dict,
    /// Names whose value nobody can say in check mode, each with its reason.
    pub unknown: HashMap<String, String>,
    /// Names that tasks under way will define, with how many tasks.
    pending: HashMap<String, usize>,
    /// Tasks under way that bring facts.
    facts_pending: usize,
}

impl HostVars {
    /// Says that a task under way will define `name`.
    pub fn expect(&mut self, name: &str) {
        *self.pending.entry(name.to_owned()).or_default() += 1;
    }

    /// Takes back one [`HostVars::expect`].
    pub fn met(&mut self, name: &str) {
        if let Some(count) = self.pending.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.pending.remove(name);
            }
        }
    }

    pub fn expect_facts(&mut self) {
        self.facts_pending += 1;
    }

    pub fn met_facts(&mut self) {
        self.facts_pending = self.facts_pending.saturating_sub(1);
    }

    /// Whether a task under way may define or change `name`.
    pub fn is_pending(&self, name: &str) -> bool {
        self.pending.contains_key(name)
    }

    /// Whether facts are under way.
    pub fn are_facts_pending(&self) -> bool {
        self.facts_pending > 0
    }

    /// Forgets what was under way: the host was lost, or its queue dropped.
    pub fn nothing_pending(&mut self) {
        self.pending.clear();
        self.facts_pending = 0;
    }
}

impl World {
    pub fn new(inventory: Inventory, extra: Dict, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            inventory: RwLock::new(inventory),
            hosts: RwLock::default(),
            extra,
            settings,
            masks: RwLock::default(),
            foreseen: ForeseenFiles::default(),
        })
    }

    /// A world of extra variables only: for templates that are rendered before any host is known.
    pub fn without_hosts(extra: Dict) -> Arc<Self> {
        Self::new(Inventory::default(), extra, Settings::default())
    }

    pub fn inventory(&self) -> RwLockReadGuard<'_, Inventory> {
        self.inventory
            .read()
            .expect("no thread panics while it holds the inventory")
    }

    pub fn inventory_mut(&self) -> RwLockWriteGuard<'_, Inventory> {
        self.inventory
            .write()
            .expect("no thread panics while it holds the inventory")
    }

    /// Returns what is known of a host; made from the inventory at first use.
    pub fn host(&self, name: &str) -> Arc<RwLock<HostVars>> {
        if let Some(host) = self.hosts.read().expect("hosts lock").get(name) {
            return Arc::clone(host);
        }
        let inventory = self.inventory().vars(name).values;
        self.hide(&inventory);
        let host = Arc::new(RwLock::new(HostVars {
            inventory,
            ..HostVars::default()
        }));
        let mut hosts = self.hosts.write().expect("hosts lock");
        Arc::clone(hosts.entry(Arc::from(name)).or_insert(host))
    }

    /// Keeps the values of variables whose names say that they are secret out of everything that is said.
    pub fn hide(&self, vars: &Dict) {
        for (name, value) in vars {
            self.hide_value(name, value);
        }
    }

    /// The same for all that a play writes, before anything of it is said.
    pub fn hide_play(&self, play: &Play) {
        self.hide(&play.vars.values);
        for role in &play.role_list {
            self.hide(&role.vars.values);
            self.hide(&role.defaults.values);
        }
    }

    /// The same for one of them, and for what is in it under such a name.
    pub fn hide_value(&self, name: &str, value: &Value) {
        match value {
            Value::String(_) => {
                if let Some(secret) = conceal::variable(name, value) {
                    self.masks.write().expect("masks lock").add(&secret);
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.hide_value(name, item)),
            Value::Mapping(map) => {
                for (name, value) in map {
                    self.hide_value(name.as_str().unwrap_or_default(), value);
                }
            }
            _ => {}
        }
    }

    /// Reads a host's variables anew after the inventory changed.
    pub fn refresh(&self, name: &str) {
        let inventory = self.inventory().vars(name).values;
        write(&self.host(name), |host| host.inventory = inventory);
    }
}

/// Changes what is known of a host.
pub fn write<T>(host: &RwLock<HostVars>, change: impl FnOnce(&mut HostVars) -> T) -> T {
    change(
        &mut host
            .write()
            .expect("no thread panics while it holds a host's variables"),
    )
}

/// Reads what is known of a host.
pub fn read<T>(host: &RwLock<HostVars>, look: impl FnOnce(&HostVars) -> T) -> T {
    look(
        &host
            .read()
            .expect("no thread panics while it holds a host's variables"),
    )
}

/// A play under way: its variables and which hosts take part.
pub struct PlayContext {
    pub play: Arc<Play>,
    /// `vars_files` as each host's templates resolved them, and answers to `vars_prompt`.
    pub file_vars: RwLock<HashMap<HostName, Dict>>,
    pub prompted: Dict,
    /// Roles included with `public: true`, in order: their defaults and vars are every later task's.
    pub public_roles: RwLock<Vec<Arc<Role>>>,
    pub hosts: RwLock<PlayHosts>,
}

impl PlayContext {
    /// A play at its beginning, with its hosts and those of them that have not failed before.
    pub fn new(play: &Arc<Play>, prompted: Dict, all: &[HostName], active: &[HostName]) -> Self {
        Self {
            play: Arc::clone(play),
            file_vars: RwLock::default(),
            prompted,
            public_roles: RwLock::default(),
            hosts: RwLock::new(PlayHosts {
                all: all.to_vec(),
                active: active.to_vec(),
                batch: Vec::new(),
            }),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct PlayHosts {
    /// `ansible_play_hosts_all`.
    pub all: Vec<HostName>,
    /// `ansible_play_hosts`: without those that failed.
    pub active: Vec<HostName>,
    /// `ansible_play_batch`: this batch, without those that failed.
    pub batch: Vec<HostName>,
}

/// Returns a list of host names as a value.
pub fn names(hosts: &[HostName]) -> Value {
    hosts
        .iter()
        .map(|host| Value::String(host.to_string()))
        .collect()
}
