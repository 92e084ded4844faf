//! Turns a wish for an engine, or none, into one that works on this machine, or into why none does.

use std::path::Path;

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::Error;
use super::command::Run;
use super::engine::{Engine, unified};

/// A program that makes containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Podman,
    Docker,
}

impl Kind {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Podman, Self::Docker];

    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }

    /// The Debian package that has it.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker.io",
        }
    }
}

/// Which engine a lab shall use, and how it is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineSpec {
    /// Default: podman where it works, else docker.
    pub kind: Option<Kind>,
    /// Arguments before its verb, as `--root /srv/containers`; without a kind, podman's.
    pub args: Vec<String>,
    /// Arguments of each host's `run`, as `--cpus 2`.
    pub run_args: Vec<String>,
}

impl EngineSpec {
    /// Finds the engine, and that it works.
    pub(super) fn choose(&self) -> Result<Engine, Error> {
        if let Some(kind) = self.kind {
            return self.of(kind).map_err(|error| match error {
                Error::Command { stderr, .. } => Error::NotWorking {
                    program: kind.program(),
                    why: stderr,
                },
                error => error,
            });
        }
        let mut why = Vec::new();
        for kind in Kind::ALL {
            match self.of(kind) {
                Ok(engine) => return Ok(engine),
                Err(error) => why.push(format!("  {}: {error}", kind.program())),
            }
        }
        Err(Error::NoEngine {
            why: why.join("\n"),
        })
    }

    /// The engines that work here, or the one that was asked for: where labs may be.
    pub(super) fn all_that_work(&self) -> Vec<Engine> {
        let all = Kind::ALL.into_iter();
        let all = all.filter(|kind| self.kind.is_none_or(|wanted| wanted == *kind));
        all.filter_map(|kind| self.of(kind).ok()).collect()
    }

    fn of(&self, kind: Kind) -> Result<Engine, Error> {
        // The arguments of one engine mean nothing to the other.
        let mine = |args: &[String]| {
            let is_meant = self.kind.unwrap_or_default() == kind;
            if is_meant { args.to_vec() } else { Vec::new() }
        };
        let args = mine(&self.args);
        let ask = |more: &[&str]| {
            let run = Run::new(kind.program(), kind.package());
            run.args(&args).args(more).output()
        };
        match kind {
            Kind::Podman => ask(&["--version"])?,
            // Only its daemon can say it.
            Kind::Docker => ask(&["version", "--format", "{{.Server.Version}}"])?,
        };
        let rootless = kind == Kind::Podman && !geteuid().is_root();
        if rootless {
            // A static program cannot ask for names itself where they come from a network.
            let user = Run::new("id", "coreutils").arg("-un").output()?;
            if let Some(why) = no_rootless(unified(), &user, Path::new("/etc/subuid")) {
                return Err(Error::NoRootless { why });
            }
        }
        Ok(Engine {
            kind,
            run_args: mine(&self.run_args),
            args,
            rootless,
        })
    }
}

/// Why this machine cannot run hosts with a systemd without root.
fn no_rootless(unified: bool, user: &str, subuid: &Path) -> Option<String> {
    if !unified {
        let why = "this machine's control groups are of version 1, of which only root can give a host its own";
        return Some(why.to_owned());
    }
    let ids = std::fs::read_to_string(subuid).unwrap_or_default();
    let uid = geteuid().to_string();
    let mine = |line: &str| {
        let owner = line.split(':').next().unwrap_or_default();
        owner == user || owner == uid
    };
    (!ids.lines().any(mine))
        .then(|| format!("`{user}` has no range of user ids in {}", subuid.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_that_was_named_and_is_missing_is_named_with_its_package() {
        let spec = EngineSpec {
            kind: Some(Kind::Docker),
            args: vec!["--host".to_owned(), "unix:///nowhere".to_owned()],
            run_args: Vec::new(),
        };
        let text = spec.choose().unwrap_err().to_string();
        assert!(text.contains("docker"), "{text}");
    }

    #[test]
    fn what_is_missing_for_a_lab_without_root_is_said() {
        let ids = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ids.path(), "root:100000:65536\n").unwrap();
        assert!(
            no_rootless(false, "root", ids.path())
                .unwrap()
                .contains("version 1")
        );
        assert_eq!(no_rootless(true, "root", ids.path()), None);
        let nobody = no_rootless(true, "nobody", ids.path()).unwrap();
        assert!(
            nobody.starts_with("`nobody` has no range of user ids in "),
            "{nobody}"
        );
    }
}
