//! `sysctl`: turns the wish for a kernel parameter into a line of sysctl.conf and, if wanted, into what the kernel runs with.

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions};
use super::diff::Diff;
use super::edit::{Edit, Original};
use super::group::Presence;
use super::place::Safeguards;
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[expect(
    clippy::struct_field_names,
    reason = "each is an argument of the module, with Ansible's name"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sysctl {
    name: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    state: Presence,
    #[serde(default = "yes")]
    reload: bool,
    #[serde(default)]
    sysctl_set: bool,
    #[serde(default)]
    ignoreerrors: bool,
    #[serde(default = "default_file")]
    sysctl_file: PathBuf,
    #[serde(flatten)]
    permissions: Permissions,
}

fn default_file() -> PathBuf {
    "/etc/sysctl.conf".into()
}

/// What is not as wished.
#[derive(Debug)]
pub struct Change {
    file: Option<Edit>,
    /// The running kernel has another value, and it is to be set.
    runs_otherwise: bool,
    outcome: Outcome,
}

impl Module for Sysctl {
    const NAME: &'static str = "sysctl";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("name", ArgKind::Str, "the parameter, as `vm.swappiness`")
                .required()
                .aliases(&["key"]),
            Arg::new("value", ArgKind::Str, "its value; yes and no are 1 and 0").aliases(&["val"]),
            Arg::new(
                "state",
                ArgKind::Str,
                "whether the file has a line for it (default `present`)"
            )
            .choices(&["present", "absent"]),
            Arg::new(
                "reload",
                ArgKind::Bool,
                "after a change, load the file by `sysctl -p` (default yes)"
            ),
            Arg::new(
                "sysctl_set",
                ArgKind::Bool,
                "set the running value by `sysctl -w`, too (default no)"
            ),
            Arg::new(
                "ignoreerrors",
                ArgKind::Bool,
                "pass over parameters that the kernel does not have (default no)"
            ),
            Arg::new(
                "sysctl_file",
                ArgKind::Path,
                "the file (default `/etc/sysctl.conf`)"
            ),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Sets a kernel parameter in sysctl.conf and in the running kernel.\n\n    - sysctl:\n        name: vm.max_map_count\n        value: '262144'\n        sysctl_file: /etc/sysctl.d/50-kafka.conf\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let name = self.name.trim();
        if name.is_empty() {
            return Err(Error::new("`name` is empty"));
        }
        if name.contains("..") || name.starts_with('/') || name.contains(char::is_whitespace) {
            return Err(Error::new(format!("`{name}` is no kernel parameter")));
        }
        let is_wished = self.state == Presence::Present;
        let Some(value) = self.value.as_deref().or((!is_wished).then_some("")) else {
            return Err(Error::new("`state: present` needs `value`"));
        };
        let value = number_of(value);
        let original = Original::read(sys, &self.sysctl_file, true)?;
        let text = with_parameter(&original.text, name, is_wished.then_some(value));
        let file = if original.exists() || is_wished {
            let wish = self.permissions.wish(sys)?;
            let text = text.as_deref().unwrap_or(&original.text);
            let safeguards = Safeguards::default();
            Some(original.becomes(sys, text, &wish, &safeguards)?)
        } else {
            None
        };
        let (file, mut outcome) = file.map_or((None, Outcome::new()), |found| {
            let diffs = found.outcome.diffs;
            let outcome = Outcome {
                diffs,
                ..Outcome::new()
            };
            (found.change, outcome)
        });
        let mut runs_otherwise = false;
        if is_wished && (self.reload || self.sysctl_set) {
            let now = running(sys, name)?;
            // A parameter that the kernel does not have is said by sysctl itself, where that is no matter it is passed over.
            runs_otherwise = match &now {
                Some(now) => !now.split_whitespace().eq(value.split_whitespace()),
                None => !self.ignoreerrors,
            };
            if runs_otherwise {
                let diff = Diff::new(format!("kernel parameter {name}"));
                let side = |text: &str| Some(Value::from(text.trim()));
                let before = now.as_deref().and_then(side);
                outcome = outcome.diff(diff.attribute("value", before, side(value)));
            }
        }
        if file.is_none() && !runs_otherwise {
            return Ok(Found::same(outcome));
        }
        let change = Change {
            file,
            runs_otherwise,
            outcome: outcome.clone().changed(),
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        if change.runs_otherwise && self.sysctl_set {
            self.set(sys)?;
        }
        if let Some(edit) = change.file {
            edit.make(sys)?;
        }
        if self.reload {
            self.load(sys, change.runs_otherwise)?;
        }
        Ok(change.outcome)
    }
}

impl Sysctl {
    fn wished(&self) -> &str {
        number_of(self.value.as_deref().unwrap_or_default())
    }

    fn set(&self, sys: &Sys) -> Result<(), Error> {
        if sys.overlay().is_some() || !sys.is_host() {
            return foresee(sys, self.name.trim(), self.wished());
        }
        let pair = format!("{}={}", self.name.trim(), self.wished());
        self.call(sys, &["-w", &pair])
    }

    fn load(&self, sys: &Sys, runs_otherwise: bool) -> Result<(), Error> {
        if sys.overlay().is_some() || !sys.is_host() {
            if runs_otherwise {
                foresee(sys, self.name.trim(), self.wished())?;
            }
            return Ok(());
        }
        if !sys.exists(&self.sysctl_file)? {
            return Ok(());
        }
        let file = self.sysctl_file.display().to_string();
        self.call(sys, &["-p", &file])
    }

    fn call(&self, sys: &Sys, words: &[&str]) -> Result<(), Error> {
        let mut argv = vec!["sysctl"];
        argv.extend(self.ignoreerrors.then_some("-e"));
        argv.extend(words);
        let output = tool::ask(sys, &argv)?;
        // It may end with code 0 and have set nothing.
        let refused = output.stderr.lines().any(|line| {
            line.starts_with("sysctl: setting key")
                && (line.ends_with(": Invalid argument")
                    || line.ends_with(": Read-only file system"))
        });
        if output.success() && !refused {
            Ok(())
        } else {
            Err(tool::failure(&argv, &output))
        }
    }
}

/// The words that Ansible takes for booleans are 1 and 0.
fn number_of(value: &str) -> &str {
    match value.trim().to_lowercase().as_str() {
        "yes" | "on" | "true" | "y" | "t" => "1",
        "no" | "off" | "false" | "n" | "f" => "0",
        _ => value.trim(),
    }
}

/// Returns the file with the parameter set, or without it; `None` if it is so already.
///
/// A file that has to be written is put in order: no spaces around `=`, the first place of each parameter kept.
fn with_parameter(text: &str, name: &str, value: Option<&str>) -> Option<String> {
    let pair = |line: &str| {
        let line = line.trim();
        let (key, value) = line.split_once('=')?;
        let is_comment = line.starts_with(['#', ';']);
        (!is_comment).then(|| (key.trim().to_owned(), value.trim().to_owned()))
    };
    let now = text.lines().rev().filter_map(pair);
    let now = now.into_iter().find(|(key, _)| key == name);
    if now.map(|(_, now)| now).as_deref() == value {
        return None;
    }
    let (mut lines, mut seen): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((key, old)) = pair(line) else {
            lines.push(line.trim().to_owned());
            continue;
        };
        if seen.contains(&key) {
            continue;
        }
        if key != name {
            lines.push(format!("{key}={old}"));
        } else if let Some(value) = value {
            lines.push(format!("{key}={value}"));
        }
        seen.push(key);
    }
    if let Some(value) = value
        && !seen.iter().any(|key| key == name)
    {
        lines.push(format!("{name}={value}"));
    }
    Some(
        lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect(),
    )
}

/// Where the kernel shows a parameter: dots are slashes and slashes dots, the other way round where a slash comes first.
fn place(name: &str) -> PathBuf {
    let is_path = name
        .find('/')
        .is_some_and(|slash| name.find('.').is_none_or(|dot| slash < dot));
    let place: String = name
        .chars()
        .map(|letter| match letter {
            '.' if !is_path => '/',
            '/' if !is_path => '.',
            letter => letter,
        })
        .collect();
    Path::new("/proc/sys").join(place)
}

/// The value that the kernel runs with, in check mode the one that earlier tasks would have set; `None` if it has none.
fn running(sys: &Sys, name: &str) -> Result<Option<String>, Error> {
    if let Some(overlay) = sys.overlay() {
        let mut noted = overlay.notes(&note(name)).into_iter();
        if let Some((_, value)) = noted.find(|(rest, _)| rest.is_empty()) {
            return Ok(Some(value));
        }
    }
    let path = place(name);
    if !sys.stat(&path)?.is_some_and(|stat| stat.is_file()) {
        return Ok(None);
    }
    let value = sys.read(&path)?;
    Ok(Some(String::from_utf8_lossy(&value).into_owned()))
}

fn note(name: &str) -> String {
    format!("sysctl {name}")
}

/// Check mode keeps in mind what the kernel would run with; a test's root has the kernel's files as others.
fn foresee(sys: &Sys, name: &str, value: &str) -> Result<(), Error> {
    if let Some(overlay) = sys.overlay() {
        overlay.note(&note(name), value);
        return Ok(());
    }
    let text = format!("{value}\n");
    Ok(sys.write_atomic(&place(name), text.as_bytes(), Attributes::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::{Host, shown};

    fn host(files: &[(&str, &str)]) -> Host {
        let kernel = [
            ("/proc/sys/vm/swappiness", "60\n"),
            ("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
            ("/etc/x", ""),
        ];
        Host::with("sysctl", &[&kernel, files].concat())
    }

    #[test]
    fn a_line_is_added_changed_and_removed_and_the_file_put_in_order() {
        let host = host(&[(
            "/etc/sysctl.conf",
            "# mine\n vm.dirty_ratio = 5\nvm.swappiness = 10\nvm.swappiness = 20\n",
        )]);
        let file = || host.text("/etc/sysctl.conf");
        host.converges("{name: vm.swappiness, value: 1, reload: no}");
        assert_eq!(file(), "# mine\nvm.dirty_ratio=5\nvm.swappiness=1\n");
        host.converges("{name: vm.overcommit_memory, value: yes, reload: no}");
        assert!(file().ends_with("vm.overcommit_memory=1\n"));
        host.converges("{name: vm.swappiness, state: absent, reload: no}");
        assert_eq!(file(), "# mine\nvm.dirty_ratio=5\nvm.overcommit_memory=1\n");
        host.is_content_with("{name: none, state: absent, reload: no}");
    }

    #[test]
    fn a_file_that_is_not_there_is_made_and_one_to_be_without_is_not() {
        let host = host(&[]);
        host.is_content_with("{name: vm.swappiness, state: absent, sysctl_file: /etc/s.conf}");
        assert_eq!(host.names("/etc"), ["x"]);
        host.converges(
            "{name: vm.swappiness, value: 1, sysctl_file: /etc/s.conf, reload: no, mode: '0600'}",
        );
        assert_eq!(host.lstat("/etc/s.conf").mode, 0o600);
    }

    #[test]
    fn what_the_kernel_runs_with_is_compared_word_by_word() {
        let mut host = host(&[(
            "/etc/sysctl.conf",
            "net.ipv4.tcp_rmem=4096 131072 6291456\n",
        )]);
        host.is_content_with("{name: net.ipv4.tcp_rmem, value: 4096 131072 6291456}");
        // The kernel's files are no part of an overlay.
        host.rehearses = false;
        let outcome = host.converges("{name: vm.swappiness, value: 1, sysctl_set: yes}");
        assert!(shown(&outcome).ends_with("kernel parameter vm.swappiness: value 60 -> 1"));
        assert_eq!(host.text("/proc/sys/vm/swappiness"), "1\n");
    }

    #[test]
    fn check_mode_keeps_in_mind_what_the_kernel_would_run_with() {
        let host = host(&[("/etc/sysctl.conf", "vm.swappiness=1\n")]);
        let over = host.sys.clone().over(host.sys.new_overlay());
        let action = host.action("{name: vm.swappiness, value: 1}");
        let run = |sys: &Sys| {
            let ran = action.run(sys, &mut |_| crate::modules::Permission::OnlyShow);
            match ran.unwrap() {
                crate::modules::Ran::Done(outcome) => outcome.changed,
                crate::modules::Ran::Cancelled => unreachable!(),
            }
        };
        assert!(run(&over));
        assert!(!run(&over));
        assert_eq!(host.text("/proc/sys/vm/swappiness"), "60\n");
    }

    #[test]
    fn a_parameter_that_the_kernel_does_not_have_may_be_passed_over() {
        let host = host(&[("/etc/sysctl.conf", "net.none=1\n")]);
        host.is_content_with("{name: net.none, value: 1, ignoreerrors: yes}");
        host.is_content_with("{name: net.none, value: 1, reload: no}");
    }

    #[test]
    fn slashes_in_names_are_dots() {
        let shown = |name: &str| place(name).display().to_string();
        assert_eq!(
            shown("net.ipv4.conf.eth0/100.forwarding"),
            "/proc/sys/net/ipv4/conf/eth0.100/forwarding"
        );
        assert_eq!(
            shown("net/ipv4/conf/eth0.100/forwarding"),
            "/proc/sys/net/ipv4/conf/eth0.100/forwarding"
        );
    }
}
