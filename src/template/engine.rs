//! Compiles templates and expressions once and keeps them by their text.

use super::error::Error;
use super::parse;
use super::syntax::{Expr, Template};
use minijinja::syntax::SyntaxConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A run with more different texts than this begins its cache anew.
const MAX_CACHED: usize = 20_000;

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
            parse::template(text, ansible_syntax()?, true)
        })
    }

    /// A template file, with its `#jinja2:` header.
    pub(crate) fn file(&self, text: &str) -> Result<Arc<Template>, Error> {
        cached(&self.files, text, compile_file)
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
    // Every kind of line end is a newline to Jinja.
    let compiled = if text.contains('\r') {
        compile(&text.replace("\r\n", "\n").replace('\r', "\n"))?
    } else {
        compile(text)?
    };
    let compiled = Arc::new(compiled);
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(text.into(), Arc::clone(&compiled));
    Ok(compiled)
}

fn ansible_syntax() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .build()
        .map_err(|error| Error::syntax(error.to_string()))
}

fn compile_file(text: &str) -> Result<Template, Error> {
    match text.strip_prefix("#jinja2:") {
        None => parse::template(text, ansible_syntax()?, false),
        Some(rest) => {
            let (header, body) = rest.split_once('\n').unwrap_or((rest, ""));
            let mut template = parse::template(body, header_syntax(header)?, false);
            if let Err(error) = &mut template {
                error.line = error.line.map(|line| line + 1);
            }
            template
        }
    }
}

/// `trim_blocks: False, variable_start_string: '[%'`
fn header_syntax(header: &str) -> Result<SyntaxConfig, Error> {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true);
    let mut delimiters: HashMap<&str, String> = HashMap::new();
    for pair in header.split(',') {
        let Some((key, value)) = pair.split_once(':') else {
            return Err(Error::syntax(format!(
                "the `#jinja2:` header has no `key: value` in `{}`",
                pair.trim()
            )));
        };
        let (key, value) = (key.trim(), value.trim().trim_matches(['\'', '"']));
        let yes = value.eq_ignore_ascii_case("true");
        match key {
            "trim_blocks" => {
                syntax.trim_blocks(yes);
            }
            "lstrip_blocks" => {
                syntax.lstrip_blocks(yes);
            }
            "keep_trailing_newline" => {
                syntax.keep_trailing_newline(yes);
            }
            "variable_start_string"
            | "variable_end_string"
            | "block_start_string"
            | "block_end_string"
            | "comment_start_string"
            | "comment_end_string" => {
                delimiters.insert(key, value.to_string());
            }
            "line_statement_prefix" => {
                syntax.line_statement_prefix(value.to_string());
            }
            "line_comment_prefix" => {
                syntax.line_comment_prefix(value.to_string());
            }
            "newline_sequence" | "optimized" | "autoescape" => {}
            _ => {
                return Err(Error::syntax(format!(
                    "the `#jinja2:` header has an unknown key `{key}`"
                )));
            }
        }
    }
    let mut pick = |key, default: &str| delimiters.remove(key).unwrap_or_else(|| default.into());
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
