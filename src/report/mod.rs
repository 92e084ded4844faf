//! Turns events into what people and programs read; knows nothing of hosts.

mod counts;
mod dangers;
pub mod diagnostics;
pub mod diff;
mod document;
#[cfg(test)]
mod example;
pub mod html;
mod human;
mod json;
mod live;
pub mod markdown;
mod middle;
mod paint;
pub mod parts;
mod patch;
pub mod story;
mod text;
mod together;
mod unknowns;
pub mod words;

pub use document::diff as diff_document;
pub use human::Human;
pub use json::Json;
pub use live::Quiet;
pub use paint::Paint;
pub use patch::patch_of;
pub use story::Story;

use crate::event::Event;

/// Hears every event of a run, in order.
pub trait Report {
    fn hear(&mut self, event: &Event);
}

/// How a run or a plan that is over is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What changed, for a terminal.
    Text,
    /// A comment on a pull request, within GitHub's limit.
    Markdown,
    /// One document, described in `docs/report.schema.json`.
    Json,
    /// One page that needs nothing else, not even JavaScript.
    Html,
    /// What `git apply` reads.
    Patch,
}

/// Draws all events of a run or plan, as they were said or as a record kept them.
pub fn render(events: &[Event], format: Format, paint: Paint) -> String {
    let story = Story::of(events);
    match format {
        Format::Text => text::draw(&story, paint),
        Format::Markdown => markdown::draw(&story),
        Format::Json => document::draw(&story),
        Format::Html => html::draw(&story),
        Format::Patch => patch::draw(&story),
    }
}
