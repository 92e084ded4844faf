//! Whole runs of the program over local connections: what users see, and in which order things happen.
#![expect(clippy::unwrap_used, reason = "what tests stand on is test code, too")]

mod ansible;
mod ask;
mod blocks;
mod brought;
mod chains;
mod configured;
mod delegated;
mod end_state;
#[path = "../shared/end_state.rs"]
mod end_state_of;
mod faults;
mod fetched;
mod graph;
mod guarded;
mod handlers;
mod hosts;
mod iterations;
mod language;
mod plan;
mod prove;
mod records;
mod refused;
mod rehearsed;
mod results;
mod resume;
mod review;
mod roles;
mod rollback;
mod saved;
#[path = "../shared/schema.rs"]
mod schema;
mod stopped;
mod support;
mod unknowns;
