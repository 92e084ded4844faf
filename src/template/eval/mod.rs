//! Runs a template or expression against a host's variables.

mod call;
mod expr;
pub(crate) mod ops;
mod stmt;
mod unknown;

use super::error::{Error, ErrorKind};
use super::lazy::{self, Host, Run};
use super::native;
use super::syntax::{Body, Expr, Template};
use super::values::{Res, Val};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Names set by the template itself: by `set`, `for`, `macro`, `import`, `with`.
pub(crate) type Frame = Rc<RefCell<HashMap<Box<str>, Val>>>;

/// Expressions and variables nested deeper than this are refused, long before the stack ends.
const MAX_DEPTH: usize = 200;

/// One template under evaluation.
pub(crate) struct Cx {
    pub run: Rc<Run>,
    pub host: Rc<Host>,
    pub frames: Vec<Frame>,
    /// Each block, from the youngest child's to the oldest parent's.
    blocks: HashMap<Box<str>, Vec<Arc<Body>>>,
    /// The parent that `extends` has named.
    parent: Option<String>,
}

/// Where output goes: text, or the single values that a native result is made of.
pub(crate) enum Out {
    Text(String),
    Nodes(Vec<Val>),
}

impl Out {
    fn push(&mut self, value: Val) -> Res<()> {
        match (self, value) {
            (_, Val::Undefined(error)) => return Err((*error).clone()),
            (Self::Nodes(nodes), value) => nodes.push(value),
            (_, Val::None) => {}
            (_, Val::Omit) => return Err(omit_in_text()),
            (Self::Text(text), value) => text.push_str(&native::text(&value)),
        }
        Ok(())
    }
}

fn omit_in_text() -> Error {
    Error::wrong_type("`omit` cannot stand inside a text")
}

impl Cx {
    pub(crate) fn new(run: &Rc<Run>, host: &Rc<Host>) -> Self {
        Self {
            run: Rc::clone(run),
            host: Rc::clone(host),
            frames: vec![Frame::default()],
            blocks: HashMap::new(),
            parent: None,
        }
    }

    /// Renders `text` to the value of its only expression, or to text where there is more than that.
    pub(crate) fn native(&mut self, text: &str) -> Res {
        let template = self.run.engine.template(text)?;
        let mut out = Out::Nodes(Vec::new());
        self.template(&template, &mut out)?;
        let Out::Nodes(mut nodes) = out else {
            return Ok(Val::None);
        };
        let value = if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            nodes.retain(|node| !matches!(node, Val::None));
            if nodes.len() == 1 {
                nodes.remove(0)
            } else {
                let mut whole = Out::Text(String::new());
                for node in nodes {
                    whole.push(node)?;
                }
                whole.into_val()
            }
        };
        Ok(match value {
            Val::Str(text) if template.newlines > 0 => {
                Val::str(ended(text.to_string(), template.newlines))
            }
            other => other,
        })
    }

    /// Renders a whole template as text.
    pub(crate) fn text(&mut self, template: &Arc<Template>) -> Res<String> {
        let mut out = Out::Text(String::new());
        self.template(template, &mut out)?;
        match out {
            Out::Text(text) => Ok(ended(text, template.newlines)),
            Out::Nodes(_) => Ok(String::new()),
        }
    }

    fn template(&mut self, template: &Arc<Template>, out: &mut Out) -> Res<()> {
        self.collect_blocks(&template.body);
        self.body(&template.body, out)?;
        // A chain of parents ends with one that extends nothing.
        let mut seen = Vec::new();
        while let Some(name) = self.parent.take() {
            if seen.contains(&name) {
                return Err(Error::new(
                    ErrorKind::RecursiveLoop,
                    format!("`{name}` extends itself"),
                ));
            }
            let parent = self.load(&name)?;
            seen.push(name);
            self.collect_blocks(&parent.body);
            self.body(&parent.body, out)?;
        }
        Ok(())
    }

    /// Finds and compiles another template of the user's.
    fn load(&self, name: &str) -> Res<Arc<Template>> {
        let files = self.host.scope.files();
        let path = files
            .find("templates", name)
            .map_err(|searched| Error::new(ErrorKind::NotFound, searched))?;
        if let Some(cause) = files.why_unknown(&path) {
            return Err(self.run.unknown_error(&cause));
        }
        let bytes = files.read(&path).map_err(|error| {
            Error::new(
                ErrorKind::NotFound,
                format!("cannot read {}: {error}", path.display()),
            )
        })?;
        let text = String::from_utf8_lossy(&bytes);
        self.run.engine.file(&text, &[]).map_err(|mut error| {
            error.template = Some(name.into());
            error
        })
    }

    /// Evaluates and renders every lazy part.
    pub(crate) fn full(&mut self, expr: &Expr) -> Res {
        let value = self.eval(expr)?;
        self.force(value)
    }

    pub(crate) fn force(&self, value: Val) -> Res {
        lazy::force(&self.run, value)
    }

    /// The value of an expression that must be there.
    pub(crate) fn defined(&mut self, expr: &Expr) -> Res {
        match self.full(expr)? {
            Val::Undefined(error) => Err((*error).clone().at(expr.span)),
            value => Ok(value),
        }
    }

    /// Python's truth; an undefined value is an error.
    pub(crate) fn truth(&mut self, expr: &Expr) -> Res<bool> {
        match self.eval(expr)? {
            Val::Undefined(error) => Err((*error).clone().at(expr.span)),
            value => Ok(value.is_true()),
        }
    }

    fn descend(&self) -> Res<Depth> {
        let depth = self.run.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::RecursiveLoop,
                "the template is nested too deeply",
            ));
        }
        self.run.depth.set(depth);
        Ok(Depth(Rc::clone(&self.run)))
    }

    /// Sets a name where the template stands now.
    pub(crate) fn set(&mut self, name: &str, value: Val) {
        if let Some(frame) = self.frames.last() {
            frame.borrow_mut().insert(name.into(), value);
        }
    }

    fn in_new_frame<T>(&mut self, work: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.frames.push(Frame::default());
        let result = work(self);
        self.frames.pop();
        result
    }
}

impl Out {
    fn into_val(self) -> Val {
        match self {
            Self::Text(text) => Val::str(text),
            Self::Nodes(_) => Val::None,
        }
    }
}

/// Goes up again when dropped.
struct Depth(Rc<Run>);

impl Drop for Depth {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

/// Ends a rendered text with as many newlines as its template does: Jinja takes the last one off, Ansible puts back what lacks.
fn ended(mut text: String, newlines: usize) -> String {
    let has = text.len() - text.trim_end_matches('\n').len();
    text.extend(std::iter::repeat_n('\n', newlines.saturating_sub(has)));
    text
}
