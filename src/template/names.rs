//! Finds what a template reads and calls without running it: free names, filters, tests, functions, lookups.

use super::functions;
use super::syntax::{Arg, Const, Expr, ExprKind, Span, Stmt, Target};

/// A variable that a template reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUse {
    pub name: String,
    /// Read only where the template has made sure that it is there, or catches it with `default`.
    pub guarded: bool,
    /// Counted from 1 in the text given.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// Something a template mentions by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Variable { guarded: bool },
    Filter,
    Test,
    Function,
    Lookup,
}

#[derive(Debug)]
pub(crate) struct Mention {
    pub kind: Kind,
    pub name: String,
    pub span: Span,
}

#[derive(Default)]
pub(crate) struct Walk {
    pub found: Vec<Mention>,
    locals: Vec<Vec<String>>,
    /// Names known to be defined where the walk stands.
    known: Vec<String>,
}

/// What a condition tells about names when it holds, and when it does not.
#[derive(Default)]
struct Facts {
    if_true: Vec<String>,
    if_false: Vec<String>,
}

impl Walk {
    pub(crate) fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn scoped(&mut self, names: Vec<String>, walk: impl FnOnce(&mut Self)) {
        self.locals.push(names);
        walk(self);
        self.locals.pop();
    }

    fn knowing(&mut self, facts: &[String], walk: impl FnOnce(&mut Self)) {
        let before = self.known.len();
        self.known.extend_from_slice(facts);
        walk(self);
        self.known.truncate(before);
    }

    fn add_local(&mut self, names: Vec<String>) {
        match self.locals.last_mut() {
            Some(frame) => frame.extend(names),
            None => self.locals.push(names),
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Text(_) | Stmt::Break | Stmt::Continue => {}
            Stmt::Emit(expr) | Stmt::Do(expr) | Stmt::Extends(expr) => self.expr(expr),
            Stmt::Include { name, .. } => self.expr(name),
            Stmt::For(each) => {
                self.expr(&each.iter);
                let mut names = target_names(&each.target);
                names.push("loop".into());
                self.scoped(names, |walk| {
                    if let Some(filter) = &each.filter {
                        walk.expr(filter);
                    }
                    walk.body(&each.body);
                });
                self.body(&each.otherwise);
            }
            Stmt::If { test, yes, no } => {
                self.expr(test);
                let facts = facts(test);
                self.knowing(&facts.if_true, |walk| walk.body(yes));
                self.knowing(&facts.if_false, |walk| walk.body(no));
            }
            Stmt::With(pairs, body) => {
                self.scoped(Vec::new(), |walk| {
                    for (target, expr) in pairs {
                        walk.expr(expr);
                        walk.add_local(target_names(target));
                    }
                    walk.body(body);
                });
            }
            Stmt::Set(target, expr) => {
                self.expr(expr);
                self.add_local(target_names(target));
            }
            Stmt::SetBlock(target, filter, body) => {
                self.scoped(Vec::new(), |walk| walk.body(body));
                if let Some(filter) = filter {
                    self.expr(filter);
                }
                self.add_local(target_names(target));
            }
            Stmt::FilterBlock(filter, body) => {
                self.expr(filter);
                self.body(body);
            }
            Stmt::Block(_, body) => self.scoped(vec!["super".into(), "self".into()], |walk| {
                walk.body(body);
            }),
            Stmt::Scope(body) => self.scoped(Vec::new(), |walk| walk.body(body)),
            Stmt::Import(expr, name) => {
                self.expr(expr);
                self.add_local(vec![name.to_string()]);
            }
            Stmt::FromImport(expr, names) => {
                self.expr(expr);
                self.add_local(names.iter().map(|(_, to)| to.to_string()).collect());
            }
            Stmt::Macro(def) => {
                self.add_local(vec![def.name.to_string()]);
                self.macro_def(def);
            }
            Stmt::CallBlock(call, caller) => {
                self.expr(call);
                self.macro_def(caller);
            }
        }
    }

    fn macro_def(&mut self, def: &super::syntax::MacroDef) {
        let mut names: Vec<String> = def.args.iter().map(|(name, _)| name.to_string()).collect();
        for (_, default) in &def.args {
            if let Some(default) = default {
                self.expr(default);
            }
        }
        for name in ["caller", "varargs", "kwargs"] {
            names.push(name.into());
        }
        self.scoped(names, |walk| walk.body(&def.body));
    }

    fn mention(&mut self, kind: Kind, name: &str, span: Span) {
        self.found.push(Mention {
            kind,
            name: name.to_string(),
            span,
        });
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().flatten().any(|local| local == name)
    }

