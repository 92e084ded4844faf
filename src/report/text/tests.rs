//! What a plan looks like in a terminal.

use super::super::example;
use super::*;

#[test]
fn each_change_is_told_once_with_the_hosts_that_share_it() {
    let story = Story::of(&example::plan());
    insta::assert_snapshot!(draw(&story, Paint { colour: false }));
}

#[test]
fn what_only_some_hosts_have_stands_beneath_what_all_share() {
    let task = example::task("Write server.properties", 4);
    let mut events = example::plan();
    events.truncate(1);
    for broker in 1..=3 {
        let text = |retention: u32, quota: &str| {
            format!("# by krun\nretention={retention}\nlog.dirs=/data\nnode={broker}{quota}\n")
        };
        let quota = if broker == 2 { "\nquota=5" } else { "" };
        let (before, after) = (text(72, ""), text(168, quota));
        let diff = crate::modules::diff::Diff::new("/etc/x.properties")
            .bytes(Some(before.as_bytes()), Some(after.as_bytes()));
        events.push(crate::event::Event {
            at: 0,
            kind: crate::event::EventKind::TaskEnded {
                host: format!("kafka0{broker}.foo").as_str().into(),
                task: task.clone(),
                result: example::result(Status::Changed, vec![diff]),
            },
        });
    }
    let drawn = draw(&Story::of(&events), Paint { colour: false });
    insta::assert_snapshot!(drawn);
}
