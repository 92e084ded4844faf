//! Turns the `ansible_*` variables of a host into what it takes to reach it and to become another user there.

use crate::diag::{Diagnostics, nearest};
use crate::value::{Secret, Value, as_bool, display};
use crate::yaml::Vars;
use serde::Serialize;

/// How a host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Ssh,
    /// A child process on this machine.
    Local,
    Docker,
    Podman,
}

/// Everything that a transport must know of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub kind: Kind,
    /// The address, or the container's name: `ansible_host`, else the host's name in the inventory.
    pub host: String,
    /// `None` leaves it to `ssh_config`, and to 22 in the end.
    pub port: Option<u16>,
    /// `None` leaves it to `ssh_config`, and to the user who runs krun in the end.
    pub user: Option<String>,
    pub private_key_file: Option<String>,
    /// Arguments in the words of OpenSSH's client, as one line.
    pub ssh_common_args: Option<String>,
    pub ssh_extra_args: Option<String>,
    pub password: Option<Secret>,
    /// For making the connection, in seconds.
    pub timeout: Option<u64>,
    /// `ansible_host_key_checking`; `None` where nothing was said, which is yes.
    pub host_key_checking: Option<bool>,
    pub r#become: Become,
    /// What the user should be told, without a full stop.
    pub warnings: Vec<String>,
}

/// What the variables say of privilege escalation; they win over the keywords of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Become {
    /// `ansible_become`; `None` leaves it to the task.
    pub enabled: Option<bool>,
    pub user: Option<String>,
    pub method: Option<String>,
    pub password: Option<Secret>,
    pub flags: Option<String>,
    pub exe: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("unknown connection `{name}`{}", .near.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    UnknownKind { name: String, near: Option<String> },
    #[error("`{variable}` must be {expected}, found `{found}`")]
    Malformed {
        variable: String,
        expected: &'static str,
        found: String,
    },
}

impl Connection {
    /// Reads the variables of host `name`. `lookup` returns them with every template rendered.
    ///
    /// Of an old and a new spelling the older (`ansible_ssh_user`) wins, as in Ansible.
    pub fn resolve(name: &str, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<Self, Error> {
        let found = Found { lookup };
        let mut warnings = Vec::new();
        let kind = match found.text(&["ansible_connection"]) {
            Some(kind) => kind_of(&kind, &mut warnings)?,
            None => Kind::Ssh,
        };
        let host_names = match kind {
            Kind::Docker => ["ansible_host", "ansible_docker_host"],
            Kind::Podman => ["ansible_host", "ansible_podman_host"],
            Kind::Ssh | Kind::Local => ["ansible_host", "ansible_ssh_host"],
        };
        Ok(Self {
            kind,
            host: found.text(&host_names).unwrap_or_else(|| name.into()),
            port: found.number(&["ansible_port", "ansible_ssh_port"], "a port")?,
            user: found.text(&["ansible_user", "ansible_ssh_user"]),
            private_key_file: found
                .text(&["ansible_private_key_file", "ansible_ssh_private_key_file"]),
            ssh_common_args: found.text(&["ansible_ssh_common_args"]),
            ssh_extra_args: found.text(&["ansible_ssh_extra_args"]),
            password: found.secret(&[
                "ansible_password",
                "ansible_ssh_pass",
                "ansible_ssh_password",
            ]),
            timeout: found.number(
                &["ansible_timeout", "ansible_ssh_timeout"],
                "a number of seconds",
            )?,
            host_key_checking: found
                .boolean(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"])?,
            r#become: Become {
                enabled: found.boolean(&["ansible_become"])?,
                user: found.text(&["ansible_become_user", "ansible_sudo_user"]),
                method: found.text(&["ansible_become_method"]),
                password: found.secret(&[
                    "ansible_become_password",
                    "ansible_become_pass",
                    "ansible_sudo_pass",
                ]),
                flags: found.text(&["ansible_become_flags", "ansible_sudo_flags"]),
                exe: found.text(&["ansible_become_exe", "ansible_sudo_exe"]),
            },
            warnings,
        })
    }
}

fn kind_of(name: &str, warnings: &mut Vec<String>) -> Result<Kind, Error> {
    // `community.docker.docker` and `ansible.builtin.ssh` are the same plugins by their full names.
    let short = name.rsplit('.').next().unwrap_or(name);
    match short {
        "ssh" | "smart" | "paramiko" | "paramiko_ssh" => Ok(Kind::Ssh),
        "local" => Ok(Kind::Local),
        "localhost" => {
            warnings.push("`ansible_connection: localhost` is taken as `local`".into());
            Ok(Kind::Local)
        }
        "docker" | "docker_api" => Ok(Kind::Docker),
        "podman" => Ok(Kind::Podman),
        _ => Err(Error::UnknownKind {
            name: name.into(),
            near: nearest(short, ["ssh", "local", "docker", "podman"]).map(String::from),
        }),
    }
}

struct Found<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Value>,
}

