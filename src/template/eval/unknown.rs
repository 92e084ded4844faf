//! Lets a text show `<name>` where nobody can say a value, while whatever decides something stays unknown.

use super::Cx;
use crate::template::syntax::{Const, Expr, ExprKind};
use crate::template::values::{Res, Val};

impl Cx {
    /// The value of `{{ expr }}`, or its name in `<>` where a text is made for which nobody can say it.
    pub(super) fn said(&mut self, expr: &Expr) -> Res {
        if !self.run.naming.get() {
            return self.full(expr);
        }
        let before = self.run.unknown.borrow().clone();
        // Only a bare name hands on to the texts behind it what stands in them.
        self.run.naming.set(is_name(expr));
        let value = self.full(expr);
        self.run.naming.set(true);
        match value {
            Err(error) if error.is_unknown() => {
                *self.run.unknown.borrow_mut() = before;
                self.run.named.set(self.run.named.get() + 1);
                Ok(Val::str(format!("<{}>", name(expr))))
            }
            value => value,
        }
    }

    /// Evaluates something that decides how the text goes on: no name may stand for a value there.
    pub(super) fn judged<T>(&mut self, work: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        let naming = self.run.naming.replace(false);
        let result = work(self);
        self.run.naming.set(naming);
        result
    }
}

fn is_name(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Var(_) => true,
        ExprKind::Attr(subject, _) => is_name(subject),
        ExprKind::Item(subject, key) => is_name(subject) && is_constant(key),
        _ => false,
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(&*expr.kind, ExprKind::Const(_))
}

/// How an expression is called: as it is written, where that is short.
fn name(expr: &Expr) -> String {
    match &*expr.kind {
        ExprKind::Var(name) => name.to_string(),
        ExprKind::Const(Const::Str(text)) => text.to_string(),
        ExprKind::Const(Const::Int(number)) => number.to_string(),
        ExprKind::Attr(subject, key) => format!("{}.{key}", name(subject)),
        ExprKind::Item(subject, key) => format!("{}.{}", name(subject), name(key)),
        ExprKind::Filter(Some(subject), filter, _) => format!("{} | {filter}", name(subject)),
        ExprKind::Call(callee, args) => {
            let args: Vec<String> = args.iter().map(|arg| name(arg.expr())).collect();
            format!("{}({})", name(callee), args.join(", "))
        }
        ExprKind::Math(_, left, right) => format!("{} … {}", name(left), name(right)),
        ExprKind::List(items) | ExprKind::Tuple(items) => {
            let items: Vec<String> = items.iter().map(name).collect();
            format!("[{}]", items.join(", "))
        }
        ExprKind::If { test, .. } => format!("… if {}", name(test)),
        ExprKind::Compare(first, _) => format!("{} …", name(first)),
        ExprKind::Not(inner) | ExprKind::Neg(inner) => name(inner),
        ExprKind::And(left, _) | ExprKind::Or(left, _) => format!("{} …", name(left)),
        ExprKind::Test(subject, test, _) => format!("{} is {test}", name(subject)),
        _ => "…".into(),
    }
}
