//! Turns the name of a git revision into a directory that holds its files, without a trace in the repository.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two revisions: `BASE..HEAD`, or `BASE` against the working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub base: String,
    /// `None`: the files as they lie there.
    pub head: Option<String>,
}

/// Why a revision cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is in no git repository")]
    NoRepository(PathBuf),
    #[error("there is no revision `{0}`")]
    NoRevision(String),
    #[error("git {what} failed: {said}")]
    Git { what: String, said: String },
    #[error("git cannot be started: {0}")]
    NoGit(#[from] std::io::Error),
}

impl Range {
    /// Reads `BASE..HEAD`, `BASE...HEAD` (what HEAD brought since they parted), `BASE..` and `BASE`.
    pub fn parse(text: &str, repository: &Repository) -> Result<Self, Error> {
        let head = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        if let Some((base, end)) = text.split_once("...") {
            let with = if end.is_empty() { "HEAD" } else { end };
            repository.resolve(base)?;
            repository.resolve(with)?;
            let parted = repository.git(&["merge-base", base, with])?;
            return Ok(Self {
                base: parted.trim().chars().take(12).collect(),
                head: head(end),
            });
        }
        let (base, end) = text.split_once("..").unwrap_or((text, ""));
        Ok(Self {
            base: head(base).unwrap_or_else(|| "HEAD".into()),
            head: head(end),
        })
    }
}

/// A repository, and where in it krun was started.
#[derive(Debug)]
pub struct Repository {
    /// Its topmost directory.
    pub top: PathBuf,
    /// The working directory below it.
    pub below: PathBuf,
}

impl Repository {
    /// Finds the repository that a directory is in.
    pub fn of(directory: &Path) -> Result<Self, Error> {
        let found = output(directory, &["rev-parse", "--show-toplevel"], None)?;
        let none = || Error::NoRepository(directory.to_path_buf());
        let top = PathBuf::from(found.map_err(|_| none())?.trim());
        let real = directory.canonicalize()?;
        let below = real.strip_prefix(top.canonicalize()?).map_err(|_| none())?;
        Ok(Self {
            below: below.to_path_buf(),
            top,
        })
    }

    /// Returns the full hash of a revision.
    pub fn resolve(&self, revision: &str) -> Result<String, Error> {
        let wanted = format!("{revision}^{{commit}}");
        let words = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ];
        match output(&self.top, &words, None)? {
            Ok(hash) => Ok(hash.trim().to_owned()),
            Err(_) => Err(Error::NoRevision(revision.to_owned())),
        }
    }

    /// Writes the files of a revision into a directory. The index and the working tree stay as they are.
    pub fn check_out(&self, revision: &str, into: &Path) -> Result<(), Error> {
        let hash = self.resolve(revision)?;
        let index = into.with_extension("index");
        let said = |what: &str, result: Result<String, String>| {
            result.map(drop).map_err(|said| Error::Git {
                what: what.to_owned(),
                said,
            })
        };
        let read = output(&self.top, &["read-tree", &hash], Some(&index))?;
        said("read-tree", read)?;
        let mut prefix = OsStr::new("--prefix=").to_owned();
        prefix.push(into);
        prefix.push("/");
        let prefix = prefix.to_string_lossy().into_owned();
        let out = output(
            &self.top,
            &["checkout-index", "--all", "--force", &prefix],
            Some(&index),
        )?;
        let _ = std::fs::remove_file(&index);
        said("checkout-index", out)
    }

    fn git(&self, words: &[&str]) -> Result<String, Error> {
        output(&self.top, words, None)?.map_err(|said| Error::Git {
            what: words.join(" "),
            said,
        })
    }
}

/// What git prints, or what it says of its failure.
fn output(
    directory: &Path,
    words: &[&str],
    index: Option<&Path>,
) -> Result<Result<String, String>, Error> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(directory)
        .arg("--no-optional-locks")
        .args(words)
        .stdin(Stdio::null());
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ok(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    })
}
