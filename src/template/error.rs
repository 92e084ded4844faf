//! Says what went wrong in a template, where, and through which variables it was reached.

use std::fmt;

/// What kind of fault stopped a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// A name, attribute or item that is not there was used.
    Undefined { name: String },
    /// The text is not a template, or names a filter, test or function that does not exist.
    Syntax,
    /// The value depends on a task that has not ended yet.
    Pending,
    /// In check mode: the value is what a task that does not run then would bring.
    Unknown,
    /// A filter, test, lookup or function refused what it was given.
    Filter { name: String },
    /// A variable needs itself.
    RecursiveLoop,
    /// An included or extended template, or a file of a lookup, is not there.
    NotFound,
    /// Values of types that do not go together.
    Type,
}

/// A fault of a template; its parts are those of [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Fault>);

/// What is known of a fault. `line` and `column` count from 1 in the text that was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: ErrorKind,
    /// Lowercase where it is krun's own, the user's words in backticks.
    pub message: String,
    pub line: Option<u32>,
    /// In characters, from 1.
    pub column: Option<u32>,
    /// How many characters of that line are meant.
    pub length: Option<u32>,
    /// The template file, where it was one.
    pub template: Option<Box<str>>,
    /// The variables that the fault was reached through, outermost first.
    pub via: Vec<String>,
}

impl std::error::Error for Error {}

impl std::ops::Deref for Error {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl std::ops::DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Fault {
        &mut self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.via {
            write!(f, "in variable `{name}`: ")?;
        }
        if let Some(template) = &self.template {
            match self.line {
                Some(line) => write!(f, "{template}:{line}: ")?,
                None => write!(f, "{template}: ")?,
            }
        }
        f.write_str(&self.message)
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            kind,
            message: message.into(),
            line: None,
            column: None,
            length: None,
            template: None,
            via: Vec::new(),
        }))
    }

    pub(crate) fn wrong_type(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, message)
    }

    pub(crate) fn filter(name: &str, message: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Filter { name: name.into() },
            format!("`{name}`: {message}"),
        )
    }

    pub(crate) fn pending() -> Self {
        Self::new(
            ErrorKind::Pending,
            "the value is known only when a task under way has ended",
        )
    }

    pub(crate) fn unknown(cause: &str) -> Self {
        Self::new(ErrorKind::Unknown, cause)
    }

    pub fn is_unknown(&self) -> bool {
        self.kind == ErrorKind::Unknown
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self.kind, ErrorKind::Undefined { .. })
    }

    pub fn is_pending(&self) -> bool {
        self.kind == ErrorKind::Pending
    }

    /// Sets the place, unless a more exact one is known already.
    #[must_use]
    pub(crate) fn at(mut self, span: super::syntax::Span) -> Self {
        if self.line.is_none() && self.via.is_empty() {
            self.line = Some(span.line);
            self.column = Some(span.column);
            self.length = Some(span.length);
        }
        self
    }

    /// Adds the variable whose text failed; the place inside it says nothing about the outer text.
    #[must_use]
    pub(crate) fn through(mut self, variable: &str) -> Self {
        self.via.insert(0, variable.to_string());
        self
    }
}
