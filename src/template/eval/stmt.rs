//! Runs the statements of a template: output, loops, assignments, blocks, includes.

use super::{Cx, Frame, Out};
use crate::template::error::{Error, ErrorKind};
use crate::template::object::{Loop, Object};
use crate::template::syntax::{Expr, ExprKind, For, Stmt, Target};
use crate::template::values::{Res, Val};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Whether the loop around a statement goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    Break,
    Continue,
}

impl Cx {
    pub(super) fn body(&mut self, body: &[Stmt], out: &mut Out) -> Res<Flow> {
        for stmt in body {
            let flow = self.stmt(stmt, out)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// The text that a body prints.
    pub(super) fn capture(&mut self, body: &[Stmt]) -> Res<Val> {
        let mut out = Out::Text(String::new());
        // After `extends` nothing is printed, but a captured body is not printed anyway.
        let parent = self.parent.take();
        let result = self.body(body, &mut out);
        self.parent = parent;
        result?;
        Ok(out.into_val())
    }

    fn stmt(&mut self, stmt: &Stmt, out: &mut Out) -> Res<Flow> {
        match stmt {
            Stmt::Text(text) => {
                if !text.is_empty() && self.parent.is_none() {
                    out.push(Val::str(text))?;
                }
            }
            Stmt::Emit(expr) => {
                if self.parent.is_none() {
                    let value = self.said(expr)?;
                    out.push(value).map_err(|e| e.at(expr.span))?;
                }
            }
            Stmt::For(each) => return self.run_for(each, out),
            Stmt::If { test, yes, no } => {
                let test = self.judged(|cx| cx.truth(test))?;
                return self.body(if test { yes } else { no }, out);
            }
            Stmt::With(pairs, body) => {
                return self.in_new_frame(|cx| {
                    for (target, expr) in pairs {
                        let value = cx.judged(|cx| cx.eval(expr))?;
                        cx.assign(target, value)?;
                    }
                    cx.body(body, out)
                });
            }
            Stmt::Set(target, expr) => {
                let value = self.judged(|cx| cx.eval(expr))?;
                self.assign(target, value).map_err(|e| e.at(expr.span))?;
            }
            Stmt::SetBlock(target, filter, body) => {
                let mut value = self.in_new_frame(|cx| cx.capture(body))?;
                if let Some(filter) = filter {
                    value = self.filter_chain(filter, value)?;
                }
                self.assign(target, value)?;
            }
            Stmt::FilterBlock(filter, body) => {
                let value = self.in_new_frame(|cx| cx.capture(body))?;
                let value = self.filter_chain(filter, value)?;
                out.push(value)?;
            }
            Stmt::Block(name, _) => self.run_block(name, 0, out)?,
            Stmt::Extends(expr) => {
                let name = self.defined(expr)?;
                self.parent = Some(self.text_of(&name));
            }
            Stmt::Include {
                name,
                ignore_missing,
            } => return self.include(name, *ignore_missing, out),
            Stmt::Import(expr, name) => {
                let module = self.module(expr)?;
                self.set(name, module);
            }
            Stmt::FromImport(expr, names) => {
                let module = self.module(expr)?;
                for (from, to) in names {
                    let value = self.attr(&module, from)?;
                    self.set(to, value);
                }
            }
            Stmt::Macro(def) => {
                let value = self.macro_here(def);
                self.set(&def.name, value);
            }
            Stmt::CallBlock(call, caller) => {
                let caller = self.macro_here(caller);
                let value = self.call_with_caller(call, caller)?;
                out.push(value)?;
            }
            Stmt::Do(expr) => {
                self.eval(expr)?;
            }
            Stmt::Scope(body) => return self.in_new_frame(|cx| cx.body(body, out)),
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn macro_here(&self, def: &Arc<crate::template::syntax::MacroDef>) -> Val {
        let mut captured = self.run.captured.borrow_mut();
        for frame in &self.frames {
            if !captured.iter().any(|known| Rc::ptr_eq(known, frame)) {
                captured.push(Rc::clone(frame));
            }
        }
        Val::object(Object::Macro {
            def: Arc::clone(def),
            frames: self.frames.clone(),
        })
    }

    pub(super) fn assign(&mut self, target: &Target, value: Val) -> Res<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attr(name, attr) => match self.local(name) {
                Some(Val::Object(object)) => match &*object {
                    Object::Namespace(items) => {
                        items.borrow_mut().insert(attr.clone(), value);
                    }
                    other => return Err(cannot_set(attr, other.type_name())),
                },
                _ => return Err(cannot_set(attr, "plain value")),
            },
            Target::Unpack(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    return Err(Error::wrong_type(format!(
                        "cannot unpack {} values into {} names",
                        items.len(),
                        targets.len()
                    )));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
        }
        Ok(())
    }

    fn run_for(&mut self, each: &Arc<For>, out: &mut Out) -> Res<Flow> {
        let all = self.judged(|cx| cx.eval(&each.iter))?;
        let items = self.items(&all).map_err(|e| e.at(each.iter.span))?;
        self.loop_over(each, items, 0, out)
    }

    pub(super) fn loop_over(
        &mut self,
        each: &Arc<For>,
        items: Vec<Val>,
        depth: usize,
        out: &mut Out,
    ) -> Res<Flow> {
        let _depth = self.descend()?;
        let items = match &each.filter {
            None => items,
            Some(filter) => {
                let mut kept = Vec::new();
                for item in items {
                    let keep = self.in_new_frame(|cx| {
                        cx.assign(&each.target, item.clone())?;
                        cx.judged(|cx| cx.truth(filter))
                    })?;
                    if keep {
                        kept.push(item);
                    }
                }
                kept
            }
        };
        if items.is_empty() {
            return self.in_new_frame(|cx| cx.body(&each.otherwise, out));
        }
        let state = Rc::new(Object::Loop(Loop {
            items: items.clone(),
            at: Cell::new(0),
            depth,
            last_changed: RefCell::new(None),
            recurse: each.recursive.then(|| Arc::clone(each)),
        }));
        for (at, item) in items.into_iter().enumerate() {
            if let Object::Loop(state) = &*state {
                state.at.set(at);
            }
            let frame = Frame::default();
            frame
                .borrow_mut()
                .insert("loop".into(), Val::Object(Rc::clone(&state)));
            self.frames.push(frame);
            let flow = self
                .assign(&each.target, item)
                .map_err(|e| e.at(each.iter.span))
                .and_then(|()| self.body(&each.body, out));
            self.frames.pop();
            if flow? == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// `{% set x | upper %}` and `{% filter upper | trim %}`: the innermost filter has no subject.
    fn filter_chain(&mut self, expr: &Expr, subject: Val) -> Res {
        match &*expr.kind {
            ExprKind::Filter(inner, name, args) => {
                let subject = match inner {
                    Some(inner) => self.filter_chain(inner, subject)?,
                    None => subject,
                };
                self.apply_filter(name, subject, args)
                    .map_err(|e| e.at(expr.span))
            }
            _ => Ok(subject),
        }
    }

    pub(super) fn collect_blocks(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Block(name, body) => {
                    let versions = self.blocks.entry(name.clone()).or_default();
                    versions.push(Arc::clone(body));
                    self.collect_blocks(body);
                }
                Stmt::For(each) => {
                    self.collect_blocks(&each.body);
                    self.collect_blocks(&each.otherwise);
                }
                Stmt::If { yes, no, .. } => {
                    self.collect_blocks(yes);
                    self.collect_blocks(no);
                }
                Stmt::With(_, body) | Stmt::FilterBlock(_, body) | Stmt::Scope(body) => {
                    self.collect_blocks(body);
                }
                _ => {}
            }
        }
    }

    /// Prints the block as its youngest child, or `up` generations above, defines it.
    pub(super) fn run_block(&mut self, name: &str, up: usize, out: &mut Out) -> Res<()> {
        if self.parent.is_some() {
            return Ok(());
        }
        let _depth = self.descend()?;
        let body = self.blocks.get(name).and_then(|all| all.get(up)).cloned();
        let Some(body) = body else {
            return Err(Error::wrong_type(format!(
                "there is no parent block `{name}`"
            )));
        };
        self.in_new_frame(|cx| {
            cx.set("super", Val::object(Object::Super(name.into(), up + 1)));
            cx.body(&body, out)
        })?;
        Ok(())
    }

    fn include(&mut self, name: &Expr, ignore_missing: bool, out: &mut Out) -> Res<Flow> {
        let _depth = self.descend()?;
        let wanted = self.defined(name)?;
        let names = match wanted.as_items() {
            Some(items) => items,
            None => vec![wanted],
        };
        let mut missing = None;
        for name in &names {
            let name = self.text_of(name);
            match self.load(&name) {
                Ok(template) => {
                    let mut inner = Self::new(&self.run, &self.host);
                    inner.frames.clone_from(&self.frames);
                    inner.frames.push(Frame::default());
                    let mut text = Out::Text(String::new());
                    inner.template(&template, &mut text).map_err(|mut error| {
                        if error.via.is_empty() && error.template.is_none() {
                            error.template = Some(name.as_str().into());
                        }
                        error
                    })?;
                    out.push(text.into_val())?;
                    return Ok(Flow::On);
                }
                Err(error) if error.kind == ErrorKind::NotFound => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if !ignore_missing => Err(error.at(name.span)),
            _ => Ok(Flow::On),
        }
    }

    /// Runs a template for its names.
    fn module(&mut self, expr: &Expr) -> Res {
        let _depth = self.descend()?;
        let name = self.defined(expr)?;
        let name = self.text_of(&name);
        let template = self.load(&name).map_err(|e| e.at(expr.span))?;
        let mut inner = Self::new(&self.run, &self.host);
        let frame = inner.frames.first().cloned().unwrap_or_default();
        let mut body: Out = Out::Text(String::new());
        inner.template(&template, &mut body).map_err(|mut error| {
            error.template.get_or_insert_with(|| name.as_str().into());
            error
        })?;
        let names = frame.borrow();
        let names = names.iter().map(|(k, v)| (k.clone(), v.clone()));
        Ok(Val::object(Object::Namespace(RefCell::new(
            names.collect(),
        ))))
    }
}

fn cannot_set(attr: &str, kind: &str) -> Error {
    Error::wrong_type(format!(
        "cannot set `{attr}` on a {kind}: only a namespace() has attributes to set"
    ))
}
