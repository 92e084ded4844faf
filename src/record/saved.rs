//! Turns a plan into one file that can be reviewed and applied, and back: refused where it was cut, altered, or is another version's.

use super::{Error, Input};
use crate::event::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The form of the file; raised with every change.
const FORMAT: u32 = 1;
/// How its first line begins.
const MARK: &str = "krun-plan";

/// A plan as it was reviewed. It holds no secret: what masks cover is in it as a hash only.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedPlan {
    /// The options and playbooks of the plan, as they are typed; secrets of `-e` are left out.
    pub args: Vec<String>,
    /// The options that were left out, with `***` for what they hold.
    pub left_out: Vec<String>,
    /// Where it was made.
    pub directory: std::path::PathBuf,
    /// `user@machine`.
    pub who: String,
    /// Makes its hashes its own.
    pub salt: String,
    /// A slow hash of the extra variables.
    pub extra: String,
    /// Every file that it read, and what it was then.
    pub inputs: Vec<Input>,
    pub events: Vec<Event>,
}

impl SavedPlan {
    /// Writes the file, readable by its owner only.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let unwritable = |error| Error::PlanUnwritable {
            path: path.to_owned(),
            error,
        };
        let body = serde_json::to_vec(self).map_err(|error| unwritable(error.into()))?;
        let head = format!(
            "{MARK} {FORMAT} {} {}\n",
            env!("CARGO_PKG_VERSION"),
            hash(&body)
        );
        let partial = path.with_extension("partial");
        let write = || {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all(head.as_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            std::fs::rename(&partial, path)
        };
        write().map_err(unwritable)
    }

    /// Reads the file, if it is whole and this version's.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |reason: &str| Error::PlanRefused {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let bytes =
            std::fs::read(path).map_err(|error| refused(&format!("it cannot be read: {error}")))?;
        let line = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..line]);
        let mut words = head.split(' ');
        if words.next() != Some(MARK) {
            return Err(refused(
                "it is no saved plan: `krun plan -o FILE` makes one",
            ));
        }
        let (format, version, wanted) = (words.next(), words.next(), words.next());
        if format != Some(&FORMAT.to_string()) || version != Some(env!("CARGO_PKG_VERSION")) {
            return Err(refused(&format!(
                "it was made by krun {} (form {}), and this is {} (form {FORMAT}): plan again",
                version.unwrap_or("?"),
                format.unwrap_or("?"),
                env!("CARGO_PKG_VERSION"),
            )));
        }
        let body = bytes.get(line + 1..).unwrap_or_default();
        if wanted != Some(&hash(body)) {
            return Err(refused(
                "it was cut or altered after it was made: plan again",
            ));
        }
        serde_json::from_slice(body)
            .map_err(|error| refused(&format!("it cannot be read: {error}")))
    }

    /// Whether a file begins as a saved plan does.
    pub fn is_one(path: &Path) -> bool {
        use std::io::Read;
        let mut start = [0; MARK.len()];
        std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok_and(|()| start == *MARK.as_bytes())
    }
}

fn hash(body: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SavedPlan {
        SavedPlan {
            args: vec!["play.yml".into()],
            left_out: Vec::new(),
            directory: "/x".into(),
            who: "a@b".into(),
            salt: "s".into(),
            extra: String::new(),
            inputs: Vec::new(),
            events: Vec::new(),
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.plan");
        plan().write(&path).unwrap();
        assert_eq!(SavedPlan::read(&path).unwrap().args, ["play.yml"]);
        assert!(SavedPlan::is_one(&path));
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_was_cut_altered_or_is_another_version_s_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.plan");
        plan().write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let refusals: Vec<String> = [
            text[..text.len() - 5].to_owned(),
            text.replace("play.yml", "evil.yml"),
            text.replacen("krun-plan 1", "krun-plan 2", 1),
            text.replacen(env!("CARGO_PKG_VERSION"), "9.9.9", 1),
            "- hosts: all\n".to_owned(),
            String::new(),
        ]
        .iter()
        .map(|text| {
            std::fs::write(&path, text).unwrap();
            let said = SavedPlan::read(&path).unwrap_err().to_string();
            said.replace(&path.display().to_string(), "FILE")
                .replace(env!("CARGO_PKG_VERSION"), "VERSION")
        })
        .collect();
        insta::assert_snapshot!(refusals.join("\n"), @r"
        `FILE` cannot be used: it was cut or altered after it was made: plan again
        `FILE` cannot be used: it was cut or altered after it was made: plan again
        `FILE` cannot be used: it was made by krun VERSION (form 2), and this is VERSION (form 1): plan again
        `FILE` cannot be used: it was made by krun 9.9.9 (form 1), and this is VERSION (form 1): plan again
        `FILE` cannot be used: it is no saved plan: `krun plan -o FILE` makes one
        `FILE` cannot be used: it is no saved plan: `krun plan -o FILE` makes one
        ");
    }
}
