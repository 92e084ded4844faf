//! Turns how a host is reached in production into how its namesake in a lab is reached, and refuses everything else.

use super::Error;
use crate::inventory::connection::{Connection, Kind};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The only hosts that there are: those of one lab.
#[derive(Debug, Clone)]
pub struct Confined {
    /// The lab's name.
    pub lab: String,
    /// The names of its hosts.
    pub hosts: BTreeSet<String>,
    /// A file for `ssh -F` that knows their addresses and keys, and nothing else.
    pub ssh_config: PathBuf,
    /// Whether `connection: local` still means this machine.
    pub allow_local: bool,
}

impl Confined {
    /// Keeps of `connection` who logs in and how to become another user; where it leads is the lab's.
    pub(super) fn reach(&self, host: &str, connection: &Connection) -> Result<Connection, Error> {
        let outside = |what: String, help: &'static str| Error::Outside {
            what,
            lab: self.lab.clone(),
            help,
        };
        match connection.kind {
            Kind::Local if self.allow_local => return Ok(connection.clone()),
            Kind::Local => {
                let what = format!("`{host}` is this machine (`connection: local`)");
                return Err(outside(
                    what,
                    "`--allow-local` lets the rehearsal change this machine",
                ));
            }
            Kind::Ssh if self.hosts.contains(host) => {}
            Kind::Ssh => {
                let what = format!("`{host}` would be reached by ssh at `{}`", connection.host);
                return Err(outside(
                    what,
                    "name the host in the inventory, so that the lab has it",
                ));
            }
            Kind::Docker | Kind::Podman => {
                let what = format!("`{host}` is the container `{}`", connection.host);
                return Err(outside(what, "only hosts behind ssh can be rehearsed"));
            }
        }
        let config = self.ssh_config.to_string_lossy();
        let config = shlex::try_quote(&config).map_err(|error| {
            Error::Settings(format!("`{}`: {error}", self.ssh_config.display()))
        })?;
        Ok(Connection {
            host: host.to_owned(),
            port: None,
            private_key_file: None,
            ssh_common_args: Some(format!("-F {config}")),
            ssh_extra_args: None,
            password: None,
            host_key_checking: Some(true),
            ..connection.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Dict, Secret};

    fn confined(allow_local: bool) -> Confined {
        Confined {
            lab: "t".to_owned(),
            hosts: BTreeSet::from(["k1.foo".to_owned()]),
            ssh_config: "/labs/t/ssh_config".into(),
            allow_local,
        }
    }

    fn connection(host: &str, vars: &str) -> Connection {
        let vars: Dict = serde_yaml::from_str(vars).unwrap();
        Connection::resolve(host, &|name| vars.get(name).cloned()).unwrap()
    }

    #[test]
    fn a_production_address_with_its_jump_host_and_key_becomes_the_labs() {
        let production = connection(
            "k1.foo",
            "{ansible_host: 10.1.2.3, ansible_port: 2222, ansible_user: ec2-user, ansible_password: hunter22,
              ansible_ssh_common_args: '-J bastion', ansible_ssh_extra_args: '-o ProxyCommand=nc',
              ansible_ssh_private_key_file: /keys/prod, ansible_host_key_checking: false,
              ansible_become_user: kafka}",
        );
        let lab = confined(false).reach("k1.foo", &production).unwrap();
        assert_eq!(lab.host, "k1.foo");
        assert_eq!(lab.user.as_deref(), Some("ec2-user"));
        assert_eq!(lab.r#become.user.as_deref(), Some("kafka"));
        assert_eq!(
            (
                lab.port,
                lab.private_key_file,
                lab.ssh_extra_args,
                lab.password
            ),
            (None, None, None, None::<Secret>)
        );
        assert_eq!(
            lab.ssh_common_args.as_deref(),
            Some("-F /labs/t/ssh_config")
        );
        assert_eq!(lab.host_key_checking, Some(true));
    }

    #[test]
    fn whatever_is_not_of_the_lab_is_refused() {
        let errors: Vec<String> = [
            ("k2.foo", "{}"),
            ("k1.bar", "{ansible_host: k1.foo}"),
            ("k1.foo", "{ansible_connection: local}"),
            ("k1.foo", "{ansible_connection: docker}"),
        ]
        .into_iter()
        .map(|(host, vars)| {
            let error = confined(false).reach(host, &connection(host, vars));
            let error = error.unwrap_err();
            format!("{error}\n  help: {}", error.help().unwrap())
        })
        .collect();
        insta::assert_snapshot!(errors.join("\n"));
        let local = connection("localhost", "{ansible_connection: local}");
        assert_eq!(confined(true).reach("localhost", &local).unwrap(), local);
    }
}
