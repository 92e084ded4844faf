//! The list of all modules, one line each, and the enum that carries any of them to an agent.

use super::args::{self, Arg};
use super::{Error, Module, Nature, Outcome, Permission, Ran, expand};
use crate::sys::Sys;
use crate::value::{Mapping, Value, untagged};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a module does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the host, by its agent.
    Agent,
    /// Answered by the controller: `debug`, `set_fact`, `meta`, ….
    Controller,
}

/// A module as the linter, the scheduler and `krun doc` see it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub nature: Nature,
    pub place: Place,
    pub host_only: bool,
    /// It changes nothing, and check mode runs it once: gates and waits.
    pub rehearses: bool,
    pub args: &'static [Arg],
    pub doc: &'static str,
}

macro_rules! modules {
    ($($variant:ident($module:ty)),* $(,)?) => {
        /// A module with rendered, typed arguments: what an agent executes.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub enum Action {
            $($variant(Box<$module>),)*
            /// One whose paths the host expands first.
            Expanding(Box<Action>),
        }

        const AGENT: &[Entry] = &[$(Entry {
            name: <$module>::NAME,
            nature: <$module>::NATURE,
            place: Place::Agent,
            host_only: <$module>::HOST_ONLY,
            rehearses: <$module>::REHEARSES,
            args: <$module>::ARGS,
            doc: <$module>::DOC,
        }),*];

        impl Action {
            /// Types rendered arguments; their paths are taken as they are, see [`Action::Expanding`]. Returns every fault as a line.
            pub fn new(module: &str, given: Mapping) -> Result<Self, Vec<String>> {
                // Tags mean nothing on a host, and do not survive the way there.
                let given: Mapping = given.into_iter().map(|(key, value)| (key, untagged(&value))).collect();
                $(if module == <$module>::NAME {
                    let mapping = args::coerce(<$module>::ARGS, given)?;
                    return serde_yaml::from_value(Value::Mapping(mapping))
                        .map(|module| Self::$variant(Box::new(module)))
                        .map_err(|error| vec![error.to_string()]);
                })*
                Err(vec![format!("no module `{module}`")])
            }

            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$module>::NAME,)*
                    Self::Expanding(action) => action.name(),
                }
            }

            pub fn nature(&self) -> Nature {
                match self {
                    $(Self::$variant(_) => <$module>::NATURE,)*
                    Self::Expanding(action) => action.nature(),
                }
            }

            /// What a task asks for: its arguments, and the text that they stand for.
            pub fn wish(&self, mut given: Mapping) -> Mapping {
                let text = match self {
                    Self::Template(template) => template.text().map(str::to_owned),
                    Self::Copy(copy) => copy.sent_text(),
                    _ => None,
                };
                if let Some(text) = text {
                    given.insert("content".into(), text.into());
                }
                given
            }

            /// The places that it has to do with; see [`Module::places`].
            pub fn places(&self) -> Option<Vec<PathBuf>> {
                match self {
                    $(Self::$variant(module) => module.places(),)*
                    Self::Expanding(_) => None,
                }
            }

            /// Checks, asks, applies; see [`super::run`].
            pub fn run(&self, sys: &Sys, permission: &mut dyn FnMut(&Outcome) -> Permission) -> Result<Ran, Error> {
                match self {
                    $(Self::$variant(module) => super::run(module.as_ref(), sys, permission),)*
                    Self::Expanding(action) => action.expanded(sys)?.run(sys, permission),
                }
            }

            fn expanded(&self, sys: &Sys) -> Result<Self, Error> {
                match self {
                    $(Self::$variant(module) => {
                        expand::expanded(module.as_ref(), sys).map(|module| Self::$variant(Box::new(module)))
                    })*
                    Self::Expanding(action) => action.expanded(sys),
                }
            }
        }
    };
}

impl Action {
    /// Returns `true` for arguments with a path that means something on the host only: `~`, `$NAME`.
    pub fn expands(module: &str, given: &Mapping) -> bool {
        find(module).is_some_and(|entry| expand::concerns(entry.args, given))
    }
}

modules! {
    Command(super::command::Command),
    Shell(super::command::Shell),
    Systemd(super::systemd::Systemd),
    Service(super::service::Service),
    WaitFor(super::wait_for::WaitFor),
    GetUrl(super::get_url::GetUrl),
    Apt(super::apt::Apt),
    Dnf(super::dnf::Dnf),
    Yum(super::dnf::Yum),
    Package(super::package::Package),
    Timezone(super::timezone::Timezone),
    Hostname(super::hostname::Hostname),
    Raw(super::raw::Raw),
    Script(super::script::Script),
    Uri(super::uri::Uri),
    Group(super::group::Group),
    User(super::user::User),
    Setup(super::setup::Setup),
    ServiceFacts(super::service_facts::ServiceFacts),
    Ping(super::ping::Ping),
    File(super::file::File),
    Copy(super::copy::Copy),
    Template(super::template::Template),
    Stat(super::stat::Stat),
    Lineinfile(super::lineinfile::Lineinfile),
    Replace(super::replace::Replace),
    Blockinfile(super::blockinfile::Blockinfile),
    Properties(super::properties::Properties),
    Unarchive(super::unarchive::Unarchive),
    Slurp(super::slurp::Slurp),
    Find(super::find::Find),
    Tempfile(super::tempfile::Tempfile),
    Assemble(super::assemble::Assemble),
    PutBack(super::put_back::PutBack),
    Getent(super::getent::Getent),
    PackageFacts(super::package_facts::PackageFacts),
    Fetch(super::fetch::Fetch),
    Sysctl(super::sysctl::Sysctl),
    Cron(super::cron::Cron),
    AuthorizedKey(super::authorized_key::AuthorizedKey),
    IniFile(super::ini_file::IniFile),
    KafkaFacts(super::kafka_facts::FactsArgs),
    KafkaSafeToStop(super::kafka_safe_to_stop::SafeToStopArgs),
    WaitForIsr(super::wait_for_isr::WaitForIsrArgs),
    KafkaTopic(super::kafka_topic::KafkaTopic),
    KafkaPreferredLeaders(super::kafka_preferred_leaders::PreferredLeadersArgs),
    KafkaCarryOver(super::kafka_carry_over::KafkaCarryOver),
    KafkaUpgradeCheck(super::kafka_upgrade_check::KafkaUpgradeCheck),
    KafkaExchange(super::kafka_exchange::KafkaExchange),
}

/// All modules, the agent's first.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    AGENT.iter().chain(super::control::ENTRIES)
}

/// Returns the module that a task's key names: short, `ansible.builtin.`, `ansible.legacy.` or a collection's full name of one that krun ships.
pub fn find(name: &str) -> Option<&'static Entry> {
    let short = name.rsplit('.').next().unwrap_or(name);
    let short = super::control::alias(short);
    entries().find(|entry| entry.name == short)
}
