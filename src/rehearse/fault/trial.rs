//! Tells one fault's story: a lab as it was before the playbook, load, the playbook with something that breaks, a verdict.

use super::drive::{Drive, Driven};
use super::judge::{Strike, Trial, judge};
use super::matrix::Setting;
use super::{Fault, Reference, strike};
use crate::lab::Lab;
use crate::rehearse::account::{Account, Kafka};
use crate::rehearse::brokers::Away;
use crate::rehearse::evidence;
use crate::rehearse::idempotence;
use crate::rehearse::proof::{self, Outcome};
use crate::rehearse::settle;
use crate::rehearse::story::{Before, Error, Stage, aside, now, remove};
use crate::rehearse::watch::Watch;
use crate::rehearse::work::Phase;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long what was mended may take to stand again before the run goes on.
const STANDING: Duration = Duration::from_secs(45);

/// Tries one fault; `None` if the user stopped it. The lab is gone in the end.
///
/// # Errors
/// The lab could not be made or removed.
pub(super) async fn trial(
    setting: &Setting,
    fault: &Fault,
    number: usize,
    reference: &Reference,
) -> Result<Option<Trial>, Error> {
    let begun = now();
    let lab = aside({
        let (root, spec, say) = (
            setting.root.clone(),
            setting.spec.clone(),
            Arc::clone(&setting.say),
        );
        move || Lab::up(&root, &spec, &|step| say(&format!("  {step}")))
    })
    .await?;
    let told = told(setting, &lab, fault, number, reference, begun).await;
    remove(&setting.root, &setting.spec.engine, &lab.name).await?;
    told
}

async fn told(
    setting: &Setting,
    lab: &Lab,
    fault: &Fault,
    number: usize,
    reference: &Reference,
    begun: u64,
) -> Result<Option<Trial>, Error> {
    let (here, trouble) = (lab.clone(), fault.clone());
    aside(move || strike::prepare(&here, &trouble)).await?;
    let watch = Watch::start(lab, &setting.hosts, &setting.program)?;
    let mut stage = Stage {
        lab: lab.clone(),
        say: Arc::clone(&setting.say),
        stops: setting.stops.clone(),
        watch: Arc::new(watch),
        reference: None,
    };
    let wish = settle::LoadWish {
        canary: setting.canary.clone(),
        rate: setting.rate,
        settings: setting.client_settings.clone(),
    };
    let before = stage
        .before(&setting.program, wish, reference.brokers)
        .await;
    if stage.is_stopped() {
        return Ok(None);
    }
    let seen = Arc::new(Mutex::new(None));
    let has_brokers = matches!(before, Before::Cluster(_));
    let driven = drive(setting, &stage, fault, number, has_brokers, &seen).await;
    let again = match &driven {
        Ok(driven) if driven.ended_well() => plainly(setting, &mut stage).await.map(Some),
        Ok(_) => Ok(None),
        Err(why) => Err(why.clone()),
    };
    if stage.is_stopped() {
        return Ok(None);
    }
    let (driven, again, refused) = match (driven, again) {
        (Ok(driven), Ok(again)) => (driven, again, None),
        (Ok(driven), Err(why)) => (driven, None, Some(why)),
        (Err(why), _) => (Driven::default(), None, Some(why)),
    };
    let end = stage.states(&setting.hosts).await;
    let mut account = Account::begin("", setting.hosts.clone(), begun);
    if let Some(again) = &again {
        account.idempotence = idempotence::judge(again);
    }
    let phases: Vec<&Phase> = driven
        .legs
        .iter()
        .map(|leg| &leg.phase)
        .chain(&again)
        .collect();
    account.kafka = match before {
        Before::NoBroker(why) => Kafka::Absent(why),
        Before::Cluster(before) => {
            let away = away(fault, &driven);
            let cluster = stage.after(*before, &setting.program, &phases, &away);
            Kafka::Seen(Box::new(cluster.await))
        }
    };
    account.main = driven.legs.last().map(|leg| leg.phase.clone());
    if stage.is_stopped() {
        return Ok(None);
    }
    let mut collected = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let deadlocks = collected.as_ref().map(|it| it.deadlocks.clone());
    let deadlocks = deadlocks.unwrap_or_default();
    let second = account.idempotence.words();
    let mut checks = judge(&account, &driven, reference, &end, &second, &deadlocks);
    if !proof::passed(&checks) && collected.is_none() {
        let (lab, hosts) = (stage.lab.clone(), setting.hosts.clone());
        let dir = evidence_dir(setting, fault, number);
        (setting.say)(&format!("  what tells why goes to {}", dir.display()));
        let failed = checks.iter().filter(|it| it.outcome == Outcome::Failed);
        let why: Vec<String> = failed
            .map(|it| format!("{}: {}", it.name, it.text))
            .collect();
        let collect = move || {
            let records = lab.state_dir().join("runs");
            evidence::collect(&lab, &hosts, &records, &dir, &why).ok()
        };
        collected = aside(collect).await;
    }
    if let Some(why) = refused {
        checks.push(super::judge::harness(why));
    }
    Ok(Some(Trial {
        fault: fault.clone(),
        legs: driven.legs.iter().map(|leg| leg.end.clone()).collect(),
        struck: match &driven.struck {
            None => Strike::TooLate,
            Some(struck) if struck.found => Strike::Hit,
            Some(_) => Strike::Nothing,
        },
        checks,
        seconds: (now() - begun) / 1000,
        lasted: driven.lasted(),
        silence: account.silence(),
        by_hand: driven.by_hand.clone(),
        evidence: collected.map(|it| it.dir),
    }))
}

