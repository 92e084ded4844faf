//! Turns events into what people and programs read; knows nothing of hosts.

pub mod diagnostics;
pub mod diff;
mod human;
mod json;
mod live;
mod paint;

pub use human::Human;
pub use json::Json;
pub use paint::Paint;

use crate::event::Event;

/// Hears every event of a run, in order.
pub trait Report {
    fn hear(&mut self, event: &Event);
}
