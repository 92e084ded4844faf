//! Tells the story without a fault, then each fault's; keeps what is done, so that a matrix of hours can be stopped.

use super::choose::choose;
use super::drive::Program;
use super::judge::Trial;
use super::trial::trial;
use super::{Fault, Reference, Wish};
use crate::lab::{LabSpec, Snapshot};
use crate::rehearse::account::{Account, Broken};
use crate::rehearse::story::{Error, Say, Script, Stops, now, tell, with_client};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What shall break.
#[derive(Debug, Clone)]
pub struct Faults {
    pub wishes: Vec<Wish>,
    /// For all that is left to chance; `None`: another one each time.
    pub seed: Option<u64>,
    /// Tells this matrix from another one: what was done counts only for the same.
    pub key: String,
    pub runs: Program,
    /// The snapshot's name of the state that every fault begins from.
    pub snapshot: String,
    /// Where it is kept what is done.
    pub journal: PathBuf,
}

/// What every trial needs.
pub(super) struct Setting {
    pub(super) root: PathBuf,
    /// The lab, from the snapshot.
    pub(super) spec: LabSpec,
    /// The inventory's.
    pub(super) hosts: Vec<String>,
    pub(super) program: PathBuf,
    pub(super) canary: Option<PathBuf>,
    pub(super) rate: u32,
    pub(super) client_settings: Vec<String>,
    pub(super) runs: Program,
    pub(super) evidence: PathBuf,
    pub(super) say: Say,
    pub(super) stops: Stops,
}

/// All faults of a rehearsal.
pub struct Matrix {
    faults: Faults,
    setting: Setting,
}

/// The first line of the journal.
#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    seed: u64,
    faults: Vec<Fault>,
    reference: Reference,
}

impl Matrix {
    /// What a script wants broken; `None` if nothing.
    pub fn of(script: &Script, say: Say, stops: Stops) -> Option<Self> {
        let faults = script.faults.clone()?;
        let hosts = script.spec.hosts.clone();
        let mut spec = with_client(&script.spec);
        spec.snapshot = Some(faults.snapshot.clone());
        let setting = Setting {
            root: script.root.clone(),
            spec,
            hosts,
            program: script.program.clone(),
            canary: script.canary.clone(),
            rate: script.rate,
            client_settings: script.client_settings.clone(),
            runs: faults.runs.clone(),
            evidence: script.evidence.clone(),
            say,
            stops,
        };
        Some(Self { faults, setting })
    }

    /// Plays all of it, or what an earlier rehearsal left undone.
    ///
    /// # Errors
    /// A lab could not be made, or not be removed; what was done until then is kept.
    pub async fn play(self, script: Script) -> Result<Account, Error> {
        let (root, name) = (&self.setting.root, &self.faults.snapshot);
        let kept = read(&self.faults.journal, &self.faults.key)
            .filter(|_| Snapshot::find(root, name).is_ok());
        let (mut account, header, done) = if let Some((header, done)) = kept {
            let account = Account::begin(&script.command, self.setting.hosts.clone(), now());
            (account, header, done)
        } else {
            self.forget()?;
            let stops = self.setting.stops.clone();
            let (mut account, reference) = tell(script, self.setting.say.clone(), stops).await?;
            match self.begin(reference) {
                Ok(header) => (account, header, Vec::new()),
                Err(mut why) => {
                    self.forget()?;
                    if account.stopped {
                        "the rehearsal was stopped before".clone_into(&mut why);
                    }
                    account.faults = Some(Broken {
                        seed: self.faults.seed.unwrap_or_default(),
                        trials: Vec::new(),
                        of: 0,
                        earlier: 0,
                        fault: Some(why),
                    });
                    return Ok(account);
                }
            }
        };
        let mut broken = Broken {
            seed: header.seed,
            of: header.faults.len(),
            earlier: done.len(),
            trials: done,
            fault: None,
        };
        self.all(&header, &mut broken).await?;
        account.stopped = *self.setting.stops.borrow() > 0;
        account.ended = now();
        if broken.trials.len() == broken.of {
            self.forget()?;
        }
        account.faults = Some(broken);
        Ok(account)
    }

