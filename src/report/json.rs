//! Events as JSON, one a line, for programs.

use super::Report;
use crate::event::Event;
use std::io::Write;

/// Writes every event as one line of JSON.
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Report for Json<W> {
    fn hear(&mut self, event: &Event) {
        // A reader that went away must not stop the run in the middle of something.
        if let Ok(line) = serde_json::to_string(event) {
            let _ = writeln!(self.out, "{line}");
        }
    }
}
