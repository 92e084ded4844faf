//! Reads environment, home and password files into what the rest of krun is handed.

use super::ansible_cfg::{self, Configuration};
use super::apply::Errand;
use super::exit::Program;
use super::options::{FileOptions, RunOptions};
use crate::agent;
use crate::diag::{Diagnostic, Diagnostics, Source};
use crate::run::{Ask, Guards, Settings};
use crate::transport;
use crate::value::{Dict, Secret, Value};
use crate::vault::Vault;
use crate::yaml::{self, Vars};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// What the machine that krun runs on says.
#[derive(Clone)]
pub(super) struct Machine {
    pub cwd: PathBuf,
    pub home: PathBuf,
    pub environment: Vec<(String, String)>,
    /// `ansible.cfg`, and what the environment says in its place.
    pub configuration: Configuration,
}

impl Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "cli is where the environment is read"
    )]
    pub(super) fn read() -> Self {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let configuration = Configuration::read(&cwd, &home, &environment);
        Self {
            cwd,
            home,
            environment,
            configuration,
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn user(&self) -> &str {
        let named = self.variable("USER").or_else(|| self.variable("LOGNAME"));
        named.unwrap_or("root")
    }

    /// `user@machine`.
    pub(super) fn who(&self) -> String {
        format!("{}@{}", self.user(), hostname())
    }

    /// Where krun keeps what it can make again.
    pub(super) fn cache(&self) -> PathBuf {
        self.variable("XDG_CACHE_HOME")
            .map_or_else(|| self.home.join(".cache"), PathBuf::from)
            .join("krun")
    }

    /// Where labs are kept: one place for root, whatever its home.
    pub(super) fn lab_root(&self) -> PathBuf {
        if nix::unistd::geteuid().is_root() {
            "/var/cache/krun".into()
        } else {
            self.cache()
        }
    }

    /// Directories of roles beyond those beside a playbook.
    pub(super) fn roles_path(&self) -> Vec<PathBuf> {
        let named = self.configuration.paths(ansible_cfg::ROLES_PATH, &[':']);
        named.unwrap_or_else(|| {
            vec![
                self.home.join(".ansible/roles"),
                "/usr/share/ansible/roles".into(),
                "/etc/ansible/roles".into(),
            ]
        })
    }
}

/// `-e` in all its forms; a fault is a diagnostic.
pub(super) fn extra_vars(
    options: &FileOptions,
    vault: &Vault,
    diagnostics: &mut Diagnostics,
) -> Dict {
    let mut all = Dict::new();
    for text in &options.extra_vars {
        let read = match text.strip_prefix('@') {
            Some(path) => match std::fs::read_to_string(path) {
                Ok(content) => mapping(path, &content, vault, diagnostics),
                Err(error) => {
                    diagnostics.push(Diagnostic::global(format!(
                        "the variables in `{path}` cannot be read: {error}"
                    )));
                    None
                }
            },
            None if text.trim_start().starts_with(['{', '[']) => {
                mapping("-e", text, vault, diagnostics)
            }
            None => Some(pairs(text, diagnostics)),
        };
        all.extend(read.unwrap_or_default());
    }
    all
}

fn mapping(path: &str, text: &str, vault: &Vault, diagnostics: &mut Diagnostics) -> Option<Dict> {
    let node = vault.parse(&Source::new(path, text), diagnostics)?;
    match node.as_map() {
        Some(map) => Some(Vars::from_map(map).values),
        None if matches!(node.kind, yaml::Kind::Null) => None,
        None => {
            diagnostics.push(node.span.error(format!(
                "extra variables must be a mapping, not {}",
                node.kind_name()
            )));
            None
        }
    }
}

/// `a=1 b="x y"`: values are texts, as in Ansible.
fn pairs(text: &str, diagnostics: &mut Diagnostics) -> Dict {
    let words =
        shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let mut vars = Dict::new();
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => {
                drop(vars.insert(name.to_owned(), Value::String(value.to_owned())));
            }
            None => diagnostics.push(Diagnostic::global(format!(
                "`-e {word}` is not `name=value`"
            ))),
        }
    }
    vars
}

