//! `ansible.cfg` and the environment's `ANSIBLE_…` → the settings that krun takes from them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A setting of Ansible's that krun follows: its section and name in `ansible.cfg`, and its name in the environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting(&'static str, &'static str, &'static str);

/// Ansible's settings, by their names there.
macro_rules! settings {
    ($($name:ident $section:literal $key:literal $variable:literal)*) => {
        $(pub(super) const $name: Setting = Setting($section, $key, $variable);)*
    };
}

settings! {
    INVENTORY "defaults" "inventory" "ANSIBLE_INVENTORY"
    ROLES_PATH "defaults" "roles_path" "ANSIBLE_ROLES_PATH"
    REMOTE_USER "defaults" "remote_user" "ANSIBLE_REMOTE_USER"
    PRIVATE_KEY_FILE "defaults" "private_key_file" "ANSIBLE_PRIVATE_KEY_FILE"
    TRANSPORT "defaults" "transport" "ANSIBLE_TRANSPORT"
    FORKS "defaults" "forks" "ANSIBLE_FORKS"
    TIMEOUT "defaults" "timeout" "ANSIBLE_TIMEOUT"
    HOST_KEY_CHECKING "defaults" "host_key_checking" "ANSIBLE_HOST_KEY_CHECKING"
    GATHERING "defaults" "gathering" "ANSIBLE_GATHERING"
    FORCE_HANDLERS "defaults" "force_handlers" "ANSIBLE_FORCE_HANDLERS"
    HASH_BEHAVIOUR "defaults" "hash_behaviour" "ANSIBLE_HASH_BEHAVIOUR"
    VAULT_PASSWORD_FILE "defaults" "vault_password_file" "ANSIBLE_VAULT_PASSWORD_FILE"
    VAULT_IDENTITY_LIST "defaults" "vault_identity_list" "ANSIBLE_VAULT_IDENTITY_LIST"
    ASK_PASS "defaults" "ask_pass" "ANSIBLE_ASK_PASS"
    ASK_VAULT_PASS "defaults" "ask_vault_pass" "ANSIBLE_ASK_VAULT_PASS"
    BECOME "privilege_escalation" "become" "ANSIBLE_BECOME"
    BECOME_USER "privilege_escalation" "become_user" "ANSIBLE_BECOME_USER"
    BECOME_METHOD "privilege_escalation" "become_method" "ANSIBLE_BECOME_METHOD"
    BECOME_ASK_PASS "privilege_escalation" "become_ask_pass" "ANSIBLE_BECOME_ASK_PASS"
    SSH_ARGS "ssh_connection" "ssh_args" "ANSIBLE_SSH_ARGS"
    SSH_COMMON_ARGS "ssh_connection" "ssh_common_args" "ANSIBLE_SSH_COMMON_ARGS"
    SSH_EXTRA_ARGS "ssh_connection" "ssh_extra_args" "ANSIBLE_SSH_EXTRA_ARGS"
}

/// What `ansible.cfg` says, and the environment over it.
#[derive(Debug, Clone, Default)]
pub(super) struct Configuration {
    /// Relative paths in the file begin here.
    dir: PathBuf,
    home: PathBuf,
    written: HashMap<(String, String), String>,
    environment: HashMap<String, String>,
}

impl Configuration {
    /// Reads the first of `ANSIBLE_CONFIG`, `./ansible.cfg`, `~/.ansible.cfg` and `/etc/ansible/ansible.cfg` that is there.
    ///
    /// As in Ansible, one in a directory that everybody may write to is passed over: anyone could have put it there.
    pub(super) fn read(cwd: &Path, home: &Path, environment: &[(String, String)]) -> Self {
        let environment: HashMap<String, String> = environment.iter().cloned().collect();
        let named = environment.get("ANSIBLE_CONFIG").map(|path| {
            let path = PathBuf::from(path);
            if path.is_dir() {
                path.join("ansible.cfg")
            } else {
                path
            }
        });
        let here = (!is_writable_by_all(cwd)).then(|| cwd.join("ansible.cfg"));
        let others = [home.join(".ansible.cfg"), "/etc/ansible/ansible.cfg".into()];
        let mut paths = named.into_iter().chain(here).chain(others);
        let read = paths.find_map(|path| Some((std::fs::read_to_string(&path).ok()?, path)));
        let (text, path) = read.unwrap_or_default();
        Self {
            dir: path.parent().map(Path::to_owned).unwrap_or_default(),
            home: home.to_owned(),
            written: parse(&text),
            environment,
        }
    }

