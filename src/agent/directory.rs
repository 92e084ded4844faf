//! Finds the directory on this host that an agent may call its own, and holds the lock in it.

use crate::agent::Error;
use crate::agent::remains::Remains;
use crate::proto::Hello;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a newcomer waits for an agent that is at work: its controller may just have gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits for one that says it is ending: a command in hand has its grace.
const PATIENCE_WITH_ENDING: Duration = Duration::from_secs(60);

/// Returns where an agent's directory may be, the best first. `bootstrap` looks through the same places.
pub fn candidates(home: Option<&Path>) -> Vec<PathBuf> {
    let uid = Uid::effective();
    home.map(|home| home.join(".krun"))
        .into_iter()
        .chain(["/var/tmp", "/tmp", "/dev/shm"].map(|base| format!("{base}/krun-{uid}").into()))
        .collect()
}

/// Makes or finds the first directory that is ours and can be written.
pub(super) fn open(candidates: &[PathBuf]) -> Result<PathBuf, Error> {
    let mut faults = Vec::new();
    for path in candidates {
        match own(path, 0o700).and_then(|()| try_writing(path)) {
            Ok(()) => return Ok(path.clone()),
            Err(fault) => faults.push(format!("{}: {fault}", path.display())),
        }
    }
    Err(Error::NoDirectory(faults))
}

/// Makes `path` a directory of this user with exactly `mode`; refuses what is somebody else's, or a link.
pub(super) fn own(path: &Path, mode: u32) -> Result<(), String> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.to_string()),
    }
    let found = path.symlink_metadata().map_err(|error| error.to_string())?;
    if !found.is_dir() {
        return Err("is not a directory".into());
    }
    if found.uid() != Uid::effective().as_raw() {
        return Err(format!("belongs to user {}, not to this one", found.uid()));
    }
    if found.mode() & 0o777 != mode {
        let exactly = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, exactly).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A directory on a full disk takes new names but no bytes.
fn try_writing(path: &Path) -> Result<(), String> {
    let probe = path.join(format!("probe.{}", std::process::id()));
    let written = std::fs::write(&probe, [0; 4096]);
    let _ = std::fs::remove_file(&probe);
    written.map_err(|error| error.to_string())
}

/// Held as long as this agent lives; goes with the process, however it ends.
pub(super) struct Lock(Flock<File>);

#[derive(Serialize, Deserialize)]
struct Holder {
    controller: String,
    run: String,
    host: String,
    process: i32,
    ending: bool,
}

/// What came of asking for the lock.
pub(super) enum Locked {
    Held(Lock),
    /// The same run holds it: another of its names leads to this machine.
    Shared,
    Busy {
        controller: String,
    },
}

impl Lock {
    /// Takes the lock of `directory`, waiting a little for an agent that is about to end.
    ///
    /// The same run under the same name has lost its connection and come back: the agent of the lost one,
    /// which may not have noticed, is told to end.
    pub(super) fn take(directory: &Path, hello: &Hello) -> Result<Locked, Error> {
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?;
        let started = Instant::now();
        let mut told = false;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => {
                    let mut lock = Self(held);
                    // Those of an agent that was killed may still be at work.
                    let end = started + PATIENCE_WITH_ENDING;
                    if let Err(process) = Remains::new(directory).wait(end) {
                        let controller =
                            format!("process {process} is left of an agent that was killed");
                        return Ok(Locked::Busy { controller });
                    }
                    lock.say(hello, false);
                    return Ok(Locked::Held(lock));
                }
                Err((file, _)) => file,
            };
            let holder = read(&mut file);
            let mut patience = PATIENCE;
            if let Some(holder) = &holder {
                let is_this_run = holder.run == hello.run;
                if is_this_run && !holder.ending && holder.host != hello.host {
                    return Ok(Locked::Shared);
                }
                if is_this_run && holder.host == hello.host && !told {
                    told = true;
                    let _ = kill(Pid::from_raw(holder.process), Signal::SIGTERM);
                }
                if holder.ending || told {
                    patience = PATIENCE_WITH_ENDING;
                }
            }
            if started.elapsed() > patience {
                let controller = holder.map_or_else(
                    || "unknown".into(),
                    |it| format!("{} (its agent is process {})", it.controller, it.process),
                );
                return Ok(Locked::Busy { controller });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells newcomers that this agent only finishes what it has in hand.
    pub(super) fn ending(&mut self, hello: &Hello) {
        self.say(hello, true);
    }

    fn say(&mut self, hello: &Hello, ending: bool) {
        let holder = Holder {
            controller: hello.controller.clone(),
            run: hello.run.clone(),
            host: hello.host.clone(),
            process: Pid::this().as_raw(),
            ending,
        };
        let text = serde_json::to_vec(&holder).unwrap_or_default();
        // The lock itself does not depend on what the file says.
        let _ = self.0.set_len(0);
        let _ = self.0.seek(SeekFrom::Start(0));
        let _ = self.0.write_all(&text);
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_directory_of_ours_is_passed_over_and_named() {
        let place = tempfile::tempdir().unwrap();
        let (file, link, good) = (
            place.path().join("file"),
            place.path().join("link"),
            place.path().join("good"),
        );
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        assert_eq!(
            open(&[file.clone(), link.clone(), good.clone()]).unwrap(),
            good
        );
        let error = open(&[file, link]).unwrap_err().to_string();
        assert!(
            error.contains("file: is not a directory") && error.contains("link: is not"),
            "{error}"
        );
    }

    #[test]
    fn a_second_controller_is_told_of_the_first() {
        let hello = |controller: &str, run: &str, host: &str| Hello {
            controller: controller.into(),
            host: host.into(),
            ..crate::agent::tests::hello(run)
        };
        let place = tempfile::tempdir().unwrap();
        let ann = hello("ann@desk", "run1", "one");
        let Locked::Held(held) = Lock::take(place.path(), &ann).unwrap() else {
            panic!("not locked");
        };
        // Another name of the same run for the same machine.
        let other = hello("ann@desk", "run1", "two");
        let shared = Lock::take(place.path(), &other).unwrap();
        assert!(matches!(shared, Locked::Shared));
        let bob = hello("bob@lap", "run2", "one");
        let busy = Lock::take(place.path(), &bob).unwrap();
        assert!(
            matches!(busy, Locked::Busy { controller } if controller.starts_with("ann@desk (its agent"))
        );
        drop(held);
        let free = Lock::take(place.path(), &bob).unwrap();
        assert!(matches!(free, Locked::Held(_)));
    }
}
