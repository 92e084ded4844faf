//! Turns the text of a plain scalar into what YAML 1.1 means by it, as `PyYAML` does.

use super::Kind;

/// Resolves a plain (unquoted) scalar. Dates stay strings, and so do integers beyond 64 bits.
pub(super) fn resolve(text: &str) -> Kind {
    if is_null(text) {
        return Kind::Null;
    }
    if let Some(b) = bool_of(text) {
        return Kind::Bool(b);
    }
    // Only these can begin a number; most scalars are told apart here.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Kind::Str(text.into());
    }
    float_of(text)
        .map(Kind::Float)
        .or_else(|| int_of(text).map(Kind::Int))
        .unwrap_or_else(|| Kind::Str(text.into()))
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The spellings `PyYAML` takes: `y` and `n` are strings.
pub(super) fn bool_of(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// `0644` octal, `0x1f`, `0b101`, `1_000`, `1:30` (base 60), each with a sign.
pub(super) fn int_of(text: &str) -> Option<i64> {
    let (negative, digits) = signed(text);
    let n = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)?
    } else if digits == "0" {
        0
    } else if let Some(octal) = digits.strip_prefix('0') {
        radix(octal, 8)?
    } else if digits.contains(':') {
        sexagesimal_int(digits)?
    } else {
        radix(digits, 10)?
    };
    let n = if negative { -n } else { n };
    i64::try_from(n).ok()
}

/// A dot is a must, and an exponent needs its sign: `1e3` and `1.0e3` are strings.
pub(super) fn float_of(text: &str) -> Option<f64> {
    let (negative, unsigned) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = unsigned.split_once('.')?;
    if let Some((first, sixties)) = whole.split_once(':') {
        return sexagesimal_float(first, sixties, rest).map(|n| sign * n);
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, "+0"),
    };
    let exponent_ok = exponent.starts_with(['+', '-']) && all_digits(&exponent[1..]);
    let fraction_ok = fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let whole_ok = if whole.is_empty() {
        // `PyYAML` takes no sign before a leading dot.
        unsigned == text && fraction.starts_with(|c: char| c.is_ascii_digit())
    } else {
        is_number_with_underscores(whole)
    };
    if !(exponent_ok && fraction_ok && whole_ok) {
        return None;
    }
    let plain: String = unsigned.chars().filter(|c| *c != '_').collect();
    plain.parse::<f64>().ok().map(|n| sign * n)
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_number_with_underscores(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

fn radix(text: &str, base: u32) -> Option<i128> {
    if text.starts_with('_') && base == 10 {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    // `from_str_radix` would take a second sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    i128::from_str_radix(&digits, base).ok()
}

fn sexagesimal_int(text: &str) -> Option<i128> {
    let mut parts = text.split(':');
    let mut n = parts.next().and_then(|first| radix(first, 10))?;
    for part in parts {
        n = n.checked_mul(60)?.checked_add(sixtieth(part)?)?;
    }
    Some(n)
}

/// `[0-5]?[0-9]`
fn sixtieth(part: &str) -> Option<i128> {
    let ok = all_digits(part) && (part.len() == 1 || (part.len() == 2 && part < "60"));
    if ok { part.parse().ok() } else { None }
}

fn sexagesimal_float(first: &str, sixties: &str, fraction: &str) -> Option<f64> {
    if !is_number_with_underscores(first) {
        return None;
    }
    let mut n = first.replace('_', "").parse::<f64>().ok()?;
    for part in sixties.split(':') {
        sixtieth(part)?;
        n = n * 60.0 + part.parse::<f64>().ok()?;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return None;
    }
    let digits = fraction.replace('_', "");
    let rest = format!("0.{digits}0").parse::<f64>().ok()?;
    Some(n + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(n: i64) -> Kind {
        Kind::Int(n)
    }

    fn text(text: &str) -> Kind {
        Kind::Str(text.into())
    }

    #[test]
    fn integers_are_those_of_yaml_1_1() {
        for (written, read) in [
            ("0644", int(420)),
            ("0", int(0)),
            ("-0", int(0)),
            ("+12", int(12)),
            ("0x1F", int(31)),
            ("-0b101", int(-5)),
            ("1_000", int(1000)),
            ("0_7", int(7)),
            ("1:30", int(90)),
            ("190:20:30", int(685_230)),
            ("1:60", text("1:60")),
            ("08", text("08")),
            ("0o14", text("0o14")),
            ("_1", text("_1")),
            ("--1", text("--1")),
            ("0x", text("0x")),
            ("-", text("-")),
            ("99999999999999999999", text("99999999999999999999")),
            ("127.0.0.1", text("127.0.0.1")),
        ] {
            assert_eq!(resolve(written), read, "{written}");
        }
    }

    #[test]
    fn floats_need_a_dot_and_a_signed_exponent() {
        for (written, read) in [
            ("1.10", Kind::Float(1.1)),
            ("1.", Kind::Float(1.0)),
            (".5", Kind::Float(0.5)),
            ("-1.5e+3", Kind::Float(-1500.0)),
            ("1_0.5", Kind::Float(10.5)),
            ("1:30.5", Kind::Float(90.5)),
            ("-.inf", Kind::Float(f64::NEG_INFINITY)),
            ("1e3", text("1e3")),
            ("1.0e3", text("1.0e3")),
            ("-.5", text("-.5")),
            (".", text(".")),
            ("._", text("._")),
            ("1.2.3", text("1.2.3")),
            ("-.nan", text("-.nan")),
        ] {
            assert_eq!(resolve(written), read, "{written}");
        }
        assert!(matches!(resolve(".nan"), Kind::Float(n) if n.is_nan()));
    }

    #[test]
    fn booleans_and_null_have_the_spellings_of_pyyaml() {
        assert_eq!(resolve("Yes"), Kind::Bool(true));
        assert_eq!(resolve("OFF"), Kind::Bool(false));
        assert_eq!(resolve("y"), text("y"));
        assert_eq!(resolve("yEs"), text("yEs"));
        assert_eq!(resolve("~"), Kind::Null);
        assert_eq!(resolve("2020-01-01"), text("2020-01-01"));
    }
}
