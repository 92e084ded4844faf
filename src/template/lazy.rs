//! Renders a user's variables when they are read, once per rendering, and finds those that need themselves.

use super::engine::Engine;
use super::error::{Error, ErrorKind};
use super::eval::{Cx, Frame};
use super::scope::{Raw, Scope};
use super::values::{Res, Val};
use crate::value::Value;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// A chain of variables longer than this is taken for an endless one.
const MAX_NESTING: usize = 60;

/// What one rendering shares: the hosts it has looked at, the variables under way, the pending mark.
pub(crate) struct Run {
    pub engine: Arc<Engine>,
    /// Set when anything read was not known yet: the whole result is then worthless.
    pub pending: Cell<bool>,
    /// Why something that was read is unknown.
    pub unknown: RefCell<Option<String>>,
    /// A text is made in which what nobody can say stands by its name.
    pub naming: Cell<bool>,
    /// How many names stand for values so far: what holds one is nothing to be remembered.
    pub named: Cell<usize>,
    /// An expression is evaluated that a template made.
    pub without_lookups: Cell<bool>,
    /// How deep expressions and variables are nested at this moment.
    pub depth: Cell<usize>,
    under_way: RefCell<Vec<(*const Host, String)>>,
    hosts: RefCell<HashMap<String, Option<Rc<Host>>>>,
    /// Frames that macros hold on to; cleared at the end to break the circle.
    pub captured: RefCell<Vec<Frame>>,
}

impl Run {
    pub(crate) fn new(engine: &Arc<Engine>) -> Rc<Self> {
        Rc::new(Self {
            engine: Arc::clone(engine),
            pending: Cell::new(false),
            unknown: RefCell::default(),
            naming: Cell::new(false),
            named: Cell::new(0),
            without_lookups: Cell::new(false),
            depth: Cell::new(0),
            under_way: RefCell::new(Vec::new()),
            hosts: RefCell::new(HashMap::new()),
            captured: RefCell::new(Vec::new()),
        })
    }

    /// Returns the variables of another host as `from` sees them.
    pub(crate) fn other_host(&self, from: &Host, name: &str) -> Option<Rc<Host>> {
        if let Some(known) = self.hosts.borrow().get(name) {
            return known.clone();
        }
        let host = from.scope.hostvars(name).map(Host::new);
        self.hosts.borrow_mut().insert(name.into(), host.clone());
        host
    }

    pub(crate) fn pending_error(&self) -> Error {
        self.pending.set(true);
        Error::pending()
    }

    pub(crate) fn unknown_error(&self, cause: &str) -> Error {
        *self.unknown.borrow_mut() = Some(cause.to_owned());
        Error::unknown(cause)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for frame in self.captured.borrow().iter() {
            frame.borrow_mut().clear();
        }
    }
}

/// All variables of one host, rendered on use and remembered until the rendering ends.
pub(crate) struct Host {
    pub scope: Arc<dyn Scope>,
    cache: RefCell<HashMap<String, Val>>,
}

impl Host {
    pub(crate) fn new(scope: Arc<dyn Scope>) -> Rc<Self> {
        Rc::new(Self {
            scope,
            cache: RefCell::new(HashMap::new()),
        })
    }

    /// Returns the variable; an undefined value where its own text uses something undefined.
    pub(crate) fn lookup(self: &Rc<Self>, run: &Rc<Run>, name: &str) -> Res<Option<Val>> {
        if let Some(known) = self.cache.borrow().get(name) {
            return Ok(Some(known.clone()));
        }
        let named = run.named.get();
        let value = match self.scope.lookup(name) {
            None => return Ok(None),
            Some(Raw::Pending) => return Err(run.pending_error()),
            Some(Raw::Unknown(cause)) => return Err(run.unknown_error(&cause)),
            Some(Raw::Plain(value)) => Val::from_plain(&value),
            Some(Raw::Lazy(value)) => {
                let value = value_of(run, self, value, name)?;
                if let Val::Str(text) = &value {
                    self.scope.rendered(name, text);
                }
                value
            }
        };
        if named == run.named.get() {
            self.cache.borrow_mut().insert(name.into(), value.clone());
        }
        Ok(Some(value))
    }
}

