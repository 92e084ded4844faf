//! Evaluates expressions: names, attributes, operators, filters, tests.

use super::{Cx, ops};
use crate::template::error::{Error, ErrorKind};
use crate::template::functions;
use crate::template::lazy::{self, Host};
use crate::template::native;
use crate::template::object::Object;
use crate::template::syntax::{Arg, CompareOp, Const, Expr, ExprKind, MathOp};
use crate::template::values::{Key, Res, Val};
use crate::template::{args::Args, methods};
use std::rc::Rc;

impl Cx {
    /// Evaluates `expr`. The value may be lazy or undefined; see [`Cx::full`] and [`Cx::defined`].
    ///
    /// Every kind has a function of its own: one large function would take so much stack in a debug
    /// build that few variables could nest.
    pub(crate) fn eval(&mut self, expr: &Expr) -> Res {
        let _depth = self.descend()?;
        let result = match &*expr.kind {
            ExprKind::Const(value) => Ok(constant(value)),
            ExprKind::Var(name) => self.name(name),
            ExprKind::List(items) => self.each(items).map(Val::list),
            ExprKind::Tuple(items) => self.each(items).map(Val::tuple),
            ExprKind::Dict(pairs) => self.dict(pairs),
            ExprKind::Attr(subject, name) => self.attr_expr(subject, name),
            ExprKind::Item(subject, key) => self.item_expr(subject, key),
            ExprKind::Slice(subject, bounds) => self.slice_expr(subject, bounds),
            ExprKind::Not(inner) => self.truth(inner).map(|truth| Val::Bool(!truth)),
            ExprKind::Neg(inner) => self.defined(inner).and_then(|value| ops::negate(&value)),
            ExprKind::And(left, right) => self.either(left, right, false),
            ExprKind::Or(left, right) => self.either(left, right, true),
            ExprKind::Math(op, left, right) => self.math(*op, left, right),
            ExprKind::Compare(first, rest) => self.compare(first, rest),
            ExprKind::If { test, yes, no } => self.if_expr(test, yes, no.as_ref()),
            ExprKind::Filter(subject, name, args) => self.filter_expr(subject.as_ref(), name, args),
            ExprKind::Test(subject, name, args) => self.test_expr(subject, name, args),
            ExprKind::Call(callee, args) => self.call_expr(callee, args, None),
        };
        match result {
            Ok(Val::Undefined(error)) => Ok(Val::Undefined(placed(error, expr))),
            Ok(value) => Ok(value),
            Err(error) => Err(error.at(expr.span)),
        }
    }

    fn dict(&mut self, pairs: &[(Expr, Expr)]) -> Res {
        let mut all = indexmap::IndexMap::with_capacity(pairs.len());
        for (key, value) in pairs {
            all.insert(self.defined(key)?, self.full(value)?);
        }
        Ok(Val::dict(all))
    }

    fn attr_expr(&mut self, subject: &Expr, name: &str) -> Res {
        self.part(subject, name)?;
        let subject = self.eval(subject)?;
        self.attr(&subject, name)
    }

    fn item_expr(&mut self, subject_expr: &Expr, key: &Expr) -> Res {
        let subject = self.eval(subject_expr)?;
        if subject.is_undefined() {
            return Ok(subject);
        }
        let key = self.full(key)?;
        if key.is_undefined() {
            return Ok(key);
        }
        if let Val::Str(name) = &key {
            self.part(subject_expr, name)?;
        }
        self.item(&subject, &key)
    }

