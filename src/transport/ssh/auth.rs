//! Logs in: with keys from files, from ssh-agent, or with a password; says what was tried where none will do.

use super::client::Client;
use super::settings::Settings;
use crate::transport::Error;
use crate::transport::error::chain;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, load_openssh_certificate,
    load_public_key, load_secret_key,
};
use russh::{MethodKind, MethodSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

type Agent = AgentClient<UnixStream>;

/// Logs in to the host of `settings`. `with_password` is `false` where its key could not be trusted.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    settings: &Settings,
    with_password: bool,
) -> Result<(), Error> {
    let mut login = Login {
        handle,
        settings,
        tried: Vec::new(),
        offered: None,
        agent: None,
        agent_keys: Vec::new(),
        refused: Vec::new(),
    };
    if login.run(with_password).await? {
        return Ok(());
    }
    if login.offered.is_none() {
        // Only to be able to say what would be accepted: never on the way of a login that works.
        if let Ok(AuthResult::Failure {
            remaining_methods, ..
        }) = login.handle.authenticate_none(&settings.user).await
        {
            login.offered = Some(remaining_methods);
        }
    }
    let offered = login.offered.iter().flat_map(|it| it.iter());
    Err(Error::Auth {
        user: settings.user.clone(),
        address: settings.address(),
        offered: offered.map(|it| <&str>::from(it).to_owned()).collect(),
        tried: login.tried,
    })
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    settings: &'a Settings,
    tried: Vec<String>,
    /// What the host said it would accept, at the last failure.
    offered: Option<MethodSet>,
    agent: Option<Agent>,
    agent_keys: Vec<PublicKey>,
    /// Keys that the host would not have, so that none is offered twice.
    refused: Vec<PublicKey>,
}

