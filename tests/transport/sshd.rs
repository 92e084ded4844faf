//! A host for the tests: a real sshd on loopback, with keys, a home, accounts and mounts of its own.

use crate::tasks::wait_until;
use krun::inventory::connection::{Connection, Kind};
use krun::modules::{Error, Outcome};
use krun::proto::{FromAgent, Identity, Task, ToAgent};
use krun::transport::{self, Link, Options};
use krun::value::Value;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) const SSHD: &str = "/usr/sbin/sshd";

/// Returns `false`, loudly, where these tests cannot run.
pub(crate) fn can_run() -> bool {
    let is_root = nix_uid() == 0;
    if !is_root || !Path::new(SSHD).exists() {
        eprintln!("SKIPPED: needs root and {SSHD}");
    }
    is_root && Path::new(SSHD).exists()
}

fn nix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// The program under test, stripped once: what a host is sent.
pub(crate) fn agent() -> PathBuf {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();
    AGENT
        .get_or_init(|| {
            let built = Path::new(env!("CARGO_BIN_EXE_krun"));
            let age = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
            let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
            if age(&stripped) < age(built) {
                let temporary = stripped.with_extension(std::process::id().to_string());
                let run = Command::new("strip")
                    .arg("-o")
                    .arg(&temporary)
                    .arg(built)
                    .status();
                if !run.is_ok_and(|it| it.success()) {
                    return built.to_path_buf();
                }
                std::fs::rename(&temporary, &stripped).unwrap();
            }
            stripped
        })
        .clone()
}

/// A host. Ends when dropped; its mounts go with it.
pub(crate) struct Sshd {
    pub(crate) place: tempfile::TempDir,
    pub(crate) port: u16,
    process: Child,
}

pub(crate) struct Setup<'a> {
    /// Lines for `sh`, run as root in a mount namespace of the host's own; `$HOME` is the login user's.
    pub(crate) prepare: &'a str,
    /// Further lines for `sshd_config`.
    pub(crate) config: &'a str,
    pub(crate) host_keys: &'a [&'a str],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            prepare: "",
            config: "",
            host_keys: &["ed25519"],
        }
    }
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with(&Setup::default())
    }

    pub(crate) fn with(setup: &Setup<'_>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir(at("home")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nMaxStartups 100\n\
             LogLevel VERBOSE\nAuthorizedKeysFile {}\nSetEnv HOME={}\n{}\n",
            at("authorized_keys").display(),
            at("home").display(),
            setup.config,
        );
        for kind in setup.host_keys {
            let key = at(&format!("host_{kind}"));
            keygen(&key, kind, "");
            writeln!(config, "HostKey {}", key.display()).unwrap();
        }
        keygen(&at("id"), "ed25519", "");
        std::fs::copy(at("id.pub"), at("authorized_keys")).unwrap();
        std::fs::write(at("sshd_config"), config).unwrap();
        let script = format!(
            "set -e; mkdir -p /run/sshd; mount -t tmpfs tmpfs /var/tmp; mount -t tmpfs tmpfs /dev/shm; {}\nexec {SSHD} -D -e -f {} 2>>{}",
            setup.prepare,
            at("sshd_config").display(),
            at("log").display(),
        );
        let process = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env("HOME", at("home"))
            .env("PLACE", place.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let host = Self {
            place,
            port,
            process,
        };
        wait_until(|| host.log().contains("Server listening"));
        let lines: Vec<_> = setup
            .host_keys
            .iter()
            .map(|kind| host.known_line(kind))
            .collect();
        std::fs::write(host.file("known_hosts"), lines.concat()).unwrap();
        host
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Returns the `known_hosts` line of one of its keys.
    pub(crate) fn known_line(&self, kind: &str) -> String {
        let key = std::fs::read_to_string(self.file(&format!("host_{kind}.pub"))).unwrap();
        let words: Vec<_> = key.split_whitespace().collect();
        format!("[127.0.0.1]:{} {} {}\n", self.port, words[0], words[1])
    }

    pub(crate) fn connection(&self) -> Connection {
        let args = format!(
            "-F none -o UserKnownHostsFile={} -o GlobalKnownHostsFile=none",
            self.file("known_hosts").display()
        );
        let set = |name: &str| -> Option<Value> {
            Some(match name {
                "ansible_host" => "127.0.0.1".into(),
                "ansible_port" => self.port.into(),
                "ansible_user" => "root".into(),
                "ansible_ssh_private_key_file" => self.file("id").to_string_lossy().into(),
                "ansible_ssh_common_args" => args.as_str().into(),
                _ => return None,
            })
        };
        Connection::resolve("host", &set).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(agent(), self.file("controller"));
        options.controller = "ann@desk, process 1".into();
        options.run = "run1".into();
        options.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        options
    }

    pub(crate) async fn connect(&self) -> Result<Link, transport::Error> {
        connect(&self.connection(), self.options()).await
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) async fn connect(
    connection: &Connection,
    options: Options,
) -> Result<Link, transport::Error> {
    assert!(matches!(connection.kind, Kind::Ssh | Kind::Local));
    transport::connect(&"host".into(), connection, &Arc::new(options)).await
}

pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status();
    assert!(done.unwrap().success());
}

pub(crate) fn identity(method: &str, user: &str, password: Option<&str>) -> Identity {
    Identity {
        method: method.into(),
        user: user.into(),
        flags: None,
        password: password.map(str::to_owned),
    }
}

/// Runs one task to its end.
pub(crate) async fn run(link: &mut Link, task: Task) -> Result<Outcome, Error> {
    link.to_agent.send(ToAgent::Task(Box::new(task))).unwrap();
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(180), link.from_agent.recv()).await;
        match heard.expect("no answer").expect("closed").expect("lost") {
            FromAgent::Ended { result, .. } => return result,
            FromAgent::Dropped { seq } => panic!("{seq} was dropped"),
            _ => {}
        }
    }
}

pub(crate) fn stdout(outcome: &Outcome) -> &str {
    outcome.data["stdout"].as_str().unwrap()
}
