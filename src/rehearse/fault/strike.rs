//! Turns a fault into trouble in a lab, and takes it away again, as whoever is on call would.

use super::{Fault, Kind};
use crate::lab::{Error, Lab, Signal};
use nix::sys::signal::{self, kill};
use nix::unistd::Pid;

/// Processes of ssh connections to a host, and not the sshd that accepts new ones.
const CONNECTIONS: &str = "^sshd: [^/]";
/// A broker's JVM, by its main class.
const BROKER: &str = "[ ]kafka[.]Kafka ";
/// Stops brokers that fell on a full disk, and names their units.
const STOP_FALLEN: &str = r#"
for file in $(grep -lsE 'kafka-server-start|kafka[.]Kafka ' /etc/systemd/system/*.service); do
    unit=${file##*/}
    if systemctl is-failed --quiet $unit || [ "$(systemctl show -p NRestarts --value $unit)" != 0 ]; then
        systemctl stop $unit
        echo $unit
    fi
done"#;
/// Removes the indexes of all logs of stopped brokers: those that were written on a full disk are not to be trusted.
const REMOVE_INDEXES: &str = r#"
find / -path /proc -prune -o -path /sys -prune -o -name meta.properties -printf '%h\n' | while read -r logs; do
    find "$logs" \( -name '*.index' -o -name '*.timeindex' \) -delete
done"#;

/// A fault that has struck.
#[derive(Debug)]
pub struct Struck {
    pub fault: Fault,
    /// Milliseconds since the epoch.
    pub at: u64,
    /// Whether there was anything to break: a broker that is stopped anyway cannot be killed.
    pub found: bool,
    /// What ran on the host at that time.
    units: Vec<String>,
}

/// Makes ready what a fault needs before the run.
///
/// # Errors
/// The engine refused.
pub fn prepare(lab: &Lab, fault: &Fault) -> Result<(), Error> {
    if fault.kind == Kind::FillDisk {
        lab.own_disk(&fault.host, &lab.running_units(&fault.host)?)?;
    }
    Ok(())
}

/// Breaks something.
///
/// # Errors
/// The engine refused.
pub fn strike(lab: &Lab, fault: &Fault, controller: Pid, at: u64) -> Result<Struck, Error> {
    let host = fault.host.as_str();
    let units = lab.running_units(host).unwrap_or_default();
    let done = |it: Result<(), Error>| it.map(|()| true);
    let told = |signal| Ok(kill(controller, signal).is_ok());
    let found = match fault.kind {
        Kind::KillHost => done(lab.power_off(host)),
        Kind::FreezeHost => done(lab.freeze(host)),
        Kind::KillController => told(signal::Signal::SIGKILL),
        Kind::FreezeController => told(signal::Signal::SIGSTOP),
        Kind::KillSsh => lab.signal(host, Signal::Kill, CONNECTIONS),
        Kind::FreezeSsh => lab.signal(host, Signal::Stop, CONNECTIONS),
        Kind::KillBroker => lab.signal(host, Signal::Kill, BROKER),
        Kind::FreezeBroker => lab.signal(host, Signal::Stop, BROKER),
        Kind::FillDisk => done(lab.fill_disk(host)),
        Kind::DelayNetwork => done(lab.slow(host)),
        Kind::CutNetwork => done(lab.cut(host)),
    }?;
    Ok(Struck {
        fault: fault.clone(),
        at,
        found,
        units,
    })
}

/// Takes the trouble away, and starts again what it had ended. Returns what a person had to do for it, in words.
///
/// # Errors
/// The engine refused.
pub fn mend(lab: &Lab, struck: &Struck, controller: Option<Pid>) -> Result<Vec<String>, Error> {
    let host = struck.fault.host.as_str();
    let mut by_hand = Vec::new();
    match struck.fault.kind {
        Kind::KillHost => lab.power_on(host)?,
        Kind::FreezeHost => lab.thaw(host)?,
        Kind::KillController | Kind::KillSsh | Kind::KillBroker => {}
        Kind::FreezeController => {
            if let Some(controller) = controller {
                // That it is gone by now is well, too.
                let _ = kill(controller, signal::Signal::SIGCONT);
            }
        }
        Kind::FreezeSsh => drop(lab.signal(host, Signal::Continue, CONNECTIONS)?),
        Kind::FreezeBroker => drop(lab.signal(host, Signal::Continue, BROKER)?),
        Kind::FillDisk => {
            let fallen = lab.sh(host, STOP_FALLEN)?;
            lab.empty_disk(host)?;
            if !fallen.is_empty() {
                lab.sh(host, REMOVE_INDEXES)?;
            }
            for unit in fallen.lines() {
                let line = format!("systemctl reset-failed {unit}; systemctl start {unit}");
                lab.sh(host, &line)?;
                by_hand.push(format!(
                    "{unit} was stopped, its logs' indexes were removed, and it was started by hand"
                ));
            }
        }
        Kind::DelayNetwork => lab.hurry(host)?,
        Kind::CutNetwork => lab.join(host)?,
    }
    if struck.fault.kind.takes_broker() {
        for unit in &struck.units {
            // One that the playbook stopped is inactive, and stays so.
            let line = format!(
                "systemctl is-failed --quiet {unit} && systemctl reset-failed {unit} && systemctl start {unit}; true"
            );
            lab.sh(host, &line)?;
        }
    }
    if struck.fault.kind == Kind::KillHost {
        for unit in &struck.units {
            let line = format!(
                "systemctl is-enabled --quiet {unit} || systemctl is-active --quiet {unit} || {{ systemctl start {unit}; echo yes; }}"
            );
            if lab.sh(host, &line)? == "yes" {
                by_hand.push(format!("no boot starts {unit}, which was started by hand"));
            }
        }
    }
    Ok(by_hand)
}
