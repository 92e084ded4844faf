//! Python's operators on values: arithmetic, comparison, slices, `%` formatting.

use super::Cx;
use crate::template::error::Error;
use crate::template::native;
use crate::template::object::Object;
use crate::template::printf;
use crate::template::syntax::{CompareOp, MathOp};
use crate::template::values::{Res, Val};
use std::cmp::Ordering;

/// Longer results of `'x' * n` are refused.
const MAX_REPEAT: usize = 50_000_000;

fn unsupported(op: &str, left: &Val, right: &Val) -> Error {
    Error::wrong_type(format!(
        "`{op}` does not go between a {} and a {}",
        left.type_name(),
        right.type_name()
    ))
}

fn overflow(op: &str) -> Error {
    Error::wrong_type(format!("`{op}`: the number is too large"))
}

pub(crate) fn negate(value: &Val) -> Res {
    match value {
        Val::Float(n) => Ok(Val::Float(-n)),
        other => match other.as_int() {
            Some(n) => Ok(Val::Int(-n)),
            None => Err(Error::wrong_type(format!(
                "`-` does not go before a {}",
                other.type_name()
            ))),
        },
    }
}

pub(crate) fn math(cx: &Cx, op: MathOp, left: &Val, right: &Val) -> Res {
    match op {
        MathOp::Concat => Ok(Val::str(cx.text_of(left) + &cx.text_of(right))),
        MathOp::Add => add(left, right),
        MathOp::Mul => mul(left, right),
        MathOp::Rem if matches!(left, Val::Str(_)) => {
            printf::percent(left.as_str().unwrap_or_default(), right).map(Val::str)
        }
        MathOp::Sub => match (object(left), object(right)) {
            (Some(Object::Time(a)), Some(Object::Time(b))) => {
                Ok(Val::object(Object::Delta(micros(a) - micros(b))))
            }
            (Some(Object::Time(a)), Some(Object::Delta(b))) => shifted(a, -b),
            (Some(Object::Delta(a)), Some(Object::Delta(b))) => {
                Ok(Val::object(Object::Delta(a - b)))
            }
            _ => arithmetic(op, left, right),
        },
        _ => arithmetic(op, left, right),
    }
}

fn object(value: &Val) -> Option<&Object> {
    match value {
        Val::Object(object) => Some(object),
        _ => None,
    }
}

/// Microseconds since 1970, as if the time were UTC.
pub(crate) fn micros(time: &jiff::civil::DateTime) -> i128 {
    time.to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(0, |zoned| zoned.timestamp().as_nanosecond() / 1000)
}

fn shifted(time: &jiff::civil::DateTime, by: i128) -> Res {
    let by = i64::try_from(by).map_err(|_| overflow("+"))?;
    time.checked_add(jiff::SignedDuration::from_micros(by))
        .map(|time| Val::object(Object::Time(time)))
        .map_err(|e| Error::wrong_type(e.to_string()))
}

fn add(left: &Val, right: &Val) -> Res {
    match (left, right) {
        (Val::Str(a), Val::Str(b)) => Ok(Val::str(format!("{a}{b}"))),
        (Val::List(_) | Val::Tuple(_), Val::List(_) | Val::Tuple(_)) => {
            let mut all = left.as_items().unwrap_or_default();
            all.extend(right.as_items().unwrap_or_default());
            Ok(match left {
                Val::Tuple(_) => Val::tuple(all),
                _ => Val::list(all),
            })
        }
        _ => match (object(left), object(right)) {
            (Some(Object::Time(a)), Some(Object::Delta(b)))
            | (Some(Object::Delta(b)), Some(Object::Time(a))) => shifted(a, *b),
            (Some(Object::Delta(a)), Some(Object::Delta(b))) => {
                Ok(Val::object(Object::Delta(a + b)))
            }
            _ => arithmetic(MathOp::Add, left, right),
        },
    }
}

fn mul(left: &Val, right: &Val) -> Res {
    let times = |n: &Val| n.as_int().map(|n| usize::try_from(n).unwrap_or(0));
    let (repeated, n) = match (left, right) {
        (Val::Str(_) | Val::List(_) | Val::Tuple(_), n) => (left, times(n)),
        (n, Val::Str(_) | Val::List(_) | Val::Tuple(_)) => (right, times(n)),
        _ => return arithmetic(MathOp::Mul, left, right),
    };
    let Some(n) = n else {
        return Err(unsupported("*", left, right));
    };
    let length = match repeated {
        Val::Str(text) => text.len(),
        other => other.as_items().map_or(0, |items| items.len()),
    };
    if length.saturating_mul(n) > MAX_REPEAT {
        return Err(overflow("*"));
    }
    Ok(match repeated {
        Val::Str(text) => Val::str(text.repeat(n)),
        other => {
            let items = other.as_items().unwrap_or_default();
            Val::list(std::iter::repeat_n(items, n).flatten().collect())
        }
    })
}

