//! Opens links to hosts: how each is reached follows from its variables, then keywords, then the command line.

use super::aftermath::Aftermath;
use super::scope::TaskScope;
use super::world::PlayContext;
use super::{Run, keywords};
use crate::event::EventKind;
use crate::inventory::Connection;
use crate::modules::Error;
use crate::playbook::Task;
use crate::template::Scope;
use crate::value::{HostName, Value};
use std::sync::Arc;

impl Run {
    /// Connects to all hosts of a batch at once, so that rendering and handshakes overlap.
    pub(super) fn connect_batch(&mut self, context: &Arc<PlayContext>, hosts: &[HostName]) {
        if self.world.settings.is_imagined {
            self.tell_inputs(context, hosts);
        }
        for host in hosts {
            if let Err(error) = self.open(host, context, None, host) {
                self.emit(EventKind::Warning {
                    text: format!("{host}: {error}"),
                    at: None,
                });
            }
        }
    }

    /// Opens a link to `to`, on behalf of `owner`, if there is none.
    pub(super) fn open(
        &mut self,
        to: &HostName,
        context: &Arc<PlayContext>,
        task: Option<&Arc<Task>>,
        owner: &HostName,
    ) -> Result<(), Error> {
        if self.links.has(to) {
            return Ok(());
        }
        let connection = self.connection(to, context, task, owner)?;
        for warning in &connection.warnings {
            self.emit(EventKind::Warning {
                text: format!("{to}: {warning}"),
                at: None,
            });
        }
        self.emit(EventKind::HostConnecting {
            host: Arc::clone(to),
        });
        self.links.open(to, connection);
        Ok(())
    }

    /// A link stands.
    pub(super) fn connected(
        &mut self,
        host: HostName,
        ready: crate::proto::Ready,
        warnings: Vec<String>,
        elapsed_ms: u64,
    ) {
        self.links.connected(&host, &ready);
        self.kept.heard(&host, ready.due);
        for warning in warnings {
            self.emit(EventKind::Warning {
                text: format!("{host}: {warning}"),
                at: None,
            });
        }
        self.emit(EventKind::HostConnected {
            host,
            warm: ready.warm,
            elapsed_ms,
        });
    }

    /// A link is lost with tasks under way: said at once, as it may take a while to learn more.
    pub(super) fn losing(&mut self, host: &HostName, error: &crate::transport::Error) {
        let causes = error.causes();
        let why = causes
            .first()
            .map_or_else(String::new, |why| format!(" ({why})"));
        self.emit(EventKind::Warning {
            text: format!(
                "{host}: {error}{why}; connecting once more to learn what was done there"
            ),
            at: None,
        });
    }

    /// A link is gone; the next use connects again.
    pub(super) fn forget_link(&mut self, host: &HostName, known: &Aftermath) {
        self.links.forget(host);
        self.kept_at_loss(host, known);
    }

    /// How to reach a host: its variables beat keywords, keywords beat the command line.
    fn connection(
        &self,
        to: &HostName,
        context: &Arc<PlayContext>,
        task: Option<&Arc<Task>>,
        owner: &HostName,
    ) -> Result<Connection, Error> {
        let play_scope = TaskScope::new(&self.world, Some(context), to, task);
        let known = self.world.inventory().hosts.contains_key(&**to);
        let scope: Arc<dyn Scope> = play_scope.shared();
        let settings = &self.world.settings;
        let keywords = task.map_or(&context.play.keywords, |task| &task.keywords);
        let local_name = matches!(&**to, "localhost" | "127.0.0.1" | "::1");
        let fallback = |name: &str| -> Option<Value> {
            let keyword = |node: &Option<crate::yaml::Node>| {
                keywords::text(&self.templar, node.as_ref(), &scope)
                    .ok()
                    .flatten()
                    .map(Value::String)
            };
            match name {
                "ansible_connection" if local_name && !known => Some("local".into()),
                "ansible_connection" => Some(&keywords.connection)
                    .filter(|_| to == owner)
                    .and_then(keyword)
                    .or_else(|| settings.connection.clone().map(Value::String)),
                "ansible_password" => {
                    let password = settings.connection_password.as_ref();
                    password.map(|password| password.reveal().into())
                }
                "ansible_user" if to == owner => keyword(&keywords.remote_user)
                    .or_else(|| settings.remote_user.clone().map(Value::String)),
                "ansible_user" => settings.remote_user.clone().map(Value::String),
                "ansible_port" if to == owner => keyword(&keywords.port),
                "ansible_private_key_file" => settings.private_key_file.clone().map(Value::String),
                "ansible_ssh_common_args" => settings.ssh_common_args.clone().map(Value::String),
                _ => None,
            }
        };
        let lookup = |name: &str| {
            keywords::variable(&self.templar, name, &scope)
                .ok()
                .flatten()
                .filter(|value| !value.is_null())
                .or_else(|| fallback(name))
        };
        Connection::resolve(to, &lookup).map_err(|error| {
            Error::new(format!("the connection variables of `{to}` are wrong")).because(error)
        })
    }
}
