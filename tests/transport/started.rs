//! A playbook and a real sshd → krun at work, what it said, and the processes on the host that a test may stop.

use crate::sshd::{Sshd, agent};
use crate::tasks::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};

/// Begins with the number of the agent's process, ends when it may.
pub(crate) const WAITS: &str =
    "echo $PPID > {at}/agent; while [ ! -e {at}/go ]; do sleep 0.05; done";

/// krun at work on a playbook. Dropped, it is killed.
pub(crate) struct Run(pub(crate) Child);

/// What it said, and its exit code.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// Starts krun in a directory of its own, as on a machine of its own. `{at}` in the playbook is the host's directory.
pub(crate) fn start(host: &Sshd, machine: &str, playbook: &str) -> Run {
    let place = host.file(machine);
    std::fs::create_dir_all(&place).unwrap();
    let at = host.place.path().display().to_string();
    std::fs::write(place.join("play.yml"), playbook.replace("{at}", &at)).unwrap();
    let inventory = format!(
        "host ansible_host=127.0.0.1 ansible_port={} ansible_user=root ansible_ssh_private_key_file={at}/id\n\
         other ansible_connection=local\n[all:vars]\n\
         ansible_ssh_common_args=-F none -o UserKnownHostsFile={at}/known_hosts -o ServerAliveInterval=1 -o ServerAliveCountMax=1\n",
        host.port,
    );
    std::fs::write(place.join("hosts"), inventory).unwrap();
    let child = Command::new(agent())
        .args(["-i", "hosts", "play.yml"])
        .current_dir(&place)
        .env("HOME", &place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Run(child)
}

impl Run {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    pub(crate) fn end(mut self) -> Said {
        use std::io::Read as _;
        wait_until(|| self.0.try_wait().unwrap().is_some());
        let mut text = String::new();
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        let code = self.0.wait().unwrap().code();
        Said { code, text }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process whose number a task wrote into this file.
pub(crate) fn process(host: &Sshd, file: &str) -> Pid {
    let file = host.file(file);
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until(|| read().ends_with('\n'));
    Pid::from_raw(read().trim().parse().unwrap())
}

/// The agent's login: sshd's process for this session.
pub(crate) fn session(agent: Pid) -> Pid {
    let stat = std::fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    Pid::from_raw(fields.split_whitespace().nth(1).unwrap().parse().unwrap())
}

pub(crate) fn is_alive(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The message without what differs from run to run.
pub(crate) fn story(host: &Sshd, said: &Said) -> String {
    let place = host.place.path().display().to_string();
    let text = said.text.replace(&place, "[place]");
    let text = text.replace(&agent().display().to_string(), "krun");
    // Whichever notices first, or both: ssh's keepalives, the agent's missing signs of life.
    let text = text.replace(
        "nothing came from the host for 2 s",
        "the host no longer answers",
    );
    let lines = text.lines().map(|line| {
        let line = line.split(" ****").next().unwrap_or(line);
        // How long a task took.
        let (line, rest) = line.rsplit_once("  ").unwrap_or((line, ""));
        if rest.ends_with('s') && rest.starts_with(|c: char| c.is_ascii_digit()) {
            return line.to_owned();
        }
        format!("{line}  {rest}").trim_end().to_owned()
    });
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("PLAY RECAP"));
    let mut lines: Vec<_> = lines.collect();
    lines.dedup();
    lines.join("\n")
}

pub(crate) fn touched(host: &Sshd, file: &str) -> bool {
    host.file(file).exists()
}

pub(crate) fn touch(host: &Sshd, file: &str) {
    std::fs::write(host.file(file), "").unwrap();
}

/// The agent's process, as it says itself.
pub(crate) fn agent_of(host: &Sshd) -> Pid {
    let lock = || std::fs::read(host.file("home/.krun/lock")).unwrap_or_default();
    let holder = || serde_json::from_slice::<serde_json::Value>(&lock()).ok();
    wait_until(|| holder().is_some());
    let process = holder().unwrap()["process"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(process).unwrap())
}
