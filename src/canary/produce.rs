//! Time becomes numbered records, sent at a steady rate whatever the brokers do, until a signal ends it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};

use crate::client::{self, Error};
use crate::ledger::{Course, Ledger, Sent, Summary};
use crate::options::{Acks, Produce};
use crate::record::Record;
use crate::state::{self, Writer};
use crate::watch::{Stop, Ticker, milliseconds, now, say};

/// Where delivery reports go.
struct Reports(Mutex<Ledger>);

impl Reports {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::complain(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, report: &DeliveryResult<'_>, sent: Box<Sent>) {
        match report {
            Ok(message) => {
                self.ledger()
                    .acked(&sent, message.partition(), message.offset(), now());
            }
            Err((error, _)) => self.ledger().failed(&sent, &text_of(error), now()),
        }
    }
}

/// Sends until `stop` or the planned time, waits for the reports, and sums up.
pub(crate) fn produce(options: &Produce, stop: &mut Stop) -> Result<Summary, Error> {
    if options.is_idempotent() && options.acks != Acks::All {
        return Err(Error::IdempotenceNeedsAll);
    }
    let mut writer = Writer::open(&options.state)?;
    let partitions = client::partitions(&options.cluster, stop)?;
    let used = usize::try_from(partitions)
        .unwrap_or(usize::MAX)
        .min(options.keys as usize);
    let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let started = now();
    let state = |source| state::Error::Io {
        path: options.state.clone(),
        source,
    };
    writer
        .run(&run, &options.cluster.topic, options.acks, used, started)
        .map_err(state)?;
    let ledger = Ledger::new(writer, used, started, options.gap);
    let producer = make(options, ledger)?;
    say(&format!(
        "run {run}: {} records a second to {partitions} partitions of `{}`, acks={}",
        options.rate,
        options.cluster.topic,
        options.acks.word()
    ));

    let mut sender = Sender {
        producer,
        options,
        run,
        partitions: partitions.unsigned_abs(),
        numbers: vec![0; options.keys as usize],
        sequence: 0,
        ticker: Ticker::new(options.cluster.status),
    };
    let planned = sender.send_until(stop);
    let stopped = now();
    sender.finish(stop);

    let fatal = sender.fatal();
    let mut ledger = sender.producer.context().ledger();
    ledger.end(stopped);
    if let Some(source) = ledger.trouble.take() {
        return Err(state(source).into());
    }
    let course = Course {
        run: sender.run.clone(),
        started,
        stopped,
        finished: now(),
        planned,
        fatal,
    };
    let summary = Summary::of(&ledger, course, options);
    say(&format!(
        "sent {}, acknowledged {}, failed {}",
        summary.sent, summary.acked, summary.failed
    ));
    Ok(summary)
}

fn make(options: &Produce, ledger: Ledger) -> Result<BaseProducer<Reports>, Error> {
    let idempotent = options.is_idempotent();
    let in_flight = options.in_flight.unwrap_or(if idempotent { 5 } else { 1 });
    let mut config = client::common(&options.cluster);
    config
        .set("acks", options.acks.word())
        .set("enable.idempotence", idempotent.to_string())
        .set("max.in.flight", in_flight.to_string())
        .set(
            "message.timeout.ms",
            milliseconds(options.delivery_timeout).to_string(),
        )
        // Room for all that is sent while nothing is acknowledged, or the rate would not hold.
        .set("queue.buffering.max.messages", "2000000");
    client::with_settings(config, &options.cluster)
        .create_with_context(Reports(Mutex::new(ledger)))
        .map_err(Error::doing("making a producer"))
}

struct Sender<'a> {
    producer: BaseProducer<Reports>,
    options: &'a Produce,
    run: String,
    partitions: u32,
    /// The last number of each key.
    numbers: Vec<u64>,
    sequence: u64,
    ticker: Ticker,
}

