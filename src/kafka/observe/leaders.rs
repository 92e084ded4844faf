//! Gives partitions back to their preferred leaders and waits until they have them.

use super::{POLL, pause, seconds};
use crate::kafka::access::Access;
use crate::kafka::{Error, Result, reassign};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What a task says about leaders.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PreferredLeadersArgs {
    /// Seconds for which nothing may move before it fails. Default 60.
    #[serde(default)]
    pub stall: Option<u64>,
    #[serde(flatten)]
    pub access: Access,
}

/// Returns the partitions that another replica than the preferred one leads, although that one is in sync.
pub fn not_preferred(sys: &Sys, args: &PreferredLeadersArgs) -> Result<Vec<(String, i32)>> {
    let mut cluster = args.access.own_cluster(sys)?;
    Ok(reassign::not_preferred(&cluster.metadata()?))
}

/// Elects preferred leaders until all partitions have theirs. Returns how many there were to move.
///
/// # Errors
/// [`Error::Gate`] with the partitions when nothing moved for the stall time.
pub fn elect_preferred(sys: &Sys, args: &PreferredLeadersArgs) -> Result<usize> {
    let local = args.access.local(sys)?;
    let ensemble = local.ensemble();
    let mut cluster = args.access.cluster(sys, &local, &[])?;
    let stall = seconds(args.stall, 60);
    let mut first = None;
    let mut best = usize::MAX;
    let mut moved = Instant::now();
    let mut asked: Option<Instant> = None;
    loop {
        let metadata = cluster.metadata()?;
        let left = reassign::not_preferred(&metadata);
        first.get_or_insert(left.len());
        if left.is_empty() {
            return Ok(first.unwrap_or(0));
        }
        if left.len() < best {
            best = left.len();
            moved = Instant::now();
        }
        if moved.elapsed() >= stall {
            return Err(Error::Gate {
                message: format!(
                    "{} partitions did not get their preferred leader back",
                    left.len()
                ),
                seen: left.iter().map(|(t, p)| format!("{t}-{p}")).collect(),
                help: None,
            });
        }
        // An election is done before the views show it.
        if asked.is_none_or(|at| at.elapsed().as_secs() >= 10) {
            match reassign::elect_preferred(&mut cluster, &metadata, ensemble.as_ref(), &left) {
                Ok(true) => asked = Some(Instant::now()),
                Ok(false) => {}
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => sys.progress(&format!("waiting: {}", error.chain())),
            }
        }
        let text = format!("{} partitions without their preferred leader", left.len());
        sys.progress(&format!("waiting: {text}"));
        pause(sys, POLL, &text)?;
    }
}
