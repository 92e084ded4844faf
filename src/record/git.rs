//! Reads from which revision of a git repository a playbook was run, and whether its files were as committed.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};

/// A repository as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The full hash; `None` before the first commit.
    pub revision: Option<String>,
    pub branch: Option<String>,
    /// A file that git knows was changed and not committed.
    pub dirty: bool,
}

impl Git {
    /// Asks git about a directory; `None` where it is in no repository, or there is no git.
    pub fn of(dir: &Path) -> Option<Self> {
        let output = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args(["--no-optional-locks", "status", "--porcelain=v2"])
            .args(["--branch", "--untracked-files=no"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let header = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found
                .filter(|value| !value.starts_with('('))
                .map(str::to_owned)
        };
        Self {
            revision: header("# branch.oid "),
            branch: header("# branch.head "),
            dirty: text.lines().any(|line| !line.starts_with('#')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_makes_it_dirty() {
        let clean = "# branch.oid 1f2e\n# branch.head main\n";
        let git = Git::parse(clean);
        assert_eq!(git.revision.as_deref(), Some("1f2e"));
        assert_eq!(git.branch.as_deref(), Some("main"));
        assert!(!git.dirty);
        let dirty = format!("{clean}1 .M N... 100644 100644 100644 aa aa site.yml\n");
        assert!(Git::parse(&dirty).dirty);
    }

    #[test]
    fn neither_a_branch_nor_a_revision_is_made_up() {
        let git = Git::parse("# branch.oid (initial)\n# branch.head (detached)\n");
        assert_eq!((git.revision, git.branch), (None, None));
    }
}
