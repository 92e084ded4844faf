//! Turns what a lab needs and what this machine has into "enough", or into what is missing.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::engine::Engine;
use super::{Error, LabSpec};

const MIB: u64 = 1 << 20;
/// What a host with systemd and sshd takes, and no more: what runs on it is the playbooks' affair.
const HOST: u64 = 48 * MIB;
/// What a host writes while it boots and a playbook unpacks something.
const HOST_DISK: u64 = 200 * MIB;
/// What an image and its making take.
const IMAGE_DISK: u64 = 2048 * MIB;

/// Checks memory and disk before anything is made.
pub(super) fn check(engine: &Engine, spec: &LabSpec, has_image: bool) -> Result<(), Error> {
    let n_hosts = spec.hosts.len() as u64;
    let per_host = spec.memory_per_host.unwrap_or(HOST);
    if let Some(free) = memory(Path::new("/proc/meminfo")) {
        enough(
            "memory",
            n_hosts * per_host,
            free,
            "free some, or set `lab: memory:` lower",
        )?;
    }
    let image = if has_image { 0 } else { IMAGE_DISK };
    let store = engine.store()?;
    if let Some(free) = disk(&store) {
        let place = format!("space in {}", store.display());
        let help = "`krun lab list` and `krun lab snapshot --list` tell what of krun's is there";
        enough(&place, n_hosts * HOST_DISK + image, free, help)?;
    }
    Ok(())
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

/// What may still be written below `path`, in bytes.
fn disk(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists())?;
    let stat = statvfs(there).ok()?;
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
        assert!(disk(Path::new("/no/such/place")).unwrap() > MIB);
    }
}
