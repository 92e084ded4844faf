//! Turns an inventory and playbooks into a lab on which they run, and what happened there into proof.
//!
//! The story, in order: a lab of the inventory's hosts, the playbooks that bring it to today's state, the playbook
//! that is rehearsed, the same once more, and the end of the lab. Whoever calls says what a playbook's run is.

pub mod form;

use crate::event::Event;
use crate::lab::{self, Lab, LabSpec};
use crate::run::Conclusion;
use crate::transport::Confined;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Hears every event of a run.
pub type Sink = Box<dyn FnMut(&Event)>;
/// Told of each step before it begins.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;
/// Begins a run.
pub type Start = Box<dyn FnOnce(Place, Sink) -> Pin<Box<dyn Future<Output = Conclusion>>>>;

/// Where a run of the rehearsal takes place.
#[derive(Debug, Clone)]
pub struct Place {
    /// The only hosts that it may reach.
    pub confined: Confined,
    /// Where it keeps what a later run must know; goes with the lab.
    pub state_dir: PathBuf,
    /// How often the user has told it to stop.
    pub stops: Stops,
}

/// Counts the user's wishes to stop.
pub type Stops = watch::Receiver<u32>;

/// One run of playbooks.
pub struct Act {
    /// What the user is told: `Bringing the lab to today's state: kafka2.1.yml`.
    pub title: String,
    pub start: Start,
}

/// What is to be rehearsed.
pub struct Script {
    /// Where labs are kept.
    pub root: PathBuf,
    pub spec: LabSpec,
    pub allow_local: bool,
    /// Leave the lab up in the end.
    pub keep: bool,
    /// What brings the lab to today's state.
    pub from: Vec<Act>,
    /// What is rehearsed.
    pub main: Act,
    /// The same once more.
    pub again: Act,
}

/// How a rehearsal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was to be seen was well.
    Proven,
    /// Something was not: what, in words.
    Failed(String),
    Interrupted,
}

/// Why there was no rehearsal, or its lab is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lab(#[from] lab::Error),
    #[error("the lab `{name}` could not be removed; `krun lab down {name}` tries again")]
    StaysUp {
        name: String,
        #[source]
        source: lab::Error,
    },
}

/// Plays the whole story. Whatever happens, the lab is gone in the end, unless it is to be kept.
pub async fn rehearse(script: Script, say: Say, stops: Stops) -> Result<Ending, Error> {
    let (root, spec) = (script.root.clone(), script.spec.clone());
    say(&format!("Making a lab of {} hosts", spec.hosts.len()));
    let lab = aside({
        let (root, spec, say) = (root.clone(), spec.clone(), Arc::clone(&say));
        move || Lab::up(&root, &spec, &|step| say(&format!("  {step}")))
    })
    .await?;
    let keep = script.keep;
    let ending = on(&lab, script, &say, &stops).await;
    if keep {
        say(&format!(
            "The lab stays: `krun lab ssh {} HOST` goes there, `krun lab down {}` removes it",
            lab.name, lab.name
        ));
        return Ok(ending);
    }
    say("Removing the lab");
    remove(&root, &lab.name).await?;
    Ok(ending)
}

/// What happens while the lab is up.
async fn on(lab: &Lab, script: Script, say: &Say, stops: &Stops) -> Ending {
    let place = Place {
        confined: Confined {
            lab: lab.name.clone(),
            hosts: lab
                .hosts
                .iter()
                .map(|host| host.name.clone())
                .collect::<BTreeSet<_>>(),
            ssh_config: lab.ssh_config(),
            allow_local: script.allow_local,
        },
        state_dir: lab.state_dir(),
        stops: stops.clone(),
    };
    let acts = script.from.into_iter().chain([script.main, script.again]);
    for act in acts {
        if *stops.borrow() > 0 {
            return Ending::Interrupted;
        }
        say(&act.title);
        let conclusion = (act.start)(place.clone(), Box::new(|_| {})).await;
        match conclusion {
            Conclusion::Interrupted => return Ending::Interrupted,
            conclusion if conclusion.is_ok() => {}
            Conclusion::Ended { .. } => {
                return Ending::Failed(format!("a run did not end well: {}", act.title));
            }
        }
    }
    Ending::Proven
}

/// A Ctrl-C that reaches the engine's own program, too, must not leave the lab behind.
async fn remove(root: &Path, name: &str) -> Result<(), Error> {
    const TRIES: usize = 3;
    let mut tries = 1;
    loop {
        let (root, name) = (root.to_owned(), name.to_owned());
        match aside({
            let (root, name) = (root.clone(), name.clone());
            move || Lab::down(&root, &name)
        })
        .await
        {
            Ok(()) => return Ok(()),
            Err(_) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(source) => return Err(Error::StaysUp { name, source }),
        }
    }
}

/// Does what waits for programs without holding up everything else.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("it returns its errors")
}
