//! Turns what a run of krun said, and how its program ended, into words, and into what it asks before it goes on.

use crate::event::{Event, EventKind, Status};
use nix::libc::SIGKILL;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Options of `krun resume` that answer a question.
const ASKED: &[&str] = &["--again", "--anew"];

/// Follows a run for what its end is told with.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Options of `krun resume` that answer what it asked, the first way on that it named: `--again TASK`.
    pub(super) wants: Vec<String>,
    questions: Vec<String>,
    /// What went wrong first, and why.
    trouble: Option<(String, String)>,
}

impl Ending {
    pub(super) fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::TaskEnded { host, task, result } if result.status == Status::Failed => {
                let answer = answer(result.help.as_deref().unwrap_or_default());
                let title = &task.title;
                match answer.first().map(String::as_str) {
                    Some("--again") => {
                        let question = format!("whether to run `{title}` again on {host}");
                        self.questions.push(question);
                    }
                    Some(_) => self
                        .questions
                        .push(format!("whether to run everything again on {host}")),
                    None => {
                        let why = result.msg.clone().unwrap_or_default();
                        self.trouble(format!("failed at `{title}` on {host}"), why);
                    }
                }
                self.wants.extend(answer);
            }
            EventKind::HostUnreachable {
                host,
                task,
                message,
                ignored: false,
                ..
            } => {
                let at = task.as_ref().map(|it| format!(" at `{}`", it.title));
                let what = format!("lost {host}{}", at.unwrap_or_default());
                self.trouble(what, message.clone());
            }
            EventKind::RollStopped(stop) => {
                self.trouble(format!("stopped in `{}`", stop.play), stop.reason.clone());
            }
            EventKind::Guarded {
                is_allowed: false, ..
            } => self.trouble("was held by a guard".to_owned(), String::new()),
            _ => {}
        }
    }

    fn trouble(&mut self, what: String, why: String) {
        self.trouble.get_or_insert((what, why));
    }

    /// How it ended, and why where there is more to say; `last` is what it said last on standard error.
    pub(super) fn words(&self, status: ExitStatus, last: &str) -> (String, String) {
        let line = last.lines().last().unwrap_or_default().to_owned();
        let short = |text: &str| (text.to_owned(), String::new());
        match (status.code(), status.signal()) {
            (Some(0), _) => short("ended well"),
            (None, Some(SIGKILL)) => short("was killed"),
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                (format!("broke off by signal {signal}"), line)
            }
            (Some(_), _) if !self.questions.is_empty() => {
                short(&format!("asked {}", self.questions.join(" and ")))
            }
            (Some(code), _) => match &self.trouble {
                Some(trouble) => trouble.clone(),
                None if code == NOT_UNDERSTOOD => ("could not begin".to_owned(), line),
                None => (format!("broke off with exit code {code}"), line),
            },
        }
    }
}

/// The exit code of a command line that cannot be used.
pub(super) const NOT_UNDERSTOOD: i32 = 5;

/// The first way on that a text of help names, as words of the command line.
fn answer(help: &str) -> Vec<String> {
    let command = help
        .split_once("`krun resume ")
        .and_then(|(_, rest)| rest.split_once('`'));
    let words = command.and_then(|(words, _)| shlex::split(words));
    words
        .filter(|words| words.first().is_some_and(|it| ASKED.contains(&it.as_str())))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{At, TaskName, TaskResult};

    const QUESTION: &str = "look at the host, then `krun resume --again 'Stop it'` runs it again, or \
        `krun resume --done 'Stop it'` takes it as done";

    fn task() -> TaskName {
        TaskName {
            title: "Stop it".to_owned(),
            at: At {
                file: "roll.yml".to_owned(),
                line: 9,
                column: 7,
            },
            module: "command".to_owned(),
            is_handler: false,
        }
    }

    fn failed(help: &str) -> EventKind {
        let mut result = TaskResult::new(Status::Failed);
        result.help = Some(help.to_owned());
        result.msg = Some("no space left".to_owned());
        EventKind::TaskEnded {
            host: "k1".into(),
            task: task(),
            result,
        }
    }

    fn heard(kinds: impl IntoIterator<Item = EventKind>) -> Ending {
        let mut ending = Ending::default();
        for kind in kinds {
            ending.hear(&Event { at: 1, kind });
        }
        ending
    }

    #[test]
    fn what_a_resumed_run_asks_for_is_the_first_way_that_it_names() {
        assert_eq!(heard([failed(QUESTION)]).wants, ["--again", "Stop it"]);
        assert_eq!(heard([failed("`krun resume` goes on")]).wants, [""; 0]);
    }

    #[test]
    fn every_end_is_told_in_words() {
        let lost = || EventKind::HostUnreachable {
            host: "k1".into(),
            task: Some(task()),
            message: "the connection was lost".to_owned(),
            causes: Vec::new(),
            help: None,
            ignored: false,
        };
        let anew = "`krun resume --anew k1` runs everything again on this host";
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        let ends = [
            heard([]).words(code(0), ""),
            heard([]).words(ExitStatus::from_raw(9), ""),
            heard([lost(), failed("")]).words(code(4), ""),
            heard([failed("")]).words(code(2), "error: x"),
            heard([failed(QUESTION)]).words(code(2), ""),
            heard([failed(anew)]).words(code(2), ""),
            heard([]).words(code(5), "warning\nerror: no such run"),
            heard([]).words(code(1), "error: disk full"),
            heard([]).words(ExitStatus::from_raw(6), "panicked"),
        ];
        let ends = ends.map(|(what, why)| format!("{what}: {why}"));
        insta::assert_snapshot!(ends.join("\n"), @r"
        ended well: 
        was killed: 
        lost k1 at `Stop it`: the connection was lost
        failed at `Stop it` on k1: no space left
        asked whether to run `Stop it` again on k1: 
        asked whether to run everything again on k1: 
        could not begin: error: no such run
        broke off with exit code 1: error: disk full
        broke off by signal 6: panicked
        ");
    }
}
