//! The variables and files that a template can reach: what the runner offers, as traits.

use crate::value::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a name means, before templating.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// From a file of the user's: strings in it are templates, rendered on use, at every depth.
    Lazy(Value),
    /// From a host or already rendered (facts, registered results, `set_fact`): never templated again.
    Plain(Value),
    /// Will be known when a task now under way has ended. Rendering stops with `ErrorKind::Pending`.
    Pending,
    /// Nobody can say in check mode, for this reason. Rendering stops with `ErrorKind::Unknown`.
    Unknown(String),
}

/// The variables that a host sees at one task. Called on each look-up.
pub trait Scope: Send + Sync {
    fn lookup(&self, name: &str) -> Option<Raw>;
    /// All names, for `vars` and the lookup `varnames`.
    fn names(&self) -> Vec<String>;
    /// Hears what a variable's templates came to: it may be a secret.
    fn rendered(&self, name: &str, text: &str) {
        let _ = (name, text);
    }
    /// What `hostvars[host]` sees; `None` for a host that the inventory does not have.
    fn hostvars(&self, host: &str) -> Option<Arc<dyn Scope>>;
    /// The hosts of the inventory, in its order.
    fn hosts(&self) -> Vec<String>;
    fn files(&self) -> Arc<dyn Files>;
    /// Whether a text that is made for a host shows `<name>` where nobody can say a value; conditions stay unknown.
    fn names_unknown(&self) -> bool {
        false
    }
}

/// Reads outside, for lookups, file tests and template includes; the runner implements it.
pub trait Files: Send + Sync {
    /// Finds a file in the places that Ansible searches. `kind` is `files`, `templates`, `vars` or empty.
    /// The error lists the paths that were searched, one a line.
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String>;
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Why nobody can say in check mode what a file holds, or what is beneath a directory.
    fn why_unknown(&self, path: &Path) -> Option<String> {
        let _ = path;
        None
    }
    /// Whether that is so of the path itself, not only of what is beneath it.
    fn is_open(&self, path: &Path) -> bool {
        let _ = path;
        false
    }
    /// An environment variable of the controller.
    fn env(&self, name: &str) -> Option<String>;
    /// Runs `command` in a shell on the controller and returns what it printed.
    fn pipe(&self, command: &str) -> Result<String, String>;
    /// Answers the tests on paths of the controller: `what` is `exists`, `lexists`, `file`, `directory`, `link` or `mount`.
    fn path_is(&self, path: &Path, what: &str) -> bool {
        let _ = (path, what);
        false
    }
    /// The plain files that match, sorted.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;
    /// Writes a file that the lookup `password` made, readable by its owner only.
    fn write_private(&self, path: &Path, content: &str) -> std::io::Result<()> {
        let _ = content;
        Err(std::io::Error::other(format!(
            "cannot write {}",
            path.display()
        )))
    }
    /// The body behind `url`.
    fn url(&self, url: &str) -> Result<String, String> {
        Err(format!("cannot fetch {url}"))
    }
    /// The value of one of Ansible's settings, for the lookup `config`.
    fn config(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }
    /// The hosts that an inventory pattern means, for the lookup `inventory_hostnames`.
    fn hosts_matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        Err(format!("cannot resolve the host pattern {pattern}"))
    }
}
