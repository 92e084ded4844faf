//! `script`: turns a file of the controller into a run of it on the host.

use super::args::{Arg, ArgKind};
use super::command::{Frame, Streams};
use super::{Error, Found, Module, Nature, Outcome, words};
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use crate::sys::process::Command;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Script {
    #[serde(flatten)]
    frame: Frame,
    #[serde(default)]
    executable: Option<String>,
    #[serde(default)]
    decrypt: Option<bool>,
    /// The file's bytes, put in by the controller.
    #[serde(default, rename = "_content", with = "serde_bytes")]
    content: Vec<u8>,
}

impl Module for Script {
    const NAME: &'static str = "script";
    const NATURE: Nature = Nature::Action;
    const LEAVES_UNKNOWN: bool = true;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "cmd",
            ArgKind::Str,
            "path of the script on the controller, and its arguments",
        ),
        Arg::new(
            "chdir",
            ArgKind::Path,
            "directory on the host in which to run it",
        ),
        Arg::new(
            "creates",
            ArgKind::Path,
            "a path or pattern; if it exists, the script does not run",
        ),
        Arg::new(
            "removes",
            ArgKind::Path,
            "a path or pattern; if it does not exist, the script does not run",
        ),
        Arg::new(
            "executable",
            ArgKind::Str,
            "what runs it (default: what its first line says, else /bin/sh)",
        ),
        Arg::new(
            "decrypt",
            ArgKind::Bool,
            "accepted: an encrypted script is decrypted",
        ),
    ];
    const DOC: &'static str = "Runs a script of the controller on the host.\n\n    - script: files/check-disks.sh /data\n      args:\n        creates: /data/.checked\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        self.words()?;
        self.frame.check(sys)
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let text = self.text()?;
        let first = self.source()?;
        // What follows the path is read by the shell, as Ansible has it.
        let arguments = text
            .trim_start()
            .strip_prefix(first.as_str())
            .unwrap_or_default();
        let arguments = match arguments {
            // The path was quoted.
            "" if self.words()?.len() > 1 => quoted(&self.words()?[1..]),
            rest => rest.to_owned(),
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("krun-script-{}-{count}", std::process::id());
        let path = sys.temporary_directory()?.join(name);
        let private = Attributes {
            mode: Some(0o700),
            ..Attributes::default()
        };
        sys.write_atomic(&path, &self.content, private)?;
        let real = sys.real(&path).display().to_string();
        let interpreter = self.executable.clone().or_else(|| self.interpreter());
        let line = match interpreter {
            Some(program) => format!("{program} {} {arguments}", quoted(&[real])),
            None => format!("/bin/sh {} {arguments}", quoted(&[real])),
        };
        let command = Command::shell(&line, None);
        let outcome = self
            .frame
            .run(sys, command, &Streams::default(), "/bin/sh", text.into());
        sys.remove(&path)?;
        outcome
    }
}

impl Script {
    /// Returns the script's path on the controller, as the user wrote it.
    pub fn source(&self) -> Result<String, Error> {
        let words = self.words()?;
        words
            .into_iter()
            .next()
            .ok_or_else(|| Error::new("no script given"))
    }

    /// Puts the script's bytes in: what the controller does before it sends the action.
    pub fn with_content(&mut self, content: Vec<u8>) {
        self.content = content;
    }

    fn text(&self) -> Result<&str, Error> {
        let text = self.frame.text();
        text.filter(|text| !text.trim().is_empty())
            .ok_or_else(|| Error::new("no script given"))
    }

    fn words(&self) -> Result<Vec<String>, Error> {
        let text = self.text()?;
        words::split(text)
            .map_err(|fault| Error::new(format!("cannot split `{text}`")).because(fault))
    }

    /// What the script's first line names: run by name, it works where files of /tmp may not be executed.
    fn interpreter(&self) -> Option<String> {
        let first = self
            .content
            .strip_prefix(b"#!")?
            .split(|byte| *byte == b'\n')
            .next()?;
        let line = String::from_utf8_lossy(first).trim().to_owned();
        (!line.is_empty()).then_some(line)
    }
}

fn quoted(words: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::registry::Action;
    use super::super::trial::Host;
    use super::*;

    fn run(host: &Host, args: &str, content: &str) -> Result<Outcome, Error> {
        let mut action = host.action(args);
        if let Action::Script(script) = &mut action {
            script.with_content(content.into());
        }
        host.run_action(&action)
    }

    #[test]
    fn a_script_runs_with_its_arguments_and_leaves_nothing() {
        let host = Host::with("script", &[("/srv/x", "")]);
        let args = "{_raw_params: 'files/go.sh one \"two words\" $((1+2))', chdir: /srv}";
        let outcome = run(&host, args, "echo \"$1|$2|$3\"; ls").unwrap();
        assert_eq!(outcome.data["stdout"], "one|two words|3\nx\n");
        assert_eq!(host.names("/tmp"), Vec::<String>::new());
        let outcome = run(
            &host,
            "cmd: '\"my go.sh\" a'",
            "#!/bin/bash\necho ${BASH_VERSION:+bash} $1\n",
        );
        assert_eq!(outcome.unwrap().data["stdout"], "bash a\n");
    }

    #[test]
    fn a_failing_script_is_an_error_and_creates_spares_it() {
        let host = Host::with("script", &[("/done", "")]);
        assert_eq!(
            run(&host, "_raw_params: x", "exit 7").unwrap_err().data["rc"],
            7
        );
        let outcome = run(&host, "{_raw_params: x, creates: /done}", "exit 7").unwrap();
        assert!(!outcome.changed);
    }
}
