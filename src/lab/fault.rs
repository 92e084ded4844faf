//! Turns a wish for trouble into trouble of one host: frozen, without power, cut off, slow, full; and takes it away again.

use super::up::await_answer;
use super::{Error, Lab};

/// Where [`Lab::own_disk`] mounts it.
const DISK: &str = "/run/krun-lab-disk";

/// What a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Kill,
    Terminate,
    Stop,
    Continue,
    /// A JVM prints its threads.
    Quit,
}

impl Signal {
    fn option(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Terminate => "-TERM",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
            Self::Quit => "-QUIT",
        }
    }
}

impl Lab {
    /// Stops every process of a host where it stands; its connections stay open and say nothing.
    pub fn freeze(&self, host: &str) -> Result<(), Error> {
        self.tell(&["pause"], host, &[])
    }

    /// Lets a frozen host go on.
    pub fn thaw(&self, host: &str) -> Result<(), Error> {
        self.tell(&["unpause"], host, &[])
    }

    /// Pulls a host's plug: every process is killed, what was synced or not stays on its disk.
    pub fn power_off(&self, host: &str) -> Result<(), Error> {
        self.tell(&["kill", "--signal", "KILL"], host, &[])
    }

    /// Boots a host that is off and waits for its sshd.
    pub fn power_on(&self, host: &str) -> Result<(), Error> {
        self.tell(&["start"], host, &[])?;
        await_answer(&self.engine, self.host(host)?, 22)
    }

    /// Takes a host off the network: packets to and from it vanish.
    pub fn cut(&self, host: &str) -> Result<(), Error> {
        self.tell(&["exec"], host, &["ip", "link", "set", "eth0", "down"])
    }

    /// Puts a host that was cut off back on the network.
    pub fn join(&self, host: &str) -> Result<(), Error> {
        self.tell(&["exec"], host, &["ip", "link", "set", "eth0", "up"])
    }

    /// Lets every packet of a host come late. A kernel that cannot delay lets them queue behind 256 kbit/s instead.
    pub fn slow(&self, host: &str) -> Result<(), Error> {
        const SLOW: &str = "tc qdisc add dev eth0 root netem delay 600ms 200ms 2>/dev/null ||
            tc qdisc add dev eth0 root tbf rate 256kbit burst 4kb latency 800ms";
        self.sh(host, SLOW).map(drop)
    }

    /// Takes [`Lab::slow`] away again.
    pub fn hurry(&self, host: &str) -> Result<(), Error> {
        self.sh(host, "tc qdisc del dev eth0 root").map(drop)
    }

    /// Signals the processes of a host whose command line matches; returns whether there was one.
    pub fn signal(&self, host: &str, signal: Signal, pattern: &str) -> Result<bool, Error> {
        let signal = signal.option();
        let line = format!(
            "pgrep -f '{pattern}' >/dev/null && {{ pkill {signal} -f '{pattern}'; echo yes; }} || echo no"
        );
        self.sh(host, &line).map(|said| said == "yes")
    }

    /// Gives a host a disk of its own that [`Lab::fill_disk`] can fill; `units` are stopped while their files move.
    /// It is lost when the host is switched off.
    pub fn own_disk(&self, host: &str, units: &[String]) -> Result<(), Error> {
        let mut command = vec!["sh", "-c", include_str!("disk.sh"), "disk.sh"];
        command.extend(units.iter().map(String::as_str));
        self.tell_privileged(host, &command)
    }

    /// Leaves no room on the host's own disk. What is written meanwhile makes the size too small that was just read:
    /// it is read again then.
    pub fn fill_disk(&self, host: &str) -> Result<(), Error> {
        let used = format!(
            "for try in 1 2 3 4 5 6 7 8 9; do
                mount -o remount,size=$(df --output=used -k {DISK} | tail -1 | tr -d ' ')k {DISK} && exit
            done"
        );
        self.tell_privileged(host, &["sh", "-c", &used])
    }

    /// Takes [`Lab::fill_disk`] away again.
    pub fn empty_disk(&self, host: &str) -> Result<(), Error> {
        self.tell_privileged(host, &["mount", "-o", "remount,size=8g", DISK])
    }

    /// Runs a line on a host as root, past its network and its sshd, and returns what it printed.
    pub fn sh(&self, host: &str, line: &str) -> Result<String, Error> {
        let container = &self.host(host)?.container;
        self.engine.exec(container, &["sh", "-c", line])
    }

    /// The units of a host that a playbook may have started, and that run now.
    pub fn running_units(&self, host: &str) -> Result<Vec<String>, Error> {
        let services = self.services(self.host(host)?)?;
        Ok(services.into_iter().map(|service| service.unit).collect())
    }

    fn tell_privileged(&self, host: &str, command: &[&str]) -> Result<(), Error> {
        self.tell(&["exec", "--privileged"], host, command)
    }

    fn tell(&self, verb: &[&str], host: &str, more: &[&str]) -> Result<(), Error> {
        self.engine.tell(verb, &self.host(host)?.container, more)
    }
}
