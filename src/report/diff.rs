//! Turns the before and after of a thing into hunks of lines, with the words that differ, and draws them for a terminal.

use super::Paint;
use super::words::{bytes, value};
use crate::modules::diff::{Attribute, Content, Diff};
use crate::modules::keys::{self, KeyChange};
use similar::{Algorithm, ChangeTag, DiffTag, TextDiff, capture_diff_slices};
use std::fmt::Write;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Lines above which no words are looked for: whole blocks have changed, and words would only take time.
const MAX_WORD_LINES: usize = 4000;

/// Changed lines that stand near each other.
#[derive(Debug)]
pub struct Hunk {
    /// `@@ -1,2 +1,3 @@`
    pub header: String,
    pub lines: Vec<Line>,
}

/// One line of a hunk.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub sign: Sign,
    /// The line in pieces, without its line feed.
    pub pieces: Vec<Piece>,
    /// `false` only for a last line without one.
    pub ends_with_newline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Same,
    Removed,
    Added,
}

impl Sign {
    /// As a diff writes it.
    pub fn mark(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Removed => '-',
            Self::Added => '+',
        }
    }
}

/// A piece of a line that differs from its counterpart as a whole or not at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub differs: bool,
}

impl Line {
    /// The whole line, without its line feed.
    pub fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }

    /// Pieces that tell words apart only where they tell something: not where the whole line is another.
    pub(super) fn has_words(&self) -> bool {
        self.pieces.iter().any(|piece| piece.differs)
            && self
                .pieces
                .iter()
                .any(|piece| !piece.differs && !piece.text.trim().is_empty())
    }
}

/// Compares two texts line by line; a line ends at a line feed and nowhere else, as git and diff have it.
pub fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let before: Vec<&str> = before.split_inclusive('\n').collect();
    let after: Vec<&str> = after.split_inclusive('\n').collect();
    let diff = TextDiff::configure()
        .newline_terminated(true)
        .diff_slices(&before, &after);
    let by_word = before.len() + after.len() <= MAX_WORD_LINES;
    diff.unified_diff()
        .context_radius(CONTEXT)
        .iter_hunks()
        .map(|hunk| Hunk {
            header: hunk.header().to_string().trim_end().to_owned(),
            lines: if by_word {
                let ops = hunk.ops().iter();
                ops.flat_map(|op| diff.iter_inline_changes(op))
                    .map(|change| {
                        let pieces = change.iter_strings_lossy();
                        line(
                            change.tag(),
                            pieces.map(|(differs, text)| (differs, text.into_owned())),
                        )
                    })
                    .collect()
            } else {
                hunk.iter_changes()
                    .map(|change| line(change.tag(), [(false, change.value().to_owned())]))
                    .collect()
            },
        })
        .collect()
}

/// Lines that one change takes away, and those that it puts there.
pub type LinesChanged = (Vec<String>, Vec<String>);

/// Compares two texts line by line, into changes with no line between that both have.
pub fn changes(before: &str, after: &str) -> Vec<LinesChanged> {
    let (before, after) = (lines_of(before), lines_of(after));
    let diff = TextDiff::configure().diff_slices(&before, &after);
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    changed
        .map(|op| {
            (
                owned(&before[op.old_range()]),
                owned(&after[op.new_range()]),
            )
        })
        .collect()
}

/// Puts other lines in the place of each of the [`changes`] that lead from one text to another, by their positions.
pub fn with_changes<'a>(
    before: &str,
    after: &str,
    lines: impl Fn(usize) -> &'a [String],
) -> String {
    let (before, after) = (lines_of(before), lines_of(after));
    let diff = TextDiff::configure().diff_slices(&before, &after);
    let (mut out, mut position) = (String::new(), 0);
    for op in diff.ops() {
        if op.tag() == DiffTag::Equal {
            out.extend(before[op.old_range()].iter().copied());
        } else {
            out.extend(lines(position).iter().map(String::as_str));
            position += 1;
        }
    }
    out
}

/// The lines that stand on both sides, in their order.
pub fn in_both(one: &[String], other: &[String]) -> Vec<String> {
    let ops = capture_diff_slices(Algorithm::Myers, one, other);
    let equal = ops.iter().filter(|op| op.tag() == DiffTag::Equal);
    equal.flat_map(|op| one[op.old_range()].to_vec()).collect()
}

fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn line(tag: ChangeTag, pieces: impl IntoIterator<Item = (bool, String)>) -> Line {
    let mut pieces: Vec<Piece> = pieces
        .into_iter()
        .map(|(differs, text)| Piece { text, differs })
        .collect();
    let last = pieces.last_mut().and_then(|piece| piece.text.pop());
    let ends_with_newline = last == Some('\n');
    if let (Some(last), false, Some(piece)) = (last, ends_with_newline, pieces.last_mut()) {
        piece.text.push(last);
    }
    pieces.retain(|piece| !piece.text.is_empty());
    Line {
        sign: match tag {
            ChangeTag::Equal => Sign::Same,
            ChangeTag::Delete => Sign::Removed,
            ChangeTag::Insert => Sign::Added,
        },
        pieces,
        ends_with_newline,
    }
}

