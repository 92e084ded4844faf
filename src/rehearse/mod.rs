//! Turns an inventory and playbooks into a lab on which they run, and what happened there into proof.
//!
//! `story` tells it in order. `eye` (on the hosts) and `watch` see brokers, `load` sends and reads records, `work`
//! keeps what runs did; `brokers`, `gaps`, `idempotence`, `compare` and `estimate` draw conclusions, `proof` judges
//! them, and `sections` says it all, as `text` or `html`. `fault` tells the same story with something that breaks.

pub mod account;
pub mod broken;
pub mod brokers;
pub mod compare;
pub mod estimate;
pub mod evidence;
pub mod eye;
pub mod fault;
pub mod form;
pub mod gaps;
pub mod html;
pub mod idempotence;
pub mod load;
pub mod page;
pub mod proof;
pub mod sections;
mod settle;
pub mod story;
pub mod text;
pub mod timeline;
#[cfg(test)]
mod trial;
pub mod watch;
pub mod work;

pub use story::{Act, Error, Place, Say, Script, Sink, Start, Stops, rehearse, with_client};