/// A list or mapping with templates in it.
pub(crate) struct Lazy {
    value: Value,
    /// How the user would write it: `kafka.listeners`.
    path: String,
    host: Weak<Host>,
    forced: OnceCell<Val>,
}

impl Lazy {
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Sequence(_) => "list",
            _ => "dict",
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.value {
            Value::Sequence(items) => items.len(),
            Value::Mapping(map) => map.len(),
            _ => 0,
        }
    }

    fn child(&self, run: &Rc<Run>, value: &Value, key: &str) -> Res {
        let host = self
            .host
            .upgrade()
            .ok_or_else(|| Error::wrong_type("the variable's host went away"))?;
        value_of(run, &host, value.clone(), &format!("{}.{key}", self.path))
    }

    /// The value of an entry.
    fn entry(&self, run: &Rc<Run>, value: &Value, key: &str) -> Res {
        let value = self.child(run, value, key)?;
        if let (Val::Str(text), Some(host)) = (&value, self.host.upgrade()) {
            host.scope.rendered(key, text);
        }
        Ok(value)
    }

    /// Reads one item or entry without rendering the rest.
    pub(crate) fn item(&self, run: &Rc<Run>, key: &Val) -> Res<Option<Val>> {
        match (&self.value, key) {
            (Value::Mapping(map), Val::Str(name)) => match map.get(&**name) {
                Some(value) => self.entry(run, value, name).map(Some),
                // A key may itself be a template.
                None if has_templated_key(&self.value) => self.item_of_forced(run, key),
                None => Ok(None),
            },
            (Value::Sequence(items), Val::Int(at)) => {
                let at = if *at < 0 {
                    *at + items.len() as i128
                } else {
                    *at
                };
                match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(value) => self.child(run, value, &at.to_string()).map(Some),
                    None => Ok(None),
                }
            }
            _ => self.item_of_forced(run, key),
        }
    }

    fn item_of_forced(&self, run: &Rc<Run>, key: &Val) -> Res<Option<Val>> {
        match self.force(run)? {
            Val::Dict(items) => Ok(items.borrow().get(key).cloned()),
            _ => Ok(None),
        }
    }

    pub(crate) fn forced(&self) -> Option<&Val> {
        self.forced.get()
    }

    /// Renders everything in it. Undefined as a whole where some part is.
    pub(crate) fn force(&self, run: &Rc<Run>) -> Res {
        if let Some(known) = self.forced.get() {
            return Ok(known.clone());
        }
        let named = run.named.get();
        let value = match &self.value {
            Value::Sequence(items) => {
                let mut all = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    match force(run, self.child(run, item, &at.to_string())?)? {
                        Val::Undefined(error) => return Ok(Val::Undefined(error)),
                        Val::Omit => {}
                        item => all.push(item),
                    }
                }
                Val::list(all)
            }
            Value::Mapping(map) => {
                let mut all = indexmap::IndexMap::with_capacity(map.len());
                for (key, item) in map {
                    let name = crate::value::display(key);
                    let key = self.child(run, key, &name)?;
                    match force(run, self.entry(run, item, &name)?)? {
                        Val::Undefined(error) => return Ok(Val::Undefined(error)),
                        Val::Omit => {}
                        item => {
                            all.insert(key, item);
                        }
                    }
                }
                Val::dict(all)
            }
            other => Val::from_plain(other),
        };
        if named != run.named.get() {
            return Ok(value);
        }
        Ok(self.forced.get_or_init(|| value).clone())
    }
}

