//! Holds plans of random tasks, upon each other's files, links and directories, against the runs that follow.

use super::rehearsal_tests::{picture, told};
use super::{Action, Error, Host, Permission, Ran};
use std::sync::Arc;

/// What tasks of one play may do to each other's paths.
const STEPS: &[(&str, &str)] = &[
    ("file", "{path: /d, state: directory, mode: '0750'}"),
    (
        "file",
        "{path: /d/sub/deep, state: directory, owner: '970'}",
    ),
    ("file", "{path: /d, state: absent}"),
    ("file", "{path: /d/sub, state: absent}"),
    ("file", "{path: /l, state: link, src: d, force: yes}"),
    ("file", "{path: /l, state: link, src: /e, force: yes}"),
    ("file", "{path: /l, state: absent}"),
    (
        "file",
        "{path: /d/back, state: link, src: ../e, force: yes}",
    ),
    (
        "file",
        "{path: /d/hard, state: hard, src: /e/a, force: yes}",
    ),
    ("file", "{path: /e/a, mode: '0604', group: '5'}"),
    ("file", "{path: /l/a, state: touch, mode: '0640'}"),
    (
        "file",
        "{path: /e, state: directory, recurse: yes, owner: '7', mode: u=rwX}",
    ),
    ("copy", "{dest: /d/a, content: one, mode: '0640'}"),
    ("copy", "{dest: /l/a, content: two, owner: '970'}"),
    ("copy", "{dest: /d/back/b, content: three}"),
    ("copy", "{dest: /l/sub/c, content: four}"),
    ("copy", "{src: /e/, dest: /d/copy/, remote_src: yes}"),
    (
        "copy",
        "{src: /l/a, dest: /e/from, remote_src: yes, mode: preserve}",
    ),
    ("copy", "{dest: /l, content: over the link}"),
    ("lineinfile", "{path: /l/a, line: more, create: yes}"),
    ("lineinfile", "{path: /d/hard, line: last}"),
    ("blockinfile", "{path: /e/a, block: inside, backup: yes}"),
    ("replace", "{path: /d/a, regexp: o, replace: 0}"),
    ("properties", "{path: /e/a, set: {x: 1}}"),
    ("assemble", "{src: /e, dest: /d/whole, remote_src: yes}"),
    ("get_url", "{url: 'file:///e/a', dest: /d/, force: yes}"),
];

#[test]
fn plays_of_random_tasks_show_in_their_plan_what_they_then_do() {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
    for seed in 0..400 {
        let mut random = StdRng::seed_from_u64(seed);
        let host = Host::with(
            "file",
            &[("/e/a", "a\n"), ("/e/sub/b", "b\n"), ("/d/a", "0\n")],
        );
        let overlay = host.sys.new_overlay();
        let steps: Vec<&(&str, &str)> = (0..8)
            .map(|_| &STEPS[random.random_range(0..STEPS.len())])
            .collect();
        let action = |(module, args): &(&str, &str)| {
            Action::new(module, serde_yaml::from_str(args).unwrap()).unwrap()
        };
        let before = picture(&host.sys);
        let planned: Vec<_> = steps
            .iter()
            .map(|step| {
                let over = host.sys.clone().over(Arc::clone(&overlay));
                let ended = action(step).run(&over, &mut |_| Permission::OnlyShow);
                (told_of(ended), picture(&over))
            })
            .collect();
        assert_eq!(picture(&host.sys), before, "{steps:?}");
        for (at, (step, planned)) in steps.iter().zip(planned).enumerate() {
            let ended = action(step).run(&host.sys, &mut |_| Permission::Apply);
            let done = (told_of(ended), picture(&host.sys));
            assert_eq!(planned, done, "seed {seed}, step {at} of {steps:#?}");
        }
    }
}

fn told_of(ended: Result<Ran, Error>) -> String {
    match ended {
        Ok(Ran::Done(outcome)) => format!("{} {}", outcome.changed, told(&outcome)),
        Ok(Ran::Cancelled) => "cancelled".into(),
        Err(error) => error.to_string(),
    }
}
