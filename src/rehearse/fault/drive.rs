//! Turns a command line of krun and a fault into runs: starts it, strikes at the task, mends, and goes on until it ended.

use super::ending::{Ending, NOT_UNDERSTOOD};
use super::strike::{self, Struck};
use super::{Fault, Kind};
use crate::event::{At, Event, EventKind};
use crate::lab::Lab;
use crate::rehearse::story::Stops;
use crate::rehearse::work::{Phase, Recorder};
use crate::value::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How runs are started, as programs of their own that can be killed.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub path: PathBuf,
    /// The whole run, from its beginning.
    pub run: Vec<OsString>,
    /// Going on with the last run that stopped.
    pub resume: Vec<OsString>,
    /// What each of them reads from standard input.
    pub answers: Option<Secret>,
}

/// How often a run that stopped is gone on with.
const RESUMES: usize = 3;
/// A run that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(3600);
const TICK: Duration = Duration::from_millis(50);
/// After so long without a word, what a host waits for is said.
const SILENCE: Duration = Duration::from_secs(10);
/// How many of a run's last lines on standard error are kept.
const LAST: usize = 6;

/// One run of krun.
#[derive(Debug)]
pub struct Leg {
    pub phase: Phase,
    /// `ended well`, `was killed`, `failed at …`.
    pub end: String,
    /// What more there is to say of it.
    why: String,
    /// Whether it wrote nothing down, so that nothing can be gone on with.
    is_void: bool,
    /// What it wants to be told before it goes on: options of `krun resume`.
    wants: Vec<String>,
}

impl Leg {
    /// How it ended, and why.
    pub fn words(&self) -> String {
        match self.why.as_str() {
            "" => self.end.clone(),
            why => format!("{}: {why}", self.end),
        }
    }
}

/// What came of a fault: the run that it struck, and those that went on.
#[derive(Debug, Default)]
pub struct Driven {
    pub struck: Option<Struck>,
    /// When the trouble was over. Milliseconds since the epoch.
    pub mended: u64,
    pub legs: Vec<Leg>,
    /// What a person had to do when the trouble was over, in words.
    pub by_hand: Vec<String>,
}

impl Driven {
    pub fn ended_well(&self) -> bool {
        self.legs.last().is_some_and(|leg| leg.phase.ended_well)
    }

    /// Whether going on came to the same end twice.
    fn stands_still(&self) -> bool {
        let [_, .., last, again] = self.legs.as_slice() else {
            return false;
        };
        again.wants.is_empty() && last.words() == again.words()
    }

    /// How long the trouble lasted, in milliseconds; `None` where it is over at once.
    pub fn lasted(&self) -> Option<u64> {
        let struck = self.struck.as_ref()?;
        let lasts = struck.found && struck.fault.kind.lasts();
        lasts.then(|| self.mended.saturating_sub(struck.at))
    }
}

/// One drive: what runs, what breaks, and who is told.
pub struct Drive<'a> {
    pub program: &'a Program,
    pub lab: &'a Lab,
    pub say: &'a dyn Fn(&str),
    pub stops: Stops,
    /// Called when a run stopped, before anything is mended; says why nothing may go on.
    pub stopped: &'a mut dyn FnMut(&Phase) -> Option<String>,
    /// Waits until what was mended stands again.
    pub settle: &'a dyn Fn(),
}

