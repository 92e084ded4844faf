//! Turns the time arguments of `file` into moments, and moments into text.

use crate::modules::Error;
use crate::sys::fs::Time;

/// Returns the moment that an argument means; `None` for `preserve`.
///
/// A text of another form than `format` (default `%Y%m%d%H%M.%S`, local time) is an error.
pub(super) fn read(
    text: Option<&str>,
    format: Option<&str>,
    default: &str,
) -> Result<Option<Time>, Error> {
    let format = format.unwrap_or("%Y%m%d%H%M.%S");
    match text.unwrap_or(default) {
        "preserve" => Ok(None),
        "now" => Ok(Some(Time::now())),
        text => jiff::civil::DateTime::strptime(format, text)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::system()))
            .map(|time| Some(Time::from_seconds(time.timestamp().as_second())))
            .map_err(|error| {
                Error::new(format!("`{text}` is not a time of the form `{format}`")).because(error)
            }),
    }
}

/// Returns a moment as a diff shows it, in seconds since 1970.
pub(super) fn show(time: Time) -> f64 {
    time.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_by_its_format() {
        let text = Some("20200913");
        let format = Some("%Y%m%d");
        // A bare date has no hour: the default form wants one.
        assert!(read(text, None, "now").is_err());
        let full = Some("202009131226.40");
        assert!(read(full, None, "now").unwrap().is_some());
        assert!(read(text, format, "now").is_ok());
        assert_eq!(read(None, None, "preserve").unwrap(), None);
    }
}
