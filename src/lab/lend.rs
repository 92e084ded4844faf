//! Turns a program of this machine into one that a lab's host can start, without sending it anywhere.

use super::{Error, Host, Lab};
use std::fs;
use std::path::{Path, PathBuf};

impl Lab {
    /// Makes `program` appear on `host`, and returns where. It goes with the lab.
    pub fn lend(&self, host: &Host, program: &Path) -> Result<String, Error> {
        let name = program.file_name().unwrap_or_default();
        // Once in the lab's directory, linked into every host's seed, which the host sees as a mount.
        let shared = self.dir.join(name);
        if !shared.exists() {
            fs::copy(program, &shared).map_err(Error::file("read", program))?;
        }
        let there = self.seed(host).join(name);
        if !there.exists() {
            fs::hard_link(&shared, &there).map_err(Error::file("make", &there))?;
        }
        Ok(format!("/krun-seed/{}", name.to_string_lossy()))
    }

    fn seed(&self, host: &Host) -> PathBuf {
        self.dir.join("seeds").join(&host.name)
    }
}