fn arithmetic(op: MathOp, left: &Val, right: &Val) -> Res {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return ints(op, a, b);
    }
    let (Some(a), Some(b)) = (left.as_float(), right.as_float()) else {
        return Err(unsupported(symbol(op), left, right));
    };
    Ok(Val::Float(match op {
        MathOp::Add => a + b,
        MathOp::Sub => a - b,
        MathOp::Mul => a * b,
        MathOp::Pow => a.powf(b),
        MathOp::Div | MathOp::FloorDiv | MathOp::Rem if b == 0.0 => return Err(by_zero()),
        MathOp::Div => a / b,
        MathOp::FloorDiv => (a / b).floor(),
        MathOp::Rem => a - b * (a / b).floor(),
        MathOp::Concat => return Err(unsupported("~", left, right)),
    }))
}

fn by_zero() -> Error {
    Error::wrong_type("division by zero")
}

fn symbol(op: MathOp) -> &'static str {
    match op {
        MathOp::Add => "+",
        MathOp::Sub => "-",
        MathOp::Mul => "*",
        MathOp::Div => "/",
        MathOp::FloorDiv => "//",
        MathOp::Rem => "%",
        MathOp::Pow => "**",
        MathOp::Concat => "~",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Python's `/` on ints gives the nearest float, too"
)]
fn ints(op: MathOp, a: i128, b: i128) -> Res {
    let whole = match op {
        MathOp::Add => a.checked_add(b),
        MathOp::Sub => a.checked_sub(b),
        MathOp::Mul => a.checked_mul(b),
        MathOp::Pow if b < 0 => return Ok(Val::Float((a as f64).powf(b as f64))),
        MathOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        MathOp::Div | MathOp::FloorDiv | MathOp::Rem if b == 0 => return Err(by_zero()),
        MathOp::Div => return Ok(Val::Float(a as f64 / b as f64)),
        MathOp::FloorDiv => {
            let quotient = a / b;
            Some(if a % b != 0 && (a < 0) != (b < 0) {
                quotient - 1
            } else {
                quotient
            })
        }
        MathOp::Rem => {
            let rest = a % b;
            Some(if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            })
        }
        MathOp::Concat => None,
    };
    whole.map(Val::Int).ok_or_else(|| overflow(symbol(op)))
}

pub(crate) fn compare(op: CompareOp, left: &Val, right: &Val) -> Res<bool> {
    let holds = match op {
        CompareOp::Eq => return Ok(left == right),
        CompareOp::Ne => return Ok(left != right),
        CompareOp::Lt => Ordering::is_lt as fn(Ordering) -> bool,
        CompareOp::Lte => Ordering::is_le,
        CompareOp::Gt => Ordering::is_gt,
        CompareOp::Gte => Ordering::is_ge,
        CompareOp::In | CompareOp::NotIn => return Ok(false),
    };
    let symbol = match op {
        CompareOp::Lt => "<",
        CompareOp::Lte => "<=",
        CompareOp::Gt => ">",
        _ => ">=",
    };
    order(left, right)
        .map(holds)
        .ok_or_else(|| unsupported(symbol, left, right))
}

/// Python's order of two values; `None` where they have none.
pub(crate) fn order(left: &Val, right: &Val) -> Option<Ordering> {
    match (left, right) {
        (Val::Str(a), Val::Str(b)) => Some(a.cmp(b)),
        (Val::List(_) | Val::Tuple(_), Val::List(_) | Val::Tuple(_)) => {
            let (a, b) = (left.as_items()?, right.as_items()?);
            for (x, y) in a.iter().zip(&b) {
                if x != y {
                    return order(x, y);
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        (Val::Object(a), Val::Object(b)) => match (&**a, &**b) {
            (Object::Time(a), Object::Time(b)) => Some(a.cmp(b)),
            (Object::Delta(a), Object::Delta(b)) => Some(a.cmp(b)),
            _ => None,
        },
        _ => match (left.as_int(), right.as_int()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => left.as_float()?.partial_cmp(&right.as_float()?),
        },
    }
}

/// `subject[start:stop:step]`.
pub(crate) fn slice(cx: &mut Cx, subject: &Val, bounds: [Option<i128>; 3]) -> Res {
    let items = match subject {
        Val::Dict(_) | Val::None | Val::Bool(_) | Val::Int(_) | Val::Float(_) => {
            return Err(Error::wrong_type(format!(
                "a {} cannot be sliced",
                subject.type_name()
            )));
        }
        other => cx.items(other)?,
    };
    let [start, end, step] = bounds;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::wrong_type("a slice cannot have the step 0"));
    }
    let len = items.len() as i128;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: Option<i128>, default: i128| match bound {
        None => default,
        Some(n) if n < 0 => (n + len).clamp(low, high),
        Some(n) => n.clamp(low, high),
    };
    let (mut at, end) = if step > 0 {
        (clamp(start, 0), clamp(end, len))
    } else {
        (clamp(start, len - 1), clamp(end, -1))
    };
    let mut picked = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        if let Some(item) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
            picked.push(item.clone());
        }
        at += step;
    }
    Ok(match subject {
        Val::Str(_) => Val::str(picked.iter().map(native::text).collect::<String>()),
        Val::Tuple(_) => Val::tuple(picked),
        _ => Val::list(picked),
    })
}