impl Login<'_> {
    async fn run(&mut self, with_password: bool) -> Result<bool, Error> {
        let settings = self.settings;
        let password = settings.password.as_ref().filter(|_| with_password);
        // A password without a named key is meant: trying the usual keys first would cost round trips.
        if settings.identities.is_empty()
            && let Some(password) = password
            && self.with_password(password.reveal()).await?
        {
            return Ok(true);
        }
        for file in &settings.identities {
            if self.with_file(file, true).await? {
                return Ok(true);
            }
        }
        if !settings.identities_only && self.with_agent().await? {
            return Ok(true);
        }
        if settings.identities.is_empty() {
            for file in settings.usual_identities.iter().filter(|it| it.exists()) {
                if self.with_file(file, false).await? {
                    return Ok(true);
                }
            }
        }
        match password {
            Some(password) if !settings.identities.is_empty() => {
                self.with_password(password.reveal()).await
            }
            _ => Ok(false),
        }
    }

    fn may_try(&self, method: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|it| it.contains(&method))
    }

    fn protocol(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        Error::Protocol {
            address: self.settings.address(),
            causes: chain(error),
        }
    }

    /// Takes an answer; `true` when logged in.
    fn took(&mut self, what: String, result: AuthResult) -> Result<bool, Error> {
        match result {
            AuthResult::Success => Ok(true),
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                if self.handle.is_closed() {
                    return Err(Error::Auth {
                        user: self.settings.user.clone(),
                        address: self.settings.address(),
                        tried: [self.tried.as_slice(), &[what, "the host hung up".into()]].concat(),
                        offered: Vec::new(),
                    });
                }
                let outcome = if partial_success {
                    "not enough alone"
                } else {
                    "refused"
                };
                self.tried.push(format!("{what}: {outcome}"));
                self.offered = Some(remaining_methods);
                Ok(false)
            }
        }
    }

    async fn rsa_hash(&self, algorithm: &Algorithm) -> Result<Option<HashAlg>, Error> {
        if !algorithm.clone().is_rsa() {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| self.protocol(&error))?;
        // A host that says nothing of hashes most likely knows the good ones.
        Ok(best.unwrap_or(Some(HashAlg::Sha256)))
    }

    async fn with_file(&mut self, file: &Path, named: bool) -> Result<bool, Error> {
        let shown = format!("key {}", file.display());
        if !self.may_try(MethodKind::PublicKey) {
            return Ok(false);
        }
        let key = match load_secret_key(file, None) {
            Ok(key) => Arc::new(key),
            Err(russh::keys::Error::KeyIsEncrypted) => return self.with_locked(file, shown).await,
            Err(russh::keys::Error::IO(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                // A public key alone stands for one that ssh-agent holds.
                if let Ok(public) = load_public_key(with_suffix(file, ".pub")) {
                    return self.with_agent_key(&public, shown).await;
                }
                if named {
                    self.tried.push(format!("{shown}: no such file"));
                }
                return Ok(false);
            }
            Err(error) => {
                self.tried.push(format!("{shown}: {error}"));
                return Ok(false);
            }
        };
        if self
            .refused
            .iter()
            .any(|it| it.key_data() == key.public_key().key_data())
        {
            return Ok(false);
        }
        if self.with_certificate(file, &key).await? {
            return Ok(true);
        }
        self.with_key(key, shown).await
    }

    async fn with_key(&mut self, key: Arc<PrivateKey>, shown: String) -> Result<bool, Error> {
        let hash = self.rsa_hash(&key.algorithm()).await?;
        self.refused.push(key.public_key().clone());
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self
            .handle
            .authenticate_publickey(&self.settings.user, key)
            .await;
        let result = result.map_err(|error| self.protocol(&error))?;
        self.took(shown, result)
    }

    async fn with_certificate(
        &mut self,
        file: &Path,
        key: &Arc<PrivateKey>,
    ) -> Result<bool, Error> {
        let place = with_suffix(file, "-cert.pub");
        let Ok(certificate) = load_openssh_certificate(&place) else {
            return Ok(false);
        };
        let user = &self.settings.user;
        let result = self
            .handle
            .authenticate_openssh_cert(user, Arc::clone(key), certificate)
            .await;
        let result = result.map_err(|error| self.protocol(&error))?;
        self.took(format!("certificate {}", place.display()), result)
    }

    /// An encrypted key serves only if ssh-agent has it open.
    async fn with_locked(&mut self, file: &Path, shown: String) -> Result<bool, Error> {
        self.open_agent().await;
        let text = std::fs::read_to_string(file).unwrap_or_default();
        // In OpenSSH's own format the public half is not encrypted.
        let public = PrivateKey::from_openssh(&text)
            .map(|key| key.public_key().clone())
            .or_else(|_| load_public_key(with_suffix(file, ".pub")));
        if let Ok(public) = public
            && self
                .agent_keys
                .iter()
                .any(|it| it.key_data() == public.key_data())
        {
            return self.with_agent_key(&public, shown).await;
        }
        self.tried.push(format!(
            "{shown}: is encrypted, and ssh-agent does not hold it (`ssh-add {}`)",
            file.display()
        ));
        Ok(false)
    }

    async fn open_agent(&mut self) {
        if self.agent.is_some() {
            return;
        }
        let Some(socket) = &self.settings.agent else {
            return;
        };
        let opened = async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            let keys = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, keys))
        };
        match opened.await {
            Ok((agent, keys)) => {
                self.agent = Some(agent);
                let plain = keys.into_iter().filter_map(|it| match it {
                    AgentIdentity::PublicKey { key, .. } => Some(key),
                    AgentIdentity::Certificate { .. } => None,
                });
                self.agent_keys = plain.collect();
            }
            Err(error) => self
                .tried
                .push(format!("ssh-agent at {}: {error}", socket.display())),
        }
    }

    async fn with_agent(&mut self) -> Result<bool, Error> {
        self.open_agent().await;
        for key in self.agent_keys.clone() {
            if !self.may_try(MethodKind::PublicKey) {
                return Ok(false);
            }
            let shown = format!("ssh-agent's key {}", super::known_hosts::fingerprint(&key));
            if self.with_agent_key(&key, shown).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn with_agent_key(&mut self, key: &PublicKey, shown: String) -> Result<bool, Error> {
        self.open_agent().await;
        if self
            .refused
            .iter()
            .any(|it| it.key_data() == key.key_data())
        {
            return Ok(false);
        }
        let hash = self.rsa_hash(&key.algorithm()).await?;
        let Some(agent) = &mut self.agent else {
            self.tried.push(format!("{shown}: no ssh-agent"));
            return Ok(false);
        };
        self.refused.push(key.clone());
        let user = &self.settings.user;
        let result = self
            .handle
            .authenticate_publickey_with(user, key.clone(), hash, agent)
            .await;
        match result {
            Ok(result) => self.took(shown, result),
            Err(error) => {
                self.tried.push(format!("{shown}: {error}"));
                Ok(false)
            }
        }
    }

    async fn with_password(&mut self, password: &str) -> Result<bool, Error> {
        let user = &self.settings.user;
        if self.may_try(MethodKind::Password) {
            let result = self.handle.authenticate_password(user, password).await;
            let result = result.map_err(|error| self.protocol(&error))?;
            if self.took("the password".into(), result)? {
                return Ok(true);
            }
        }
        if !self.may_try(MethodKind::KeyboardInteractive) {
            return Ok(false);
        }
        let mut answer = self
            .handle
            .authenticate_keyboard_interactive_start(user, None)
            .await;
        // Once with the password, and further rounds (a message, a second question) with nothing.
        let mut given = false;
        loop {
            match answer.map_err(|error| self.protocol(&error))? {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods, ..
                } => {
                    self.tried
                        .push("the password, asked for interactively: refused".into());
                    self.offered = Some(remaining_methods);
                    return Ok(false);
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    if given && !prompts.is_empty() {
                        let asked: Vec<_> = prompts.iter().map(|it| it.prompt.trim()).collect();
                        self.tried
                            .push(format!("the host asks `{}`", asked.join(" ")));
                        return Ok(false);
                    }
                    given |= !prompts.is_empty();
                    let replies = prompts.iter().map(|_| password.to_owned()).collect();
                    answer = self
                        .handle
                        .authenticate_keyboard_interactive_respond(replies)
                        .await;
                }
            }
        }
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
