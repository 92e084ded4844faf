//! Turns a lab's plan into the directory that each host finds at `/krun-seed` when it boots (see `seed.sh`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::authority::Certificate;
use super::command::Run;
use super::{Error, Host, LabSpec, Site};

/// What all hosts of one lab have in common.
pub(super) struct Shared<'a> {
    pub(super) spec: &'a LabSpec,
    /// Hosts and sites: everyone's /etc/hosts.
    pub(super) hosts_file: String,
    /// The line of the lab's public key.
    pub(super) login_key: String,
    /// The lab's authority, PEM.
    pub(super) authority: PathBuf,
    /// What stands in for packages, as the hosts read it.
    pub(super) stand_ins: String,
}

/// Writes one host's seed into `dir`, which does not exist yet; returns its host key as `known_hosts` has it.
pub(super) fn write(dir: &Path, host: &Host, shared: &Shared<'_>) -> Result<String, Error> {
    let ssh = dir.join("tree/etc/ssh");
    let trust = dir.join("tree/usr/local/share/ca-certificates");
    let linger = dir.join("tree/var/lib/systemd/linger");
    for path in [&ssh, &trust, &linger] {
        fs::create_dir_all(path).map_err(Error::file("make", path))?;
    }
    put(&dir.join("tree/etc/hostname"), &format!("{}\n", host.name))?;
    let public = key_pair(&ssh.join("ssh_host_ed25519_key"), &host.name)?;
    put(&ssh.join("krun_lab_keys"), &shared.login_key)?;
    put(&dir.join("tree/etc/hosts"), &shared.hosts_file)?;
    put(
        &dir.join("tree/etc/resolv.conf"),
        &resolver(shared.spec.outbound)?,
    )?;
    let ca = trust.join("krun-lab.crt");
    put(
        &ca,
        &fs::read_to_string(&shared.authority).map_err(Error::file("read", &shared.authority))?,
    )?;
    let users = shared
        .spec
        .users
        .iter()
        .fold("krun\n".to_owned(), |all, user| all + user + "\n");
    put(&dir.join("users"), &users)?;
    // systemd's manager of a user would end with the last login, and now and then hangs in that for two minutes
    // in a container; a login meanwhile waits for it.
    for user in users.lines().chain(["root"]) {
        put(&linger.join(user), "")?;
    }
    if !shared.stand_ins.is_empty() {
        put(&dir.join("stand-ins"), &shared.stand_ins)?;
    }
    if shared.spec.outbound {
        put(&dir.join("outbound"), "")?;
    }
    // The public key is new in every lab: a host that was saved and comes back here is seeded again.
    put(&dir.join("id"), &public)?;
    Ok(public)
}

/// Adds what makes a host the server of `sites`.
pub(super) fn serve(dir: &Path, sites: &[Site], certificate: &Certificate) -> Result<(), Error> {
    let nginx = dir.join("tree/etc/nginx");
    let enabled = nginx.join("sites-enabled");
    fs::create_dir_all(&enabled).map_err(Error::file("make", &enabled))?;
    for (from, name) in [
        (&certificate.certificate, "lab.crt"),
        (&certificate.key, "lab.key"),
    ] {
        let to = nginx.join(name);
        fs::copy(from, &to).map_err(Error::file("write", &to))?;
    }
    let block = |site: &Site| {
        let (name, root) = (&site.name, site_root(&site.name));
        format!(
            "server {{\n    listen 80;\n    listen 443 ssl;\n    server_name {name};\n    \
             ssl_certificate lab.crt;\n    ssl_certificate_key lab.key;\n    root {root};\n    autoindex on;\n    \
             types {{ text/plain sha512 sha256 asc md5 txt; text/html html; application/x-gzip tgz gz; }}\n}}\n"
        )
    };
    let text: Vec<String> = sites.iter().map(block).collect();
    // This name is the one that Debian enables: it is replaced, not joined.
    put(&enabled.join("default"), &text.concat())?;
    put(&dir.join("serves"), "")
}

/// Where the serving host sees a site's files.
pub(super) fn site_root(name: &str) -> String {
    format!("/srv/krun/{name}")
}

/// Makes an ed25519 key pair without a passphrase; returns its public half as `type base64`.
pub(super) fn key_pair(path: &Path, comment: &str) -> Result<String, Error> {
    Run::new("ssh-keygen", "openssh-client")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .output()?;
    let public = path.with_extension("pub");
    let line = fs::read_to_string(&public).map_err(Error::file("read", &public))?;
    Ok(line
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" "))
}

fn resolver(outbound: bool) -> Result<String, Error> {
    if !outbound {
        return Ok("# this lab knows its own names only; they are in /etc/hosts\n".to_owned());
    }
    let path = Path::new("/etc/resolv.conf");
    fs::read_to_string(path).map_err(Error::file("read", path))
}

/// Writes a file that everyone may read, whatever this process's umask.
pub(super) fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(Error::file("write", path))
}

/// Makes a directory that only its owner may look into.
pub(super) fn private_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::file("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::file("make", path))
}
