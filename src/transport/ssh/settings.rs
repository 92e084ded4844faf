//! Turns the variables of a host and OpenSSH's configuration into what it takes to log in there.

use super::config::Config;
use crate::inventory::connection::Connection;
use crate::proto::Heartbeat;
use crate::transport::{Error, Options};
use crate::value::Secret;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to do with a host whose key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strict {
    Yes,
    AcceptNew,
    No,
}

/// Everything that one login needs.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where to connect.
    pub(super) hostname: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The name in `known_hosts`.
    pub(super) key_name: String,
    /// Keys that were named; empty where the usual ones are to be tried.
    pub(super) identities: Vec<PathBuf>,
    pub(super) usual_identities: Vec<PathBuf>,
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    pub(super) password: Option<Secret>,
    pub(super) strict: Strict,
    /// Where new keys go first.
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) jumps: Vec<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) limit: Duration,
    pub(super) alive_interval: Option<Duration>,
    pub(super) alive_count: usize,
    /// The `-F` of the command line, for jump hosts too.
    pub(super) file: Option<PathBuf>,
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Reads the settings of a host of the inventory.
    pub(super) fn of(connection: &Connection, options: &Options) -> Result<Self, Error> {
        let mut config = Config::default();
        // In the order in which Ansible builds its command line: variables come before the free arguments.
        let checking = connection
            .host_key_checking
            .unwrap_or(options.host_key_checking);
        if !checking {
            config.set("stricthostkeychecking", vec!["no".into()]);
        }
        if let Some(port) = connection.port {
            config.set("port", vec![port.to_string()]);
        }
        if let Some(file) = &connection.private_key_file {
            config.set("identityfile", vec![file.clone()]);
        }
        if let Some(user) = &connection.user {
            config.set("user", vec![user.clone()]);
        }
        if let Some(seconds) = connection.timeout {
            config.set("connecttimeout", vec![seconds.to_string()]);
        }
        for line in [&connection.ssh_common_args, &connection.ssh_extra_args]
            .into_iter()
            .flatten()
        {
            config.arguments(line)?;
        }
        let mut settings = Self::finish(config, &connection.host, options)?;
        settings.password.clone_from(&connection.password);
        Ok(settings)
    }

    /// Reads the settings of a jump host, `[user@]host[:port]`, on the way to `target`.
    pub(super) fn of_jump(jump: &str, target: &Self, options: &Options) -> Result<Self, Error> {
        let mut config = Config::default();
        config.file.clone_from(&target.file);
        let jump = jump.strip_prefix("ssh://").unwrap_or(jump);
        let (user, place) = match jump.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, jump),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        if let Some(user) = user {
            config.set("user", vec![user.to_owned()]);
        }
        if let Some(port) = port {
            config.set("port", vec![port.to_owned()]);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut settings = Self::finish(config, host, options)?;
        // ssh would look for the jump's key in the usual files only; what was said for the target helps here too.
        for file in &target.known_hosts {
            if !settings.known_hosts.contains(file) {
                settings.known_hosts.push(file.clone());
            }
        }
        for file in &target.identities {
            if !settings.identities.contains(file) {
                settings.identities.push(file.clone());
            }
        }
        Ok(settings)
    }

    fn finish(mut config: Config, host: &str, options: &Options) -> Result<Self, Error> {
        let home = options.home.as_path();
        let file = config.file.clone().or_else(|| options.ssh_config.clone());
        match &file {
            Some(file) if file.as_os_str() == "none" => {}
            Some(file) if !file.exists() => {
                return Err(Error::Settings(format!("{}: no such file", file.display())));
            }
            Some(file) => config.file(file, host, home)?,
            None => {
                config.file(&home.join(".ssh/config"), host, home)?;
                config.file(Path::new("/etc/ssh/ssh_config"), host, home)?;
            }
        }
        let port = config.number("port")?.unwrap_or(22);
        let user = config.text("user").unwrap_or(&options.user).to_owned();
        let hostname = config.text("hostname").unwrap_or("%h");
        let hostname = hostname.replace("%h", host).replace("%%", "%");
        let port_text = port.to_string();
        let home_text = home.to_string_lossy();
        let tokens = [
            ('h', hostname.as_str()),
            ('n', host),
            ('p', &port_text),
            ('r', &user),
            ('u', &options.user),
            ('d', &home_text),
            ('%', "%"),
        ];
        let expand = |text: &str| expand(text, &tokens);
        let path = |text: &String| {
            let text = expand(text);
            match text.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => PathBuf::from(text),
            }
        };
        let files = |keyword: &str, usual: [PathBuf; 2]| match config.words(keyword) {
            Some(words) => words.iter().map(path).collect(),
            None if config.was_set(keyword) => Vec::new(),
            None => usual.to_vec(),
        };
        let ssh = home.join(".ssh");
        let mut known_hosts = files(
            "userknownhostsfile",
            [ssh.join("known_hosts"), ssh.join("known_hosts2")],
        );
        let system = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
        known_hosts.extend(files("globalknownhostsfile", system.map(PathBuf::from)));
        let strict = match config
            .text("stricthostkeychecking")
            .map(str::to_lowercase)
            .as_deref()
        {
            Some("no" | "off") => Strict::No,
            Some("accept-new") => Strict::AcceptNew,
            // There is nobody to ask.
            _ => Strict::Yes,
        };
        let identities: Vec<PathBuf> = config
            .identities
            .iter()
            .filter(|it| !it.eq_ignore_ascii_case("none"))
            .map(path)
            .collect();
        let agent = match config.text("identityagent") {
            Some("SSH_AUTH_SOCK") => options.ssh_auth_sock.clone(),
            Some(text) => Some(path(&text.to_owned())),
            None if config.was_set("identityagent") => None,
            None => options.ssh_auth_sock.clone(),
        };
        let jumps = config.text("proxyjump").map(|text| {
            let jumps = text.split(',').map(|it| expand(it.trim()));
            jumps.filter(|it| !it.is_empty()).collect()
        });
        let seconds = config.number("connecttimeout")?.map(Duration::from_secs);
        let alive = config.number("serveraliveinterval")?;
        Ok(Self {
            key_name: config
                .text("hostkeyalias")
                .unwrap_or(&hostname)
                .to_lowercase(),
            port,
            usual_identities: ["id_ed25519", "id_ecdsa", "id_rsa"]
                .map(|it| ssh.join(it))
                .to_vec(),
            identities,
            identities_only: config.is_yes("identitiesonly"),
            agent,
            password: None,
            strict,
            known_hosts,
            jumps: jumps.unwrap_or_default(),
            proxy_command: config.text("proxycommand").map(expand),
            limit: seconds.unwrap_or(options.connect_timeout),
            alive_interval: alive_interval(alive),
            alive_count: config.number("serveralivecountmax")?.unwrap_or(3),
            file,
            user: user.clone(),
            hostname: hostname.clone(),
            warnings: std::mem::take(&mut config.warnings),
        })
    }

    /// Returns what `ServerAliveInterval` and `ServerAliveCountMax` come to: the connection is lost when the next
    /// sign of life would be due and so many have had no answer.
    pub(super) fn heartbeat(&self) -> Option<Heartbeat> {
        let every = self.alive_interval?;
        let count = u32::try_from(self.alive_count).unwrap_or(u32::MAX);
        let limit = every.saturating_mul(count.saturating_add(1));
        Some(Heartbeat { every, limit })
    }

    /// Returns the place for messages: `10.0.0.7` or `10.0.0.7 port 2222`.
    pub(super) fn address(&self) -> String {
        match self.port {
            22 => self.hostname.clone(),
            port => format!("{} port {port}", self.hostname),
        }
    }
}

/// Returns how often to ask for a sign of life; 0 switches it off.
fn alive_interval(seconds: Option<u64>) -> Option<Duration> {
    let interval = seconds.map_or(Heartbeat::default().every, Duration::from_secs);
    (!interval.is_zero()).then_some(interval)
}

/// Replaces `%h` and the like; a token that is not of the list stays as it is.
fn expand(text: &str, tokens: &[(char, &str)]) -> String {
    let mut expanded = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        let token = rest.next().unwrap_or('%');
        match tokens.iter().find(|(name, _)| *name == token) {
            Some((_, value)) => expanded.push_str(value),
            None => expanded.extend(['%', token]),
        }
    }
    expanded
}
