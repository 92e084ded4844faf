//! Turns a fault in a user's file into a [`Diagnostic`] that knows its place, and gathers all of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file as it was read: what every [`Span`] points into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would type it (relative where the user's was).
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text: text.into(),
        })
    }

    /// Returns line `line` (counted from 1) without its line ending, or an empty string past the end.
    pub fn line(&self, line: u32) -> &str {
        self.text
            .lines()
            .nth(line.saturating_sub(1) as usize)
            .unwrap_or("")
    }
}

/// A stretch of one line of a source: where a word of the user stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    pub source: Arc<Source>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// In characters; at least 1.
    pub length: u32,
}

impl Span {
    pub fn new(source: &Arc<Source>, line: u32, column: u32, length: u32) -> Self {
        Self {
            source: Arc::clone(source),
            line,
            column,
            length: length.max(1),
        }
    }

    /// The first character of a file: for faults that have no better place in it.
    pub fn start_of(source: &Arc<Source>) -> Self {
        Self::new(source, 1, 1, 1)
    }

    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Starts an error at this place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, message, Some(self.clone()))
    }

    /// Starts a warning at this place.
    #[must_use]
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, message, Some(self.clone()))
    }
}

/// `file:line:column`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.source.path.display(),
            self.line,
            self.column
        )
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}+{}", self.length)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    /// Nothing connects to a host while one of these stands.
    Error,
}

/// One fault of the user's files: the place, the cause, the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Lowercase, no full stop, the user's words in backticks.
    pub message: String,
    /// `None` only where there is no file to point at (a command-line option).
    pub span: Option<Span>,
    /// Further places that explain the fault, each with what is to be seen there.
    pub labels: Vec<(Span, String)>,
    /// The fix, where there is one.
    pub help: Option<String>,
    /// It is about a file or role that is not there, rather than about what a file holds.
    pub is_missing: bool,
}

impl Diagnostic {
    pub fn new(severity: Severity, message: impl Into<String>, span: Option<Span>) -> Self {
        Self {
            severity,
            message: message.into(),
            span,
            labels: Vec::new(),
            help: None,
            is_missing: false,
        }
    }

    /// An error that no file is to blame for.
    pub fn global(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message, None)
    }

    /// Says that what is at fault is not there.
    #[must_use]
    pub fn missing(mut self) -> Self {
        self.is_missing = true;
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean …` when one of `known` is near to `word`.
    #[must_use]
    pub fn did_you_mean<'a>(
        mut self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        if let Some(near) = nearest(word, known) {
            self.help = Some(format!("did you mean `{near}`?"));
        }
        self
    }

    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }
}

/// Returns the known word that `word` was most likely meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= 1 + k.chars().count().max(word.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// All faults found so far, in the order in which they were found; the same fault is kept once.
#[derive(Debug, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.all.contains(&diagnostic) {
            self.all.push(diagnostic);
        }
    }

    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.all {
            self.push(diagnostic);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.n_errors() > 0
    }

    pub fn n_errors(&self) -> usize {
        self.all
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("modee", ["path", "mode", "owner"]), Some("mode"));
        assert_eq!(nearest("banana", ["path", "mode", "owner"]), None);
    }

    #[test]
    fn the_same_fault_is_kept_once() {
        let source = Source::new("a.yml", "x: 1\n");
        let mut all = Diagnostics::new();
        all.push(Span::start_of(&source).error("bad"));
        all.push(Span::start_of(&source).error("bad"));
        assert_eq!(all.n_errors(), 1);
    }
}
