//! Tasks that are sent to hosts apart from any batch, and what they answer.

use super::Run;
use super::interrupt::BY_CTRL_C;
use super::keywords::Envelope;
use super::links::Incoming;
use crate::modules::{Action, Outcome};
use crate::proto::{self, FromAgent, Seq, ToAgent};
use crate::value::HostName;

/// How long an answer may take, in seconds.
const LIMIT: u64 = 60;

/// What a host was asked.
pub(super) struct Question {
    seq: Seq,
    pub host: HostName,
}

impl Question {
    pub(super) fn seq(&self) -> Seq {
        self.seq
    }
}

/// A task that no flight carries: on a lane of its own, and no failure of it drops anything.
pub(super) fn task(seq: Seq, name: &str, action: Action, envelope: Envelope) -> proto::Task {
    proto::Task {
        seq,
        lane: u32::MAX,
        group: seq,
        epoch: u32::MAX,
        name: name.to_owned(),
        action,
        identity: envelope.identity,
        environment: envelope.environment,
        granted: true,
        check_mode: false,
        only_looks: false,
        changes_nothing: false,
        perhaps: None,
        deadline: Some(LIMIT),
        ignore_errors: true,
        notifies: Vec::new(),
        allow_destroy: false,
        crowd: None,
        origins: Vec::new(),
        keeps: proto::Keeps::default(),
    }
}

impl Run {
    /// Asks a host to which a link stands or is being made.
    pub(super) fn ask(&mut self, host: &HostName, task: proto::Task) -> Question {
        let seq = task.seq;
        self.links.send(host, ToAgent::Task(Box::new(task)));
        let host = host.clone();
        Question { seq, host }
    }

    /// Waits for all answers; a failure, or the loss of a host, is one. Fails if the user stops it.
    pub(super) async fn answers(
        &mut self,
        mut open: Vec<Question>,
    ) -> Result<Vec<(Question, Result<Outcome, String>)>, String> {
        let mut answers = Vec::new();
        while !open.is_empty() {
            let mut settle = |which: &dyn Fn(&Question) -> bool,
                              result: Result<Outcome, String>| {
                let (ended, rest) = std::mem::take(&mut open).into_iter().partition(which);
                open = rest;
                let ended: Vec<Question> = ended;
                answers.extend(ended.into_iter().map(|question| (question, result.clone())));
            };
            tokio::select! {
                incoming = self.links.next() => match incoming {
                    Incoming::Connected { host, ready, warnings, elapsed_ms } => {
                        self.connected(host, ready, warnings, elapsed_ms);
                    }
                    Incoming::Losing { host, error } => self.losing(&host, &error),
                    Incoming::Lost { host, error, known } => {
                        settle(&|question| question.host == host, Err(error.to_string()));
                        self.forget_link(&host, &known);
                    }
                    Incoming::Message { message: FromAgent::Ended { seq, result }, .. } => {
                        let result = result.map_err(|error| error.to_string());
                        settle(&|question| question.seq == seq, result);
                    }
                    Incoming::Message { message: FromAgent::Dropped { seq }, .. } => {
                        settle(&|question| question.seq == seq, Err("it was dropped".into()));
                    }
                    Incoming::Message { .. } => {}
                },
                () = self.interrupt.pressed() => return Err(BY_CTRL_C.into()),
            }
        }
        Ok(answers)
    }
}
