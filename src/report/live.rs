//! What is under way now, as lines at the bottom of a terminal; elsewhere as a plain line now and then.

use super::words::duration;
use super::{Paint, Report};
use crate::event::{Event, EventKind};
use crate::value::HostName;
use indexmap::IndexMap;
use std::io::Write;
use std::time::{Duration, Instant};

/// Hosts shown at once.
const ROWS: usize = 6;
/// Without a terminal, a waiting host speaks at most so often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The hosts that are at work.
pub(super) struct Live {
    is_terminal: bool,
    busy: IndexMap<HostName, Busy>,
    /// Lines drawn below the last output.
    drawn: usize,
    /// Somebody is typing where they would be drawn.
    is_asking: bool,
}

struct Busy {
    title: String,
    text: String,
    since: Instant,
    /// When a plain line was last written for it.
    said: Instant,
}

impl Live {
    pub(super) fn new(is_terminal: bool) -> Self {
        Self {
            is_terminal,
            busy: IndexMap::new(),
            drawn: 0,
            is_asking: false,
        }
    }

    /// Follows who begins and ends.
    pub(super) fn hear(&mut self, event: &Event) {
        let now = Instant::now();
        match &event.kind {
            EventKind::HostConnecting { host } => {
                self.busy.insert(
                    host.clone(),
                    Busy {
                        title: "connecting".into(),
                        text: String::new(),
                        since: now,
                        said: now,
                    },
                );
            }
            EventKind::HostConnected { host, .. }
            | EventKind::HostUnreachable { host, .. }
            | EventKind::TaskEnded { host, .. } => {
                self.busy.shift_remove(host);
            }
            EventKind::TaskProgress { host, task, text } => match self.busy.get_mut(host) {
                Some(busy) if busy.title == task.title => busy.text.clone_from(text),
                _ => {
                    self.busy.insert(
                        host.clone(),
                        Busy {
                            title: task.title.clone(),
                            text: text.clone(),
                            since: now,
                            said: now,
                        },
                    );
                }
            },
            EventKind::Asked { .. } => self.is_asking = true,
            EventKind::Answered {} => self.is_asking = false,
            EventKind::RunEnded { .. } | EventKind::RollStopped(_) => self.busy.clear(),
            _ => {}
        }
    }

    /// Takes the drawn lines away, so that ordinary output can follow.
    pub(super) fn clear(&mut self) -> String {
        let drawn = std::mem::take(&mut self.drawn);
        if drawn == 0 {
            String::new()
        } else {
            format!("\x1b[{drawn}F\x1b[J")
        }
    }

    /// Draws the lines anew.
    pub(super) fn redraw(&mut self, paint: Paint) -> String {
        if !self.is_terminal || self.is_asking {
            return String::new();
        }
        let mut out = self.clear();
        for (host, busy) in self.busy.iter().take(ROWS) {
            let elapsed = u64::try_from(busy.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let text = if busy.text.is_empty() {
                String::new()
            } else {
                format!(": {}", busy.text)
            };
            let line: String = format!("  {host}  {}  {}{text}", duration(elapsed), busy.title)
                .chars()
                .take(150)
                .collect();
            out.push_str(&one_row(&paint.dim(line)));
            self.drawn += 1;
        }
        if self.busy.len() > ROWS {
            out.push_str(&paint.dim(format!("  … and {} more hosts\n", self.busy.len() - ROWS)));
            self.drawn += 1;
        }
        out
    }

    /// Without a terminal: a line for a host that waits and says why.
    pub(super) fn plain_line(&mut self, event: &Event) -> Option<String> {
        let EventKind::TaskProgress { host, text, .. } = &event.kind else {
            return None;
        };
        let busy = self.busy.get_mut(host)?;
        if self.is_terminal || text.is_empty() || busy.said.elapsed() < PLAIN_EVERY {
            return None;
        }
        busy.said = Instant::now();
        let elapsed = u64::try_from(busy.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(format!("waiting: [{host}] {}: {text}", duration(elapsed)))
    }
}

/// A line that a narrow terminal cuts off instead of wrapping: a second row would not be counted, and stay.
fn one_row(line: &str) -> String {
    format!("\x1b[?7l{line}\x1b[?7h\n")
}

/// Only the live lines: for what is drawn whole at its end.
pub struct Quiet<W: Write> {
    out: W,
    paint: Paint,
    live: Live,
}

impl<W: Write> Quiet<W> {
    /// Without a terminal nothing is written.
    pub fn new(out: W, paint: Paint, is_terminal: bool) -> Self {
        Self {
            out,
            paint,
            live: Live::new(is_terminal),
        }
    }

    /// Draws the live lines anew; called a few times a second.
    pub fn tick(&mut self) {
        let lines = self.live.redraw(self.paint);
        // A reader that went away must not stop the run in the middle of something.
        let _ = self.out.write_all(lines.as_bytes());
        let _ = self.out.flush();
    }
}

impl<W: Write> Report for Quiet<W> {
    fn hear(&mut self, event: &Event) {
        self.live.hear(event);
        self.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{At, TaskName};

    #[test]
    fn a_line_that_is_wider_than_the_terminal_takes_one_row_and_is_taken_away_again() {
        let mut live = Live::new(true);
        live.hear(&Event {
            at: 1,
            kind: EventKind::TaskProgress {
                host: "k1".into(),
                task: TaskName {
                    title: "Every broker is in sync".to_owned(),
                    at: At {
                        file: "play.yml".to_owned(),
                        line: 1,
                        column: 1,
                    },
                    module: "wait_for_isr".to_owned(),
                    is_handler: false,
                },
                text: "waiting: ".to_owned() + &"cannot connect ".repeat(20),
            },
        });
        let drawn = live.redraw(Paint { colour: false });
        assert!(drawn.starts_with("\x1b[?7l  k1 ") && drawn.ends_with("\x1b[?7h\n"));
        assert_eq!(drawn.lines().count(), 1);
        assert_eq!(live.clear(), "\x1b[1F\x1b[J");
    }
}
