//! Colours by meaning, on a terminal only; everything is legible without.

use std::fmt::Display;

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub colour: bool,
}

impl Paint {
    fn with(self, code: &str, text: impl Display) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    pub fn green(self, text: impl Display) -> String {
        self.with("32", text)
    }

    pub fn yellow(self, text: impl Display) -> String {
        self.with("33", text)
    }

    pub fn red(self, text: impl Display) -> String {
        self.with("31", text)
    }

    pub fn bold_red(self, text: impl Display) -> String {
        self.with("1;31", text)
    }

    pub fn cyan(self, text: impl Display) -> String {
        self.with("36", text)
    }

    pub fn magenta(self, text: impl Display) -> String {
        self.with("35", text)
    }

    pub fn dim(self, text: impl Display) -> String {
        self.with("2", text)
    }

    pub fn bold(self, text: impl Display) -> String {
        self.with("1", text)
    }

    /// Words that differ inside a changed line.
    pub fn inverse(self, text: impl Display) -> String {
        self.with("7", text)
    }
}
