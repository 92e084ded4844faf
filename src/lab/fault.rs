//! Turns a wish for trouble into trouble of one host: frozen, without power, cut off; and takes it away again.

use super::up::await_answer;
use super::{Error, Lab};

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

    fn tell(&self, verb: &[&str], host: &str, more: &[&str]) -> Result<(), Error> {
        self.engine.tell(verb, &self.host(host)?.container, more)
    }
}