/// What stands for a last line without a line feed.
pub const NO_NEWLINE: &str = "\\ No newline at end of file";

/// Why there is nothing to compare, and the sizes: `binary, 2 bytes → 14 bytes`.
pub fn opaque(reason: &str, before: Option<u64>, after: Option<u64>) -> String {
    let size = |size: Option<u64>| size.map_or("nothing".to_owned(), bytes);
    format!("{reason}: {} → {}", size(before), size(after))
}

/// Draws one diff. What is only a text needs no line that names it: the hunks' own lines do.
pub fn draw(diff: &Diff, paint: Paint) -> String {
    let mut lines: Vec<String> = diff
        .attributes
        .iter()
        .map(|one| attribute(one, paint))
        .collect();
    let keys = keys::changed(diff).unwrap_or_default();
    lines.extend(keys.iter().map(|one| key(one, paint)));
    if let Some(Content::Opaque {
        reason,
        before,
        after,
    }) = &diff.content
    {
        lines.push(format!("content: {}", opaque(reason, *before, *after)));
    }
    let mut out = String::new();
    if diff.is_new {
        let _ = writeln!(
            out,
            "{} {}",
            paint.bold(&diff.subject),
            paint.green("(new)")
        );
    } else if !lines.is_empty() || diff.content.is_none() {
        let _ = writeln!(out, "{}", paint.bold(&diff.subject));
    }
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(Content::Text { before, after }) = &diff.content {
        text(&mut out, diff, before, after, paint);
    }
    out
}

/// A name, and its value on both sides.
pub(super) fn sides(name: &str, before: Option<&str>, after: Option<&str>, paint: Paint) -> String {
    match (before, after) {
        (None, Some(after)) => format!("{name}: {}", paint.green(visible(after))),
        (before, after) => format!(
            "{name}: {} → {}",
            paint.red(visible(before.unwrap_or("none"))),
            paint.green(visible(after.unwrap_or("none")))
        ),
    }
}

fn attribute(attribute: &Attribute, paint: Paint) -> String {
    let side = |side: &Option<crate::value::Value>| side.as_ref().map(value);
    sides(
        &attribute.name,
        side(&attribute.before).as_deref(),
        side(&attribute.after).as_deref(),
        paint,
    )
}

fn key(change: &KeyChange, paint: Paint) -> String {
    match (&change.before, &change.after) {
        (None, Some(after)) => paint.green(format!("+ {} = {}", change.key, visible(after))),
        (Some(before), None) => paint.red(format!("- {} = {}", change.key, visible(before))),
        (before, after) => sides(
            &format!("~ {}", change.key),
            before.as_deref(),
            after.as_deref(),
            paint,
        ),
    }
}

fn text(out: &mut String, diff: &Diff, before: &str, after: &str, paint: Paint) {
    if before == after {
        return;
    }
    let from = if diff.is_new {
        "/dev/null"
    } else {
        &diff.subject
    };
    let _ = writeln!(out, "{}", paint.bold(format!("--- before: {from}")));
    let to = diff.source.as_deref().unwrap_or(&diff.subject);
    let _ = writeln!(out, "{}", paint.bold(format!("+++ after: {to}")));
    for hunk in hunks(before, after) {
        let _ = writeln!(out, "{}", paint.cyan(&hunk.header));
        for line in &hunk.lines {
            let _ = writeln!(out, "{}", painted(line, paint));
            if !line.ends_with_newline {
                let _ = writeln!(out, "{}", paint.dim(NO_NEWLINE));
            }
        }
    }
}

fn painted(line: &Line, paint: Paint) -> String {
    let colour = |text: String| match line.sign {
        Sign::Same => text,
        Sign::Removed => paint.red(text),
        Sign::Added => paint.green(text),
    };
    if line.sign == Sign::Same || !line.has_words() {
        return colour(format!("{}{}", line.sign.mark(), visible(&line.text())));
    }
    let mut out = colour(line.sign.mark().to_string());
    for piece in &line.pieces {
        let text = visible(&piece.text);
        out.push_str(&if piece.differs {
            colour(paint.inverse(text))
        } else {
            colour(text)
        });
    }
    out
}

/// A text as a terminal may have it: what would move the cursor or change colours is written out, `^[`.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\t' => vec!['\t'],
            '\u{0}'..='\u{1f}' => vec!['^', char::from(c as u8 + 0x40)],
            '\u{7f}'..='\u{9f}' => vec!['^', '?'],
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
#[path = "diff/tests.rs"]
mod tests;
