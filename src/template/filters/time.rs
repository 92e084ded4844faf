//! Filters on times: `strftime`, `to_datetime`.

use super::Filter;
use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::object::Object;
use crate::template::values::{Res, Val};
use jiff::{Timestamp, tz::TimeZone};

pub(super) const TABLE: &[(&str, Filter)] = &[("strftime", strftime), ("to_datetime", to_datetime)];

/// `'%Y-%m-%d' | strftime(seconds, utc)`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "nanoseconds of any date fit; a fraction below is of no use"
)]
fn strftime(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [second, utc] = args.bind(["second", "utc"])?;
    let stamp = match second {
        None | Some(Val::None) => Timestamp::now(),
        Some(second) => {
            let seconds = match &second {
                Val::Str(text) => text.trim().parse().ok(),
                other => other.as_float(),
            };
            let nanos = seconds.map(|s: f64| (s * 1e9) as i128);
            nanos
                .and_then(|nanos| Timestamp::from_nanosecond(nanos).ok())
                .ok_or_else(|| {
                    Error::wrong_type(format!(
                        "`{}` is not a time in seconds",
                        native::text(&second)
                    ))
                })?
        }
    };
    let zone = if flag(utc.as_ref(), false) {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    jiff::fmt::strtime::format(&*native::text(subject), &stamp.to_zoned(zone))
        .map(Val::str)
        .map_err(|error| Error::wrong_type(error.to_string()))
}

fn to_datetime(_: &mut Cx, subject: &Val, args: Args) -> Res {
    if matches!(subject, Val::Object(object) if matches!(**object, Object::Time(_))) {
        return Ok(subject.clone());
    }
    let [format] = args.bind(["format"])?;
    let format = format.map_or_else(|| "%Y-%m-%d %H:%M:%S".to_string(), |f| native::text(&f));
    let text = native::text(subject);
    let broken = jiff::fmt::strtime::parse(&format, &text)
        .map_err(|error| Error::wrong_type(format!("`{text}` is not `{format}`: {error}")))?;
    // A format without a time of day means midnight, and one without a date 1900-01-01, as in Python.
    let date = broken.to_date().unwrap_or(jiff::civil::date(1900, 1, 1));
    let time = broken.to_time().unwrap_or_default();
    Ok(Val::object(Object::Time(date.to_datetime(time))))
}
