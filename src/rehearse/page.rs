//! The sections of a report, the same for the terminal, Markdown and HTML.

use super::timeline::Timeline;
use crate::modules::diff::Diff;

/// One heading and what stands under it.
#[derive(Debug, Clone)]
pub struct Section {
    pub title: &'static str,
    pub blocks: Vec<Block>,
    /// Only in files: on the terminal it went by while it happened.
    pub only_in_files: bool,
}

#[derive(Debug, Clone)]
pub enum Block {
    Text(String),
    Table(Table),
    /// What changed, under a line that says where.
    Diffs(String, Vec<Diff>),
    Timeline(Timeline),
}

#[derive(Debug, Clone, Default)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

/// One cell, with what its colour means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub mood: Mood,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Plain,
    Good,
    Bad,
    Dim,
}

impl Cell {
    pub fn new(text: impl Into<String>, mood: Mood) -> Self {
        Self {
            text: text.into(),
            mood,
        }
    }

    /// A count of what should not be.
    pub fn bad_if_any(count: u64) -> Self {
        let mood = if count > 0 { Mood::Bad } else { Mood::Plain };
        Self::new(grouped(count), mood)
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Mood::Plain)
    }
}

impl Table {
    pub fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }
}

impl Section {
    pub fn new(title: &'static str, blocks: Vec<Block>) -> Self {
        Self {
            title,
            blocks,
            only_in_files: false,
        }
    }
}

/// `119,562`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds as people say them: `0.4 s`, `12.3 s`, `4 min 5 s`, `3 h 20 min`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A time as minutes and seconds behind a beginning: `2:07`.
pub fn offset(time: u64, begin: u64) -> String {
    let seconds = time.saturating_sub(begin) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_as_people_write_them() {
        assert_eq!(grouped(119_562), "119,562");
        assert_eq!(grouped(562), "562");
        assert_eq!(duration(400), "0.4 s");
        assert_eq!(duration(245_000), "4 min 5 s");
        assert_eq!(duration(12_000_000), "3 h 20 min");
        assert_eq!(offset(137_900, 10_000), "2:07");
    }
}
