//! Turns the name of a host into a link to an agent that runs there: over ssh, in a container, or on this machine.
//!
//! The rest of krun does not know which of them it is.

mod binary;
mod bootstrap;
mod confined;
mod error;
mod link;
mod local;
mod resolve;
mod ssh;
mod stream;

pub use confined::Confined;
pub use error::Error;
pub use link::Link;

use crate::inventory::connection::{Connection, Kind};
use crate::proto::{Heartbeat, ToAgent};
use crate::value::HostName;
use binary::Binary;
use local::Container;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;
use tokio::sync::{OnceCell, mpsc};

/// What a transport must know besides the host.
pub struct Options {
    /// The agent: the running krun itself. Agents for other machines lie beside it, as `krun-aarch64`.
    pub agent_binary: PathBuf,
    /// For connecting and logging in, where nothing else says a time.
    pub connect_timeout: Duration,
    /// Who drives: `user@machine, process 4711, since 03:12`. Named to a second controller.
    pub controller: String,
    /// The run's identity.
    pub run: String,
    /// The whole run is in check mode: agents keep an overlay of their host.
    pub check_mode: bool,
    /// The playbooks' file names: whose kept handlers hosts are asked for.
    pub playbooks: String,
    /// Who runs krun: the login name where nothing else says one.
    pub user: String,
    /// The user's home on this machine.
    pub home: PathBuf,
    /// Instead of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    pub ssh_config: Option<PathBuf>,
    pub ssh_auth_sock: Option<PathBuf>,
    /// Where what is computed from the agent's binary is kept between runs.
    pub cache: Option<PathBuf>,
    /// `host_key_checking` of the configuration; a host's own variable wins.
    pub host_key_checking: bool,
    /// A rehearsal's: nothing outside this lab is ever connected to.
    pub confined: Option<Confined>,
    /// No host is contacted: for each, an agent of this machine stands in that keeps it in a directory below this one.
    pub imagined: Option<PathBuf>,
    binary: OnceCell<Arc<Binary>>,
}

impl Options {
    /// Returns options with a connection time of 10 s, ssh's usual files, and no names yet.
    pub fn new(agent_binary: PathBuf, home: PathBuf) -> Self {
        Self {
            agent_binary,
            connect_timeout: Duration::from_secs(10),
            controller: String::new(),
            check_mode: false,
            run: String::new(),
            playbooks: String::new(),
            user: String::from("root"),
            home,
            ssh_config: None,
            ssh_auth_sock: None,
            cache: None,
            host_key_checking: true,
            confined: None,
            imagined: None,
            binary: OnceCell::new(),
        }
    }

    /// Returns the agent's binary, read once a run.
    async fn binary(&self) -> Result<Arc<Binary>, Error> {
        let read = || async {
            let (path, cache) = (self.agent_binary.clone(), self.cache.clone());
            let read = move || Binary::read(&path, cache.as_deref());
            match tokio::task::spawn_blocking(read).await {
                Ok(binary) => binary.map(Arc::new),
                Err(error) => Err(Error::Binary {
                    causes: vec![error.to_string()],
                }),
            }
        };
        self.binary.get_or_try_init(read).await.cloned()
    }
}

/// Connects to a host and starts its agent. `host` is the name in the inventory.
pub async fn connect(
    host: &HostName,
    connection: &Connection,
    options: &Arc<Options>,
) -> Result<Link, Error> {
    let (_, mut nothing) = mpsc::unbounded_channel();
    connect_sending(host, connection, options, &mut nothing).await
}

/// Connects as [`connect`] does, and takes along what waits in `first` by the time the host has let us in: a round trip less.
///
/// What comes into `first` later is left there.
pub async fn connect_sending(
    host: &HostName,
    connection: &Connection,
    options: &Arc<Options>,
    first: &mut mpsc::UnboundedReceiver<ToAgent>,
) -> Result<Link, Error> {
    if options.imagined.is_some() {
        return local::start(host, options, first).await;
    }
    let inside = match &options.confined {
        Some(confined) => Some(confined.reach(host, connection)?),
        None => None,
    };
    let connection = inside.as_ref().unwrap_or(connection);
    let container = |engine| {
        Shell::Container(Container {
            engine,
            name: connection.host.clone(),
            user: connection.user.clone(),
        })
    };
    let shell = match connection.kind {
        Kind::Local => return local::start(host, options, first).await,
        Kind::Docker => container("docker"),
        Kind::Podman => container("podman"),
        Kind::Ssh => {
            // The hash is computed while the connection is made.
            let (session, _) =
                tokio::join!(ssh::Session::open(connection, options), options.binary());
            Shell::Ssh(session?)
        }
    };
    let mut link = bootstrap::start(host, &shell, options, first).await?;
    if let Shell::Ssh(session) = shell {
        link.warnings = session.warnings();
    }
    Ok(link)
}

/// Where a line for `sh` can be started.
enum Shell {
    Ssh(ssh::Session),
    Container(Container),
}

impl Shell {
    /// ssh's keepalives may be set, and switched off; a container's engine may be on another machine, too.
    fn heartbeat(&self) -> Option<Heartbeat> {
        match self {
            Self::Ssh(session) => session.heartbeat(),
            Self::Container(_) => Some(Heartbeat::default()),
        }
    }

    async fn exec(&self, line: &str) -> Result<Stream, Error> {
        match self {
            Self::Ssh(session) => session.exec(line).await,
            Self::Container(container) => container.exec(line),
        }
    }
}
