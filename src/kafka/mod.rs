//! Kafka without a JVM: blocking connections to brokers, what is learnt over them and from the host, and the rules that decide when a broker may stop.

pub mod error;
pub mod version;

pub mod properties;

mod der;
mod jks;
pub mod settings;
mod stores;
mod tls;

pub mod client;
pub mod cluster;
pub mod configs;
pub mod connect;
pub mod requests;
mod sasl;

pub mod safety;

pub use error::{Error, Result};
