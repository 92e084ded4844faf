//! Turns the user's text into values: Ansible's dialect of Jinja, with its filters, tests and lookups.
//!
//! minijinja reads templates; they are evaluated here, because Ansible's rules for undefined values,
//! native types, lazy variables and Python's lists need an evaluator of their own.

mod args;
mod check;
mod engine;
mod error;
mod eval;
mod filters;
mod functions;
mod lazy;
mod lookups;
mod methods;
mod names;
mod native;
mod object;
mod parse;
mod predicates;
mod printf;
mod scope;
mod syntax;
mod values;

#[cfg(test)]
mod tests;

pub use engine::{SETTINGS, Setting};
pub use error::{Error, ErrorKind, Fault};
pub use names::NameUse;
pub use scope::{Files, Raw, Scope};

use crate::value::{self, Mapping, Value};
use engine::Engine;
use eval::Cx;
use lazy::{Host, Run};
use names::{Kind, Walk};
use serde_yaml::value::{Tag, TaggedValue};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use values::Val;

/// Tells whether `text` has anything to render.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

const OMIT: &str = "omit";

/// What `{{ omit }}` renders to: the argument that holds it is taken away.
pub fn omit() -> Value {
    Value::Tagged(Box::new(TaggedValue {
        tag: Tag::new(OMIT),
        value: Value::Null,
    }))
}

/// Tells whether `value` is [`omit`].
pub fn is_omit(value: &Value) -> bool {
    matches!(value, Value::Tagged(tagged) if tagged.tag == OMIT && tagged.value.is_null())
}

/// Reads a list or mapping written in Python's (or JSON's) notation, as old playbooks print them.
pub fn literal(text: &str) -> Option<Value> {
    lookups::literal(text)?.into_value().ok()
}

/// Renders templates. One per run; cheap to clone; compiled templates are kept by their text.
#[derive(Clone, Default)]
pub struct Templar {
    engine: Arc<Engine>,
}

/// One rendering: variables are remembered until it ends.
struct Session {
    run: Rc<Run>,
    host: Rc<Host>,
}

impl Session {
    fn cx(&self) -> Cx {
        Cx::new(&self.run, &self.host)
    }

