//! Turns a story into a patch that `git apply` reads: a directory for each host, the rest as remarks between.

use super::diff::{NO_NEWLINE, hunks, opaque};
use super::story::Story;
use super::words::value;
use crate::modules::diff::{Attribute, Content, Diff};
use crate::value::{HostName, Value};
use std::fmt::Write;

/// Draws what changes on every host as `a/HOST/PATH` and `b/HOST/PATH`: what several tasks do to one file is one change.
///
/// What no patch can carry (owners, services, binary files) stands before it as a remark, which git skips. A secret is
/// `***`, so that a hunk around one applies only where the file was covered in the same way.
pub(super) fn draw(story: &Story) -> String {
    let hosts = story.stats.keys();
    let diffs: Vec<(HostName, Diff)> = hosts
        .flat_map(|host| {
            let found = story.end_state(host).into_values();
            found.map(|diff| (host.clone(), diff))
        })
        .collect();
    patch_of(&story.summary(), &diffs)
}

/// Draws such changes, said in a line first.
pub fn patch_of(summary: &str, diffs: &[(HostName, Diff)]) -> String {
    let mut out = format!("# krun: {summary}\n");
    for (host, diff) in diffs {
        one(&mut out, host, diff);
    }
    out
}

fn one(out: &mut String, host: &str, diff: &Diff) {
    let _ = writeln!(out, "# {host}: {}", diff.subject.replace('\n', " "));
    for attribute in &diff.attributes {
        let side = |side: &Option<Value>| {
            side.as_ref()
                .map_or("none".into(), value)
                .replace('\n', " ")
        };
        let (before, after) = (side(&attribute.before), side(&attribute.after));
        let _ = writeln!(out, "#   {}: {before} -> {after}", attribute.name);
    }
    if let Some(Content::Opaque {
        reason,
        before,
        after,
    }) = &diff.content
    {
        let _ = writeln!(out, "#   content: {}", opaque(reason, *before, *after));
    }
    // Only paths can be patched.
    let Some(path) = diff.subject.strip_prefix('/') else {
        return;
    };
    let path = format!("{host}/{path}");
    if let Some(link) = named(diff, "target") {
        return link_change(out, &path, diff, link);
    }
    let (before, after) = match &diff.content {
        Some(Content::Text { before, after }) => (before.as_str(), after.as_str()),
        _ => ("", ""),
    };
    let modes = named(diff, "mode").map(|mode| {
        (
            git_mode(mode.before.as_ref()),
            git_mode(mode.after.as_ref()),
        )
    });
    let turns = modes.is_some_and(|(before, after)| before != after) && !diff.is_new;
    if before == after && !turns && !(diff.is_new && diff.content.is_some()) {
        return;
    }
    if matches!(diff.content, Some(Content::Opaque { .. })) || is_directory(diff) {
        return;
    }
    header(out, &path);
    match modes {
        _ if diff.is_new => {
            let mode = modes.map_or("100644", |(_, after)| after);
            let _ = writeln!(out, "new file mode {mode}");
        }
        Some((old, new)) if old != new => {
            let _ = writeln!(out, "old mode {old}\nnew mode {new}");
        }
        _ => {}
    }
    body(out, &path, diff.is_new, before, after);
}

fn header(out: &mut String, path: &str) {
    let _ = writeln!(
        out,
        "diff --git {} {}",
        quoted("a/", path),
        quoted("b/", path)
    );
}

fn body(out: &mut String, path: &str, is_new: bool, before: &str, after: &str) {
    if before == after {
        return;
    }
    let from = if is_new {
        "/dev/null".to_owned()
    } else {
        quoted("a/", path)
    };
    let _ = writeln!(out, "--- {from}\n+++ {}", quoted("b/", path));
    for hunk in hunks(before, after) {
        let _ = writeln!(out, "{}", hunk.header);
        for line in &hunk.lines {
            let _ = writeln!(out, "{}{}", line.sign.mark(), line.text());
            if !line.ends_with_newline {
                let _ = writeln!(out, "{NO_NEWLINE}");
            }
        }
    }
}

/// A link is a file of its own kind in git: its text is its target.
fn link_change(out: &mut String, path: &str, diff: &Diff, link: &Attribute) {
    let target = |side: &Option<Value>| side.as_ref().map(value);
    let state = named(diff, "state");
    let was_file = state.is_some_and(|state| {
        matches!(
            state.before.as_ref().and_then(Value::as_str),
            Some("file" | "directory" | "hard")
        ) || matches!(
            state.after.as_ref().and_then(Value::as_str),
            Some("file" | "directory" | "hard")
        )
    });
    if was_file {
        return;
    }
    match (target(&link.before), target(&link.after)) {
        (None, Some(after)) => {
            header(out, path);
            let _ = writeln!(out, "new file mode 120000");
            body(out, path, true, "", &after);
        }
        (Some(before), Some(after)) => {
            header(out, path);
            let _ = writeln!(out, "index 0000000..0000000 120000");
            body(out, path, false, &before, &after);
        }
        (Some(before), None) => {
            header(out, path);
            let _ = writeln!(
                out,
                "deleted file mode 120000\n--- {}\n+++ /dev/null",
                quoted("a/", path)
            );
            let _ = writeln!(out, "@@ -1 +0,0 @@\n-{before}\n{NO_NEWLINE}");
        }
        (None, None) => {}
    }
}

fn is_directory(diff: &Diff) -> bool {
    let is = |side: &Option<Value>| side.as_ref().and_then(Value::as_str) == Some("directory");
    named(diff, "state").is_some_and(|state| is(&state.before) || is(&state.after))
}

fn named<'a>(diff: &'a Diff, name: &str) -> Option<&'a Attribute> {
    diff.attributes.iter().find(|one| one.name == name)
}

/// Git knows whether a file may be run, and nothing more.
fn git_mode(mode: Option<&Value>) -> &'static str {
    let bits = mode
        .map(value)
        .and_then(|text| u32::from_str_radix(text.trim_start_matches("0o"), 8).ok());
    match bits {
        Some(bits) if bits & 0o100 != 0 => "100755",
        _ => "100644",
    }
}

/// A path as git writes one that it would not write bare.
fn quoted(prefix: &str, path: &str) -> String {
    let is_plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if path.bytes().all(|byte| is_plain(byte) && byte != b' ') {
        return format!("{prefix}{path}");
    }
    let mut out = format!("\"{prefix}");
    for byte in path.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    out + "\""
}

#[cfg(test)]
#[path = "patch/tests.rs"]
mod tests;
