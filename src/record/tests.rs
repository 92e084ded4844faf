use super::*;
use crate::event::{Event, EventKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn warning(text: &str) -> Event {
    let text = text.to_owned();
    Event {
        at: 1,
        kind: EventKind::Warning { text, at: None },
    }
}

fn begin(runs: &Runs, run: &str) -> Recorder {
    Recorder::begin(runs, &Header::new(run), runs.dir()).unwrap()
}

/// Waits until what is made from now on is younger: the file system's clock ticks every few milliseconds.
fn tick(place: &std::path::Path) {
    let now = || {
        let file = tempfile::NamedTempFile::new_in(place).unwrap();
        file.as_file().metadata().unwrap().modified().unwrap()
    };
    let before = now();
    while now() == before {}
}

fn place() -> (tempfile::TempDir, Runs) {
    let place = tempfile::tempdir().unwrap();
    let runs = Runs::at(place.path().join(".krun/runs"));
    (place, runs)
}

#[test]
fn what_is_written_is_read_back() {
    let (_place, runs) = place();
    let mut recorder = begin(&runs, "20260102T030405Z-7");
    recorder.hear(&warning("one"));
    assert_eq!(runs.find("last").unwrap().state, State::Running);
    recorder.hear(&warning("two"));
    recorder.end(How::Failed, 2).unwrap();
    let read = runs.find("20260102").unwrap();
    assert_eq!(read.state, State::Ended(How::Failed));
    assert_eq!(read.end.as_ref().map(|end| end.code), Some(2));
    let texts: Vec<_> = read
        .events()
        .unwrap()
        .into_iter()
        .map(|event| match event.kind {
            EventKind::Warning { text, .. } => text,
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn a_killed_run_is_told_and_its_last_half_line_left_out() {
    let (_place, runs) = place();
    let mut recorder = begin(&runs, "20260102T030405Z-7");
    recorder.hear(&warning("one"));
    drop(recorder);
    let path = runs.dir().join("20260102T030405Z-7/events.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"at\":1,\"ki");
    std::fs::write(&path, text).unwrap();
    let read = runs.find("last").unwrap();
    assert_eq!(read.state, State::Killed);
    assert_eq!(read.events().unwrap().len(), 1);
}

#[test]
fn nobody_else_can_read_a_record() {
    let (_place, runs) = place();
    begin(&runs, "r").end(How::Ok, 0).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(runs.dir()), 0o700);
    let dir = runs.dir().join("r");
    assert_eq!(mode(&dir), 0o700);
    for entry in std::fs::read_dir(dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn the_oldest_are_forgotten_and_a_run_that_goes_on_is_not() {
    let (_place, runs) = place();
    let going_on = begin(&runs, "20260101T000000Z-1");
    for second in 1..5 {
        begin(&runs, &format!("20260101T00000{second}Z-9"))
            .end(How::Ok, 0)
            .unwrap();
    }
    runs.prune(2).unwrap();
    let names = runs.all().unwrap().into_iter().map(|run| run.header.run);
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "20260101T000000Z-1",
            "20260101T000003Z-9",
            "20260101T000004Z-9"
        ]
    );
    drop(going_on);
}

#[test]
fn the_last_of_several_runs_in_one_second_is_the_one_that_began_last() {
    let (place, runs) = place();
    for run in ["20260101T000000Z-10", "20260101T000000Z-9"] {
        begin(&runs, run).end(How::Ok, 0).unwrap();
        tick(place.path());
    }
    assert_eq!(runs.find("last").unwrap().header.run, "20260101T000000Z-9");
}

#[test]
fn a_name_that_means_several_runs_or_none_is_refused() {
    let (_place, runs) = place();
    for run in ["20260101T000000Z-1", "20260101T000001Z-1"] {
        begin(&runs, run).end(How::Ok, 0).unwrap();
    }
    let error = |text: &str| runs.find(text).unwrap_err().to_string();
    insta::assert_snapshot!(error("20260101T00000"), @"`20260101T00000` may be any of 20260101T000000Z-1, 20260101T000001Z-1");
    insta::assert_snapshot!(error("2025"), @"no run `2025` is recorded here");
}

#[test]
fn a_record_of_a_later_form_is_refused() {
    let (_place, runs) = place();
    begin(&runs, "r").end(How::Ok, 0).unwrap();
    let path = runs.dir().join("r/run.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    assert!(matches!(runs.find("r"), Err(Error::Newer { .. })));
}