    async fn all(&self, header: &Header, broken: &mut Broken) -> Result<(), Error> {
        let say = &self.setting.say;
        let done = match broken.earlier {
            0 => String::new(),
            n => format!(", {n} of them are tried already"),
        };
        say(&format!(
            "{} faults, chosen with --seed {}{done}",
            broken.of, broken.seed
        ));
        for (index, fault) in header.faults.iter().enumerate().skip(broken.earlier) {
            if *self.setting.stops.borrow() > 0 {
                break;
            }
            let number = index + 1;
            let left = left(&broken.trials, broken.of);
            say(&format!("Fault {number} of {}{left}: {fault}", broken.of));
            let mut tried = trial(&self.setting, fault, number, &header.reference).await;
            if let Err(error) = &tried
                && *self.setting.stops.borrow() == 0
            {
                // A machine that was too busy for a moment must not end what takes hours.
                say(&format!(
                    "  it cannot be tried: {}: once more",
                    chain(error)
                ));
                tried = trial(&self.setting, fault, number, &header.reference).await;
            }
            let trial = match tried {
                Ok(Some(trial)) => trial,
                Ok(None) => break,
                Err(_) if *self.setting.stops.borrow() > 0 => break,
                // What was tried so far is told all the same, and tried again is only the rest.
                Err(error) => {
                    let why = chain(&error);
                    say(&format!("  it cannot be tried: {why}"));
                    broken.fault = Some(format!(
                        "fault {number} of {} cannot be tried: {why}",
                        broken.of
                    ));
                    break;
                }
            };
            if trial.passed() {
                say("  all is as it would be without");
            } else {
                say(&format!("  FAILED: {}", trial.faults()));
                say(&format!("  `--fault '{}'` tries it again", fault.wish()));
            }
            append(&self.faults.journal, &trial).map_err(|source| self.unwritten(source))?;
            broken.trials.push(trial);
        }
        Ok(())
    }

    /// Chooses the faults, and begins the journal. Says why there is nothing to try.
    fn begin(&self, reference: Option<Reference>) -> Result<Header, String> {
        let reference = reference.ok_or("the playbook did not end well without a fault")?;
        let seed = self.faults.seed.unwrap_or_else(|| now() % 1_000_000);
        let hosts = &self.setting.hosts;
        let faults = choose(&self.faults.wishes, &reference.places, hosts, seed)?;
        let header = Header {
            key: self.faults.key.clone(),
            seed,
            faults,
            reference,
        };
        let path = &self.faults.journal;
        let begin = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            File::create(path)?;
            append(path, &header)
        };
        begin().map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        Ok(header)
    }

    /// Removes what was kept.
    fn forget(&self) -> Result<(), Error> {
        let (root, name) = (&self.setting.root, &self.faults.snapshot);
        if Snapshot::find(root, name).is_ok() {
            Snapshot::remove(root, name)?;
        }
        match fs::remove_file(&self.faults.journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unwritten(error)),
            _ => Ok(()),
        }
    }

    fn unwritten(&self, source: io::Error) -> Error {
        Error::Journal {
            path: self.faults.journal.clone(),
            source,
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ").replace('\n', " ")
}

/// About how long what is not done yet takes, as a part of a line; nothing before the first is done.
fn left(done: &[Trial], of: usize) -> String {
    let took: u64 = done.iter().map(|trial| trial.seconds).sum();
    let (count, open) = (done.len() as u64, (of - done.len()) as u64);
    let Some(minutes) = (took * open).div_ceil(60).checked_div(count) else {
        return String::new();
    };
    match minutes {
        0..60 => format!(", about {minutes} min left"),
        _ => format!(", about {} h {} min left", minutes / 60, minutes % 60),
    }
}

/// The matrix of that key, and what is done of it.
fn read(path: &Path, key: &str) -> Option<(Header, Vec<Trial>)> {
    let text = fs::read_to_string(path).ok()?;
    let (first, rest) = text.split_once('\n')?;
    let header: Header = serde_json::from_str(first).ok()?;
    // A last line that a crash cut off is tried again.
    let done = rest
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    (header.key == key).then(|| (header, done.collect()))
}

/// A line that is on the disk when this returns.
fn append(path: &Path, line: &impl Serialize) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::At;
    use crate::rehearse::fault::Kind;
    use crate::rehearse::fault::judge::Strike;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done() {
        let trial = |seconds| Trial {
            fault: Fault {
                kind: Kind::KillHost,
                host: "k1".to_owned(),
                task: "Stop".to_owned(),
                at: At {
                    file: "roll.yml".to_owned(),
                    line: 9,
                    column: 7,
                },
                is_its_own: true,
                after: 0,
            },
            legs: Vec::new(),
            struck: Strike::Hit,
            checks: Vec::new(),
            seconds,
            lasted: None,
            silence: None,
            by_hand: Vec::new(),
            evidence: None,
        };
        assert_eq!(left(&[], 9), "");
        assert_eq!(left(&[trial(100), trial(200)], 10), ", about 20 min left");
        assert_eq!(left(&[trial(420)], 122), ", about 14 h 7 min left");
    }

    #[test]
    fn what_goes_on_with_faults_is_judged_by_them_alone() {
        let mut account = Account::begin("", Vec::new(), 0);
        account.faults = Some(Broken {
            seed: 7,
            trials: Vec::new(),
            of: 0,
            earlier: 0,
            fault: None,
        });
        let all = crate::rehearse::proof::checks(&account, false);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].name, "every fault was tried");
    }
}
