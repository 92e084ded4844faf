//! The functions that every template has: `range`, `dict`, `lookup`, `now`, `namespace` and their like.

use super::args::{Args, flag};
use super::error::{Error, ErrorKind};
use super::eval::Cx;
use super::lookups;
use super::methods;
use super::object::Object;
use super::values::{Res, Val};
use indexmap::IndexMap;
use jiff::civil::DateTime;
use std::cell::{Cell, RefCell};

pub(crate) const NAMES: &[&str] = &[
    "range",
    "dict",
    "lookup",
    "query",
    "q",
    "now",
    "undef",
    "namespace",
    "cycler",
    "joiner",
];

/// Longer ranges than this are a slip.
const MAX_RANGE: i128 = 1_000_000;

pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(crate) fn call(cx: &mut Cx, name: &str, args: Args) -> Res {
    if let Some(Val::Undefined(error)) = args.iter().find(|arg| arg.is_undefined()) {
        return Err((**error).clone());
    }
    let result = match name {
        "lookup" => return lookups::lookup(cx, args, false),
        "query" | "q" => return lookups::lookup(cx, args, true),
        "range" => range(args),
        "dict" => dict(cx, args),
        "namespace" => {
            let mut all = IndexMap::new();
            for source in &args.pos {
                for (key, value) in methods::as_pairs(cx, source)? {
                    all.insert(super::native::text(&key).into(), value);
                }
            }
            all.extend(args.named);
            Ok(Val::object(Object::Namespace(RefCell::new(all))))
        }
        "cycler" => Ok(Val::object(Object::Cycler(args.pos, Cell::new(0)))),
        "joiner" => {
            let [separator] = args.bind(["sep"])?;
            let separator = separator.map_or_else(|| ", ".into(), |s| super::native::text(&s));
            Ok(Val::object(Object::Joiner(
                separator.into(),
                Cell::new(false),
            )))
        }
        "now" => now(args),
        "undef" => {
            let [hint] = args.bind(["hint"])?;
            let hint = match hint {
                Some(Val::Str(hint)) => hint.to_string(),
                _ => "mandatory variable has not been overridden".into(),
            };
            Ok(Val::undefined("undef()", hint))
        }
        _ => Err(Error::wrong_type("is not a function")),
    };
    result.map_err(|error| match error.kind {
        ErrorKind::Type => Error::filter(&format!("{name}()"), &error.message),
        _ => error,
    })
}

fn range(args: Args) -> Res {
    let [a, b, c] = args.bind(["start", "stop", "step"])?;
    let int = |v: Option<Val>| v.map(|v| v.want_int("range")).transpose();
    let (start, end) = match (int(a)?, int(b)?) {
        (Some(end), None) => (0, end),
        (Some(start), Some(end)) => (start, end),
        _ => return Err(Error::wrong_type("needs a number")),
    };
    let step = int(c)?.unwrap_or(1);
    if step == 0 {
        return Err(Error::wrong_type("the step cannot be 0"));
    }
    if (end - start) / step > MAX_RANGE {
        return Err(Error::wrong_type(format!("more than {MAX_RANGE} numbers")));
    }
    Ok(Val::object(Object::Range { start, end, step }))
}

fn dict(cx: &mut Cx, args: Args) -> Res {
    let mut all = IndexMap::new();
    for source in &args.pos {
        all.extend(methods::as_pairs(cx, source)?);
    }
    for (key, value) in args.named {
        all.insert(Val::str(key), value);
    }
    Ok(Val::dict(all))
}

fn now(args: Args) -> Res {
    let [utc, format] = args.bind(["utc", "fmt"])?;
    let zoned = jiff::Zoned::now();
    let time = if flag(utc.as_ref(), false) {
        zoned.timestamp().to_zoned(jiff::tz::TimeZone::UTC)
    } else {
        zoned
    };
    match format {
        Some(Val::Str(format)) => jiff::fmt::strtime::format(&*format, &time)
            .map(Val::str)
            .map_err(|e| Error::wrong_type(e.to_string())),
        _ => Ok(Val::object(Object::Time(time.datetime()))),
    }
}

pub(crate) const TIME_METHODS: &[&str] = &[
    "strftime",
    "timestamp",
    "isoformat",
    "date",
    "weekday",
    "isoweekday",
    "replace",
];

pub(crate) fn time_attr(time: &DateTime, name: &str) -> Option<Val> {
    let n = match name {
        "year" => i128::from(time.year()),
        "month" => i128::from(time.month()),
        "day" => i128::from(time.day()),
        "hour" => i128::from(time.hour()),
        "minute" => i128::from(time.minute()),
        "second" => i128::from(time.second()),
        "microsecond" => i128::from(time.subsec_nanosecond() / 1000),
        _ => return None,
    };
    Some(Val::Int(n))
}

pub(crate) fn delta_attr(micros: i128, name: &str) -> Option<Val> {
    const DAY: i128 = 86_400_000_000;
    Some(Val::Int(match name {
        "days" => micros.div_euclid(DAY),
        "seconds" => micros.rem_euclid(DAY) / 1_000_000,
        "microseconds" => micros.rem_euclid(1_000_000),
        _ => return None,
    }))
}

#[expect(clippy::cast_precision_loss, reason = "Python's result is a float")]
pub(crate) fn total_seconds(micros: i128) -> Val {
    Val::Float(micros as f64 / 1e6)
}

pub(crate) fn time_method(time: &DateTime, name: &str, args: Args) -> Res {
    match name {
        "strftime" => {
            let [format] = args.bind(["format"])?;
            let format = format.unwrap_or(Val::None);
            jiff::fmt::strtime::format(format.want_str("format")?, *time)
                .map(Val::str)
                .map_err(|e| Error::wrong_type(e.to_string()))
        }
        "timestamp" => {
            let zoned = time
                .to_zoned(jiff::tz::TimeZone::system())
                .map_err(|e| Error::wrong_type(e.to_string()))?;
            Ok(total_seconds(zoned.timestamp().as_nanosecond() / 1000))
        }
        "isoformat" => Ok(Val::str(Object::Time(*time).text().replacen(' ', "T", 1))),
        "date" => Ok(Val::str(time.date().to_string())),
        "weekday" => Ok(Val::Int(time.weekday().to_monday_zero_offset().into())),
        "isoweekday" => Ok(Val::Int(time.weekday().to_monday_one_offset().into())),
        "replace" => {
            let mut changed = time.with();
            for (part, value) in args.named {
                let n = value.want_int(&part)?;
                let small = i8::try_from(n).unwrap_or(-1);
                changed = match &*part {
                    "year" => changed.year(i16::try_from(n).unwrap_or(-1)),
                    "month" => changed.month(small),
                    "day" => changed.day(small),
                    "hour" => changed.hour(small),
                    "minute" => changed.minute(small),
                    "second" => changed.second(small),
                    "microsecond" => changed
                        .subsec_nanosecond(i32::try_from(n.saturating_mul(1000)).unwrap_or(-1)),
                    _ => return Err(Error::wrong_type(format!("no part `{part}` of a time"))),
                };
            }
            changed
                .build()
                .map(|time| Val::object(Object::Time(time)))
                .map_err(|e| Error::wrong_type(e.to_string()))
        }
        _ => Err(Error::wrong_type(format!("a time has no `{name}`"))),
    }
}
