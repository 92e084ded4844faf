//! Filters on URLs: `urlsplit`, `urlencode`, `urldecode`.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of a table share one signature"
)]

use super::Filter;
use crate::template::args::Args;
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::methods;
use crate::template::native;
use crate::template::values::{Key, Res, Val};
use std::fmt::Write;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("urlsplit", urlsplit),
    ("urlencode", urlencode),
    ("urldecode", urldecode),
];

fn urlsplit(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [query] = args.bind(["query"])?;
    let url = native::text(subject);
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, search) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, tail))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_lowercase(), tail)
        }
        _ => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (login, host_port) = match netloc.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, netloc),
    };
    let (user, password) =
        match login.map(|l| l.split_once(':').map_or((l, None), |(u, p)| (u, Some(p)))) {
            Some((user, password)) => (Some(user), password),
            None => (None, None),
        };
    let (host, port) = match host_port.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').unwrap_or((v6, ""));
            (host, rest.strip_prefix(':'))
        }
        None => host_port
            .rsplit_once(':')
            .map_or((host_port, None), |(host, port)| (host, Some(port))),
    };
    let optional = |text: Option<&str>| text.map_or(Val::None, Val::str);
    let parts = Val::pairs([
        ("fragment", Val::str(fragment)),
        (
            "hostname",
            optional(Some(host.to_lowercase().as_str()).filter(|h| !h.is_empty())),
        ),
        ("netloc", Val::str(netloc)),
        ("password", optional(password)),
        ("path", Val::str(path)),
        (
            "port",
            port.and_then(|p| p.parse().ok())
                .map_or(Val::None, Val::Int),
        ),
        ("query", Val::str(search)),
        ("scheme", Val::str(scheme)),
        ("username", optional(user)),
    ]);
    match query {
        None | Some(Val::None) => Ok(parts),
        Some(wanted) => {
            let wanted = native::text(&wanted);
            let found = match &parts {
                Val::Dict(parts) => parts.borrow().get(&Key(&wanted)).cloned(),
                _ => None,
            };
            if wanted.is_empty() {
                return Ok(parts);
            }
            found.ok_or_else(|| Error::wrong_type(format!("a URL has no part `{wanted}`")))
        }
    }
}

/// `urllib.parse.quote`: letters, digits, `_.-~` and what `safe` names stay.
fn quoted(text: &str, safe: &str, plus: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (c.is_ascii() && safe.contains(c)) {
            out.push(c);
        } else if c == ' ' && plus {
            out.push('+');
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn urlencode(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    match subject {
        Val::Dict(_) | Val::List(_) | Val::Tuple(_) => {
            let pairs = methods::as_pairs(cx, subject)?;
            let parts: Vec<String> = pairs
                .iter()
                .map(|(k, v)| {
                    let part = |v: &Val| quoted(&native::text(v), "", true);
                    format!("{}={}", part(k), part(v))
                })
                .collect();
            Ok(Val::str(parts.join("&")))
        }
        other => Ok(Val::str(quoted(&native::text(other), "/", false))),
    }
}

fn urldecode(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = native::text(subject);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    Ok(Val::str(String::from_utf8_lossy(&out)))
}
