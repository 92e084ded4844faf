//! What templates and tasks read on the controller: files in Ansible's search order, environment, commands.

use super::foreseen::Foreseen;
use super::world::World;
use crate::playbook::{Task, search_paths};
use crate::template::Files;
use crate::value::expand;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The controller's files as one task sees them.
pub(super) struct TaskFiles {
    pub world: Arc<World>,
    pub task: Option<Arc<Task>>,
    pub play_dir: Option<PathBuf>,
}

impl TaskFiles {
    /// Returns where a path of the controller leads that is to be written: relative to the playbook.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let dir = self.play_dir.as_deref().unwrap_or(Path::new("."));
        dir.join(self.expanded(name))
    }

    /// `~` and `$NAME` are those of who runs krun.
    fn expanded(&self, name: &str) -> String {
        let name = &expand::variables(name, |name| self.env(name));
        let home = |user: Option<&str>| match user {
            None => self.env("HOME"),
            Some(user) => nix::unistd::User::from_name(user)
                .ok()
                .flatten()
                .map(|user| user.dir.display().to_string()),
        };
        expand::user(name, home)
    }

    fn candidates(&self, kind: &str, name: &str) -> Vec<PathBuf> {
        let name = &self.expanded(name);
        let path = Path::new(name);
        if path.is_absolute() {
            return vec![path.to_path_buf()];
        }
        if let Some(task) = &self.task {
            search_paths(task, kind, name)
        } else {
            let dir = self.play_dir.clone().unwrap_or_else(|| PathBuf::from("."));
            [dir.join(kind).join(name), dir.join(name)].into()
        }
    }
}

impl Files for TaskFiles {
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String> {
        let candidates = self.candidates(kind, name);
        candidates
            .iter()
            .find(|path| path.exists() || self.world.foreseen.has(path))
            .cloned()
            .ok_or_else(|| {
                candidates
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>()
                    .join("\n")
            })
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        match self.world.foreseen.content(path) {
            Some(content) => Ok(content),
            None => std::fs::read(path),
        }
    }

    fn why_unknown(&self, path: &Path) -> Option<String> {
        self.world.foreseen.why_unknown(path)
    }

    fn is_open(&self, path: &Path) -> bool {
        self.world.foreseen.is_open(path)
    }

    fn path_is(&self, path: &Path, what: &str) -> bool {
        if self.world.foreseen.content(path).is_some() {
            return matches!(what, "exists" | "lexists" | "file");
        }
        match what {
            "exists" => path.exists(),
            "lexists" => path.symlink_metadata().is_ok(),
            "file" => path.is_file(),
            "directory" => path.is_dir(),
            "link" => path.is_symlink(),
            "mount" => is_mount(path),
            _ => false,
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.world
            .settings
            .environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    fn pipe(&self, command: &str) -> Result<String, String> {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command);
        if let Some(dir) = &self.play_dir {
            shell.current_dir(dir);
        }
        let output = shell.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned())
        } else {
            Err(format!(
                "`{command}` ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end()
            ))
        }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let path = Path::new(pattern);
        let (dir, file) = (
            path.parent().unwrap_or(Path::new("")),
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        );
        let dirs = self.candidates("files", &dir.to_string_lossy());
        let mut found = dirs.iter().map(|dir| matching(dir, &file));
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn write_private(&self, path: &Path, content: &str) -> std::io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        if self.world.settings.check_mode {
            let foreseen = &self.world.foreseen;
            foreseen.note(path, Foreseen::Unknown, "lookup('password')");
            return Ok(());
        }
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?
            .write_all(content.as_bytes())
    }

    fn hosts_matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let hosts = self
            .world
            .inventory()
            .select(pattern)
            .map_err(|error| error.to_string())?;
        Ok(hosts.iter().map(ToString::to_string).collect())
    }
}

/// Whether another file system begins there.
fn is_mount(path: &Path) -> bool {
    let of = |path: &Path| path.symlink_metadata().ok();
    let Some((here, above)) = of(path).zip(of(&path.join(".."))) else {
        return false;
    };
    here.is_dir() && (here.dev() != above.dev() || here.ino() == above.ino())
}

/// The files of a directory whose names fit the pattern, sorted.
fn matching(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let fits = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        entry.path().is_file()
            && crate::inventory::pattern::fits_glob(pattern, &name.to_string_lossy())
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.filter(fits).map(|entry| entry.path()).collect();
    found.sort();
    found
}
