//! Options become clients of librdkafka that say on stderr what troubles them.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::options::Cluster;
use crate::watch::{Stop, say};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A client could not be made, or asked for something that the brokers refuse.
    #[error("{doing} failed")]
    Client {
        doing: &'static str,
        source: KafkaError,
    },
    /// The topic was not seen in time.
    #[error("topic `{topic}` is not to be had from `{bootstrap}`: {why}")]
    NoTopic {
        topic: String,
        bootstrap: String,
        why: String,
    },
    #[error("`--idempotence true` needs `--acks all`")]
    IdempotenceNeedsAll,
    #[error(transparent)]
    State(#[from] crate::state::Error),
    #[error("stopped before the work had begun")]
    Stopped,
}

impl Error {
    /// Names what was being done when librdkafka failed.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Client { doing, source }
    }
}

/// What librdkafka logs goes to stderr from warnings on.
pub(crate) struct Loud;

impl ClientContext for Loud {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, reason);
    }
}

impl ConsumerContext for Loud {}

/// What troubles a client goes to stderr; that a partition was read to its end is none.
pub(crate) fn complain(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        say(&format!("{error}: {reason}"));
    }
}

/// The same, for contexts that do more.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if level as i32 <= RDKafkaLogLevel::Warning as i32 {
        say(&format!("librdkafka {facility}: {message}"));
    }
}

/// What producers and consumers have in common. The user's own settings come last: see [`with_settings`].
pub(crate) fn common(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.bootstrap)
        .set("client.id", "krun-canary")
        .set("socket.keepalive.enable", "true")
        // A broker that restarts is back within seconds; the default waits up to ten between two tries.
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "10000");
    config
}

/// Puts the user's settings over the canary's.
pub(crate) fn with_settings(mut config: ClientConfig, cluster: &Cluster) -> ClientConfig {
    for (name, value) in &cluster.settings {
        config.set(name, value);
    }
    config
}

/// Waits until the topic is there, and says how many partitions it has. A consumer asks: unlike a producer it
/// never makes the broker create the topic.
pub(crate) fn partitions(cluster: &Cluster, stop: &mut Stop) -> Result<i32, Error> {
    let consumer: BaseConsumer<Loud> = with_settings(common(cluster), cluster)
        .create_with_context(Loud)
        .map_err(Error::doing("making a client"))?;
    let deadline = Instant::now() + cluster.wait;
    loop {
        let why = match consumer.fetch_metadata(Some(&cluster.topic), Duration::from_secs(2)) {
            Ok(metadata) => match metadata.topics() {
                [topic] if topic.error().is_none() && !topic.partitions().is_empty() => {
                    return Ok(i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX));
                }
                [topic] => topic.error().map_or_else(
                    || "it has no partitions".to_owned(),
                    |error| KafkaError::MetadataFetch(error.into()).to_string(),
                ),
                _ => "the brokers do not know it".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        if stop.asked() > 0 {
            return Err(Error::Stopped);
        }
        if Instant::now() >= deadline {
            return Err(Error::NoTopic {
                topic: cluster.topic.clone(),
                bootstrap: cluster.bootstrap.clone(),
                why,
            });
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