/// The run, what breaks it, and those that go on; a gate that times out leaves its evidence in `seen`.
async fn drive(
    setting: &Setting,
    stage: &Stage,
    fault: &Fault,
    number: usize,
    has_brokers: bool,
    seen: &Arc<Mutex<Option<evidence::Evidence>>>,
) -> Result<Driven, String> {
    let (program, lab, say) = (
        setting.runs.clone(),
        stage.lab.clone(),
        Arc::clone(&setting.say),
    );
    let (stops, watch) = (setting.stops.clone(), Arc::clone(&stage.watch));
    let (fault, hosts) = (fault.clone(), setting.hosts.clone());
    let dir = evidence_dir(setting, &fault, number);
    let seen = Arc::clone(seen);
    aside(move || {
        let records = lab.state_dir().join("runs");
        let mut stopped = |run: &Phase| {
            if !evidence::is_wanted(run) {
                return None;
            }
            say(&format!(
                "  a gate stayed shut: its evidence goes to {}",
                dir.display()
            ));
            let found = match evidence::collect(&lab, &hosts, &records, &dir, &run.faults) {
                Ok(found) => found,
                Err(error) => {
                    say(&format!("  it cannot be written: {error}"));
                    return None;
                }
            };
            let why = found.deadlocks.first().cloned();
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            why
        };
        Drive {
            program: &program,
            lab: &lab,
            say: &|line| say(line),
            stops,
            stopped: &mut stopped,
            settle: &|| {
                if has_brokers {
                    settle::in_sync(&watch, STANDING);
                }
            },
        }
        .under(&fault)
    })
    .await
}

fn evidence_dir(setting: &Setting, fault: &Fault, number: usize) -> PathBuf {
    setting.evidence.join(format!("{number:03}-{}", fault.kind))
}

/// The same once more, with nothing that breaks.
async fn plainly(setting: &Setting, stage: &mut Stage) -> Result<Phase, String> {
    (setting.say)("  the same once more");
    stage.settled().await;
    let (program, lab, say) = (
        setting.runs.clone(),
        stage.lab.clone(),
        Arc::clone(&setting.say),
    );
    let stops = setting.stops.clone();
    aside(move || {
        let drive = Drive {
            program: &program,
            lab: &lab,
            say: &|line| say(line),
            stops,
            stopped: &mut |_| None,
            settle: &|| {},
        };
        drive.plainly().map(|leg| leg.phase)
    })
    .await
}

fn away(fault: &Fault, driven: &Driven) -> Vec<Away> {
    let struck = driven.struck.as_ref().filter(|_| fault.kind.takes_broker());
    struck
        .map(|struck| Away {
            host: fault.host.clone(),
            from: struck.at,
            to: driven.mended,
            counts: fault.kind.hides_broker(),
        })
        .into_iter()
        .collect()
}
