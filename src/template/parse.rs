//! Turns text into a [`Template`] or [`Expr`]: minijinja reads it, and its tree is copied into ours.
//!
//! Only the reading is minijinja's. Evaluation follows Python's and Ansible's rules (undefined
//! values, mutation of lists, `%`, native types), which its machine has no place for.

use super::error::Error;
use super::syntax::{
    Arg, Body, CompareOp, Const, Expr, ExprKind, For, MacroDef, MathOp, Span, Stmt, Target,
    Template,
};
use minijinja::machinery::{self, ast};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use std::cell::Cell;
use std::sync::Arc;

/// `raw_output`: in `{{ }}` a backslash in a quoted text stands for itself, as in the strings of a
/// playbook (never in `{% %}`, in template files or in conditions).
pub(crate) fn template(
    text: &str,
    syntax: SyntaxConfig,
    raw_output: bool,
) -> Result<Template, Error> {
    let tree = machinery::parse(text, "<template>", syntax).map_err(|e| fault(&e, text))?;
    let copy = Copy {
        text,
        raw_output,
        raw: Cell::new(false),
    };
    match tree {
        ast::Stmt::Template(template) => Ok(Template {
            body: copy.body(&template.children)?,
            newlines: text.len() - text.trim_end_matches('\n').len(),
        }),
        _ => Err(Error::syntax("not a template")),
    }
}

pub(crate) fn expression(text: &str) -> Result<Expr, Error> {
    let tree = machinery::parse_expr(text).map_err(|e| fault(&e, text))?;
    let copy = Copy {
        text,
        raw_output: false,
        raw: Cell::new(false),
    };
    copy.expr(&tree)
}

fn fault(error: &minijinja::Error, text: &str) -> Error {
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), ToString::to_string);
    let mut fault = Error::syntax(format!("syntax error in template: {message}"));
    fault.line = error.line().and_then(|line| u32::try_from(line).ok());
    if let Some(range) = error.range() {
        let before = text.get(..range.start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        fault.column = u32::try_from(before[line_start..].chars().count() + 1).ok();
        fault.length = text
            .get(range)
            .and_then(|part| u32::try_from(part.chars().count().max(1)).ok());
    }
    fault
}

struct Copy<'a> {
    text: &'a str,
    raw_output: bool,
    /// Inside `{{ }}` of a text where `raw_output` holds.
    raw: Cell<bool>,
}

