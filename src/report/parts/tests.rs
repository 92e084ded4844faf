use super::*;
use proptest::prelude::*;

fn of(host: &str, before: Option<&str>, after: &str) -> (HostName, Diff) {
    let before = before.map(str::as_bytes);
    let diff = Diff::new("/etc/a.properties").bytes(before, Some(after.as_bytes()));
    (HostName::from(host), diff)
}

fn drawn(parts: &[Part]) -> String {
    let paint = crate::report::Paint { colour: false };
    let drawn = parts.iter().map(|part| {
        let hosts: Vec<&str> = part.hosts.iter().map(|host| &**host).collect();
        let diff = crate::report::diff::draw(&part.diff, paint);
        format!("{}:\n{diff}", hosts.join(","))
    });
    drawn.collect()
}

#[test]
fn a_new_file_stands_once_with_the_lines_of_each_host_beneath() {
    let after = |id: u8| format!("broker.id={id}\nlog.dirs=/data\n");
    let found = parts(&[of("a", None, &after(1)), of("b", None, &after(2))]);
    let expected = "\
a,b:
/etc/a.properties (new)
--- before: /dev/null
+++ after: /etc/a.properties
@@ -0,0 +1 @@
+log.dirs=/data
a:
/etc/a.properties
  + broker.id = 1
--- before: /etc/a.properties
+++ after: /etc/a.properties
@@ -1 +1,2 @@
+broker.id=1
 log.dirs=/data
b:
/etc/a.properties
  + broker.id = 2
--- before: /etc/a.properties
+++ after: /etc/a.properties
@@ -1 +1,2 @@
+broker.id=2
 log.dirs=/data
";
    assert_eq!(drawn(&found), expected);
}

/// Texts of few different lines, so that hosts have some in common.
fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec!["a=1", "a=2", "b=1", "b=2", "# c", "", "}"]);
    let lines = prop::collection::vec(line, 0..12);
    lines.prop_map(|lines| lines.iter().flat_map(|line| [line, "\n"]).collect())
}

proptest! {
    /// Whatever is put together, the parts of the first host of each lead from its before to its after.
    #[test]
    fn the_parts_of_a_host_lead_from_before_to_after(
        texts in prop::collection::vec((text(), text()), 1..4),
    ) {
        let hosts: Vec<(HostName, Diff)> = texts
            .iter()
            .enumerate()
            .map(|(n, (before, after))| of(&format!("h{n}"), Some(before), after))
            .collect();
        let found = parts(&hosts);
        let (first, (before, after)) = (&hosts[0].0, &texts[0]);
        let mut now = before.clone();
        for part in found.iter().filter(|part| part.hosts[0] == *first) {
            let Some(Content::Text { before, after }) = &part.diff.content else {
                panic!("{part:?}");
            };
            prop_assert_eq!(&now, before);
            now.clone_from(after);
        }
        prop_assert_eq!(&now, after);
        for (host, diff) in &hosts {
            let has_a_part = found.iter().any(|part| part.hosts.contains(host));
            prop_assert!(has_a_part, "{:?} of {}", diff, host);
        }
    }
}