    /// Fails where nobody can say one of the facts of `ansible_facts`, though the others are known.
    fn part(&mut self, subject: &Expr, name: &str) -> Res<()> {
        match &*subject.kind {
            ExprKind::Var(whole) if **whole == *"ansible_facts" => {
                self.name(&format!("ansible_facts.{name}")).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn slice_expr(&mut self, subject: &Expr, exprs: &[Option<Expr>; 3]) -> Res {
        let subject = self.full(subject)?;
        if subject.is_undefined() {
            return Ok(subject);
        }
        let mut bounds = [None; 3];
        for (place, expr) in bounds.iter_mut().zip(exprs) {
            if let Some(expr) = expr {
                *place = match self.defined(expr)? {
                    Val::None => None,
                    value => Some(value.want_int("a slice")?),
                };
            }
        }
        ops::slice(self, &subject, bounds)
    }

    /// `and`, or `or` where the first true operand `wins`.
    fn either(&mut self, left: &Expr, right: &Expr, wins: bool) -> Res {
        let left = self.operand(left)?;
        if left.is_true() == wins {
            Ok(left)
        } else {
            self.eval(right)
        }
    }

    fn if_expr(&mut self, test: &Expr, yes: &Expr, no: Option<&Expr>) -> Res {
        if self.truth(test)? {
            return self.eval(yes);
        }
        match no {
            Some(no) => self.eval(no),
            None => Ok(Val::undefined(
                "",
                "the inline `if` was false and there is no `else`",
            )),
        }
    }

    fn filter_expr(&mut self, subject: Option<&Expr>, name: &str, args: &[Arg]) -> Res {
        let Some(subject) = subject else {
            return Err(Error::syntax(format!("`{name}` has nothing to filter")));
        };
        let subject = self.full(subject)?;
        self.apply_filter(name, subject, args)
    }

    fn test_expr(&mut self, subject: &Expr, name: &str, args: &[Arg]) -> Res {
        let subject = self.eval(subject)?;
        let args = self.args(args)?;
        self.apply_test(name, subject, args).map(Val::Bool)
    }

    fn each(&mut self, items: &[Expr]) -> Res<Vec<Val>> {
        items.iter().map(|item| self.full(item)).collect()
    }

    /// A side of `and`/`or`, whose truth is about to be asked for.
    fn operand(&mut self, expr: &Expr) -> Res {
        match self.eval(expr)? {
            Val::Undefined(error) => Err((*error).clone().at(expr.span)),
            value => Ok(value),
        }
    }

    fn math(&mut self, op: MathOp, left: &Expr, right: &Expr) -> Res {
        let left = self.defined(left)?;
        let right = self.defined(right)?;
        if matches!(left, Val::Omit) || matches!(right, Val::Omit) {
            return Err(super::omit_in_text());
        }
        ops::math(self, op, &left, &right)
    }

    fn compare(&mut self, first: &Expr, rest: &[(CompareOp, Expr)]) -> Res {
        let mut left = self.defined(first)?;
        for (op, right) in rest {
            let holds = match op {
                CompareOp::In | CompareOp::NotIn => {
                    let right = self.operand(right)?;
                    let found = self.contains(&right, &left)?;
                    left = right;
                    found == (*op == CompareOp::In)
                }
                _ => {
                    let right = self.defined(right)?;
                    let holds = ops::compare(*op, &left, &right)?;
                    left = right;
                    holds
                }
            };
            if !holds {
                return Ok(Val::Bool(false));
            }
        }
        Ok(Val::Bool(true))
    }

    /// `item in container`.
    pub(crate) fn contains(&mut self, container: &Val, item: &Val) -> Res<bool> {
        match container {
            Val::Host(host) => {
                let name = native::text(item);
                Ok(host.lookup(&self.run, &name)?.is_some())
            }
            Val::Object(object) if matches!(**object, Object::HostVars) => {
                let name = native::text(item);
                Ok(self.host.scope.hosts().contains(&name))
            }
            Val::Lazy(_) => {
                let container = self.force(container.clone())?;
                if let Val::Undefined(error) = &container {
                    return Err((**error).clone());
                }
                self.contains(&container, item)
            }
            Val::Str(text) => match item {
                Val::Str(part) => Ok(text.contains(&**part)),
                other => Err(Error::wrong_type(format!(
                    "`in` a text needs a text on its left, not a {}",
                    other.type_name()
                ))),
            },
            Val::Dict(items) => Ok(items.borrow().contains_key(item)),
            other => Ok(self.items(other)?.contains(item)),
        }
    }

    /// Looks a name up: the template's own, the host's variables, then what every template has.
    pub(crate) fn name(&mut self, name: &str) -> Res {
        if let Some(value) = self.local(name) {
            return Ok(value);
        }
        let host = Rc::clone(&self.host);
        if let Some(value) = host.lookup(&self.run, name)? {
            return Ok(value);
        }
        Ok(match name {
            "vars" => Val::Host(host),
            "hostvars" => Val::object(Object::HostVars),
            "omit" => Val::Omit,
            _ if functions::exists(name) => Val::object(Object::Function(name.into())),
            _ => Val::undefined(name, format!("`{name}` is undefined")),
        })
    }

    pub(super) fn local(&self, name: &str) -> Option<Val> {
        self.frames
            .iter()
            .rev()
            .find_map(|frame| frame.borrow().get(name).cloned())
    }

    /// `subject.name`: a method first, as in Python, then an entry.
    pub(crate) fn attr(&mut self, subject: &Val, name: &str) -> Res {
        match subject {
            Val::Undefined(_) => Ok(subject.clone()),
            Val::Lazy(lazy) => {
                if let Some(forced) = lazy.forced().cloned() {
                    return self.attr(&forced, name);
                }
                let key = Val::str(name);
                if let Some(value) = lazy.item(&self.run, &key)? {
                    return Ok(value);
                }
                let forced = self.force(subject.clone())?;
                self.attr(&forced, name)
            }
            Val::Object(object) => {
                let found = match &**object {
                    Object::Namespace(items) => items.borrow().get(name).cloned(),
                    Object::Loop(state) => state.attr(name),
                    Object::HostVars => return self.item(subject, &Val::str(name)),
                    Object::Cycler(items, at) if name == "current" => {
                        items.get(at.get() % items.len().max(1)).cloned()
                    }
                    Object::Time(time) => functions::time_attr(time, name),
                    Object::Delta(micros) => functions::delta_attr(*micros, name),
                    _ => None,
                };
                Ok(match found {
                    Some(value) => value,
                    None if methods::exists(subject, name) => {
                        Val::object(Object::Method(subject.clone(), name.into()))
                    }
                    None => missing(subject, name),
                })
            }
            _ if methods::exists(subject, name) => {
                // `hostvars[x].items` and a host's variable of that name: the variable is meant.
                if let Val::Host(host) = subject
                    && let Some(value) = host.clone().lookup(&self.run, name)?
                {
                    return Ok(value);
                }
                Ok(Val::object(Object::Method(subject.clone(), name.into())))
            }
            _ => self.item(subject, &Val::str(name)),
        }
    }

    /// `subject[key]`.
    pub(crate) fn item(&mut self, subject: &Val, key: &Val) -> Res {
        let found = match subject {
            Val::Undefined(_) => Some(subject.clone()),
            Val::Lazy(lazy) => match lazy.forced().cloned() {
                Some(forced) => return self.item(&forced, key),
                None => lazy.item(&self.run, key)?,
            },
            Val::Host(host) => self.variable_of(host, key)?,
            Val::Dict(items) => {
                let items = items.borrow();
                match key {
                    Val::Str(key) => items.get(&Key(key)).cloned(),
                    key => items.get(key).cloned(),
                }
            }
            Val::List(items) => index(&items.borrow(), key),
            Val::Tuple(items) => index(items, key),
            Val::Str(text) => match key {
                Val::Int(_) | Val::Bool(_) => {
                    let chars: Vec<Val> = text
                        .chars()
                        .map(|c| Val::str(c.encode_utf8(&mut [0; 4])))
                        .collect();
                    index(&chars, key)
                }
                _ => None,
            },
            Val::Object(object) => match &**object {
                Object::HostVars => {
                    let name = native::text(key);
                    let host = Rc::clone(&self.host);
                    match self.run.other_host(&host, &name) {
                        Some(other) => Some(Val::Host(other)),
                        None => {
                            return Ok(Val::undefined(
                                format!("hostvars[{}]", native::repr(key)),
                                format!("`hostvars` has no host `{name}`"),
                            ));
                        }
                    }
                }
                Object::Namespace(_) | Object::Loop(_) => match key {
                    Val::Str(name) => return self.attr(subject, name),
                    _ => None,
                },
                Object::Range { .. } => {
                    let all: Vec<Val> = object.range().map(Val::Int).collect();
                    index(&all, key)
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(value) = found {
            return Ok(value);
        }
        // `x['split']` is the method, where there is no such entry.
        if let Val::Str(name) = key
            && methods::exists(subject, name)
        {
            return Ok(Val::object(Object::Method(
                subject.clone(),
                (**name).into(),
            )));
        }
        Ok(missing(subject, &native::text(key)))
    }

    fn variable_of(&mut self, host: &Rc<Host>, key: &Val) -> Res<Option<Val>> {
        let name = native::text(key);
        if Rc::ptr_eq(host, &self.host)
            && let Some(value) = self.local(&name)
        {
            return Ok(Some(value));
        }
        host.lookup(&self.run, &name)
    }

    /// The items that a loop or filter walks over: of a list, the keys of a mapping, the characters of a text.
    pub(crate) fn items(&mut self, value: &Val) -> Res<Vec<Val>> {
        match value {
            Val::Undefined(error) => Err((**error).clone()),
            Val::List(items) => Ok(items.borrow().clone()),
            Val::Tuple(items) => Ok(items.to_vec()),
            Val::Dict(items) => Ok(items.borrow().keys().cloned().collect()),
            Val::Str(text) => Ok(text
                .chars()
                .map(|c| Val::str(c.encode_utf8(&mut [0; 4])))
                .collect()),
            Val::Lazy(_) => {
                let forced = lazy::force(&self.run, value.clone())?;
                self.items(&forced)
            }
            Val::Host(host) => Ok(host.scope.names().iter().map(Val::str).collect()),
            Val::Object(object) => match &**object {
                Object::Range { .. } => Ok(object.range().map(Val::Int).collect()),
                Object::HostVars => Ok(self.host.scope.hosts().iter().map(Val::str).collect()),
                other => Err(not_iterable(other.type_name())),
            },
            other => Err(not_iterable(other.type_name())),
        }
    }

    /// The text of a value, as `~` and `join` see it.
    #[expect(clippy::unused_self, reason = "reads as one of the evaluator's verbs")]
    pub(crate) fn text_of(&self, value: &Val) -> String {
        native::text(value)
    }

    /// Evaluates arguments; nothing lazy is left in them, undefined ones stay.
    pub(crate) fn args(&mut self, args: &[Arg]) -> Res<Args> {
        let mut all = Args::default();
        for arg in args {
            let value = self.full(arg.expr())?;
            match arg {
                Arg::Pos(_) => all.pos.push(value),
                Arg::Named(name, _) => all.named.push((name.clone(), value)),
                Arg::Splat(_) => all.pos.extend(self.items(&value)?),
                Arg::NamedSplat(_) => {
                    let Val::Dict(items) = &value else {
                        return Err(Error::wrong_type("`**` needs a mapping"));
                    };
                    for (key, value) in items.borrow().iter() {
                        all.named.push((native::text(key).into(), value.clone()));
                    }
                }
            }
        }
        Ok(all)
    }
}

/// An undefined value remembers where it came from, however far it travels.
fn placed(error: Rc<Error>, expr: &Expr) -> Rc<Error> {
    if error.line.is_some() || !error.via.is_empty() {
        return error;
    }
    Rc::new((*error).clone().at(expr.span))
}

fn index(items: &[Val], key: &Val) -> Option<Val> {
    let at = match key {
        Val::Str(text) => text.parse().ok()?,
        other => other.as_int()?,
    };
    let at = if at < 0 { at + items.len() as i128 } else { at };
    items.get(usize::try_from(at).ok()?).cloned()
}

fn missing(subject: &Val, name: &str) -> Val {
    let kind = match subject {
        Val::Host(_) => return Val::undefined(name, format!("`{name}` is undefined")),
        other => other.type_name(),
    };
    let what = match kind {
        "list" | "tuple" if name.parse::<i64>().is_ok() => "item",
        _ => "attribute",
    };
    Val::undefined(
        name,
        format!("object of type `{kind}` has no {what} `{name}`"),
    )
}

fn not_iterable(kind: &str) -> Error {
    Error::new(ErrorKind::Type, format!("a {kind} is not iterable"))
}

fn constant(value: &Const) -> Val {
    match value {
        Const::None => Val::None,
        Const::Bool(b) => Val::Bool(*b),
        Const::Int(n) => Val::Int(*n),
        Const::Float(n) => Val::Float(*n),
        Const::Str(text) => Val::str(text),
    }
}