impl Copy<'_> {
    fn span(&self, span: machinery::Span) -> Span {
        let range = span.start_offset as usize..span.end_offset as usize;
        let length = self
            .text
            .get(range)
            .and_then(|part| part.lines().next())
            .map_or(1, |part| part.chars().count().max(1));
        Span {
            line: u32::from(span.start_line),
            column: u32::from(span.start_col) + 1,
            length: u32::try_from(length).unwrap_or(1),
        }
    }

    /// The newline behind `{% raw %}` stays, unlike that behind other tags; minijinja takes it away.
    fn text_of(&self, raw: &str, span: machinery::Span) -> Box<str> {
        let (before, inside) = self
            .text
            .split_at_checked(span.start_offset as usize)
            .unwrap_or(("", ""));
        let tag = before
            .strip_suffix("%}")
            .filter(|_| inside.starts_with('\n'));
        let is_raw = tag
            .and_then(|tag| tag.rfind("{%").map(|at| &tag[at + 2..]))
            .is_some_and(|tag| tag.trim_start_matches(['-', '+']).trim() == "raw");
        if is_raw {
            format!("\n{raw}").into()
        } else {
            raw.into()
        }
    }

    fn body(&self, stmts: &[ast::Stmt<'_>]) -> Result<Body, Error> {
        stmts.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&self, stmt: &ast::Stmt<'_>) -> Result<Stmt, Error> {
        Ok(match stmt {
            ast::Stmt::Template(s) => Stmt::Scope(self.body(&s.children)?),
            ast::Stmt::EmitExpr(s) => {
                self.raw.set(self.raw_output);
                let expr = self.expr(&s.expr);
                self.raw.set(false);
                Stmt::Emit(expr?)
            }
            ast::Stmt::EmitRaw(s) => Stmt::Text(self.text_of(s.raw, s.span())),
            ast::Stmt::ForLoop(s) => Stmt::For(Arc::new(For {
                target: target(&s.target)?,
                iter: self.expr(&s.iter)?,
                filter: s.filter_expr.as_ref().map(|e| self.expr(e)).transpose()?,
                recursive: s.recursive,
                body: self.body(&s.body)?,
                otherwise: self.body(&s.else_body)?,
            })),
            ast::Stmt::IfCond(s) => Stmt::If {
                test: self.expr(&s.expr)?,
                yes: self.body(&s.true_body)?,
                no: self.body(&s.false_body)?,
            },
            ast::Stmt::WithBlock(s) => {
                let pairs = s
                    .assignments
                    .iter()
                    .map(|(to, from)| Ok((target(to)?, self.expr(from)?)));
                Stmt::With(pairs.collect::<Result<_, Error>>()?, self.body(&s.body)?)
            }
            ast::Stmt::Set(s) => Stmt::Set(target(&s.target)?, self.expr(&s.expr)?),
            ast::Stmt::SetBlock(s) => Stmt::SetBlock(
                target(&s.target)?,
                s.filter.as_ref().map(|e| self.expr(e)).transpose()?,
                self.body(&s.body)?,
            ),
            ast::Stmt::AutoEscape(s) => Stmt::Scope(self.body(&s.body)?),
            ast::Stmt::FilterBlock(s) => {
                Stmt::FilterBlock(self.expr(&s.filter)?, self.body(&s.body)?)
            }
            ast::Stmt::Block(s) => Stmt::Block(s.name.into(), Arc::new(self.body(&s.body)?)),
            ast::Stmt::Extends(s) => Stmt::Extends(self.expr(&s.name)?),
            ast::Stmt::Include(s) => Stmt::Include {
                name: self.expr(&s.name)?,
                ignore_missing: s.ignore_missing,
            },
            ast::Stmt::Import(s) => Stmt::Import(self.expr(&s.expr)?, name(&s.name)?),
            ast::Stmt::FromImport(s) => {
                let names = s.names.iter().map(|(from, to)| {
                    let from = name(from)?;
                    let to = to.as_ref().map_or_else(|| Ok(from.clone()), name)?;
                    Ok((from, to))
                });
                Stmt::FromImport(self.expr(&s.expr)?, names.collect::<Result<_, Error>>()?)
            }
            ast::Stmt::Macro(s) => Stmt::Macro(self.macro_def(s)?),
            ast::Stmt::CallBlock(s) => {
                let call = self.call(&s.call, s.call.span())?;
                Stmt::CallBlock(call, self.macro_def(&s.macro_decl)?)
            }
            ast::Stmt::Continue(_) => Stmt::Continue,
            ast::Stmt::Break(_) => Stmt::Break,
            ast::Stmt::Do(s) => Stmt::Do(self.call(&s.call, s.call.span())?),
        })
    }

    fn macro_def(&self, def: &ast::Macro<'_>) -> Result<Arc<MacroDef>, Error> {
        let first_default = def.args.len() - def.defaults.len();
        let args = def.args.iter().enumerate().map(|(at, arg)| {
            let default = at.checked_sub(first_default).map(|i| &def.defaults[i]);
            Ok((name(arg)?, default.map(|e| self.expr(e)).transpose()?))
        });
        Ok(Arc::new(MacroDef {
            name: def.name.into(),
            args: args.collect::<Result<_, Error>>()?,
            body: self.body(&def.body)?,
        }))
    }

    fn exprs(&self, items: &[ast::Expr<'_>]) -> Result<Vec<Expr>, Error> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    fn optional(&self, expr: Option<&ast::Expr<'_>>) -> Result<Option<Expr>, Error> {
        expr.map(|e| self.expr(e)).transpose()
    }

    fn expr(&self, expr: &ast::Expr<'_>) -> Result<Expr, Error> {
        let kind = match expr {
            ast::Expr::Var(e) => ExprKind::Var(e.id.into()),
            ast::Expr::Const(e) => ExprKind::Const(match constant(&e.value) {
                Const::Str(value) if self.raw.get() => {
                    let range = e.span().start_offset as usize..e.span().end_offset as usize;
                    let written = self.text.get(range).and_then(as_written);
                    Const::Str(written.unwrap_or(value))
                }
                value => value,
            }),
            ast::Expr::Slice(e) => ExprKind::Slice(
                self.expr(&e.expr)?,
                [
                    self.optional(e.start.as_ref())?,
                    self.optional(e.stop.as_ref())?,
                    self.optional(e.step.as_ref())?,
                ],
            ),
            ast::Expr::UnaryOp(e) => match e.op {
                ast::UnaryOpKind::Not => ExprKind::Not(self.expr(&e.expr)?),
                ast::UnaryOpKind::Neg => ExprKind::Neg(self.expr(&e.expr)?),
            },
            ast::Expr::BinOp(e) => self.binary(e)?,
            ast::Expr::Compare(e) => {
                let ops = e
                    .ops
                    .iter()
                    .map(|op| Ok((compare_op(op.op), self.expr(&op.expr)?)));
                ExprKind::Compare(self.expr(&e.expr)?, ops.collect::<Result<_, Error>>()?)
            }
            ast::Expr::IfExpr(e) => ExprKind::If {
                test: self.expr(&e.test_expr)?,
                yes: self.expr(&e.true_expr)?,
                no: self.optional(e.false_expr.as_ref())?,
            },
            ast::Expr::Filter(e) => ExprKind::Filter(
                self.optional(e.expr.as_ref())?,
                plain(e.name),
                self.args(&e.args)?,
            ),
            ast::Expr::Test(e) => {
                ExprKind::Test(self.expr(&e.expr)?, plain(e.name), self.args(&e.args)?)
            }
            ast::Expr::GetAttr(e) => ExprKind::Attr(self.expr(&e.expr)?, e.name.into()),
            ast::Expr::GetItem(e) => {
                ExprKind::Item(self.expr(&e.expr)?, self.expr(&e.subscript_expr)?)
            }
            ast::Expr::Call(e) => return self.call(e, expr.span()),
            ast::Expr::List(e) => ExprKind::List(self.exprs(&e.items)?),
            ast::Expr::Tuple(e) => ExprKind::Tuple(self.exprs(&e.items)?),
            ast::Expr::Map(e) => {
                let pairs = e.keys.iter().zip(&e.values);
                let pairs = pairs.map(|(k, v)| Ok((self.expr(k)?, self.expr(v)?)));
                ExprKind::Dict(pairs.collect::<Result<_, Error>>()?)
            }
        };
        Ok(Expr {
            kind: Box::new(kind),
            span: self.span(expr.span()),
        })
    }

    fn call(&self, call: &ast::Call<'_>, span: machinery::Span) -> Result<Expr, Error> {
        let kind = ExprKind::Call(self.expr(&call.expr)?, self.args(&call.args)?);
        Ok(Expr {
            kind: Box::new(kind),
            span: self.span(span),
        })
    }

    fn binary(&self, e: &ast::BinOp<'_>) -> Result<ExprKind, Error> {
        use ast::BinOpKind as B;
        let (left, right) = (self.expr(&e.left)?, self.expr(&e.right)?);
        let math = match e.op {
            B::ScAnd => return Ok(ExprKind::And(left, right)),
            B::ScOr => return Ok(ExprKind::Or(left, right)),
            B::Add => MathOp::Add,
            B::Sub => MathOp::Sub,
            B::Mul => MathOp::Mul,
            B::Div => MathOp::Div,
            B::FloorDiv => MathOp::FloorDiv,
            B::Rem => MathOp::Rem,
            B::Pow => MathOp::Pow,
            B::Concat => MathOp::Concat,
            B::Eq => return Ok(ExprKind::Compare(left, vec![(CompareOp::Eq, right)])),
            B::Ne => return Ok(ExprKind::Compare(left, vec![(CompareOp::Ne, right)])),
            B::Lt => return Ok(ExprKind::Compare(left, vec![(CompareOp::Lt, right)])),
            B::Lte => return Ok(ExprKind::Compare(left, vec![(CompareOp::Lte, right)])),
            B::Gt => return Ok(ExprKind::Compare(left, vec![(CompareOp::Gt, right)])),
            B::Gte => return Ok(ExprKind::Compare(left, vec![(CompareOp::Gte, right)])),
            B::In => return Ok(ExprKind::Compare(left, vec![(CompareOp::In, right)])),
        };
        Ok(ExprKind::Math(math, left, right))
    }

    fn args(&self, args: &[ast::CallArg<'_>]) -> Result<Vec<Arg>, Error> {
        args.iter()
            .map(|arg| {
                Ok(match arg {
                    ast::CallArg::Pos(e) => Arg::Pos(self.expr(e)?),
                    ast::CallArg::Kwarg(name, e) => Arg::Named((*name).into(), self.expr(e)?),
                    ast::CallArg::PosSplat(e) => Arg::Splat(self.expr(e)?),
                    ast::CallArg::KwargSplat(e) => Arg::NamedSplat(self.expr(e)?),
                })
            })
            .collect()
    }
}

/// What stands between the quotes of one or more quoted texts, backslashes and all.
fn as_written(source: &str) -> Option<Box<str>> {
    let mut out = String::new();
    let mut chars = source.chars();
    while let Some(quote) = chars.find(|c| !c.is_whitespace()) {
        if quote != '\'' && quote != '"' {
            return None;
        }
        loop {
            match chars.next()? {
                '\\' => {
                    out.push('\\');
                    out.push(chars.next()?);
                }
                c if c == quote => break,
                c => out.push(c),
            }
        }
    }
    Some(out.into())
}

fn compare_op(op: ast::CompareOpKind) -> CompareOp {
    match op {
        ast::CompareOpKind::Eq => CompareOp::Eq,
        ast::CompareOpKind::Ne => CompareOp::Ne,
        ast::CompareOpKind::Lt => CompareOp::Lt,
        ast::CompareOpKind::Lte => CompareOp::Lte,
        ast::CompareOpKind::Gt => CompareOp::Gt,
        ast::CompareOpKind::Gte => CompareOp::Gte,
        ast::CompareOpKind::In => CompareOp::In,
        ast::CompareOpKind::NotIn => CompareOp::NotIn,
    }
}

/// A dotted filter name may have been written with blanks in it.
fn plain(name: &str) -> Box<str> {
    name.chars().filter(|c| !c.is_whitespace()).collect()
}

fn name(expr: &ast::Expr<'_>) -> Result<Box<str>, Error> {
    match expr {
        ast::Expr::Var(e) => Ok(e.id.into()),
        _ => Err(Error::syntax("expected a name")),
    }
}

fn target(expr: &ast::Expr<'_>) -> Result<Target, Error> {
    match expr {
        ast::Expr::Var(e) => Ok(Target::Name(e.id.into())),
        ast::Expr::GetAttr(e) => Ok(Target::Attr(name(&e.expr)?, e.name.into())),
        ast::Expr::List(e) => Ok(Target::Unpack(
            e.items.iter().map(target).collect::<Result<_, _>>()?,
        )),
        _ => Err(Error::syntax("cannot assign to this")),
    }
}

fn constant(value: &minijinja::Value) -> Const {
    match value.kind() {
        ValueKind::Bool => Const::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).map_or(Const::None, Const::Int)
        }
        ValueKind::Number => f64::try_from(value.clone()).map_or(Const::None, Const::Float),
        ValueKind::String => Const::Str(value.as_str().unwrap_or_default().into()),
        _ => Const::None,
    }
}