/// Reads the vault passwords that the options name.
pub(super) fn vault(
    options: &FileOptions,
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Vault {
    let mut passwords = Vec::new();
    let mut named: Vec<(String, PathBuf)> = options
        .vault_password_file
        .iter()
        .map(|path| ("default".to_owned(), path.clone()))
        .collect();
    for id in &options.vault_id {
        let (id, path) = id.split_once('@').unwrap_or(("default", id));
        named.push((id.to_owned(), PathBuf::from(path)));
    }
    let configured = |setting| {
        let paths = machine.configuration.paths(setting, &[',']);
        paths.into_iter().flatten()
    };
    if named.is_empty() {
        let files = configured(ansible_cfg::VAULT_PASSWORD_FILE);
        named.extend(files.map(|path| ("default".to_owned(), path)));
        let listed = machine.configuration.text(ansible_cfg::VAULT_IDENTITY_LIST);
        let listed = listed.into_iter().flat_map(|text| text.split(','));
        named.extend(listed.filter_map(|id| {
            let (id, path) = id.trim().split_once('@')?;
            Some((id.to_owned(), PathBuf::from(path)))
        }));
    }
    let asks = options.ask_vault_pass
        || machine.configuration.flag(ansible_cfg::ASK_VAULT_PASS) == Some(true);
    if asks {
        match super::prompt::password("Vault password") {
            Ok(password) => passwords.push(("default".to_owned(), password)),
            Err(error) => diagnostics.push(Diagnostic::global(format!(
                "the vault password cannot be asked for: {error}"
            ))),
        }
    }
    for (id, path) in named {
        match password(&path) {
            Ok(password) => passwords.push((id, password)),
            Err(error) => diagnostics.push(Diagnostic::global(format!(
                "the vault password in `{}` cannot be read: {error}",
                path.display()
            ))),
        }
    }
    Vault::new(passwords)
}

fn password(path: &Path) -> std::io::Result<Secret> {
    use std::os::unix::fs::PermissionsExt;
    let executable = std::fs::metadata(path)?.permissions().mode() & 0o111 != 0;
    let text = if executable {
        String::from_utf8_lossy(&Command::new(path).output()?.stdout).into_owned()
    } else {
        std::fs::read_to_string(path)?
    };
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// The settings of a run.
pub(super) fn settings(
    options: &RunOptions,
    machine: &Machine,
    command: String,
) -> std::io::Result<Settings> {
    let configured = &machine.configuration;
    let text = |setting| configured.text(setting).map(str::to_owned);
    let flag = |setting| configured.flag(setting).unwrap_or(false);
    let secret = |file: &Option<PathBuf>, asks: bool, prompt: &str| match file {
        Some(path) => password(path).map(Some),
        None if asks => super::prompt::password(prompt).map(Some),
        None => Ok(None),
    };
    let connection_password = secret(
        &options.connection_password_file,
        options.ask_pass || flag(ansible_cfg::ASK_PASS),
        "SSH password",
    )?;
    let become_password = secret(
        &options.become_password_file,
        options.ask_become_pass || flag(ansible_cfg::BECOME_ASK_PASS),
        "BECOME password",
    )?;
    // `ssh_args` are Ansible's for every host, the others are added to them.
    let of_ssh = [ansible_cfg::SSH_ARGS, ansible_cfg::SSH_EXTRA_ARGS].map(text);
    let common = options
        .ssh_common_args
        .clone()
        .or_else(|| text(ansible_cfg::SSH_COMMON_ARGS));
    let of_ssh: Vec<String> = of_ssh.into_iter().flatten().chain(common).collect();
    let of_ssh = of_ssh.join(" ") + " " + options.ssh_extra_args.as_deref().unwrap_or_default();
    Ok(Settings {
        ask: None,
        salt: None,
        check_mode: options.check,
        is_imagined: false,
        review_salt: String::new(),
        diff: true,
        forks: forks(options, machine),
        verbosity: options.verbose,
        limit: None,
        tags: options.files.tags.clone(),
        skip_tags: options.files.skip_tags.clone(),
        r#become: options.r#become || flag(ansible_cfg::BECOME),
        become_user: options
            .become_user
            .clone()
            .or_else(|| text(ansible_cfg::BECOME_USER)),
        become_method: options
            .become_method
            .clone()
            .or_else(|| text(ansible_cfg::BECOME_METHOD)),
        become_password,
        remote_user: options
            .remote_user
            .clone()
            .or_else(|| text(ansible_cfg::REMOTE_USER)),
        private_key_file: options.private_key.clone().or_else(|| {
            let paths = configured.paths(ansible_cfg::PRIVATE_KEY_FILE, &[]);
            let path = paths.into_iter().flatten().next()?;
            Some(path.display().to_string())
        }),
        ssh_common_args: Some(of_ssh.trim().to_owned()).filter(|text| !text.is_empty()),
        connection: options
            .connection
            .clone()
            .or_else(|| text(ansible_cfg::TRANSPORT)),
        connection_password,
        guards: match (options.files.program, options.allow_destroy) {
            (Program::AnsiblePlaybook, _) => Guards::Off,
            (Program::Krun, true) => Guards::Allow,
            (Program::Krun, false) => Guards::Hold,
        },
        force_handlers: options.force_handlers || flag(ansible_cfg::FORCE_HANDLERS),
        gathers_only_when_told: configured.text(ansible_cfg::GATHERING) == Some("explicit"),
        inventory_sources: options.files.inventory.clone(),
        environment: machine.environment.clone(),
        hostname: hostname(),
        state_dir: machine.cwd.join(".krun"),
        command,
    })
}

fn hostname() -> String {
    let name = nix::unistd::gethostname();
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Hosts to connect to at once where nothing else is said.
const FORKS: usize = 50;

fn forks(options: &RunOptions, machine: &Machine) -> usize {
    let configured = || machine.configuration.number(ansible_cfg::FORKS);
    options.forks.or_else(configured).unwrap_or(FORKS)
}

/// Identifies a run: the time and the process.
pub(super) fn run_id() -> String {
    format!(
        "{}-{}",
        jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
        std::process::id()
    )
}

/// The settings of a run, and what its errand asks of it.
pub(super) fn of_errand(
    errand: &Errand,
    options: &RunOptions,
    machine: &Machine,
    command: &[String],
) -> std::io::Result<Settings> {
    let again = match &errand.goes_back {
        Some(goes_back) => goes_back.again.clone(),
        None => super::record::goes_on_with(options, command),
    };
    let mut settings = settings(options, machine, again)?;
    settings.salt.clone_from(&errand.salt);
    settings.ask = std::io::stdin()
        .is_terminal()
        .then_some(Ask(super::prompt::line));
    if let Some(imagined) = &errand.imagined {
        settings.is_imagined = true;
        settings.review_salt.clone_from(&imagined.salt);
        settings.state_dir.clone_from(&imagined.directory);
    }
    Ok(settings)
}

/// What transport needs to know of this machine.
pub(super) fn transport_options(
    options: &RunOptions,
    machine: &Machine,
    run: &str,
) -> std::io::Result<transport::Options> {
    let since = jiff::Zoned::now().strftime("%H:%M").to_string();
    let mut transport = transport::Options::new(std::env::current_exe()?, machine.home.clone());
    transport.controller = format!(
        "{}, process {}, since {since}",
        machine.who(),
        std::process::id()
    );
    run.clone_into(&mut transport.run);
    transport.check_mode = options.check;
    // Without their directories, which may be others on another machine.
    let names = options.playbooks.iter().filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    transport.playbooks = names.join("\n");
    machine.user().clone_into(&mut transport.user);
    transport.ssh_auth_sock = machine.variable("SSH_AUTH_SOCK").map(PathBuf::from);
    transport.cache = Some(machine.cache());
    let configured = &machine.configuration;
    if let Some(seconds) = options
        .timeout
        .or_else(|| configured.number(ansible_cfg::TIMEOUT))
    {
        transport.connect_timeout = Duration::from_secs(seconds);
    }
    if let Some(checks) = configured.flag(ansible_cfg::HOST_KEY_CHECKING) {
        transport.host_key_checking = checks;
    }
    Ok(transport)
}

/// Serves as the agent of a host.
pub(super) fn serve_agent(args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let words: Vec<String> = args
        .iter()
        .skip(2)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    agent::main(
        &words,
        Some(&machine.home),
        std::env::current_exe().unwrap_or_default(),
    )
}
