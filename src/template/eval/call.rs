//! Calls functions, methods, macros, filters and tests.

use super::{Cx, Out};
use crate::template::args::Args;
use crate::template::error::{Error, ErrorKind};
use crate::template::object::Object;
use crate::template::syntax::{Arg, Expr, ExprKind, MacroDef};
use crate::template::values::{Res, Val};
use crate::template::{filters, functions, methods, predicates};
use std::sync::Arc;

use super::Frame;

impl Cx {
    pub(super) fn call_expr(&mut self, callee: &Expr, args: &[Arg], block: Option<Val>) -> Res {
        let receiver = match &*callee.kind {
            ExprKind::Attr(subject, name) => Some((self.eval(subject)?, name)),
            _ => None,
        };
        let callee = match receiver {
            Some((subject, name)) => {
                if subject.is_undefined() {
                    return Ok(subject);
                }
                if !is_callable_holder(&subject) && methods::exists(&subject, name) {
                    let subject = self.force(subject)?;
                    let args = self.args(args)?;
                    return methods::call(self, &subject, name, args);
                }
                self.attr(&subject, name)?
            }
            None => self.eval(callee)?,
        };
        if callee.is_undefined() {
            return Ok(callee);
        }
        let mut args = self.args(args)?;
        if let Some(caller) = block {
            args.named.push(("caller".into(), caller));
        }
        self.call(&callee, args)
    }

    pub(super) fn call_with_caller(&mut self, call: &Expr, block: Val) -> Res {
        match &*call.kind {
            ExprKind::Call(callee, args) => match self.call_expr(callee, args, Some(block))? {
                Val::Undefined(error) => Err((*error).clone().at(call.span)),
                value => Ok(value),
            },
            _ => Err(Error::syntax("`call` needs a call")),
        }
    }

    pub(crate) fn call(&mut self, callee: &Val, args: Args) -> Res {
        let Val::Object(object) = callee else {
            return Err(Error::wrong_type(format!(
                "a {} cannot be called",
                callee.type_name()
            )));
        };
        match &**object {
            Object::Function(name) => functions::call(self, name, args),
            Object::Method(subject, name) => {
                let subject = self.force(subject.clone())?;
                methods::call(self, &subject, name, args)
            }
            Object::Macro { def, frames } => self.call_macro(def, frames, args),
            Object::Loop(state) => {
                let Some(each) = &state.recurse else {
                    return Err(Error::wrong_type(
                        "`loop` can be called only in a loop marked `recursive`",
                    ));
                };
                let [items] = args.bind(["iterable"])?;
                let items = self.items(&items.unwrap_or(Val::None))?;
                let mut out = Out::Text(String::new());
                self.loop_over(each, items, state.depth + 1, &mut out)?;
                Ok(out.into_val())
            }
            Object::Joiner(separator, used) => {
                Ok(Val::str(if used.replace(true) { separator } else { "" }))
            }
            Object::Super(name, up) => {
                let mut out = Out::Text(String::new());
                self.run_block(name, *up, &mut out)?;
                Ok(out.into_val())
            }
            other => Err(Error::wrong_type(format!(
                "a {} cannot be called",
                other.type_name()
            ))),
        }
    }

    fn call_macro(&mut self, def: &Arc<MacroDef>, frames: &[Frame], args: Args) -> Res {
        let _depth = self.descend()?;
        let mut given = args.pos.into_iter();
        let mut named = args.named;
        let outer = std::mem::replace(&mut self.frames, frames.to_vec());
        let parent = self.parent.take();
        let mut run = || {
            self.frames.push(Frame::default());
            for (name, default) in &def.args {
                let by_name = named.iter().position(|(n, _)| n == name);
                let value = match (given.next(), by_name) {
                    (Some(value), _) => value,
                    (None, Some(at)) => named.remove(at).1,
                    (None, None) => match default {
                        Some(default) => self.eval(default)?,
                        None => Val::undefined(
                            &**name,
                            format!("the parameter `{name}` of `{}` was not given", def.name),
                        ),
                    },
                };
                self.set(name, value);
            }
            let caller = named.iter().position(|(n, _)| &**n == "caller");
            if let Some(at) = caller {
                let caller = named.remove(at).1;
                self.set("caller", caller);
            }
            self.set("varargs", Val::list(given.by_ref().collect()));
            self.set("kwargs", Val::pairs(std::mem::take(&mut named)));
            self.capture(&def.body)
        };
        let result = run();
        self.frames = outer;
        self.parent = parent;
        result
    }

    /// `subject | name(args)`. An undefined subject passes through, so that a later `default` can catch it.
    pub(crate) fn apply_filter(&mut self, name: &str, subject: Val, args: &[Arg]) -> Res {
        let args = self.args(args)?;
        self.filter(name, subject, args)
    }

    pub(crate) fn filter(&mut self, name: &str, subject: Val, args: Args) -> Res {
        let short = filters::short_name(name);
        let Some(filter) = filters::find(short) else {
            // Old playbooks write `result | failed`.
            if predicates::find(short).is_some() {
                return self.apply_test(name, subject, args).map(Val::Bool);
            }
            return Err(Error::syntax(format!("no filter named `{name}`")));
        };
        if !filters::takes_undefined(short) {
            if subject.is_undefined() {
                return Ok(subject);
            }
            if let Some(Val::Undefined(error)) = args.iter().find(|arg| arg.is_undefined()) {
                return Err((**error).clone());
            }
        }
        filter(self, &subject, args).map_err(|error| match error.kind {
            ErrorKind::Type => Error::filter(name, &error.message),
            _ => error,
        })
    }

    /// `subject is name(args)`.
    pub(crate) fn apply_test(&mut self, name: &str, subject: Val, args: Args) -> Res<bool> {
        let short = filters::short_name(name);
        let Some(test) = predicates::find(short) else {
            // Jinja has tests for all comparisons; a filter that yields a truth serves as well.
            if filters::find(short).is_some() {
                return Ok(self.filter(name, subject, args)?.is_true());
            }
            return Err(Error::syntax(format!("no test named `{name}`")));
        };
        let subject = if predicates::takes_undefined(short) {
            subject
        } else {
            match self.force(subject)? {
                Val::Undefined(error) => return Err((*error).clone()),
                subject => subject,
            }
        };
        if let Some(Val::Undefined(error)) = args.iter().find(|arg| arg.is_undefined()) {
            return Err((**error).clone());
        }
        test(self, &subject, args).map_err(|error| match error.kind {
            ErrorKind::Type => Error::filter(name, &error.message),
            _ => error,
        })
    }
}

/// Names and imported macros may have the names of methods.
fn is_callable_holder(subject: &Val) -> bool {
    matches!(subject, Val::Host(_))
        || matches!(subject, Val::Object(object) if matches!(**object, Object::Namespace(_)))
}