    /// What the environment says, else the file; an empty text is none.
    pub(super) fn text(&self, setting: Setting) -> Option<&str> {
        let Setting(section, key, variable) = setting;
        let written = || self.written.get(&(section.to_owned(), key.to_owned()));
        let said = self.environment.get(variable).or_else(written)?;
        Some(said.as_str()).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, setting: Setting) -> Option<bool> {
        let text = self.text(setting)?.to_lowercase();
        match text.as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" => Some(false),
            _ => None,
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self, setting: Setting) -> Option<T> {
        self.text(setting)?.trim().parse().ok()
    }

    /// Paths, separated by any of `between`; those of the file are relative to it.
    pub(super) fn paths(&self, setting: Setting, between: &[char]) -> Option<Vec<PathBuf>> {
        let is_of_environment = self.environment.contains_key(setting.2);
        let text = self.text(setting)?;
        let parts = text.split(between).map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        Some(
            parts
                .map(|part| match part.strip_prefix("~/") {
                    Some(rest) => self.home.join(rest),
                    None if is_of_environment => part.into(),
                    None => self.dir.join(part.replace("{{CWD}}", ".")),
                })
                .collect(),
        )
    }
}

fn is_writable_by_all(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0)
}

/// Reads `[section]` and `key = value`, as Python's configparser does: `;` behind a blank begins a comment, indented
/// lines go on.
fn parse(text: &str) -> HashMap<(String, String), String> {
    let mut read: HashMap<(String, String), String> = HashMap::new();
    let mut section = String::new();
    let mut last: Option<(String, String)> = None;
    for line in text.lines() {
        let line = line.find(" ;").map_or(line, |at| &line[..at]);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(value) = last.as_ref().and_then(|key| read.get_mut(key))
        {
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
        {
            name.trim().clone_into(&mut section);
            last = None;
        } else if let Some(at) = trimmed.find(['=', ':']) {
            let key = (section.clone(), trimmed[..at].trim().to_lowercase());
            let value = trimmed[at + 1..].trim();
            let value = value.trim_matches(|c| c == '"' || c == '\'');
            read.insert(key.clone(), value.to_owned());
            last = Some(key);
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Configuration {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ansible.cfg"), text).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(own).collect();
        Configuration::read(dir.path(), Path::new("/home/u"), &environment)
    }

    #[test]
    fn the_environment_beats_the_file() {
        let text = "# ours\n[defaults]\nremote_user = kafka ; not root\nforks: 7\n[privilege_escalation]\nbecome=True\n";
        let found = read(text, &[("ANSIBLE_FORKS", "9")]);
        assert_eq!(found.text(REMOTE_USER), Some("kafka"));
        assert_eq!(found.number(FORKS), Some(9));
        assert_eq!(found.flag(BECOME), Some(true));
        assert_eq!(found.text(SSH_ARGS), None);
    }

    #[test]
    fn paths_of_the_file_are_relative_to_it() {
        let found = read("[defaults]\nroles_path = roles:~/more:/srv/roles\n", &[]);
        let paths = found.paths(ROLES_PATH, &[':']).unwrap();
        assert_eq!(
            paths,
            [
                found.dir.join("roles"),
                "/home/u/more".into(),
                "/srv/roles".into()
            ]
        );
        let found = read("", &[("ANSIBLE_INVENTORY", "a,b")]);
        assert_eq!(
            found.paths(INVENTORY, &[',']).unwrap(),
            [Path::new("a"), Path::new("b")]
        );
    }

    #[test]
    fn a_file_where_everybody_may_write_is_passed_over() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ansible.cfg"), "[defaults]\nforks=3\n").unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let found = Configuration::read(dir.path(), Path::new("/nowhere"), &[]);
        assert_eq!(found.number::<usize>(FORKS), None);
    }
}