impl Sender<'_> {
    /// Sends at the rate; says how many records it should have been.
    fn send_until(&mut self, stop: &mut Stop) -> u64 {
        let begin = Instant::now();
        let rate = u64::from(self.options.rate);
        let goal = self
            .options
            .seconds
            .map_or(u64::MAX, |seconds| u64::from(seconds) * rate);
        loop {
            let due = due(begin.elapsed(), rate).min(goal);
            while self.sequence < due && self.send() {}
            if self.sequence >= goal || stop.asked() > 0 || self.has_failed() {
                return due;
            }
            // Reports are taken while the next record's time comes.
            let next = Duration::from_micros(1_000_000 * (self.sequence + 1) / rate);
            let pause = next.saturating_sub(begin.elapsed());
            self.producer
                .poll(pause.clamp(Duration::from_millis(1), Duration::from_millis(100)));
            self.tell();
        }
    }

    /// Sends the next record; `false` if the client has no room for it now.
    fn send(&mut self) -> bool {
        let key = u32::try_from(self.sequence % u64::from(self.options.keys)).unwrap_or_default();
        let number = self.numbers[key as usize] + 1;
        let sequence = self.sequence + 1;
        let time = now();
        let record = Record {
            run: self.run.clone(),
            key,
            number,
            sequence,
            time,
            acks: self.options.acks,
        };
        // Told which partition, the client does not hash: every partition gets its share.
        let partition = i32::try_from(key % self.partitions).unwrap_or_default();
        let sent = Sent {
            key,
            number,
            sequence,
            partition,
            time,
        };
        let value = record.value(self.options.size);
        let key_text = Record::key_text(key);
        let record = BaseRecord::with_opaque_to(&self.options.cluster.topic, Box::new(sent))
            .partition(partition)
            .key(&key_text)
            .payload(&value);
        let refused = match self.producer.send(record) {
            Ok(()) => None,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return false,
            Err((error, _)) => Some(text_of(&error)),
        };
        self.numbers[key as usize] = number;
        self.sequence = sequence;
        let mut ledger = self.producer.context().ledger();
        ledger.sent += 1;
        if let Some(why) = refused {
            ledger.failed(&sent, &why, time);
        }
        true
    }

    /// Waits until every record is acknowledged or has failed; a second signal gives up what is left.
    fn finish(&mut self, stop: &mut Stop) {
        let asked = stop.asked();
        // The client itself lets records time out; the margin is for its reports.
        let deadline = Instant::now() + self.options.delivery_timeout + Duration::from_secs(5);
        while self.producer.in_flight_count() > 0
            && Instant::now() < deadline
            && stop.asked() <= asked.max(1)
            && self.producer.context().ledger().trouble.is_none()
        {
            self.producer.poll(Duration::from_millis(100));
            self.tell();
        }
        if self.producer.in_flight_count() > 0 {
            self.producer
                .purge(PurgeConfig::default().queue().inflight());
            let _ = self.producer.flush(Duration::from_secs(5));
        }
    }

    /// A line of progress and a mark in the state file, when it is time.
    fn tell(&mut self) {
        let mut ledger = self.producer.context().ledger();
        if let Some(rate) = self.ticker.rate_if_due(ledger.acked) {
            let now = now();
            ledger.mark(now);
            say(&format!(
                "{rate} acknowledged a second, sent {}, acknowledged {}, failed {}, in flight {}, last one {} s ago",
                ledger.sent,
                ledger.acked,
                ledger.failed,
                ledger.in_flight(),
                now.saturating_sub(ledger.last_ack) / 1000,
            ));
        }
    }

    fn has_failed(&self) -> bool {
        self.producer.context().ledger().trouble.is_some() || self.fatal().is_some()
    }

    fn fatal(&self) -> Option<String> {
        self.producer
            .client()
            .fatal_error()
            .map(|(code, reason)| format!("{code}: {reason}"))
    }
}

/// How many records the rate asks for after so long.
fn due(passed: Duration, rate: u64) -> u64 {
    u64::try_from(passed.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX)
}

/// The part of an error that says what happened.
fn text_of(error: &KafkaError) -> String {
    error
        .rdkafka_error_code()
        .map_or_else(|| error.to_string(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_over_hours() {
        assert_eq!(due(Duration::from_secs(3600), 250), 900_000);
        assert_eq!(due(Duration::from_millis(3), 250), 0);
        assert_eq!(due(Duration::from_millis(4), 250), 1);
    }
}