    fn variable(&mut self, name: &str, span: Span, guarded: bool) {
        if self.is_local(name) || matches!(name, "omit" | "vars") || functions::exists(name) {
            return;
        }
        let guarded = guarded || self.known.iter().any(|known| known == name);
        self.mention(Kind::Variable { guarded }, name, span);
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            self.expr(arg.expr());
        }
    }

    /// An expression whose own absence does no harm: the subject of `is defined` or `default`.
    fn guarded(&mut self, expr: &Expr) {
        match &*expr.kind {
            ExprKind::Var(name) => self.variable(name, expr.span, true),
            ExprKind::Attr(inner, _) => match root_of_vars(expr) {
                Some(name) => self.variable(&name, expr.span, true),
                None => self.guarded(inner),
            },
            ExprKind::Item(inner, key) => {
                if let Some(name) = root_of_vars(expr) {
                    self.variable(&name, expr.span, true);
                } else {
                    self.guarded(inner);
                    self.expr(key);
                }
            }
            // An undefined subject passes through a filter to the `default` behind it.
            ExprKind::Filter(Some(inner), name, args) => {
                self.mention(Kind::Filter, name, expr.span);
                self.guarded(inner);
                self.args(args);
            }
            ExprKind::Call(callee, args) if matches!(&*callee.kind, ExprKind::Attr(..)) => {
                self.guarded(callee);
                self.args(args);
            }
            _ => self.expr(expr),
        }
    }

    pub(crate) fn expr(&mut self, expr: &Expr) {
        match &*expr.kind {
            ExprKind::Const(_) => {}
            ExprKind::Var(name) => self.variable(name, expr.span, false),
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                for item in items {
                    self.expr(item);
                }
            }
            ExprKind::Dict(pairs) => {
                for (key, value) in pairs {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::Attr(inner, _) => match root_of_vars(expr) {
                Some(name) => self.variable(&name, expr.span, false),
                None => self.expr(inner),
            },
            ExprKind::Item(inner, key) => {
                if let Some(name) = root_of_vars(expr) {
                    self.variable(&name, expr.span, false);
                } else {
                    self.expr(inner);
                    self.expr(key);
                }
            }
            ExprKind::Slice(inner, bounds) => {
                self.expr(inner);
                for bound in bounds.iter().flatten() {
                    self.expr(bound);
                }
            }
            ExprKind::Not(inner) | ExprKind::Neg(inner) => self.expr(inner),
            ExprKind::And(left, right) => {
                self.expr(left);
                let facts = facts(left);
                self.knowing(&facts.if_true, |walk| walk.expr(right));
            }
            ExprKind::Or(left, right) => {
                self.expr(left);
                let facts = facts(left);
                self.knowing(&facts.if_false, |walk| walk.expr(right));
            }
            ExprKind::Math(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Compare(first, rest) => {
                self.expr(first);
                for (_, expr) in rest {
                    self.expr(expr);
                }
            }
            ExprKind::If { test, yes, no } => {
                self.expr(test);
                let facts = facts(test);
                self.knowing(&facts.if_true, |walk| walk.expr(yes));
                if let Some(no) = no {
                    self.knowing(&facts.if_false, |walk| walk.expr(no));
                }
            }
            ExprKind::Filter(subject, name, args) => {
                self.mention(Kind::Filter, name, expr.span);
                if let Some(subject) = subject {
                    if catches(name) {
                        self.guarded(subject);
                    } else {
                        self.expr(subject);
                    }
                }
                self.named_in_filter(name, args, expr.span);
                self.args(args);
            }
            ExprKind::Test(subject, name, args) => {
                self.mention(Kind::Test, name, expr.span);
                if matches!(&**name, "defined" | "undefined") {
                    self.guarded(subject);
                } else {
                    self.expr(subject);
                }
                self.args(args);
            }
            ExprKind::Call(callee, args) => {
                if let ExprKind::Var(name) = &*callee.kind
                    && !self.is_local(name)
                {
                    self.mention(Kind::Function, name, callee.span);
                    if matches!(&**name, "lookup" | "query" | "q") {
                        self.lookup(args, expr.span);
                    }
                } else {
                    self.expr(callee);
                }
                self.args(args);
            }
        }
    }

    /// `map('upper')`, `select('match', …)`, `selectattr('a', 'equalto', …)`.
    fn named_in_filter(&mut self, filter: &str, args: &[Arg], span: Span) {
        let at = |at: usize| match args.get(at) {
            Some(Arg::Pos(expr)) => text(expr),
            _ => None,
        };
        match filter {
            "map" => {
                if let Some(name) = at(0) {
                    self.mention(Kind::Filter, name, span);
                }
            }
            "select" | "reject" => {
                if let Some(name) = at(0) {
                    self.mention(Kind::Test, name, span);
                }
            }
            "selectattr" | "rejectattr" => {
                if let Some(name) = at(1) {
                    self.mention(Kind::Test, name, span);
                }
            }
            _ => {}
        }
    }

    fn lookup(&mut self, args: &[Arg], span: Span) {
        let Some(Arg::Pos(first)) = args.first() else {
            return;
        };
        let Some(name) = text(first) else {
            return;
        };
        self.mention(Kind::Lookup, name, first.span);
        if name == "vars" || name == "ansible.builtin.vars" {
            let guarded = args
                .iter()
                .any(|arg| matches!(arg, Arg::Named(name, _) if &**name == "default"));
            for arg in &args[1..] {
                if let Arg::Pos(expr) = arg
                    && let Some(name) = text(expr)
                {
                    self.variable(name, span, guarded);
                }
            }
        }
    }
}

fn catches(filter: &str) -> bool {
    matches!(filter, "default" | "d")
}

fn text(expr: &Expr) -> Option<&str> {
    match &*expr.kind {
        ExprKind::Const(Const::Str(text)) => Some(text),
        _ => None,
    }
}

fn target_names(target: &Target) -> Vec<String> {
    match target {
        Target::Name(name) => vec![name.to_string()],
        Target::Attr(..) => Vec::new(),
        Target::Unpack(targets) => targets.iter().flat_map(target_names).collect(),
    }
}

/// `x` for `vars.x` and `vars['x']`.
fn root_of_vars(expr: &Expr) -> Option<String> {
    let is_vars = |expr: &Expr| matches!(&*expr.kind, ExprKind::Var(name) if &**name == "vars");
    match &*expr.kind {
        ExprKind::Attr(inner, name) if is_vars(inner) => Some(name.to_string()),
        ExprKind::Item(inner, key) if is_vars(inner) => text(key).map(ToString::to_string),
        _ => None,
    }
}

/// The variable that an expression starts from: `x` for `x.y[0] | upper`.
fn root(expr: &Expr) -> Option<String> {
    match &*expr.kind {
        ExprKind::Var(name) => Some(name.to_string()),
        ExprKind::Attr(inner, _) | ExprKind::Item(inner, _) => {
            root_of_vars(expr).or_else(|| root(inner))
        }
        ExprKind::Filter(Some(inner), ..) => root(inner),
        _ => None,
    }
}

fn facts(expr: &Expr) -> Facts {
    match &*expr.kind {
        ExprKind::Test(subject, name, _) => {
            let names: Vec<String> = root(subject).into_iter().collect();
            match &**name {
                "defined" => Facts {
                    if_true: names,
                    if_false: Vec::new(),
                },
                "undefined" => Facts {
                    if_true: Vec::new(),
                    if_false: names,
                },
                // Any other test of `x | default(…)` that holds says nothing certain.
                _ => Facts::default(),
            }
        }
        // `{% if x | default(false) %}` is entered only where there is an `x`.
        ExprKind::Filter(Some(subject), name, _) => match (catches(name), &*subject.kind) {
            (true, _) => Facts {
                if_true: root(subject).into_iter().collect(),
                if_false: Vec::new(),
            },
            (false, ExprKind::Filter(..)) => Facts {
                if_true: facts(subject).if_true,
                if_false: Vec::new(),
            },
            _ => Facts::default(),
        },
        ExprKind::Compare(name, rest) => match rest.as_slice() {
            // `'x' in vars`
            [(super::syntax::CompareOp::In, container)] if matches!(&*container.kind, ExprKind::Var(v) if &**v == "vars") => {
                Facts {
                    if_true: text(name).map(ToString::to_string).into_iter().collect(),
                    if_false: Vec::new(),
                }
            }
            _ => Facts::default(),
        },
        ExprKind::Not(inner) => {
            let inner = facts(inner);
            Facts {
                if_true: inner.if_false,
                if_false: inner.if_true,
            }
        }
        ExprKind::And(left, right) => {
            let (left, right) = (facts(left), facts(right));
            Facts {
                if_true: [left.if_true, right.if_true].concat(),
                if_false: Vec::new(),
            }
        }
        ExprKind::Or(left, right) => {
            let (left, right) = (facts(left), facts(right));
            Facts {
                if_true: Vec::new(),
                if_false: [left.if_false, right.if_false].concat(),
            }
        }
        _ => Facts::default(),
    }
}
