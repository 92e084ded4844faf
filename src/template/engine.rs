//! Compiles templates and expressions once and keeps them by their text.

use super::error::Error;
use super::parse;
use super::syntax::{Expr, Template};
use minijinja::syntax::SyntaxConfig;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A run with more different texts than this begins its cache anew.
const MAX_CACHED: usize = 20_000;

/// A key of a `#jinja2:` header and its value: `trim_blocks`, `variable_start_string`.
pub type Setting = (&'static str, String);

/// The keys of a `#jinja2:` header that have an effect.
pub const SETTINGS: &[&str] = &[
    "trim_blocks",
    "lstrip_blocks",
    "keep_trailing_newline",
    "variable_start_string",
    "variable_end_string",
    "block_start_string",
    "block_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
];

type Cache<T> = Mutex<HashMap<Box<str>, Arc<T>>>;

#[derive(Default)]
pub(crate) struct Engine {
    strings: Cache<Template>,
    files: Cache<Template>,
    expressions: Cache<Expr>,
}

impl Engine {
    /// A string of a playbook or variable.
    pub(crate) fn template(&self, text: &str) -> Result<Arc<Template>, Error> {
        cached(&self.strings, text, |text| {
            parse::template(text, syntax(HashMap::new())?, true)
        })
    }

    /// A template file, with its `#jinja2:` header; `settings` are as in a header, which overrules them.
    pub(crate) fn file(&self, text: &str, settings: &[Setting]) -> Result<Arc<Template>, Error> {
        if settings.is_empty() {
            return cached(&self.files, text, |text| compile_file(text, &[]));
        }
        let key = format!("{settings:?}{text}");
        cached(&self.files, &key, |_| compile_file(&lines(text), settings))
    }

    /// A bare expression, as in `when`.
    pub(crate) fn expression(&self, text: &str) -> Result<Arc<Expr>, Error> {
        cached(&self.expressions, text, parse::expression)
    }
}

fn cached<T>(
    cache: &Cache<T>,
    text: &str,
    compile: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<Arc<T>, Error> {
    let known = cache
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(text)
        .cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let compiled = Arc::new(compile(&lines(text))?);
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(text.into(), Arc::clone(&compiled));
    Ok(compiled)
}

/// Every kind of line end is a newline to Jinja.
fn lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

fn compile_file(text: &str, settings: &[Setting]) -> Result<Template, Error> {
    let (header, body) = match text.strip_prefix("#jinja2:") {
        Some(rest) => rest.split_once('\n').unwrap_or((rest, "")),
        None => ("", text),
    };
    let mut all: HashMap<&str, String> = settings.iter().cloned().collect();
    if !header.is_empty() {
        read_header(header, &mut all)?;
    }
    let mut template = parse::template(body, syntax(all)?, false);
    if let (Err(error), false) = (&mut template, header.is_empty()) {
        error.line = error.line.map(|line| line + 1);
    }
    template
}

/// `trim_blocks: False, variable_start_string: '[%'`
fn read_header<'h>(header: &'h str, settings: &mut HashMap<&'h str, String>) -> Result<(), Error> {
    for pair in header.split(',') {
        let Some((key, value)) = pair.split_once(':') else {
            return Err(Error::syntax(format!(
                "the `#jinja2:` header has no `key: value` in `{}`",
                pair.trim()
            )));
        };
        let key = key.trim();
        if SETTINGS.contains(&key) {
            settings.insert(key, value.trim().trim_matches(['\'', '"']).to_owned());
        } else if !matches!(key, "newline_sequence" | "optimized" | "autoescape") {
            return Err(Error::syntax(format!(
                "the `#jinja2:` header has an unknown key `{key}`"
            )));
        }
    }
    Ok(())
}

fn syntax(mut settings: HashMap<&str, String>) -> Result<SyntaxConfig, Error> {
    let mut syntax = SyntaxConfig::builder();
    let mut flag = |key, default| {
        let value = settings.remove(key);
        value.map_or(default, |value| value.eq_ignore_ascii_case("true"))
    };
    syntax
        .trim_blocks(flag("trim_blocks", true))
        .lstrip_blocks(flag("lstrip_blocks", false))
        .keep_trailing_newline(flag("keep_trailing_newline", false));
    if let Some(prefix) = settings.remove("line_statement_prefix") {
        syntax.line_statement_prefix(prefix);
    }
    if let Some(prefix) = settings.remove("line_comment_prefix") {
        syntax.line_comment_prefix(prefix);
    }
    let mut pick = |key, default: &str| settings.remove(key).unwrap_or_else(|| default.into());
    let (start, end) = (
        pick("variable_start_string", "{{"),
        pick("variable_end_string", "}}"),
    );
    syntax.variable_delimiters(start, end);
    let (start, end) = (
        pick("block_start_string", "{%"),
        pick("block_end_string", "%}"),
    );
    syntax.block_delimiters(start, end);
    let (start, end) = (
        pick("comment_start_string", "{#"),
        pick("comment_end_string", "#}"),
    );
    syntax.comment_delimiters(start, end);
    syntax
        .build()
        .map_err(|error| Error::syntax(error.to_string()))
}
