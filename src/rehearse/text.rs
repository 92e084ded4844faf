//! Turns the sections of a report into text for a terminal, and into Markdown.

use super::page::{Block, Cell, Mood, Section, Table};
use crate::report::Paint;
use crate::report::diff::draw;
use std::fmt::Write;

/// Columns of time in a picture of characters.
const PICTURE: usize = 64;

/// Lines of one change's diffs that a terminal is shown in the end.
const DIFF: usize = 12;

/// The report as a person at a terminal reads it.
pub fn terminal(sections: &[Section], paint: Paint) -> String {
    let mut out = String::new();
    for section in sections.iter().filter(|section| !section.only_in_files) {
        let _ = writeln!(out, "\n{}", paint.bold(section.title));
        for block in &section.blocks {
            match block {
                Block::Text(text) => indent(&mut out, text),
                Block::Table(table) => indent(&mut out, &columns(table, paint)),
                Block::Diffs(place, diffs) => {
                    indent(&mut out, &paint.yellow(place));
                    let drawn: String = diffs.iter().map(|diff| draw(diff, paint)).collect();
                    indent(&mut out, &head(&drawn, paint));
                }
                Block::Timeline(timeline) => indent(&mut out, &timeline.text(PICTURE)),
            }
        }
    }
    out
}

/// The first lines of a diff: the whole went by when it happened, and is in the files.
fn head(drawn: &str, paint: Paint) -> String {
    let lines: Vec<&str> = drawn.lines().collect();
    let mut shown = lines[..lines.len().min(DIFF)].join("\n");
    if lines.len() > DIFF {
        let rest = format!("\n… {} more lines", lines.len() - DIFF);
        shown.push_str(&paint.dim(rest));
    }
    shown
}

fn indent(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "  {line}");
    }
}

/// A table whose columns stand under each other; the last one may be as long as it likes.
fn columns(table: &Table, paint: Paint) -> String {
    let count = table.columns.len();
    let width = |column: usize| {
        let cells = table
            .rows
            .iter()
            .map(|row| row[column].text.chars().count());
        cells
            .chain([table.columns[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            if column + 1 == count {
                0
            } else {
                width(column)
            }
        })
        .collect();
    let mut out = String::new();
    let heads: Vec<String> = table
        .columns
        .iter()
        .zip(&widths)
        .map(|(head, width)| format!("{head:width$}"))
        .collect();
    let _ = writeln!(out, "{}", paint.dim(heads.join("  ").trim_end()));
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| painted(cell, *width, paint))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

fn painted(cell: &Cell, width: usize, paint: Paint) -> String {
    let text = format!("{:width$}", cell.text);
    match cell.mood {
        Mood::Plain => text,
        Mood::Good => paint.green(text),
        Mood::Bad => paint.bold_red(text),
        Mood::Dim => paint.dim(text),
    }
}

/// The report as Markdown, its `title` as the first heading.
pub fn markdown(title: &str, intro: &str, sections: &[Section]) -> String {
    let mut out = format!("# {title}\n\n{intro}\n");
    for section in sections {
        let _ = writeln!(out, "\n## {}", section.title);
        for block in &section.blocks {
            out.push('\n');
            match block {
                Block::Text(text) => {
                    let _ = writeln!(out, "{}", escaped(text));
                }
                Block::Table(table) => {
                    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
                    out.push_str(&line(
                        table.columns.iter().map(|it| (*it).to_owned()).collect(),
                    ));
                    out.push_str(&line(vec!["---".to_owned(); table.columns.len()]));
                    for row in &table.rows {
                        out.push_str(&line(row.iter().map(marked).collect()));
                    }
                }
                Block::Diffs(place, diffs) => {
                    let _ = writeln!(out, "{}\n", escaped(place));
                    if !diffs.is_empty() {
                        let drawn: String = diffs
                            .iter()
                            .map(|diff| draw(diff, Paint { colour: false }))
                            .collect();
                        fenced(&mut out, "diff", &drawn);
                    }
                }
                Block::Timeline(timeline) => fenced(&mut out, "text", &timeline.text(PICTURE)),
            }
        }
    }
    out
}

/// A code block whose fence is longer than any in the text.
fn fenced(out: &mut String, language: &str, text: &str) {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    let _ = writeln!(out, "{fence}{language}\n{}\n{fence}", text.trim_end());
}

fn marked(cell: &Cell) -> String {
    let text = escaped(&cell.text).replace('|', "\\|").replace('\n', " ");
    match cell.mood {
        Mood::Bad if !text.is_empty() => format!("**{text}**"),
        _ => text,
    }
}

/// The user's words must not become markup.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('*', "\\*")
        .replace('_', "\\_")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::proof::checks;
    use crate::rehearse::sections::sections;
    use crate::rehearse::trial::account;

    #[test]
    fn a_rehearsal_on_the_terminal() {
        let account = account();
        let sections = sections(&account, &checks(&account, false));
        insta::assert_snapshot!(terminal(&sections, Paint { colour: false }));
    }

    #[test]
    fn a_rehearsal_as_markdown() {
        let account = account();
        let sections = sections(&account, &checks(&account, false));
        insta::assert_snapshot!(markdown("Rehearsal: a_b.yml", "All is well.", &sections));
    }

    #[test]
    fn the_users_words_do_not_become_markup() {
        let cell = Cell::new("a|b *c* <d> _e_\nf", Mood::Plain);
        assert_eq!(marked(&cell), "a\\|b \\*c\\* &lt;d> \\_e\\_ f");
        let mut out = String::new();
        fenced(&mut out, "text", "```\nx\n```");
        assert_eq!(out, "````text\n```\nx\n```\n````\n");
    }
}
