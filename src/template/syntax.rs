//! The tree of a template or expression, owned, with the place of every node.

/// Where a node stands in its text; all counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub kind: Box<ExprKind>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Box<str>),
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Var(Box<str>),
    Const(Const),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Expr, Box<str>),
    Item(Expr, Expr),
    Slice(Expr, [Option<Expr>; 3]),
    Not(Expr),
    Neg(Expr),
    And(Expr, Expr),
    Or(Expr, Expr),
    Math(MathOp, Expr, Expr),
    /// One comparison or a chain of them: `a < b <= c`.
    Compare(Expr, Vec<(CompareOp, Expr)>),
    If {
        test: Expr,
        yes: Expr,
        no: Option<Expr>,
    },
    /// The subject is missing only in `{% filter %}` and `{% set x | … %}`, where it is the body.
    Filter(Option<Expr>, Box<str>, Vec<Arg>),
    Test(Expr, Box<str>, Vec<Arg>),
    Call(Expr, Vec<Arg>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MathOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    NotIn,
}

#[derive(Debug)]
pub(crate) enum Arg {
    Pos(Expr),
    Named(Box<str>, Expr),
    Splat(Expr),
    NamedSplat(Expr),
}

impl Arg {
    pub(crate) fn expr(&self) -> &Expr {
        match self {
            Self::Pos(expr) | Self::Named(_, expr) | Self::Splat(expr) | Self::NamedSplat(expr) => {
                expr
            }
        }
    }
}

/// What `{% set %}` and `{% for %}` write to.
#[derive(Debug)]
pub(crate) enum Target {
    Name(Box<str>),
    /// `ns.x = …`
    Attr(Box<str>, Box<str>),
    Unpack(Vec<Target>),
}

pub(crate) type Body = Vec<Stmt>;

#[derive(Debug)]
pub(crate) enum Stmt {
    Text(Box<str>),
    Emit(Expr),
    For(std::sync::Arc<For>),
    If {
        test: Expr,
        yes: Body,
        no: Body,
    },
    With(Vec<(Target, Expr)>, Body),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Body),
    FilterBlock(Expr, Body),
    Block(Box<str>, std::sync::Arc<Body>),
    Extends(Expr),
    Include {
        name: Expr,
        ignore_missing: bool,
    },
    Import(Expr, Box<str>),
    FromImport(Expr, Vec<(Box<str>, Box<str>)>),
    Macro(std::sync::Arc<MacroDef>),
    /// `{% call(args) f(…) %}body{% endcall %}`
    CallBlock(Expr, std::sync::Arc<MacroDef>),
    Do(Expr),
    Scope(Body),
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct For {
    pub target: Target,
    pub iter: Expr,
    pub filter: Option<Expr>,
    pub recursive: bool,
    pub body: Body,
    pub otherwise: Body,
}

#[derive(Debug)]
pub(crate) struct MacroDef {
    pub name: Box<str>,
    pub args: Vec<(Box<str>, Option<Expr>)>,
    pub body: Body,
}

/// A compiled template. Blocks are found by name when a child extends it.
#[derive(Debug)]
pub(crate) struct Template {
    pub body: Body,
    /// With how many newlines its text ends.
    pub newlines: usize,
}