/// Returns `value` without anything lazy in it.
pub(crate) fn force(run: &Rc<Run>, value: Val) -> Res {
    match value {
        Val::Lazy(lazy) => lazy.force(run),
        Val::Host(host) => {
            let mut all = indexmap::IndexMap::new();
            for name in host.scope.names() {
                match host.lookup(run, &name)? {
                    Some(Val::Undefined(_) | Val::Host(_)) | None => {}
                    Some(value) => {
                        all.insert(Val::str(&name), force(run, value)?);
                    }
                }
            }
            Ok(Val::dict(all))
        }
        Val::List(items) => {
            let lazy = |v: &Val| matches!(v, Val::Lazy(_) | Val::Host(_) | Val::Undefined(_));
            if !items.borrow().iter().any(lazy) {
                return Ok(Val::List(items));
            }
            let copy = items.borrow().clone();
            for (at, item) in copy.into_iter().enumerate() {
                let item = force(run, item)?;
                if item.is_undefined() {
                    return Ok(item);
                }
                if let Some(place) = items.borrow_mut().get_mut(at) {
                    *place = item;
                }
            }
            Ok(Val::List(items))
        }
        Val::Dict(items) => {
            let lazy = |v: &Val| matches!(v, Val::Lazy(_) | Val::Host(_) | Val::Undefined(_));
            if !items.borrow().values().any(lazy) {
                return Ok(Val::Dict(items));
            }
            let copy = items.borrow().clone();
            for (key, item) in copy {
                let item = force(run, item)?;
                if item.is_undefined() {
                    return Ok(item);
                }
                items.borrow_mut().insert(key, item);
            }
            Ok(Val::Dict(items))
        }
        Val::Tuple(items) => {
            let all = items.iter().map(|item| force(run, item.clone()));
            let all = all.collect::<Res<Vec<_>>>()?;
            match all.iter().find(|item| item.is_undefined()) {
                Some(undefined) => Ok(undefined.clone()),
                None => Ok(Val::tuple(all)),
            }
        }
        other => Ok(other),
    }
}

fn has_templated_key(value: &Value) -> bool {
    matches!(value, Value::Mapping(map)
        if map.keys().any(|k| k.as_str().is_some_and(super::is_template)))
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => super::is_template(text),
        Value::Sequence(items) => items.iter().any(has_template),
        Value::Mapping(map) => map.iter().any(|(k, v)| has_template(k) || has_template(v)),
        _ => false,
    }
}

/// Turns what the user wrote at `path` into a value: rendered if it is text, lazy if it holds templates.
pub(crate) fn value_of(run: &Rc<Run>, host: &Rc<Host>, value: Value, path: &str) -> Res {
    match value {
        Value::String(text) if super::is_template(&text) => render(run, host, &text, path),
        Value::Sequence(_) | Value::Mapping(_) if has_template(&value) => {
            Ok(Val::Lazy(Rc::new(Lazy {
                value,
                path: path.into(),
                host: Rc::downgrade(host),
                forced: OnceCell::new(),
            })))
        }
        other => Ok(Val::from_plain(&other)),
    }
}

fn render(run: &Rc<Run>, host: &Rc<Host>, text: &str, path: &str) -> Res {
    let me = (Rc::as_ptr(host), path.to_string());
    {
        let under_way = run.under_way.borrow();
        let names = || under_way.iter().map(|(_, name)| format!("`{name}`"));
        if let Some(start) = under_way.iter().position(|entry| *entry == me) {
            let circle: Vec<String> = names().skip(start).collect();
            return Err(Error::new(
                ErrorKind::RecursiveLoop,
                format!("recursive loop in {} → `{path}`", circle.join(" → ")),
            ));
        }
        if under_way.len() >= MAX_NESTING {
            return Err(Error::new(
                ErrorKind::RecursiveLoop,
                format!("variables nest deeper than {MAX_NESTING}: recursive loop at `{path}`"),
            ));
        }
    }
    run.under_way.borrow_mut().push(me);
    let result = Cx::new(run, host)
        .native(text)
        .and_then(|value| force(run, value));
    run.under_way.borrow_mut().pop();
    match result {
        Ok(Val::Undefined(error)) => Ok(Val::Undefined(Rc::new((*error).clone().through(path)))),
        Err(error) if error.is_undefined() => Ok(Val::Undefined(Rc::new(error.through(path)))),
        Err(error) if error.kind == ErrorKind::RecursiveLoop => Err(error),
        Err(error) => Err(error.through(path)),
        ok => ok,
    }
}
