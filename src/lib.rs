//! krun reads an inventory and a playbook, compiles them into a graph, and brings hosts to that state.
//!
//! The modules stand in reading order: text becomes a model, the model a graph, the graph events,
//! the events text again. `ARCHITECTURE.md` draws the path and says who may use whom.

// What was written: text becomes a model. No network, no clock.
pub mod diag;
pub mod inventory;
pub mod playbook;
pub mod template;
pub mod value;
pub mod vault;
pub mod yaml;

// The model becomes a graph. Pure.
pub mod plan;

// On the host. Synchronous.
pub mod agent;
pub mod facts;
pub mod kafka;
pub mod modules;
pub mod proto;
pub mod sys;

// What playbooks fetch, by URL and checksum.
pub mod artifacts;

// The wire, and the graph becoming events.
pub mod event;
pub mod run;
pub mod transport;

// Events become text.
pub mod report;

// Events become files that outlive the run.
pub mod record;

pub mod cli;
pub mod lab;
pub mod rehearse;
pub mod review;

// Tests that are shared with `tests/` name krun as those do.
#[cfg(test)]
extern crate self as krun;
