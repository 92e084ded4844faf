//! The command line of the canary.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Parser)]
#[command(
    name = "krun-canary",
    version,
    about = "Sends numbered records through an upgrade, and proves that each acknowledged one is there"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send numbered records at a steady rate until TERM, INT or HUP, and note every acknowledged one
    Produce(Produce),
    /// Read the topic from its start and check it against what was acknowledged
    Verify(Verify),
    /// Read with a consumer group until TERM, INT or HUP, committing
    Consume(Consume),
}

/// What every command needs to reach a topic.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cluster {
    /// Brokers to begin with: `host:port,host:port`
    #[arg(long)]
    pub(crate) bootstrap: String,
    /// The topic; it must exist
    #[arg(long)]
    pub(crate) topic: String,
    /// A setting of librdkafka, as `name=value`; the last one counts
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Seconds between two lines of progress on stderr
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) status: Duration,
    /// Seconds to wait at the beginning for the topic to be there
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Records a second, over all keys
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Distinct keys; each key's records are numbered from 1 and go to one partition
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: u32,
    /// Which replicas acknowledge
    #[arg(long, default_value = "all")]
    pub(crate) acks: Acks,
    /// Seconds within which a record is acknowledged or has failed
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) delivery_timeout: Duration,
    /// Where acknowledged records are noted, one a line; lines are added. The summary goes to FILE.json
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    /// Send for so long, then end as on TERM
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: Option<u32>,
    /// Whether brokers drop what a retry sends twice; with `--acks all` only, and there the default
    #[arg(long)]
    pub(crate) idempotence: Option<bool>,
    /// Requests in flight per broker; 5 with idempotence, else 1, so that retries keep the order
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: Option<u32>,
    /// Seconds without an acknowledgement from which on a gap is listed
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) gap: Duration,
    /// Bytes to which each record is filled up
    #[arg(long, default_value_t = 0)]
    pub(crate) size: usize,
}

impl Produce {
    /// Whether the producer is idempotent.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotence.unwrap_or(self.acks == Acks::All)
    }

    /// Where the summary goes.
    pub(crate) fn summary_path(&self) -> PathBuf {
        let mut path = self.state.clone().into_os_string();
        path.push(".json");
        path.into()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// What `produce` noted
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    /// Seconds within which the topic must have been read
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Seconds without an acknowledgement from which on a gap is listed
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) gap: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Consume {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// The consumer group
    #[arg(long)]
    pub(crate) group: String,
    /// Read for so long, then end as on TERM
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: Option<u32>,
    /// Seconds without a record from which on a gap is listed
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) gap: Duration,
    /// Where the summary goes, beside stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

/// Which replicas acknowledge a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Acks {
    /// All in-sync replicas
    #[serde(rename = "all")]
    All,
    /// The leader only
    #[value(name = "1")]
    #[serde(rename = "1")]
    Leader,
}

impl Acks {
    /// As librdkafka, records and the state file write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Leader => "1",
        }
    }

    /// The opposite of [`Acks::word`].
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::All, Self::Leader]
            .into_iter()
            .find(|acks| acks.word() == word)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is not `name=value`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn acks_of_the_leader_only_are_not_idempotent_by_themselves() {
        let line = "krun-canary produce --bootstrap a:1 --topic t --state s --acks 1";
        let Command::Produce(options) = Options::parse_from(line.split(' ')).command else {
            panic!("not produce");
        };
        assert!(!options.is_idempotent());
        assert_eq!(options.summary_path(), PathBuf::from("s.json"));
    }
}
