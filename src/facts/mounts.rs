//! Turns the kernel's table of mounts and each file system's counters into the fact `mounts`.

use super::{map, text};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use nix::sys::statvfs::{Statvfs, statvfs};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    options: String,
}

pub(super) fn gather(sys: &Sys, timeout: Duration) -> Vec<Value> {
    let mounts = parse(&text(sys, "/proc/self/mountinfo"));
    let uuids = uuids(sys);
    let entry = |mount: Mount| {
        let uuid = uuids.iter().find(|(device, _)| *device == mount.device);
        let uuid = uuid.map_or("N/A", |(_, uuid)| uuid.as_str());
        let mut entry = map([
            ("mount", mount.point.as_str().into()),
            ("device", mount.device.as_str().into()),
            ("fstype", mount.kind.as_str().into()),
            ("options", mount.options.as_str().into()),
            ("dump", 0.into()),
            ("passno", 0.into()),
            ("uuid", uuid.into()),
        ]);
        if let Some(sizes) = sizes(&sys.real(Path::new(&mount.point)), timeout) {
            entry.extend(sizes);
        }
        Value::from(entry)
    };
    mounts.into_iter().map(entry).collect()
}

/// Reads the mounts that stand on a device or on another host.
fn parse(mountinfo: &str) -> Vec<Mount> {
    let one = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.splitn(3, ' ').collect();
        let ([_, _, _, root, point, options, ..], [kind, device, of_device]) =
            (&left[..], &right[..])
        else {
            return None;
        };
        if !device.starts_with('/') && !device.contains(":/") {
            return None;
        }
        let mut all: Vec<&str> = options.split(',').collect();
        for option in of_device.split(',') {
            if !all.contains(&option) {
                all.push(option);
            }
        }
        let mut options = all.join(",");
        if *root != "/" {
            options.push_str(",bind");
        }
        Some(Mount {
            device: unescape(device),
            point: unescape(point),
            kind: (*kind).to_owned(),
            options,
        })
    };
    mountinfo.lines().filter_map(one).collect()
}

/// Spaces and the like are written as `\040`.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    escapes.into_iter().fold(text.to_owned(), replace)
}

fn uuids(sys: &Sys) -> Vec<(String, String)> {
    let directory = Path::new("/dev/disk/by-uuid");
    let names = sys.list(directory).unwrap_or_default();
    let one = |name: std::ffi::OsString| {
        let device = sys.resolve(&directory.join(&name)).ok()?;
        Some((
            device.to_string_lossy().into_owned(),
            name.into_string().ok()?,
        ))
    };
    names.into_iter().filter_map(one).collect()
}

/// Asks the file system, in a thread of its own: a dead network file system never answers.
fn sizes(point: &Path, timeout: Duration) -> Option<Mapping> {
    let (sender, receiver) = mpsc::channel();
    let point: PathBuf = point.to_path_buf();
    std::thread::Builder::new()
        .spawn(move || sender.send(statvfs(&point)))
        .ok()?;
    receiver
        .recv_timeout(timeout)
        .ok()?
        .ok()
        .map(|found| counters(&found))
}

fn counters(found: &Statvfs) -> Mapping {
    let size = found.fragment_size();
    let (total, available) = (found.blocks(), found.blocks_available());
    map([
        ("size_total", (total * size).into()),
        ("size_available", (available * size).into()),
        ("block_size", found.block_size().into()),
        ("block_total", total.into()),
        ("block_available", available.into()),
        ("block_used", total.saturating_sub(available).into()),
        ("inode_total", found.files().into()),
        ("inode_available", found.files_available().into()),
        ("inode_used", (found.files() - found.files_free()).into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_on_devices_and_other_hosts_are_listed() {
        let table = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
            28 27 254:0 /x /mnt/my\\040disk ro - ext4 /dev/vda rw,discard\n\
            29 27 0:50 / /nfs rw - nfs4 filer:/export rw,vers=4.2\n";
        let mounts = parse(table);
        let shown: Vec<_> = mounts
            .iter()
            .map(|m| (m.point.as_str(), m.options.as_str()))
            .collect();
        let expected = [
            ("/", "rw,relatime,discard"),
            ("/mnt/my disk", "ro,rw,discard,bind"),
            ("/nfs", "rw,vers=4.2"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_root_file_system_has_a_size() {
        let sizes = sizes(Path::new("/"), Duration::from_secs(10)).unwrap();
        assert!(sizes["size_total"].as_u64() > Some(0));
    }
}
