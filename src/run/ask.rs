//! `pause` without a time: asks whoever sits at the terminal, once for all hosts of a batch, and waits without holding anything else up.

use super::Run;
use crate::event::EventKind;
use crate::modules::{Error, Outcome};
use crate::playbook::Task;
use crate::value::{Mapping, as_bool, display};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// How often an open question is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads one line of the terminal, hidden or not, while the run goes on. The question itself is an event.
#[derive(Clone, Copy)]
pub struct Ask(pub fn(hidden: bool) -> Receiver<String>);

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

/// The questions of one batch: by their task and their words.
#[derive(Default)]
pub(super) struct Questions(HashMap<(usize, String), Question>);

enum Question {
    Open(Receiver<String>, Instant),
    Answered(String, Duration),
}

/// What a question has come to.
pub(super) enum Reply {
    /// Look again at this time.
    Open(Instant),
    Done(Box<Result<Outcome, Error>>),
}

impl Reply {
    fn done(result: Result<Outcome, Error>) -> Self {
        Self::Done(Box::new(result))
    }
}

/// Asks, or looks whether somebody has answered.
pub(super) fn ask(run: &mut Run, task: &Arc<Task>, given: &Mapping) -> Reply {
    let Some(Ask(read)) = run.world.settings.ask else {
        let error = Error::new("a `pause` that waits for a key needs a terminal");
        return Reply::done(Err(error.help("give it `seconds:`")));
    };
    let prompt = given.get("prompt").map(display);
    let prompt = prompt.unwrap_or_else(|| "Press enter to continue".into());
    let key = (Arc::as_ptr(task) as usize, prompt);
    let Some(question) = run.questions.0.get_mut(&key) else {
        let is_shown = given.get("echo").and_then(as_bool).unwrap_or(true);
        run.emit(EventKind::Asked {
            question: format!("[{}]\n{}", task.title(), key.1),
        });
        let open = Question::Open(read(!is_shown), Instant::now());
        run.questions.0.insert(key, open);
        return Reply::Open(Instant::now() + LOOK_EVERY);
    };
    if let Question::Open(answer, since) = question {
        match answer.try_recv() {
            Err(TryRecvError::Empty) => return Reply::Open(Instant::now() + LOOK_EVERY),
            Err(TryRecvError::Disconnected) => {
                return Reply::done(Err(Error::new("nobody answers at the terminal")));
            }
            Ok(text) => {
                *question = Question::Answered(text, since.elapsed());
                run.emit(EventKind::Answered {});
                return ask(run, task, given);
            }
        }
    }
    let Question::Answered(text, after) = question else {
        return Reply::Open(Instant::now() + LOOK_EVERY);
    };
    let seconds = after.as_secs();
    Reply::done(Ok(Outcome::new()
        .with("user_input", text.clone())
        .with("delta", seconds)
        .with("stdout", format!("Paused for {seconds} seconds"))))
}
