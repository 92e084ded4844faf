//! Filters on numbers: `int`, `float`, `round`, `pow`, `human_readable`, `human_to_bytes`.

use super::Filter;
use crate::template::args::{Args, count, flag};
use crate::template::error::Error;
use crate::template::eval::{Cx, ops};
use crate::template::native;
use crate::template::syntax::MathOp;
use crate::template::values::{Res, Val};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("int", int),
    ("float", float),
    ("abs", abs),
    ("round", round),
    ("pow", pow),
    ("root", root),
    ("log", log),
    ("human_readable", human_readable),
    ("human_to_bytes", human_to_bytes),
    ("filesizeformat", filesizeformat),
];

#[expect(
    clippy::cast_possible_truncation,
    reason = "Python's int() cuts a float off, too"
)]
fn int(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [default, base] = args.bind(["default", "base"])?;
    let base = count(base.as_ref(), "base")?.unwrap_or(10);
    let parsed = match subject {
        Val::Float(n) if n.is_finite() => Some(*n as i128),
        Val::Str(text) => parse_int(text.trim(), base).or_else(|| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .map(|n| n as i128)
        }),
        other => other.as_int(),
    };
    Ok(parsed.map_or_else(|| default.unwrap_or(Val::Int(0)), Val::Int))
}

fn parse_int(text: &str, base: usize) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match (base, lower.get(..2)) {
        (16 | 0, Some("0x")) => (16, &lower[2..]),
        (8 | 0, Some("0o")) => (8, &lower[2..]),
        (2 | 0, Some("0b")) => (2, &lower[2..]),
        (0, _) => (10, lower.as_str()),
        _ => (base, lower.as_str()),
    };
    let digits = digits.replace('_', "");
    if !(2..=36).contains(&base) || digits.starts_with(['+', '-']) {
        return None;
    }
    let n = i128::from_str_radix(&digits, u32::try_from(base).ok()?).ok()?;
    Some(if negative { -n } else { n })
}

fn float(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [default] = args.bind(["default"])?;
    let parsed = match subject {
        Val::Str(text) => text.trim().parse().ok(),
        other => other.as_float(),
    };
    Ok(parsed.map_or_else(|| default.unwrap_or(Val::Float(0.0)), Val::Float))
}

fn abs(_: &mut Cx, subject: &Val, _: Args) -> Res {
    match subject {
        Val::Float(n) => Ok(Val::Float(n.abs())),
        other => Ok(Val::Int(other.want_int("abs")?.abs())),
    }
}

fn number(value: &Val) -> Res<f64> {
    value
        .as_float()
        .ok_or_else(|| Error::wrong_type(format!("needs a number, not a {}", value.type_name())))
}

fn round(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [precision, method] = args.bind(["precision", "method"])?;
    let precision = precision.map_or(Ok(0), |p| p.want_int("precision"))?;
    let n = number(subject)?;
    let factor = 10f64.powi(i32::try_from(precision).unwrap_or(0));
    let method = method.map_or_else(|| "common".to_string(), |m| native::text(&m));
    let rounded = match method.as_str() {
        "common" => match usize::try_from(precision) {
            // Decimal digits round half to even on the exact value, as Python's round() does.
            Ok(0) => n.round_ties_even(),
            // No float has more decimal digits than this.
            Ok(precision) => format!("{n:.*}", precision.min(1074)).parse().unwrap_or(n),
            Err(_) => (n * factor).round_ties_even() / factor,
        },
        "ceil" => (n * factor).ceil() / factor,
        "floor" => (n * factor).floor() / factor,
        other => {
            return Err(Error::wrong_type(format!(
                "method is `common`, `ceil` or `floor`, not `{other}`"
            )));
        }
    };
    Ok(match subject {
        Val::Int(n) if method == "common" && precision >= 0 => Val::Int(*n),
        _ => Val::Float(rounded),
    })
}

fn pow(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [power] = args.bind(["power"])?;
    let power = number(&power.unwrap_or(Val::None))?;
    ops::math(
        cx,
        MathOp::Pow,
        &Val::Float(number(subject)?),
        &Val::Float(power),
    )
}

