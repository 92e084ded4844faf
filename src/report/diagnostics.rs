//! Draws the faults of a user's files: message, place, the line with carets, help.

use super::Paint;
use crate::diag::{Diagnostic, Diagnostics, Severity, Span};
use std::fmt::Write;

/// Draws all of them, warnings first, and a line that counts them.
pub fn draw(diagnostics: &Diagnostics, paint: Paint) -> String {
    let mut out = String::new();
    let by = |severity| {
        diagnostics
            .iter()
            .filter(move |diagnostic| diagnostic.severity == severity)
    };
    for diagnostic in by(Severity::Warning).chain(by(Severity::Error)) {
        out.push_str(&draw_one(diagnostic, paint));
        out.push('\n');
    }
    let n_errors = diagnostics.n_errors();
    if n_errors > 0 {
        let noun = if n_errors == 1 { "error" } else { "errors" };
        let _ = writeln!(
            out,
            "{}",
            paint.bold_red(format!("{n_errors} {noun}; no host was contacted"))
        );
    }
    out
}

fn draw_one(diagnostic: &Diagnostic, paint: Paint) -> String {
    let mut out = String::new();
    let kind = match diagnostic.severity {
        Severity::Error => paint.bold_red("error"),
        Severity::Warning => paint.yellow("warning"),
    };
    let _ = writeln!(out, "{kind}: {}", paint.bold(&diagnostic.message));
    let width = diagnostic
        .span
        .iter()
        .chain(diagnostic.labels.iter().map(|(span, _)| span))
        .map(|span| span.line.to_string().len())
        .max()
        .unwrap_or(1);
    if let Some(span) = &diagnostic.span {
        draw_span(&mut out, span, "", width, paint);
    }
    for (span, text) in &diagnostic.labels {
        draw_span(&mut out, span, text, width, paint);
    }
    if let Some(help) = &diagnostic.help {
        for (number, line) in help.lines().enumerate() {
            let head = if number == 0 {
                paint.cyan("help") + ": "
            } else {
                "      ".into()
            };
            let _ = writeln!(out, "{head}{line}");
        }
    }
    out
}

fn draw_span(out: &mut String, span: &Span, text: &str, width: usize, paint: Paint) {
    let bar = paint.cyan("|");
    let _ = writeln!(out, "{:width$}{} {span}", "", paint.cyan("-->"));
    let line = span.source.line(span.line).replace('\t', " ");
    let _ = writeln!(out, "{:width$} {bar}", "");
    let _ = writeln!(
        out,
        "{} {bar} {line}",
        paint.cyan(format!("{:>width$}", span.line))
    );
    let column = span.column.saturating_sub(1) as usize;
    let room = line.chars().count().saturating_sub(column).max(1);
    let carets = "^".repeat((span.length as usize).min(room));
    let _ = writeln!(
        out,
        "{:width$} {bar} {:column$}{}",
        "",
        "",
        paint.red(format!("{carets} {text}").trim_end())
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    #[test]
    fn a_fault_shows_its_line_with_carets_and_help() {
        let source = Source::new("kafka.yml", "- copy:\n    modee: '0644'\n");
        let mut all = Diagnostics::new();
        all.push(
            Span::new(&source, 2, 5, 5)
                .error("unknown argument `modee` of `copy`")
                .help("did you mean `mode`?"),
        );
        insta::assert_snapshot!(draw(&all, Paint { colour: false }), @r"
        error: unknown argument `modee` of `copy`
         --> kafka.yml:2:5
          |
        2 |     modee: '0644'
          |     ^^^^^
        help: did you mean `mode`?

        1 error; no host was contacted
        ");
    }
}