    /// A result that rests on anything not yet known is no result, whatever caught it.
    fn finish<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        if self.run.pending.get() {
            return Err(Error::pending());
        }
        if let Some(cause) = &*self.run.unknown.borrow() {
            return Err(Error::unknown(cause));
        }
        result
    }

    fn text_value(&self, text: &str) -> Result<Val, Error> {
        let mut cx = self.cx();
        let value = cx.native(text)?;
        cx.force(value)
    }

    fn value(&self, value: &Value) -> Result<Value, Error> {
        match value {
            Value::String(text) if is_template(text) => self.text_value(text)?.into_value(),
            Value::Sequence(items) => {
                let mut all = Vec::with_capacity(items.len());
                for item in items {
                    let item = self.value(item)?;
                    if !is_omit(&item) {
                        all.push(item);
                    }
                }
                Ok(Value::Sequence(all))
            }
            Value::Mapping(map) => {
                let mut all = Mapping::with_capacity(map.len());
                for (key, item) in map {
                    let item = self.value(item)?;
                    if !is_omit(&item) {
                        all.insert(self.value(key)?, item);
                    }
                }
                Ok(Value::Mapping(all))
            }
            Value::Tagged(tagged) if !is_omit(value) => Ok(value::untagged(&tagged.value)),
            other => Ok(other.clone()),
        }
    }

    fn expression(&self, text: &str) -> Result<Val, Error> {
        let expr = self.run.engine.expression(text.trim())?;
        self.cx().defined(&expr)
    }

    fn condition(&self, condition: &Value) -> Result<bool, Error> {
        match condition {
            Value::Null => Ok(true),
            Value::Bool(b) => Ok(*b),
            Value::Sequence(all) => {
                for one in all {
                    if !self.condition(one)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Value::String(text) if text.trim().is_empty() => Ok(true),
            Value::String(text) if text.contains("{{") || text.contains("{%") => {
                match self.text_value(text.trim())? {
                    // Once rendered, the text is a condition itself: `when: "{{ a }} == 'b'"`.
                    Val::Str(text) => {
                        if let Some(known) = value::as_bool(&Value::String(text.to_string())) {
                            return Ok(known);
                        }
                        // What hosts said may be part of it, and must not read or run anything here.
                        self.run.without_lookups.set(true);
                        let result = self.expression(&text);
                        self.run.without_lookups.set(false);
                        Ok(result?.is_true())
                    }
                    Val::Undefined(error) => Err((*error).clone()),
                    other => Ok(other.is_true()),
                }
            }
            Value::String(text) => Ok(self.expression(text)?.is_true()),
            Value::Tagged(tagged) => self.condition(&tagged.value),
            other => Ok(Val::from_plain(other).is_true()),
        }
    }
}

impl Templar {
    pub fn new() -> Self {
        Self::default()
    }

    fn session(&self, scope: &Arc<dyn Scope>) -> Session {
        Session {
            run: Run::new(&self.engine),
            host: Host::new(Arc::clone(scope)),
        }
    }

    /// A rendering whose text a host is to get.
    fn session_of_text(&self, scope: &Arc<dyn Scope>) -> Session {
        let session = self.session(scope);
        session.run.naming.set(scope.names_unknown());
        session
    }

    /// Renders every string in `value`, keys too. `!unsafe` texts come out as they are; entries that are [`omit`] go.
    pub fn render_value(&self, value: &Value, scope: &Arc<dyn Scope>) -> Result<Value, Error> {
        let session = self.session_of_text(scope);
        let result = session.value(value);
        session.finish(result)
    }

    /// Renders a text. A single `{{ expression }}` keeps its type; anything else is text. May be [`omit`].
    pub fn render_str(&self, text: &str, scope: &Arc<dyn Scope>) -> Result<Value, Error> {
        if !is_template(text) {
            return Ok(Value::String(text.into()));
        }
        let session = self.session(scope);
        let result = session.text_value(text).and_then(Val::into_value);
        session.finish(result)
    }

    /// Renders to text, whatever the type: `null` is empty, a list is Python's `repr`.
    pub fn render_text(&self, text: &str, scope: &Arc<dyn Scope>) -> Result<String, Error> {
        if !is_template(text) {
            return Ok(text.into());
        }
        let session = self.session(scope);
        let result = session.text_value(text).and_then(|value| match value {
            Val::None => Ok(String::new()),
            Val::Undefined(error) => Err((*error).clone()),
            Val::Omit => Err(Error::wrong_type(
                "`omit` cannot stand where a text is needed",
            )),
            value => Ok(native::text(&value)),
        });
        session.finish(result)
    }

    /// Renders a template file: its `#jinja2:` header is obeyed, it ends with as many newlines as the file at least; `name` is for messages.
    /// `settings` are as in a header, which overrules them.
    pub fn render_file(
        &self,
        text: &str,
        name: &Path,
        settings: &[Setting],
        scope: &Arc<dyn Scope>,
    ) -> Result<String, Error> {
        let session = self.session_of_text(scope);
        let result = self
            .engine
            .file(text, settings)
            .and_then(|template| session.cx().text(&template))
            .map_err(|mut error| {
                if error.via.is_empty() && error.template.is_none() {
                    error.template = Some(name.to_string_lossy().into());
                }
                error
            });
        session.finish(result)
    }

    /// Evaluates `when` and its like: a truth, a bare expression, a template, or a list of them that must all hold.
    pub fn condition(&self, condition: &Value, scope: &Arc<dyn Scope>) -> Result<bool, Error> {
        let session = self.session(scope);
        let result = session.condition(condition);
        session.finish(result)
    }

    /// Runs a lookup on rendered terms, as `with_dict`, `with_fileglob` and their like do.
    pub fn lookup(
        &self,
        name: &str,
        terms: &Value,
        scope: &Arc<dyn Scope>,
    ) -> Result<Vec<Value>, Error> {
        let session = self.session(scope);
        let result = session.value(terms).and_then(|terms| {
            let terms: Vec<Val> = match &terms {
                Value::Sequence(items) => items.iter().map(Val::from_plain).collect(),
                other => vec![Val::from_plain(other)],
            };
            let found = lookups::run(&mut session.cx(), name, &terms, args::Args::default())?;
            found.into_iter().map(Val::into_value).collect()
        });
        session.finish(result)
    }

    /// Checks a template's syntax, and that its filters, tests, functions and lookups exist.
    pub fn check_syntax(&self, text: &str) -> Result<(), Error> {
        check::mentions(&self.walk_text(text)?.found)
    }

    /// As [`Templar::check_syntax`], for a template file.
    pub fn check_file(&self, text: &str, settings: &[Setting]) -> Result<(), Error> {
        let mut walk = Walk::default();
        walk.body(&self.engine.file(text, settings)?.body);
        check::mentions(&walk.found)
    }

    /// As [`Templar::check_syntax`], for `when` and its like.
    pub fn check_condition(&self, text: &str) -> Result<(), Error> {
        check::mentions(&self.walk_condition(text)?.found)
    }

    /// The variables that a template reads. Nothing where its syntax is wrong.
    pub fn names(&self, text: &str) -> Vec<NameUse> {
        variables(self.walk_text(text).unwrap_or_default())
    }

    /// The variables that a template file reads.
    pub fn names_in_file(&self, text: &str, settings: &[Setting]) -> Vec<NameUse> {
        let mut walk = Walk::default();
        if let Ok(template) = self.engine.file(text, settings) {
            walk.body(&template.body);
        }
        variables(walk)
    }

    /// The variables that a condition reads.
    pub fn names_in_condition(&self, text: &str) -> Vec<NameUse> {
        variables(self.walk_condition(text).unwrap_or_default())
    }

    fn walk_text(&self, text: &str) -> Result<Walk, Error> {
        let mut walk = Walk::default();
        if is_template(text) {
            let text = text.strip_suffix('\n').unwrap_or(text);
            walk.body(&self.engine.template(text)?.body);
        }
        Ok(walk)
    }

    fn walk_condition(&self, text: &str) -> Result<Walk, Error> {
        if is_template(text) {
            return self.walk_text(text);
        }
        let mut walk = Walk::default();
        if !text.trim().is_empty() {
            walk.expr(&*self.engine.expression(text.trim())?);
        }
        Ok(walk)
    }
}

fn variables(walk: Walk) -> Vec<NameUse> {
    let mut all: Vec<NameUse> = Vec::new();
    for mention in walk.found {
        if let Kind::Variable { guarded } = mention.kind
            && !all
                .iter()
                .any(|known| known.name == mention.name && known.guarded == guarded)
        {
            all.push(NameUse {
                name: mention.name,
                guarded,
                line: mention.span.line,
                column: mention.span.column,
            });
        }
    }
    all
}
