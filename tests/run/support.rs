//! Runs krun on a playbook in a directory of its own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// No run in these tests may take longer.
const LIMIT: Duration = Duration::from_secs(180);

/// A directory with a playbook, and hosts `a`, `b`, `c` that are all this machine.
pub(crate) struct Play {
    dir: tempfile::TempDir,
    args: Vec<String>,
}

/// What a run printed, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Play {
    #[must_use]
    pub(crate) fn new(playbook: &str) -> Self {
        let play = Self {
            dir: tempfile::tempdir().unwrap(),
            args: Vec::new(),
        };
        play.file("play.yml", playbook);
        play
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    #[must_use]
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub(crate) fn run(&self) -> Ran {
        self.start("krun", &[])
    }

    /// Runs it as if the program were called `ansible-playbook`.
    pub(crate) fn run_as_ansible(&self) -> Ran {
        self.start("ansible-playbook", &[])
    }

    /// Runs `krun plan`, say, with the same files.
    pub(crate) fn subcommand(&self, name: &str) -> Ran {
        self.start("krun", &[name])
    }

    /// Runs it with further words.
    pub(crate) fn run_with(&self, words: &[&str]) -> Ran {
        self.start("krun", words)
    }

    /// Runs krun with these words only, in the same directory: `krun runs`.
    pub(crate) fn krun(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_krun"));
        command.args(words);
        self.finish(command)
    }

    /// The same with further variables of the environment.
    pub(crate) fn krun_with(&self, variables: &[(&str, &str)], words: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_krun"));
        command.envs(variables.iter().copied()).args(words);
        self.finish(command)
    }

    /// Runs it with further words before its own options: `krun plan -o FILE`.
    pub(crate) fn words(&self, words: &[&str]) -> Ran {
        self.start("krun", words)
    }

    /// Starts a run and does not wait for it.
    pub(crate) fn spawn(&self) -> std::process::Child {
        let mut command = self.command("krun", &[]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn start(&self, program: &str, words: &[&str]) -> Ran {
        self.finish(self.command(program, words))
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let dir = self.dir.path().display();
        let mut command = Command::new(env!("CARGO_BIN_EXE_krun"));
        command.arg0(program).args(words);
        command.args([
            "-i",
            "a,b,c,",
            "-e",
            "ansible_connection=local",
            "-e",
            &format!("dir={dir}"),
        ]);
        command.args(&self.args).arg("play.yml");
        self.at_home(command)
    }

    fn finish(&self, command: Command) -> Ran {
        let mut command = self.at_home(command);
        let output = within(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn at_home(&self, mut command: Command) -> Command {
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("ANSIBLE_INVENTORY")
            .env_remove("KRUN_RECORD")
            .stdin(Stdio::null());
        command
    }
}

/// Ends what hangs, so that a hang is a failure with the output so far.
fn within(command: &mut Command) -> Output {
    let mut child = command.spawn().unwrap();
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let began = Instant::now();
        if wait.recv_timeout(LIMIT).is_err() && began.elapsed() >= LIMIT {
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL);
        }
    });
    child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    output
}

impl Ran {
    /// The lines that say how tasks ended, plays, tasks and shown messages; without stars and durations.
    pub(crate) fn story(&self) -> Vec<String> {
        let lines = self.stdout.lines().map(|line| {
            line.split(" ****")
                .next()
                .unwrap_or(line)
                .trim_end()
                .to_owned()
        });
        lines
            .filter(|line| !line.is_empty() && !line.starts_with("PLAY RECAP"))
            .collect()
    }

    /// The recap's line of a host, its spaces single.
    pub(crate) fn recap(&self, host: &str) -> String {
        let line = self
            .stdout
            .lines()
            .rev()
            .find(|line| line.starts_with(host) && line.contains(" : "));
        let line = line
            .unwrap_or_else(|| panic!("no recap of {host} in:\n{}\n{}", self.stdout, self.stderr));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Asserts that these lines are there, in this order.
    #[track_caller]
    pub(crate) fn says(&self, expected: &[&str]) {
        let story = self.story();
        let mut rest = story.iter();
        for wanted in expected {
            assert!(
                rest.any(|line| line.trim() == *wanted),
                "no `{wanted}` (in this order) in:\n{}\n{}",
                story.join("\n"),
                self.stderr
            );
        }
    }
}
