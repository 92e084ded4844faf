//! An agent as its controller sees it: over a pipe, with real modules.

// The same as for an agent behind a real sshd.
#[path = "../../tests/transport/tasks.rs"]
mod tasks;

use super::*;
use crate::proto::{Hello, JournalMark, Task};
use std::io::{PipeReader, PipeWriter};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tasks::{shell, shell_with, wait_until};

struct Controller {
    to: Option<PipeWriter>,
    from: BufReader<PipeReader>,
    agent: Option<JoinHandle<Result<(), Error>>>,
    directory: tempfile::TempDir,
}

pub(super) fn hello(run: &str) -> Hello {
    Hello {
        version: VERSION,
        controller: "ann@desk".into(),
        run: run.into(),
        host: "host".into(),
        check_mode: false,
        playbooks: "site.yml".into(),
        silence_limit: None,
    }
}

fn connect() -> Controller {
    let directory = tempfile::tempdir().unwrap();
    let mut controller = connect_in(directory, hello("run1"));
    let ready = controller.hear();
    assert!(matches!(ready, FromAgent::Ready(_)), "{ready:?}");
    controller
}

fn connect_in(directory: tempfile::TempDir, hello: Hello) -> Controller {
    let (input, to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let options = Options {
        imagined: None,
        sys: Sys::host(),
        directories: vec![directory.path().join("krun")],
        executable: PathBuf::from("/nonexistent"),
        child: false,
        exclusive: true,
        told_to_end: None,
    };
    let agent = std::thread::spawn(move || serve(input, output, options));
    let mut from = BufReader::new(from);
    assert!(frame::skip_noise(&mut from).unwrap().1);
    let mut controller = Controller {
        to: Some(to),
        from,
        agent: Some(agent),
        directory,
    };
    controller.say(&ToAgent::Hello(hello));
    controller
}

impl Controller {
    fn say(&mut self, message: &ToAgent) {
        frame::write(self.to.as_mut().unwrap(), message).unwrap();
    }

    fn task(&mut self, task: Task) {
        self.say(&ToAgent::Task(Box::new(task)));
    }

    fn hear(&mut self) -> FromAgent {
        frame::read(&mut self.from)
            .unwrap()
            .expect("the agent ended")
    }

    /// Reads until `n` tasks have come to their end; returns all messages.
    fn hear_ends(&mut self, n: usize) -> Vec<FromAgent> {
        let mut heard = Vec::new();
        let mut ends = 0;
        while ends < n {
            let message = self.hear();
            ends += usize::from(matches!(
                message,
                FromAgent::Ended { .. } | FromAgent::Dropped { .. }
            ));
            heard.push(message);
        }
        heard
    }

    fn hang_up(&mut self) {
        self.to = None;
    }

    fn wait_for_end(&mut self) {
        self.agent.take().unwrap().join().unwrap().unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn short(messages: &[FromAgent]) -> Vec<String> {
    messages
        .iter()
        .map(|message| match message {
            FromAgent::Waiting { seq, .. } => format!("waiting {seq}"),
            FromAgent::Began { seq } => format!("began {seq}"),
            FromAgent::Progress { seq, text } => format!("progress {seq} {text}"),
            FromAgent::Ended { seq, result } => {
                format!("{} {seq}", if result.is_ok() { "ended" } else { "failed" })
            }
            FromAgent::Dropped { seq } => format!("dropped {seq}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_granted_task_runs_and_another_waits_for_its_grant() {
    let mut controller = connect();
    controller.task(shell(1, "echo one"));
    let granted = false;
    controller.task(Task {
        granted,
        ..shell(2, "echo two")
    });
    let heard = controller.hear_ends(1);
    assert_eq!(short(&heard), ["began 1", "ended 1"]);
    assert_eq!(short(&[controller.hear()]), ["waiting 2"]);
    controller.say(&ToAgent::Grant(2));
    let heard = controller.hear_ends(1);
    assert_eq!(short(&heard), ["began 2", "ended 2"]);
    controller.hang_up();
    controller.wait_for_end();
}

#[test]
fn what_stands_behind_a_failure_is_dropped_until_the_controller_has_heard_of_it() {
    let mut controller = connect();
    controller.task(shell(1, "exit 1"));
    controller.task(shell(2, "echo never"));
    let heard = controller.hear_ends(2);
    assert_eq!(short(&heard), ["began 1", "failed 1", "dropped 2"]);
    // Sent before the controller knew: dropped, though it arrives after the failure.
    controller.task(shell(3, "echo never"));
    assert_eq!(short(&controller.hear_ends(1)), ["dropped 3"]);
    let rescue = Task {
        epoch: 1,
        ..shell(4, "true")
    };
    controller.task(rescue);
    assert_eq!(short(&controller.hear_ends(1)), ["began 4", "ended 4"]);
}

#[test]
fn the_items_of_one_loop_all_run_though_one_fails() {
    let mut controller = connect();
    for seq in 1..=3 {
        let line = if seq == 2 { "exit 1" } else { "true" };
        controller.task(Task {
            group: 1,
            ..shell(seq, line)
        });
    }
    controller.task(shell(4, "true"));
    let heard = short(&controller.hear_ends(4));
    let ends: Vec<_> = heard.iter().filter(|it| !it.starts_with("began")).collect();
    assert_eq!(ends[1..], ["failed 2", "dropped 4", "ended 3"]);
}

#[test]
fn an_ignored_failure_drops_nothing() {
    let mut controller = connect();
    controller.task(Task {
        ignore_errors: true,
        ..shell(1, "exit 1")
    });
    controller.task(shell(2, "true"));
    let heard = short(&controller.hear_ends(2));
    assert_eq!(heard, ["began 1", "failed 1", "began 2", "ended 2"]);
}

#[test]
fn lanes_do_not_wait_for_each_other() {
    let mut controller = connect();
    let flag = controller.file("flag");
    let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", flag.display());
    controller.task(shell(1, &wait));
    controller.task(Task {
        lane: 7,
        ..shell(2, &format!("touch {}", flag.display()))
    });
    assert_eq!(controller.hear_ends(2).len(), 4);
}

#[test]
fn a_cancelled_task_ends_and_one_that_has_not_begun_is_dropped() {
    let mut controller = connect();
    controller.task(shell(1, "sleep 60"));
    controller.task(shell(2, "echo never"));
    assert_eq!(short(&[controller.hear()]), ["began 1"]);
    controller.say(&ToAgent::Cancel(2));
    assert_eq!(short(&controller.hear_ends(1)), ["dropped 2"]);
    controller.say(&ToAgent::Cancel(1));
    assert_eq!(short(&controller.hear_ends(1)), ["failed 1"]);
}

#[test]
fn what_has_begun_is_not_taken_back_and_what_stands_behind_it_is() {
    let mut controller = connect();
    let flag = controller.file("flag");
    let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", flag.display());
    controller.task(shell(1, &wait));
    controller.task(shell(2, "echo never"));
    assert_eq!(short(&[controller.hear()]), ["began 1"]);
    controller.say(&ToAgent::TakeBack(1));
    controller.say(&ToAgent::TakeBack(2));
    assert_eq!(short(&controller.hear_ends(1)), ["dropped 2"]);
    std::fs::write(&flag, "").unwrap();
    assert_eq!(short(&controller.hear_ends(1)), ["ended 1"]);
}

#[test]
fn a_task_that_waits_for_its_grant_can_be_taken_back() {
    let mut controller = connect();
    controller.task(Task {
        granted: false,
        ..shell(1, "echo never")
    });
    assert_eq!(short(&[controller.hear()]), ["waiting 1"]);
    controller.say(&ToAgent::CancelAll);
    assert_eq!(short(&controller.hear_ends(1)), ["dropped 1"]);
}

#[test]
fn the_end_of_input_ends_the_command_in_hand_and_drops_what_stands_behind() {
    let mut controller = connect();
    let (pid, next) = (controller.file("pid"), controller.file("next"));
    controller.task(shell(1, &format!("echo $$ > {}; sleep 60", pid.display())));
    controller.task(shell(2, &format!("touch {}", next.display())));
    wait_until(|| text(&pid).ends_with('\n'));
    let started = Instant::now();
    controller.hang_up();
    controller.wait_for_end();
    assert!(started.elapsed() < Duration::from_secs(30));
    let process = PathBuf::from(format!("/proc/{}", text(&pid).trim()));
    wait_until(|| !process.exists());
    assert!(!next.exists());
}

#[test]
fn a_silent_controllers_queue_is_dropped_and_the_command_in_hand_goes_on_to_its_end() {
    let limit = Duration::from_millis(300);
    let mut controller = connect_in(
        tempfile::tempdir().unwrap(),
        Hello {
            silence_limit: Some(limit),
            ..hello("run1")
        },
    );
    let (go, done, next) = (
        controller.file("go"),
        controller.file("done"),
        controller.file("next"),
    );
    let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", go.display());
    controller.task(shell(1, &format!("{wait}; touch {}", done.display())));
    controller.task(shell(2, &format!("touch {}", next.display())));
    // Signs of life keep the queue.
    let begun = Instant::now();
    while begun.elapsed() < 3 * limit {
        controller.say(&ToAgent::Alive);
        std::thread::sleep(limit / 6);
    }
    let lock = controller.file("krun/lock");
    assert!(!text(&lock).contains(r#""ending":true"#));
    wait_until(|| text(&lock).contains(r#""ending":true"#));
    std::fs::write(&go, "").unwrap();
    controller.wait_for_end();
    assert!(done.exists() && !next.exists());
}

#[test]
fn the_journal_says_what_began_and_how_it_ended() {
    let mut controller = connect();
    controller.task(shell(1, "true"));
    controller.task(shell(2, "exit 3"));
    controller.hear_ends(2);
    controller.say(&ToAgent::Journal);
    let FromAgent::Journal(entries) = controller.hear() else {
        panic!("no journal");
    };
    let marks: Vec<_> = entries.iter().map(|it| (it.seq, it.what)).collect();
    assert_eq!(
        marks,
        [
            (1, JournalMark::Began),
            (1, JournalMark::Ended { changed: true }),
            (2, JournalMark::Began),
            (2, JournalMark::Failed),
        ]
    );
}

#[test]
fn a_second_controller_hears_of_the_first() {
    let first = connect();
    let place = first.directory.path().to_path_buf();
    let (input, mut to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let options = Options {
        imagined: None,
        sys: Sys::host(),
        directories: vec![place.join("krun")],
        executable: PathBuf::new(),
        child: false,
        exclusive: true,
        told_to_end: None,
    };
    std::thread::spawn(move || serve(input, output, options));
    frame::write(&mut to, &ToAgent::Hello(hello("run2"))).unwrap();
    let mut from = BufReader::new(from);
    frame::skip_noise(&mut from).unwrap();
    let answer: FromAgent = frame::read(&mut from).unwrap().unwrap();
    assert!(matches!(answer, FromAgent::Busy { controller } if controller.starts_with("ann@desk")));
}

#[test]
fn much_output_against_much_input_does_not_hang() {
    const MUCH: usize = 20 << 20;
    let mut controller = connect();
    // Neither side reads while both write more than any pipe holds.
    controller.task(shell(1, &format!("head -c {MUCH} /dev/zero | tr '\\0' x")));
    let long = "y".repeat(MUCH / 20);
    for seq in 2..22 {
        controller.task(shell_with(seq, "cat > /dev/null", &long));
    }
    let heard = controller.hear_ends(21);
    let FromAgent::Ended { result, .. } = &heard[1] else {
        panic!("{:?}", short(&heard));
    };
    let outcome = result.as_ref().unwrap();
    assert_eq!(outcome.data["stdout"].as_str().unwrap().len(), MUCH);
    assert!(
        !short(&heard)
            .iter()
            .any(|it| !it.starts_with("began") && !it.starts_with("ended"))
    );
}

#[test]
fn check_mode_runs_no_action_and_journals_nothing() {
    let mut controller = connect();
    controller.task(Task {
        check_mode: true,
        ..shell(1, "echo never")
    });
    assert_eq!(short(&controller.hear_ends(1)), ["ended 1"]);
}

#[test]
fn another_version_is_refused() {
    let (input, mut to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let options = Options {
        imagined: None,
        sys: Sys::host(),
        directories: Vec::new(),
        executable: PathBuf::new(),
        child: true,
        exclusive: true,
        told_to_end: None,
    };
    std::thread::spawn(move || serve(input, output, options));
    let old = Hello {
        version: 999,
        ..hello("run")
    };
    frame::write(&mut to, &ToAgent::Hello(old)).unwrap();
    let mut from = BufReader::new(from);
    frame::skip_noise(&mut from).unwrap();
    let answer: FromAgent = frame::read(&mut from).unwrap().unwrap();
    assert!(matches!(answer, FromAgent::Refused { reason } if reason.contains("999")));
}

#[test]
fn a_panic_in_a_module_is_that_tasks_error() {
    let error = faults::caught(|| -> Result<(), _> { panic!("index out of bounds") }).unwrap_err();
    assert!(error.to_string().contains("fault of krun's own"));
    assert!(error.to_string().contains("index out of bounds"));
}

#[test]
fn progress_is_thinned_out_but_its_last_text_arrives() {
    let (from, output) = std::io::pipe().unwrap();
    let (outbox, writer) = Outbox::start(output);
    for n in 0..1000 {
        let text = n.to_string();
        outbox.send(FromAgent::Progress { seq: 1, text });
    }
    outbox.send(FromAgent::Ended {
        seq: 1,
        result: Ok(crate::modules::Outcome::new()),
    });
    outbox.close();
    writer.finish();
    let mut from = BufReader::new(from);
    let mut heard = Vec::new();
    while let Some(message) = frame::read::<FromAgent>(&mut from).unwrap() {
        heard.push(message);
    }
    let heard = short(&heard);
    assert!(heard.len() < 10, "{heard:?}");
    assert_eq!(heard[heard.len() - 2..], ["progress 1 999", "ended 1"]);
}
