//! Whole runs of the program over local connections: what users see, and in which order things happen.

mod blocks;
mod faults;
mod handlers;
mod hosts;
mod language;
mod plan;
mod support;
