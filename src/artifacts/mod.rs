//! Turns the URLs that playbooks fetch into where their bytes come from: a mirror, the controller's cache, the lock.

mod cache;
mod lock;

pub use cache::{Error, Held};
pub use lock::{Base, Lock, LockError};

use crate::sys::http::{Locked, Origin, Place, bare, server};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Who downloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Via {
    /// Each host by itself.
    #[default]
    Host,
    /// The controller, once; the hosts get the bytes over their own connection.
    Controller,
}

/// How what playbooks fetch is fetched.
#[derive(Debug, Clone, Default)]
pub struct Fetching {
    pub via: Via,
    /// Prefixes of URLs, and what stands in their place: another URL, or a directory of the controller (an absolute
    /// path). The longest that fits counts.
    pub mirrors: Vec<(String, String)>,
    /// The only bytes that are right; a URL that it does not have is an error.
    pub lock: Option<Lock>,
    /// Where downloads of this machine are kept.
    pub cache: PathBuf,
    /// Whether what the cache has of a URL is taken without asking its server.
    pub trusts_cache: bool,
    /// Names of servers that the hosts reach by themselves, whatever `via` says.
    pub reached: Vec<String>,
    /// What this process has fetched or looked at, by URL.
    held: Arc<Mutex<HashMap<String, Slot>>>,
}

/// One URL: whoever comes second waits for the first, and finds it there.
type Slot = Arc<Mutex<Option<Held>>>;

/// A URL that `krun.lock` does not have.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is not in krun.lock; `krun lock` with the same inventory and playbook adds it")]
pub struct NotLocked {
    pub url: String,
}

impl Fetching {
    /// Every host by itself, and a cache on this machine for what it may have to fetch.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            ..Self::default()
        }
    }

    /// Where the bytes of each URL come from; nothing of one that its host just asks for.
    pub fn origins(&self, urls: &[String]) -> Result<Vec<Origin>, NotLocked> {
        let origins = urls.iter().map(|url| self.origin(url));
        origins.filter_map(Result::transpose).collect()
    }

    fn origin(&self, url: &str) -> Result<Option<Origin>, NotLocked> {
        let locked = self.locked(url)?;
        let mirrored = self.mirrored(url);
        let is_reached = self.reached.iter().any(|name| *name == server(url));
        let is_sent = (self.via == Via::Controller && !is_reached) || is_path(&mirrored);
        let place = if is_sent {
            Place::Controller
        } else {
            Place::Url(mirrored)
        };
        let is_plain = locked.is_none() && place == Place::Url(url.to_owned());
        Ok((!is_plain).then(|| Origin {
            url: url.to_owned(),
            place,
            locked,
        }))
    }

    fn locked(&self, url: &str) -> Result<Option<Locked>, NotLocked> {
        let Some(lock) = &self.lock else {
            return Ok(None);
        };
        let found = lock.find(url).cloned();
        found.map(Some).ok_or_else(|| NotLocked { url: bare(url) })
    }

    /// The URL as its mirror has it.
    pub fn mirrored(&self, url: &str) -> String {
        let fits = self
            .mirrors
            .iter()
            .filter(|(prefix, _)| url.starts_with(prefix));
        match fits.max_by_key(|(prefix, _)| prefix.len()) {
            Some((prefix, mirror)) => format!("{mirror}{}", &url[prefix.len()..]),
            None => url.to_owned(),
        }
    }
}

/// Whether a mirror's answer is a file of the controller.
fn is_path(mirrored: &str) -> bool {
    mirrored.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKA: &str = "https://archive.apache.org/dist/kafka/2.6.0/kafka_2.12-2.6.0.tgz";

    fn urls() -> Vec<String> {
        vec![KAFKA.to_owned()]
    }

    #[test]
    fn nothing_is_said_of_a_url_that_its_host_just_asks_for() {
        assert_eq!(Fetching::default().origins(&urls()).unwrap(), []);
    }

    #[test]
    fn longest_prefix_that_fits_decides_on_the_mirror() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let fetching = Fetching {
            mirrors: vec![
                pair(
                    "https://archive.apache.org/",
                    "http://mirror.intern/apache/",
                ),
                pair(
                    "https://archive.apache.org/dist/kafka/",
                    "http://kafka.intern/",
                ),
            ],
            ..Fetching::default()
        };
        assert_eq!(
            fetching.mirrored(KAFKA),
            "http://kafka.intern/2.6.0/kafka_2.12-2.6.0.tgz"
        );
        assert_eq!(
            fetching.mirrored("https://archive.apache.org/x"),
            "http://mirror.intern/apache/x"
        );
        assert_eq!(
            fetching.mirrored("https://else.example/x"),
            "https://else.example/x"
        );
    }

    #[test]
    fn controller_downloads_but_for_servers_that_the_hosts_reach() {
        let mut fetching = Fetching {
            via: Via::Controller,
            ..Fetching::default()
        };
        assert_eq!(
            fetching.origins(&urls()).unwrap()[0].place,
            Place::Controller
        );
        fetching.reached = vec!["archive.apache.org".to_owned()];
        assert_eq!(fetching.origins(&urls()).unwrap(), []);
    }

    #[test]
    fn mirror_that_is_a_directory_is_the_controllers() {
        let fetching = Fetching {
            mirrors: vec![(
                "https://archive.apache.org/".to_owned(),
                "/srv/apache/".to_owned(),
            )],
            ..Fetching::default()
        };
        assert_eq!(
            fetching.origins(&urls()).unwrap()[0].place,
            Place::Controller
        );
    }

    #[test]
    fn url_that_the_lock_does_not_have_is_an_error() {
        let fetching = Fetching {
            lock: Some(Lock::default()),
            ..Fetching::default()
        };
        insta::assert_snapshot!(
            fetching.origins(&urls()).unwrap_err(),
            @"`https://archive.apache.org/dist/kafka/2.6.0/kafka_2.12-2.6.0.tgz` is not in krun.lock; `krun lock` with the same inventory and playbook adds it"
        );
    }
}
