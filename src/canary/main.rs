//! A client under load: numbers records into a topic, reads them back, and says what was lost, doubled or disordered.
//!
//! It runs inside the network of the brokers, beside an upgrade, and is linked statically like krun. It has
//! its own binary because librdkafka does the work here and krun itself shall not link it.
//!
//! Exit codes: 0 all checks passed, 1 a check failed (the JSON says which), 2 the work could not be done.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line prints: JSON to stdout, talk to stderr"
)]

mod client;
mod consume;
mod gaps;
mod ledger;
mod names;
mod options;
mod produce;
mod record;
mod state;
mod verdict;
mod verify;
mod watch;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use crate::options::{Command, Options};
use crate::watch::Stop;

fn main() -> ExitCode {
    names::resolve_without_modules();
    match answer(&Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("krun-canary: {error}");
            let mut cause = error.source();
            while let Some(it) = cause {
                eprintln!("  caused by: {it}");
                cause = it.source();
            }
            ExitCode::from(2)
        }
    }
}

/// Does one command, prints its JSON, and says whether its checks passed.
fn answer(command: &Command) -> Result<bool, Box<dyn Error>> {
    // Before any client: the threads of librdkafka shall inherit the blocked signals.
    let mut stop = Stop::on_signals()?;
    let (passed, json) = match command {
        Command::Produce(options) => {
            let summary = produce::produce(options, &mut stop)?;
            let json = serde_json::to_string(&summary)?;
            state::write_whole(&options.summary_path(), &json)?;
            (summary.passed(), json)
        }
        Command::Verify(options) => {
            let verdict = verify::verify(options, &mut stop)?;
            (verdict.ok, serde_json::to_string(&verdict)?)
        }
        Command::Consume(options) => {
            let summary = consume::consume(options, &mut stop)?;
            let json = serde_json::to_string(&summary)?;
            if let Some(path) = &options.summary {
                state::write_whole(path, &json)?;
            }
            (summary.passed(), json)
        }
    };
    println!("{json}");
    Ok(passed)
}
