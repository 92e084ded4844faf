//! Python's `%` formatting: `'%-5s|%03d|%.2f' % (a, b, c)` and `'%(name)s' % mapping`.

use super::error::Error;
use super::native;
use super::values::{Key, Res, Val};

/// How wide anything is set, in characters: Rust's own formatting takes little more.
pub(crate) const MAX_WIDTH: usize = 65_000;

pub(crate) fn percent(format: &str, values: &Val) -> Res<String> {
    let mut given = match values {
        Val::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    }
    .into_iter();
    let mut used_mapping = matches!(values, Val::Dict(_));
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        let mut named = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            let name: String = chars.by_ref().take_while(|c| *c != ')').collect();
            named = Some(name);
        }
        while let Some(flag) = chars.next_if(|c| "-+ 0#".contains(*c)) {
            spec.flag(flag);
        }
        let mut next = || {
            given
                .next()
                .ok_or_else(|| Error::wrong_type("not enough values for the `%` format"))
        };
        if chars.next_if_eq(&'*').is_some() {
            spec.width = usize::try_from(next()?.want_int("`*`")?).unwrap_or(0);
        } else {
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                spec.width = with_digit(spec.width, digit);
            }
        }
        if chars.next_if_eq(&'.').is_some() {
            let mut precision = 0usize;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                precision = with_digit(precision, digit);
            }
            spec.precision = Some(precision);
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else {
            return Err(Error::wrong_type("the `%` format ends too early"));
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        if spec.width > MAX_WIDTH || spec.precision.is_some_and(|p| p > MAX_WIDTH) {
            return Err(Error::wrong_type("the `%` format is too wide"));
        }
        let value = match (named, values) {
            (None, _) => {
                used_mapping = true;
                next()?
            }
            (Some(name), Val::Dict(items)) => {
                let found = items.borrow().get(&Key(&name)).cloned();
                found.ok_or_else(|| Error::wrong_type(format!("no value for `%({name})`")))?
            }
            (Some(_), _) => return Err(Error::wrong_type("`%(name)` needs a mapping")),
        };
        out.push_str(&spec.apply(kind, &value)?);
    }
    if given.next().is_some() && !used_mapping {
        return Err(Error::wrong_type(
            "not all values were used by the `%` format",
        ));
    }
    Ok(out)
}

fn with_digit(number: usize, digit: char) -> usize {
    let digit = digit.to_digit(10).unwrap_or(0) as usize;
    number.saturating_mul(10).saturating_add(digit)
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn flag(&mut self, flag: char) {
        match flag {
            '-' => self.left = true,
            '+' => self.plus = true,
            ' ' => self.space = true,
            '0' => self.zero = true,
            _ => self.alternate = true,
        }
    }

    fn apply(&self, kind: char, value: &Val) -> Res<String> {
        let (sign, digits) = match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' {
                    native::text(value)
                } else {
                    native::repr(value)
                };
                let text = match self.precision {
                    Some(n) => text.chars().take(n).collect(),
                    None => text,
                };
                return Ok(self.pad(String::new(), &text, false));
            }
            'c' => {
                let text = match value {
                    Val::Str(text) => text.to_string(),
                    other => u32::try_from(other.want_int("`%c`")?)
                        .ok()
                        .and_then(char::from_u32)
                        .unwrap_or('?')
                        .to_string(),
                };
                return Ok(self.pad(String::new(), &text, false));
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => self.integer(kind, value)?,
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let n = value.as_float().ok_or_else(|| {
                    Error::wrong_type(format!(
                        "`%{kind}` needs a number, not a {}",
                        value.type_name()
                    ))
                })?;
                let digits = float_digits(kind, n.abs(), self.precision.unwrap_or(6));
                (n < 0.0, digits)
            }
            other => {
                return Err(Error::wrong_type(format!(
                    "`%{other}` is not a format of Python's"
                )));
            }
        };
        let sign = match (sign, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        Ok(self.pad(sign.to_string(), &digits, self.zero))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "`%d` cuts a float, as in Python"
    )]
    fn integer(&self, kind: char, value: &Val) -> Res<(bool, String)> {
        let n = match value {
            Val::Float(n) => *n as i128,
            other => other.want_int(&format!("`%{kind}`"))?,
        };
        let size = n.unsigned_abs();
        let (prefix, digits) = match kind {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0o", format!("{size:o}")),
            _ => ("", size.to_string()),
        };
        let digits = match self.precision {
            Some(n) => format!("{digits:0>n$}"),
            None => digits,
        };
        let prefix = if self.alternate { prefix } else { "" };
        Ok((n < 0, format!("{prefix}{digits}")))
    }

    fn pad(&self, sign: String, body: &str, zeros: bool) -> String {
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + body.chars().count());
        if self.left {
            sign + body + &" ".repeat(missing)
        } else if zeros {
            sign + &"0".repeat(missing) + body
        } else {
            " ".repeat(missing) + &sign + body
        }
    }
}

/// Digits of a number that is not negative, as C's printf writes them.
pub(crate) fn float_digits(kind: char, n: f64, precision: usize) -> String {
    match kind {
        'f' | 'F' => format!("{n:.precision$}"),
        'e' | 'E' => {
            let text = format!("{n:.precision$e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}{kind}{sign}{:02}", exponent.abs())
        }
        _ => {
            let precision = precision.max(1);
            let text = format!("{n:.*e}", precision - 1);
            let exponent: i32 = text
                .split_once('e')
                .and_then(|(_, e)| e.parse().ok())
                .unwrap_or(0);
            let short = i32::try_from(precision).unwrap_or(i32::MAX);
            let trim = |text: String| {
                if text.contains('.') {
                    text.trim_end_matches('0').trim_end_matches('.').to_string()
                } else {
                    text
                }
            };
            if (-4..short).contains(&exponent) {
                trim(format!(
                    "{n:.*}",
                    usize::try_from(short - 1 - exponent).unwrap_or(0)
                ))
            } else {
                let kind = if kind == 'g' { 'e' } else { 'E' };
                let text = float_digits(kind, n, precision - 1);
                match text.split_once(kind) {
                    Some((digits, exponent)) => {
                        format!("{}{kind}{exponent}", trim(digits.to_string()))
                    }
                    None => text,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_beyond_all_bounds_is_an_error() {
        for format in [
            "%99999999999999999999d",
            "%.70000f",
            "%.99999999999999999999g",
            "%70000s",
        ] {
            let error = percent(format, &Val::Int(1)).unwrap_err();
            assert_eq!(error.to_string(), "the `%` format is too wide", "{format}");
        }
    }
}
