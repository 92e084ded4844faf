//! Turns the before and after of a thing into a unified diff, and attributes into lines of their own.

use super::Paint;
use crate::modules::diff::{Attribute, Content, Diff};
use crate::value::{Value, display};
use similar::{ChangeTag, TextDiff};
use std::fmt::Write;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Draws one diff.
pub fn draw(diff: &Diff, paint: Paint) -> String {
    let mut out = String::new();
    match &diff.content {
        Some(Content::Text { before, after }) if before != after => {
            text(&mut out, diff, before, after, paint);
        }
        Some(Content::Opaque {
            reason,
            before,
            after,
        }) => {
            let size = |bytes: Option<u64>| {
                bytes.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"))
            };
            let _ = writeln!(
                out,
                "{}",
                paint.bold(format!(
                    "{}: {} → {} ({reason}: not shown)",
                    diff.subject,
                    size(*before),
                    size(*after)
                ))
            );
        }
        _ => {}
    }
    if !diff.attributes.is_empty() {
        if out.is_empty() {
            let _ = writeln!(out, "{}", paint.bold(&diff.subject));
        }
        for attribute in &diff.attributes {
            let _ = writeln!(out, "  {}", one(attribute, paint));
        }
    }
    out
}

fn one(attribute: &Attribute, paint: Paint) -> String {
    let side = |value: &Option<Value>| value.as_ref().map_or("none".to_owned(), display);
    match (&attribute.before, &attribute.after) {
        (None, Some(_)) => format!(
            "{}: {}",
            attribute.name,
            paint.green(side(&attribute.after))
        ),
        _ => format!(
            "{}: {} → {}",
            attribute.name,
            paint.red(side(&attribute.before)),
            paint.green(side(&attribute.after))
        ),
    }
}

fn text(out: &mut String, diff: &Diff, before: &str, after: &str, paint: Paint) {
    let lines = TextDiff::from_lines(before, after);
    let _ = writeln!(
        out,
        "{}",
        paint.bold(format!("--- before: {}", diff.subject))
    );
    let _ = writeln!(
        out,
        "{}",
        paint.bold(format!(
            "+++ after: {}",
            diff.source.as_deref().unwrap_or(&diff.subject)
        ))
    );
    for hunk in lines.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let _ = writeln!(out, "{}", paint.cyan(hunk.header().to_string().trim_end()));
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches(['\n', '\r']);
            let line = match change.tag() {
                ChangeTag::Delete => paint.red(format!("-{line}")),
                ChangeTag::Insert => paint.green(format!("+{line}")),
                ChangeTag::Equal => format!(" {line}"),
            };
            let _ = writeln!(out, "{line}");
            if change.missing_newline() {
                let _ = writeln!(out, "{}", paint.dim("\\ No newline at end of file"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { colour: false };

    #[test]
    fn content_and_attributes_are_both_shown() {
        let diff = Diff::new("/etc/x")
            .bytes(Some(b"a=1\nb=2\n"), Some(b"a=1\nb=3\n"))
            .attribute("mode", Some("0644".into()), Some("0600".into()));
        insta::assert_snapshot!(draw(&diff, PLAIN), @r"
        --- before: /etc/x
        +++ after: /etc/x
        @@ -1,2 +1,2 @@
         a=1
        -b=2
        +b=3
          mode: 0644 → 0600
        ");
    }

    #[test]
    fn a_missing_newline_at_the_end_is_said() {
        let diff = Diff::new("/x").bytes(None, Some(b"a"));
        assert!(draw(&diff, PLAIN).contains("\\ No newline at end of file"));
    }

    #[test]
    fn binary_content_shows_its_sizes() {
        let diff = Diff::new("/x").bytes(Some(b"\0\x01"), Some(b"\0"));
        insta::assert_snapshot!(draw(&diff, PLAIN), @"/x: 2 bytes → 1 bytes (binary: not shown)");
    }
}
