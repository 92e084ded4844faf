//! Turns what a lab needs and what this machine has into "enough", or into what is missing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::engine::Engine;
use super::{Error, LabSpec};

const MIB: u64 = 1 << 20;
/// What a host with systemd and sshd takes, and no more: what runs on it is the playbooks' affair.
const HOST: u64 = 48 * MIB;
/// What a host writes while it boots and a playbook unpacks something.
const HOST_DISK: u64 = 200 * MIB;
/// What an image takes in the engine's store.
const IMAGE_DISK: u64 = 2048 * MIB;
/// What its making takes beside krun's labs.
const IMAGE_WORK: u64 = 1024 * MIB;
/// What keys, certificates and records of a lab take.
const OWN_DISK: u64 = 16 * MIB;

/// What of memory and disk is not there, before anything is made. `root`: where labs are kept.
pub(super) fn missing(engine: &Engine, root: &Path, spec: &LabSpec, has_image: bool) -> Vec<Error> {
    let n_hosts = spec.hosts.len() as u64;
    let mut faults = Vec::new();
    if let Some(free) = memory(Path::new("/proc/meminfo")) {
        let needs = n_hosts * spec.memory_per_host.unwrap_or(HOST);
        let help = "free some, or set `lab: memory:` lower";
        faults.extend(enough("memory", needs, free, help).err());
    }
    let (image, work) = if has_image {
        (0, 0)
    } else {
        (IMAGE_DISK, IMAGE_WORK)
    };
    let mut wants = vec![(root.to_owned(), OWN_DISK + work)];
    match engine.store() {
        Ok(store) => wants.push((store, n_hosts * HOST_DISK + image)),
        Err(error) => faults.push(error),
    }
    for (place, needs, free) in by_disk(wants) {
        let place = format!("space in {}", place.display());
        let help = "`krun lab list` and `krun lab snapshot --list` tell what of krun's is there";
        faults.extend(enough(&place, needs, free, help).err());
    }
    faults
}

/// The place that is full, if one is: what fails then seldom says so itself.
pub(super) fn full(engine: &Engine, root: &Path) -> Option<PathBuf> {
    let places = [Some(root.to_owned()), engine.store().ok()];
    let is_full = |place: &PathBuf| disk(there(place)).is_some_and(|free| free < MIB);
    places.into_iter().flatten().find(is_full)
}

/// Adds up what is wanted of each disk, under the path that wants most of it; with what is free there, in bytes.
fn by_disk(mut wants: Vec<(PathBuf, u64)>) -> Vec<(PathBuf, u64, u64)> {
    wants.sort_by_key(|(_, needs)| std::cmp::Reverse(*needs));
    let mut disks: Vec<(u64, (PathBuf, u64, u64))> = Vec::new();
    for (path, needs) in wants {
        let there = there(&path);
        let (Some(free), Ok(about)) = (disk(there), fs::metadata(there)) else {
            continue;
        };
        match disks.iter_mut().find(|(device, _)| *device == about.dev()) {
            Some((_, (_, all, _))) => *all += needs,
            None => disks.push((about.dev(), (path, needs, free))),
        }
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}

fn enough(what: &str, needs: u64, has: u64, help: &'static str) -> Result<(), Error> {
    if has >= needs {
        return Ok(());
    }
    Err(Error::NoRoom {
        what: what.to_owned(),
        needs: needs.div_ceil(MIB),
        has: has / MIB,
        help,
    })
}

/// What programs may still take, in bytes.
fn memory(meminfo: &Path) -> Option<u64> {
    let text = fs::read_to_string(meminfo).ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The nearest directory of a path that is there already.
pub(super) fn there(path: &Path) -> &Path {
    let mut all = path.ancestors();
    all.find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// What may still be written in a directory, in bytes.
fn disk(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_both_numbers() {
        let error = enough("memory", 7 * HOST, 100 * MIB, "free some").unwrap_err();
        insta::assert_snapshot!(error, @"the lab needs 336 MiB of memory, and 100 MiB are free; free some");
        enough("memory", 7, 7, "").unwrap();
    }

    #[test]
    fn this_machine_says_what_is_free() {
        assert!(memory(Path::new("/proc/meminfo")).unwrap() > MIB);
        assert!(disk(there(Path::new("/no/such/place"))).unwrap() > MIB);
    }

    #[test]
    fn what_two_want_of_one_disk_is_added_up() {
        let wants = [("/no/such", 1), ("/no/such/place", 7)];
        let wants = wants.map(|(path, needs)| (PathBuf::from(path), needs));
        let disks = by_disk(wants.into());
        assert_eq!(disks.len(), 1);
        assert_eq!(
            (disks[0].0.as_path(), disks[0].1),
            (Path::new("/no/such/place"), 8)
        );
    }
}