impl Found<'_> {
    /// The last of `names` that is set, and not to null or nothing.
    fn last(&self, names: &[&str]) -> Option<(String, Value)> {
        names.iter().rev().find_map(|name| {
            let value = (self.lookup)(name)?;
            let is_set = !value.is_null() && value.as_str() != Some("");
            is_set.then(|| ((*name).to_string(), value))
        })
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.last(names).map(|(_, value)| display(&value))
    }

    fn secret(&self, names: &[&str]) -> Option<Secret> {
        self.text(names).map(Secret::new)
    }

    fn number<N: std::str::FromStr>(
        &self,
        names: &[&str],
        expected: &'static str,
    ) -> Result<Option<N>, Error> {
        self.last(names)
            .map(|(variable, value)| {
                let found = display(&value);
                found.trim().parse().map_err(|_| Error::Malformed {
                    variable,
                    expected,
                    found,
                })
            })
            .transpose()
    }

    fn boolean(&self, names: &[&str]) -> Result<Option<bool>, Error> {
        self.last(names)
            .map(|(variable, value)| {
                as_bool(&value).ok_or_else(|| Error::Malformed {
                    variable,
                    expected: "a boolean",
                    found: display(&value),
                })
            })
            .transpose()
    }
}

/// The variables with which inventories steer connections; krun leaves some of them aside.
const KNOWN: [&str; 43] = [
    "ansible_become",
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_become_method",
    "ansible_become_pass",
    "ansible_become_password",
    "ansible_become_user",
    "ansible_connection",
    "ansible_docker_host",
    "ansible_group_priority",
    "ansible_host",
    "ansible_host_key_checking",
    "ansible_hostname",
    "ansible_password",
    "ansible_pipelining",
    "ansible_podman_host",
    "ansible_port",
    "ansible_private_key_file",
    "ansible_python_interpreter",
    "ansible_scp_extra_args",
    "ansible_sftp_extra_args",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_control_path",
    "ansible_ssh_control_path_dir",
    "ansible_ssh_executable",
    "ansible_ssh_extra_args",
    "ansible_ssh_host",
    "ansible_ssh_host_key_checking",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_ssh_pipelining",
    "ansible_ssh_port",
    "ansible_ssh_private_key_file",
    "ansible_ssh_retries",
    "ansible_ssh_timeout",
    "ansible_ssh_user",
    "ansible_sudo_pass",
    "ansible_sudo_user",
    "ansible_timeout",
    "ansible_user",
];

/// Warns of a variable that is one slip away from a connection variable: it would do nothing.
pub(super) fn warn_of_misspelled(vars: &Vars, faults: &mut Diagnostics) {
    for (name, span) in &vars.spans {
        let is_own = !name.starts_with("ansib") || KNOWN.contains(&name.as_str());
        let extends_a_known_one = KNOWN.iter().any(|known| name.starts_with(known));
        if is_own || extends_a_known_one {
            continue;
        }
        let near = KNOWN
            .iter()
            .find(|known| strsim::damerau_levenshtein(name, known) <= 2);
        if let Some(known) = near {
            let message = format!("`{name}` is no variable of Ansible's");
            faults.push(
                span.warning(message)
                    .help(format!("did you mean `{known}`?")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Dict;

    fn resolve(vars: &str) -> Result<Connection, String> {
        let vars: Dict = serde_yaml::from_str(vars).unwrap();
        let lookup = |name: &str| vars.get(name).cloned();
        Connection::resolve("web1", &lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn without_variables_a_host_is_reached_by_ssh_under_its_own_name() {
        let connection = resolve("{}").unwrap();
        assert_eq!(connection.kind, Kind::Ssh);
        assert_eq!(connection.host, "web1");
        assert_eq!((connection.port, connection.user), (None, None));
    }

    #[test]
    fn old_spellings_win_over_new_ones() {
        let connection = resolve(
            "{ansible_host: a, ansible_ssh_host: b, ansible_port: '2222', ansible_user: u,
              ansible_ssh_pass: hunter22, ansible_become: 'yes', ansible_become_pass: s3cret}",
        )
        .unwrap();
        assert_eq!(connection.host, "b");
        assert_eq!(connection.port, Some(2222));
        assert_eq!(connection.password, Some(Secret::new("hunter22")));
        assert_eq!(connection.r#become.enabled, Some(true));
        assert!(!format!("{connection:?}").contains("s3cret"));
    }

    #[test]
    fn kinds_have_full_names_and_an_alias() {
        let kind = |name: &str| resolve(&format!("ansible_connection: {name}")).map(|c| c.kind);
        assert_eq!(kind("smart"), Ok(Kind::Ssh));
        assert_eq!(kind("community.docker.docker"), Ok(Kind::Docker));
        let alias = resolve("ansible_connection: localhost").unwrap();
        assert_eq!(alias.kind, Kind::Local);
        insta::assert_snapshot!(alias.warnings.join("\n"), @"`ansible_connection: localhost` is taken as `local`");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let errors: Vec<String> = [
            "ansible_connection: shh",
            "ansible_connection: winrm",
            "ansible_port: ssh",
            "ansible_become: maybe",
        ]
        .into_iter()
        .map(|vars| resolve(vars).unwrap_err())
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @"
        unknown connection `shh`: did you mean `ssh`?
        unknown connection `winrm`
        `ansible_port` must be a port, found `ssh`
        `ansible_become` must be a boolean, found `maybe`
        ");
    }
}