impl Drive<'_> {
    /// Runs it under the fault, and goes on until it ends well, or will not.
    ///
    /// # Errors
    /// What the lab or this machine refused, in words.
    pub fn under(mut self, fault: &Fault) -> Result<Driven, String> {
        let mut driven = Driven::default();
        loop {
            let args = match driven.legs.last() {
                // One that was killed before it wrote anything down left nothing to go on with.
                None => self.program.run.clone(),
                Some(leg) if leg.is_void => self.program.run.clone(),
                Some(leg) => {
                    let wants = leg.wants.iter().map(OsString::from);
                    self.program.resume.iter().cloned().chain(wants).collect()
                }
            };
            let leg = self.leg(&args, Some(fault), &mut driven)?;
            let well = leg.phase.ended_well;
            (self.say)(&format!("  the run {}", leg.words()));
            let refused = if well {
                None
            } else {
                (self.stopped)(&leg.phase)
            };
            driven.legs.push(leg);
            self.mend(&mut driven, None)?;
            if let Some(why) = refused {
                (self.say)(&format!("  {why}: it is not tried again"));
                return Ok(driven);
            }
            if well || driven.legs.len() > RESUMES || *self.stops.borrow() > 0 {
                return Ok(driven);
            }
            if driven.stands_still() {
                (self.say)("  it stops where it had stopped before: it is not tried again");
                return Ok(driven);
            }
            let answers = driven.legs.last().map(|leg| leg.wants.join(" "));
            (self.settle)();
            match answers.filter(|answers| !answers.is_empty()) {
                Some(answers) => (self.say)(&format!("  going on with {answers}")),
                None => (self.say)("  going on"),
            }
        }
    }

    /// Runs it without a fault.
    ///
    /// # Errors
    /// krun cannot be started.
    pub fn plainly(mut self) -> Result<Leg, String> {
        let args = self.program.run.clone();
        self.leg(&args, None, &mut Driven::default())
    }

    fn leg(
        &mut self,
        args: &[OsString],
        fault: Option<&Fault>,
        driven: &mut Driven,
    ) -> Result<Leg, String> {
        let mut running = Running::start(self.program, args)?;
        let mut recorder = Recorder::new("");
        let mut ending = Ending::default();
        let begun = Instant::now();
        let mut progress = Progress::new();
        let (mut due, mut is_told) = (None, false);
        loop {
            match running.events.recv_timeout(TICK) {
                Ok(event) => {
                    recorder.hear(&event);
                    ending.hear(&event);
                    if let Some(line) = progress.line(&event) {
                        (self.say)(&format!("  {line}"));
                    }
                    if let Some(fault) = fault
                        && due.is_none()
                        && is_sign(fault, &event)
                    {
                        due = Some(Instant::now() + Duration::from_millis(fault.after));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(fault) = fault
                && driven.struck.is_none()
                && due.is_some_and(|due| Instant::now() >= due)
            {
                let struck = strike::strike(self.lab, fault, running.pid(), now());
                let struck = struck.map_err(|error| error.to_string())?;
                let what = if struck.found {
                    ""
                } else {
                    ", and finds nothing to break"
                };
                (self.say)(&format!("  {fault} strikes{what}"));
                driven.struck = Some(struck);
            }
            if driven.mended == 0
                && let Some(struck) = &driven.struck
                && now().saturating_sub(struck.at) > patience(struck.fault.kind)
            {
                self.mend(driven, Some(running.pid()))?;
            }
            if (*self.stops.borrow() > 0 || begun.elapsed() > LIMIT) && !is_told {
                is_told = true;
                // Stopped twice, it ends at once; a frozen one ends, too.
                for signal in [Signal::SIGINT, Signal::SIGINT, Signal::SIGCONT] {
                    let _ = kill(running.pid(), signal);
                }
            }
        }
        let (status, words) = running.end()?;
        let (end, why) = ending.words(status, &words);
        Ok(Leg {
            phase: recorder.end(status.success()),
            end,
            why,
            is_void: status.code() == Some(NOT_UNDERSTOOD),
            wants: ending.wants,
        })
    }

    fn mend(&self, driven: &mut Driven, controller: Option<Pid>) -> Result<(), String> {
        if let Some(struck) = &driven.struck
            && driven.mended == 0
        {
            let mended = strike::mend(self.lab, struck, controller);
            driven.by_hand = mended.map_err(|error| error.to_string())?;
            driven.mended = now();
            if struck.fault.kind.lasts() {
                (self.say)("  the trouble is over");
            }
            for words in &driven.by_hand {
                (self.say)(&format!("  {words}"));
            }
        }
        Ok(())
    }
}

/// What a person who waits is told of a run.
struct Progress {
    /// When something was said last.
    said: Instant,
    /// The tasks of this batch that were named.
    named: HashSet<At>,
}

impl Progress {
    fn new() -> Self {
        Self {
            said: Instant::now(),
            named: HashSet::new(),
        }
    }

    /// Each batch, each task as the first host begins it, and after some silence what a host waits for.
    fn line(&mut self, event: &Event) -> Option<String> {
        let line = match &event.kind {
            EventKind::BatchStarted { number, of, hosts } => {
                self.named.clear();
                format!("batch {number} of {of}: {}", hosts.join(", "))
            }
            EventKind::TaskProgress { task, .. } | EventKind::TaskStarted { task }
                if self.named.insert(task.at.clone()) =>
            {
                task.title.clone()
            }
            EventKind::TaskProgress { host, text, .. }
                if !text.is_empty() && self.said.elapsed() > SILENCE =>
            {
                format!("{host}: {text}")
            }
            _ => return None,
        };
        self.said = Instant::now();
        Some(line)
    }
}

/// How long trouble lasts if the run does not end before, in milliseconds.
fn patience(kind: Kind) -> u64 {
    match kind {
        // Shorter than what makes agents give their controller up, and longer than a pause.
        Kind::FreezeController => 20_000,
        _ => 75_000,
    }
}

/// Whether the fault's task begins, or has ended where nobody saw it begin.
fn is_sign(fault: &Fault, event: &Event) -> bool {
    let (EventKind::TaskProgress { host, task, .. } | EventKind::TaskEnded { host, task, .. }) =
        &event.kind
    else {
        return false;
    };
    task.at == fault.at && (!fault.is_its_own || **host == *fault.host)
}

/// krun, as it says what it does.
struct Running {
    child: Child,
    events: Receiver<Event>,
    words: Option<JoinHandle<String>>,
}

impl Running {
    fn start(program: &Program, args: &[OsString]) -> Result<Self, String> {
        let path = program.path.display();
        let mut child = Command::new(&program.path)
            .args(args)
            // A Ctrl-C is not for it: it is told.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{path}`: {error}"))?;
        if let (Some(mut input), Some(answers)) = (child.stdin.take(), &program.answers) {
            // One that reads none of it has ended, and says why itself.
            let _ = input.write_all(answers.reveal().as_bytes());
        }
        let (sender, events) = channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Ok(event) = serde_json::from_str(&line)
                        && sender.send(event).is_err()
                    {
                        break;
                    }
                }
            });
        }
        let words = child.stderr.take().map(|err| {
            thread::spawn(move || {
                let lines = BufReader::new(err).lines().map_while(Result::ok);
                let lines: Vec<String> = lines.collect();
                lines[lines.len().saturating_sub(LAST)..].join("\n")
            })
        });
        Ok(Self {
            child,
            events,
            words,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn end(&mut self) -> Result<(ExitStatus, String), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let words = self.words.take().and_then(|words| words.join().ok());
        Ok((status, words.unwrap_or_default()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Status, TaskName, TaskResult};

    #[test]
    fn a_run_that_stops_twice_in_the_same_way_is_not_gone_on_with() {
        let leg = |why: &str, wants: &[&str]| Leg {
            phase: Phase::default(),
            end: "failed at `Stop` on k1".to_owned(),
            why: why.to_owned(),
            is_void: false,
            wants: wants.iter().map(|word| (*word).to_owned()).collect(),
        };
        let still = |legs| {
            let driven = Driven {
                legs,
                ..Driven::default()
            };
            driven.stands_still()
        };
        // The first was struck: the next one may well stop there again, and then go on.
        assert!(!still(vec![leg("x", &[]), leg("x", &[])]));
        assert!(still(vec![leg("a", &[]), leg("x", &[]), leg("x", &[])]));
        assert!(!still(vec![leg("a", &[]), leg("x", &[]), leg("y", &[])]));
        let asked = leg("x", &["--again", "Stop"]);
        assert!(!still(vec![leg("a", &[]), leg("x", &[]), asked]));
    }

    fn ended(host: &str) -> Event {
        Event {
            at: 1,
            kind: EventKind::TaskEnded {
                host: host.into(),
                task: TaskName {
                    title: "Stop".to_owned(),
                    at: At {
                        file: "roll.yml".to_owned(),
                        line: 9,
                        column: 7,
                    },
                    module: "command".to_owned(),
                    is_handler: false,
                },
                result: TaskResult::new(Status::Failed),
            },
        }
    }

    #[test]
    fn a_task_is_named_once_in_a_batch_as_it_begins() {
        let EventKind::TaskEnded { host, task, .. } = ended("k1").kind else {
            unreachable!("it is one");
        };
        let text = "waiting: 3 replicas missing".to_owned();
        let event = |kind| Event { at: 1, kind };
        let begun = event(EventKind::TaskProgress {
            host,
            task: task.clone(),
            text,
        });
        let batch = event(EventKind::BatchStarted {
            number: 1,
            of: 3,
            hosts: vec!["k1".into()],
        });
        let mut progress = Progress::new();
        assert_eq!(progress.line(&batch).unwrap(), "batch 1 of 3: k1");
        assert_eq!(progress.line(&begun).unwrap(), "Stop");
        assert_eq!(progress.line(&event(EventKind::TaskStarted { task })), None);
        // What is said again and again is told only where it had been silent.
        assert_eq!(progress.line(&begun), None);
        progress.said = Instant::now().checked_sub(SILENCE * 2).unwrap();
        assert_eq!(
            progress.line(&begun).unwrap(),
            "k1: waiting: 3 replicas missing"
        );
        assert!(progress.line(&batch).is_some() && progress.line(&begun).is_some());
    }

    #[test]
    fn a_fault_waits_for_its_own_host_unless_that_does_not_do_the_task() {
        let mut fault = Fault {
            kind: Kind::KillHost,
            host: "k2".to_owned(),
            task: "Stop".to_owned(),
            at: At {
                file: "roll.yml".to_owned(),
                line: 9,
                column: 7,
            },
            is_its_own: true,
            after: 0,
        };
        assert!(!is_sign(&fault, &ended("k1")) && is_sign(&fault, &ended("k2")));
        fault.is_its_own = false;
        assert!(is_sign(&fault, &ended("k1")));
        fault.at.line = 10;
        assert!(!is_sign(&fault, &ended("k1")));
    }
}
