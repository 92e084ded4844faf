//! krun reads an inventory and a playbook, compiles them into a graph, and brings hosts to that state.
//!
//! The modules stand in reading order: text becomes a model, the model a graph, the graph events,
//! the events text again. `ARCHITECTURE.md` draws the path and says who may use whom.

pub mod diag;
pub mod inventory;
pub mod playbook;
pub mod template;
pub mod value;
pub mod vault;
pub mod yaml;

pub mod sys;

pub mod facts;

pub mod kafka;

pub mod agent;
pub mod modules;
pub mod proto;

pub mod transport;

pub mod event;

pub mod lab;
