//! Where the events of a run go: to the terminal as they happen, or kept and drawn when all is over.

use super::apply::paint;
use super::options::{Output, RunOptions};
use super::settings::Machine;
use crate::event::Event;
use crate::report::{self, Human, Json, Paint, Quiet, Report};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the live lines are drawn anew.
const TICK: Duration = Duration::from_millis(250);

pub(super) type Sink = Box<dyn FnMut(&Event)>;

/// What is drawn when all is over.
pub(super) struct Drawn {
    format: report::Format,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Drawn {
    #[expect(clippy::print_stdout, reason = "cli speaks to the user")]
    pub(super) fn print(&self, paint: Paint) {
        let events = self.events.lock().expect("nobody panics with it");
        print!("{}", report::render(&events, self.format, paint));
    }
}

/// Where events go; on a terminal, with a ticker that keeps the live lines moving.
pub(super) fn sink(
    options: &RunOptions,
    machine: &Machine,
) -> (Sink, Option<tokio::task::JoinHandle<()>>, Option<Drawn>) {
    if options.output == Output::Json {
        let mut json = Json::new(std::io::stdout());
        return (Box::new(move |event| json.hear(event)), None, None);
    }
    if let Some(format) = options.format {
        let (mut sink, ticker, _) = silent(machine);
        let events = Arc::new(Mutex::new(Vec::new()));
        let drawn = Drawn {
            format: format.into(),
            events: Arc::clone(&events),
        };
        let keep = move |event: &Event| {
            sink(event);
            events
                .lock()
                .expect("nobody panics with it")
                .push(event.clone());
        };
        return (Box::new(keep), ticker, Some(drawn));
    }
    let is_terminal = std::io::stdout().is_terminal();
    let human = Human::new(
        std::io::stdout(),
        paint(is_terminal, machine),
        options.verbose,
        is_terminal,
    );
    let (sink, ticker) = shared(human, Human::tick, is_terminal);
    (sink, ticker, None)
}

/// Only the live lines, on a terminal.
pub(super) fn silent(
    machine: &Machine,
) -> (Sink, Option<tokio::task::JoinHandle<()>>, Option<Drawn>) {
    let is_terminal = std::io::stderr().is_terminal();
    let live = Quiet::new(std::io::stderr(), paint(is_terminal, machine), is_terminal);
    let (sink, ticker) = shared(live, Quiet::tick, is_terminal);
    (sink, ticker, None)
}

/// A reporter that hears events, and on a terminal moves between them.
fn shared<R: Report + Send + 'static>(
    reporter: R,
    tick: fn(&mut R),
    is_terminal: bool,
) -> (Sink, Option<tokio::task::JoinHandle<()>>) {
    let reporter = Arc::new(Mutex::new(reporter));
    let ticker = is_terminal.then(|| {
        let reporter = Arc::clone(&reporter);
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            loop {
                interval.tick().await;
                tick(&mut reporter.lock().expect("the reporter does not panic"));
            }
        })
    });
    let hear = move |event: &Event| {
        reporter
            .lock()
            .expect("the reporter does not panic")
            .hear(event);
    };
    (Box::new(hear), ticker)
}