fn root(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [base] = args.bind(["base"])?;
    let base = base.map_or(Ok(2.0), |b| number(&b))?;
    let n = number(subject)?;
    Ok(Val::Float(if (base - 2.0).abs() < f64::EPSILON {
        n.sqrt()
    } else {
        n.powf(1.0 / base)
    }))
}

fn log(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [base] = args.bind(["base"])?;
    let n = number(subject)?;
    Ok(Val::Float(match base {
        None => n.ln(),
        Some(base) => {
            let base = number(&base)?;
            if (base - 10.0).abs() < f64::EPSILON {
                n.log10()
            } else {
                n.ln() / base.ln()
            }
        }
    }))
}

const UNITS: [(char, u64); 8] = [
    ('Y', 0),
    ('Z', 0),
    ('E', 1 << 60),
    ('P', 1 << 50),
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

/// How many bytes the unit stands for.
#[expect(clippy::cast_precision_loss, reason = "powers of two are exact")]
fn factor(unit: (char, u64)) -> f64 {
    match unit.0 {
        'Y' => 2f64.powi(80),
        'Z' => 2f64.powi(70),
        _ => unit.1 as f64,
    }
}

fn human_readable(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [is_bits, unit] = args.bind(["isbits", "unit"])?;
    let is_bits = flag(is_bits.as_ref(), false);
    let n = match subject {
        Val::Str(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::wrong_type(format!("`{text}` is not a number")))?,
        other => number(other)?,
    };
    let unit = match &unit {
        Some(Val::Str(unit)) => unit.chars().next().map(|c| c.to_ascii_uppercase()),
        _ => None,
    };
    let (base, word) = if is_bits {
        ("bits", "b")
    } else {
        ("Bytes", "B")
    };
    let chosen = UNITS.iter().find(|known| match unit {
        Some(unit) => known.0 == unit,
        None => n >= factor(**known),
    });
    Ok(Val::str(match chosen {
        Some(known) => format!("{:.2} {}{word}", n / factor(*known), known.0),
        None => format!("{n:.2} {base}"),
    }))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a size in bytes is rounded to a whole number"
)]
fn human_to_bytes(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [default_unit, is_bits] = args.bind(["default_unit", "isbits"])?;
    let is_bits = flag(is_bits.as_ref(), false);
    let text = native::text(subject);
    let text = text.trim();
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let bad = || Error::wrong_type(format!("cannot read `{text}` as a size"));
    let n: f64 = digits.parse().map_err(|_| bad())?;
    let unit = match (unit.trim(), &default_unit) {
        ("", Some(Val::Str(unit))) => unit.to_string(),
        (unit, _) => unit.to_string(),
    };
    let letter = unit.chars().next().map(|c| c.to_ascii_uppercase());
    let factor = match letter {
        None | Some('B') => 1.0,
        Some(letter) => {
            let rest = &unit[1..];
            let fits = match rest {
                "" => true,
                "b" | "bit" | "its" => is_bits,
                "B" | "byte" | "bytes" => !is_bits,
                _ => false,
            };
            let known = UNITS.iter().find(|known| known.0 == letter && fits);
            factor(*known.ok_or_else(bad)?)
        }
    };
    Ok(Val::Int((n * factor).round() as i128))
}

fn filesizeformat(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [binary] = args.bind(["binary"])?;
    let binary = flag(binary.as_ref(), false);
    let bytes = match subject {
        Val::Str(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::wrong_type(format!("`{text}` is not a number")))?,
        other => number(other)?,
    };
    let (base, names) = if binary {
        (
            1024.0,
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        )
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes < base {
        return Ok(Val::str(if (bytes - 1.0).abs() < f64::EPSILON {
            "1 Byte".into()
        } else {
            format!("{bytes:.0} Bytes")
        }));
    }
    let mut unit = base;
    let mut name = names[0];
    for next in names {
        name = next;
        if bytes < unit * base {
            break;
        }
        unit *= base;
    }
    Ok(Val::str(format!("{:.1} {name}", bytes / unit)))
}
