//! Learns what became of the tasks of a lost link: one more connection, on which the host's journal tells how each stands.

use super::prepare::ItemState;
use crate::inventory::connection::Connection;
use crate::proto::{Due, FromAgent, JournalEntry, JournalMark, Seq, ToAgent};
use crate::transport::{self, Options};
use crate::value::HostName;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What is known of the tasks that a lost link carried.
#[derive(Debug)]
pub(super) enum Aftermath {
    /// The link never stood, or nothing was under way on it.
    Nothing,
    Journal {
        /// The last mark of each task that began.
        marks: HashMap<Seq, JournalMark>,
        /// The handlers that are due there.
        due: Vec<Due>,
    },
    /// The journal could not be read.
    Silence(transport::Error),
}

/// How a task stands whose link was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    NotBegun,
    Ended {
        /// As the module saw it.
        changed: bool,
    },
    Failed,
    /// Ended in the middle, by the agent.
    Cut,
    /// Began; nobody knows more.
    Unknown,
}

impl Aftermath {
    /// Connects once more and reads the journal. The agent that was lost is over by then: the new one waits for it.
    ///
    /// A task that is taken back meanwhile ends the attempt: the user no longer wants to wait.
    pub(super) async fn read(
        host: &HostName,
        connection: &Connection,
        options: &Arc<Options>,
        messages: &mut mpsc::UnboundedReceiver<ToAgent>,
    ) -> Self {
        let read = async {
            let mut link = transport::connect(host, connection, options).await?;
            let _ = link.to_agent.send(ToAgent::Journal);
            let entries = loop {
                match link.from_agent.recv().await {
                    Some(Ok(FromAgent::Journal(entries))) => break entries,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Err(transport::Error::Lost { causes: Vec::new() }),
                }
            };
            let due = std::mem::take(&mut link.ready.due);
            link.close().await;
            Ok((entries, due))
        };
        let taken_back = async {
            while let Some(message) = messages.recv().await {
                if matches!(
                    message,
                    ToAgent::Cancel(_) | ToAgent::TakeBack(_) | ToAgent::CancelAll
                ) {
                    break;
                }
            }
        };
        tokio::select! {
            told = read => match told {
                Ok((entries, due)) => Self::Journal { marks: marks(entries, &options.run), due },
                Err(error) => Self::Silence(error),
            },
            () = taken_back => Self::Silence(transport::Error::Lost {
                causes: vec!["the run was told to stop before it was asked".into()],
            }),
        }
    }

    /// Returns how an item stands; `None` if it was not on its way.
    pub(super) fn of(&self, state: &ItemState) -> Option<Fate> {
        let ItemState::Sent {
            seq,
            granted,
            waiting,
            began,
            ..
        } = state
        else {
            return None;
        };
        Some(match self {
            Self::Journal { marks, .. } => match marks.get(seq) {
                Some(JournalMark::Ended { changed }) => Fate::Ended { changed: *changed },
                Some(JournalMark::Failed) => Fate::Failed,
                Some(JournalMark::Cancelled) => Fate::Cut,
                Some(JournalMark::Began) => Fate::Unknown,
                None if *began => Fate::Unknown,
                None => Fate::NotBegun,
            },
            Self::Silence(_) if *began || (*granted && !*waiting) => Fate::Unknown,
            Self::Silence(_) | Self::Nothing => Fate::NotBegun,
        })
    }
}

fn marks(entries: Vec<JournalEntry>, run: &str) -> HashMap<Seq, JournalMark> {
    let ours = entries.into_iter().filter(|entry| entry.run == run);
    ours.map(|entry| (entry.seq, entry.what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sent(seq: Seq, granted: bool, began: bool) -> ItemState {
        ItemState::Sent {
            seq,
            to: "host".into(),
            granted,
            waiting: false,
            began,
            since: Instant::now(),
        }
    }

    #[test]
    fn the_last_mark_of_this_run_decides() {
        let entry = |run: &str, seq, what| JournalEntry {
            run: run.into(),
            host: String::new(),
            seq,
            name: String::new(),
            at: 0,
            what,
        };
        let entries = vec![
            entry("old", 3, JournalMark::Began),
            entry("now", 1, JournalMark::Began),
            entry("now", 1, JournalMark::Ended { changed: true }),
            entry("now", 2, JournalMark::Began),
        ];
        let known = Aftermath::Journal {
            marks: marks(entries, "now"),
            due: Vec::new(),
        };
        assert_eq!(
            known.of(&sent(1, true, true)),
            Some(Fate::Ended { changed: true })
        );
        assert_eq!(known.of(&sent(2, true, false)), Some(Fate::Unknown));
        assert_eq!(known.of(&sent(3, true, false)), Some(Fate::NotBegun));
        assert_eq!(known.of(&ItemState::Ready), None);
    }

    #[test]
    fn without_the_journal_what_could_have_begun_is_unknown() {
        let silence = Aftermath::Silence(transport::Error::Lost { causes: Vec::new() });
        assert_eq!(silence.of(&sent(1, true, false)), Some(Fate::Unknown));
        assert_eq!(silence.of(&sent(1, false, false)), Some(Fate::NotBegun));
        assert_eq!(silence.of(&sent(1, false, true)), Some(Fate::Unknown));
    }
}
