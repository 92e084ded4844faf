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

pub mod isr;
pub mod safety;

pub mod hidden;
pub mod listeners;
pub mod reassign;
pub mod records;
pub mod running;
pub mod service;
pub mod topics;

pub mod access;
pub mod groups;
pub mod members;
pub mod observe;
pub mod pending;
pub mod zookeeper;

pub use error::{Error, Result};
