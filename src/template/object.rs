//! The values of a template that are neither data nor text: functions, macros, loops, times.

use super::error::Error;
use super::eval::Frame;
use super::native;
use super::syntax::MacroDef;
use super::values::{Res, Val};
use crate::value::Value;
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

pub(crate) enum Object {
    /// A global function, by its name.
    Function(Box<str>),
    /// A method taken off its value: `x.split` without a call.
    Method(Val, Box<str>),
    Macro {
        def: Arc<MacroDef>,
        /// The frames it was defined in, outermost first.
        frames: Vec<Frame>,
    },
    /// `namespace()` and imported templates.
    Namespace(RefCell<IndexMap<Box<str>, Val>>),
    Loop(Loop),
    /// `hostvars`, before a host is chosen.
    HostVars,
    Range {
        start: i128,
        end: i128,
        step: i128,
    },
    Cycler(Vec<Val>, Cell<usize>),
    /// A separator that is empty the first time it is printed.
    Joiner(Box<str>, Cell<bool>),
    Time(jiff::civil::DateTime),
    /// A difference of times, in microseconds.
    Delta(i128),
    /// `super()`: the block of this name, so many parents up.
    Super(Box<str>, usize),
}

/// The variable `loop`.
pub(crate) struct Loop {
    pub items: Vec<Val>,
    pub at: Cell<usize>,
    pub depth: usize,
    pub last_changed: RefCell<Option<Vec<Val>>>,
    /// The loop itself, for `loop(children)` in a recursive one.
    pub recurse: Option<Arc<super::syntax::For>>,
}

impl Loop {
    pub(crate) fn attr(&self, name: &str) -> Option<Val> {
        let (at, len) = (self.at.get(), self.items.len());
        let item = |at: Option<usize>| {
            at.and_then(|at| self.items.get(at))
                .cloned()
                .unwrap_or_else(|| Val::undefined("loop", format!("there is no `loop.{name}`")))
        };
        Some(match name {
            "index" => Val::size(at + 1),
            "index0" => Val::size(at),
            "revindex" => Val::size(len - at),
            "revindex0" => Val::size(len - at - 1),
            "first" => Val::Bool(at == 0),
            "last" => Val::Bool(at + 1 == len),
            "length" => Val::size(len),
            "depth" => Val::size(self.depth + 1),
            "depth0" => Val::size(self.depth),
            "previtem" => item(at.checked_sub(1)),
            "nextitem" => item(Some(at + 1)),
            _ => return None,
        })
    }
}

impl Object {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Function(_) | Self::Super(..) => "function",
            Self::Method(..) => "method",
            Self::Macro { .. } => "Macro",
            Self::Namespace(_) => "Namespace",
            Self::Loop(_) => "LoopContext",
            Self::HostVars => "HostVars",
            Self::Range { .. } => "range",
            Self::Cycler(..) => "Cycler",
            Self::Joiner(..) => "Joiner",
            Self::Time(_) => "datetime",
            Self::Delta(_) => "timedelta",
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Delta(n) => *n != 0,
            Self::Range { .. } => self.range().next().is_some(),
            _ => true,
        }
    }

    /// The numbers of a range; nothing for other objects.
    pub(crate) fn range(&self) -> impl Iterator<Item = i128> + use<> {
        let (start, end, step) = match self {
            Self::Range { start, end, step } => (*start, *end, *step),
            _ => (0, 0, 1),
        };
        std::iter::successors(Some(start), move |n| n.checked_add(step))
            .take_while(move |n| if step > 0 { *n < end } else { *n > end })
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Time(time) => time_text(time),
            Self::Delta(micros) => delta_text(*micros),
            Self::Range { start, end, step } if *step == 1 => format!("range({start}, {end})"),
            Self::Range { start, end, step } => format!("range({start}, {end}, {step})"),
            Self::Function(name) => format!("<function {name}>"),
            Self::Method(value, name) => {
                format!("<built-in method {name} of {} object>", value.type_name())
            }
            Self::Namespace(items) => {
                let items = items.borrow();
                let items = items.iter().map(|(k, v)| (Val::str(k), v.clone()));
                format!("<Namespace {}>", native::repr(&Val::dict(items.collect())))
            }
            other => format!("<{}>", other.type_name()),
        }
    }

    pub(crate) fn to_value(&self) -> Res<Value> {
        match self {
            Self::Time(_) | Self::Delta(_) => Ok(Value::String(self.text())),
            Self::Range { .. } => self.range().map(|n| Val::Int(n).into_value()).collect(),
            other => Err(Error::wrong_type(format!(
                "a {} cannot be the result of a template",
                other.type_name()
            ))),
        }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Delta(a), Self::Delta(b)) => a == b,
            (Self::Range { .. }, Self::Range { .. }) => self.range().eq(other.range()),
            _ => false,
        }
    }
}

fn time_text(time: &jiff::civil::DateTime) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let whole = time.strftime("%Y-%m-%d %H:%M:%S");
    if micros == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{micros:06}")
    }
}

fn delta_text(micros: i128) -> String {
    const DAY: i128 = 86_400_000_000;
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = match days {
        0 => String::new(),
        1 | -1 => format!("{days} day, "),
        _ => format!("{days} days, "),
    };
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    text = format!("{text}{hours}:{minutes:02}:{:02}", seconds % 60);
    if fraction != 0 {
        text = format!("{text}.{fraction:06}");
    }
    text
}
