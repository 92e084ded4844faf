//! The methods of texts.

use crate::template::args::Args;
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "decode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

pub(super) fn call(cx: &mut Cx, text: &str, name: &str, args: Args) -> Res {
    if name == "format" {
        return super::format::format(cx, text, &args).map(Val::str);
    }
    if let Some(answer) = question(text, name) {
        return Ok(Val::Bool(answer));
    }
    match name {
        "lower" | "casefold" => Ok(Val::str(text.to_lowercase())),
        "upper" => Ok(Val::str(text.to_uppercase())),
        "capitalize" => Ok(Val::str(capitalize(text))),
        "title" => Ok(Val::str(title(text))),
        "swapcase" => Ok(Val::str(swapcase(text))),
        "encode" | "decode" => Ok(Val::str(text)),
        "expandtabs" => Ok(Val::str(text.replace('\t', "        "))),
        "splitlines" => {
            let [keep] = args.bind(["keepends"])?;
            let keep = keep.is_some_and(|k| k.is_true());
            Ok(Val::strs(split_lines(text, keep)))
        }
        "join" => {
            let [items] = args.bind(["iterable"])?;
            let items = cx.items(&items.unwrap_or(Val::None))?;
            let mut parts = Vec::new();
            for item in &items {
                parts.push(item.want_str("every item")?.to_string());
            }
            Ok(Val::str(parts.join(text)))
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = args.bind(["chars"])?;
            let chars = match &chars {
                None | Some(Val::None) => None,
                Some(chars) => Some(chars.want_str("chars")?.to_string()),
            };
            let strip = |c: char| match &chars {
                None => c.is_whitespace(),
                Some(chars) => chars.contains(c),
            };
            Ok(Val::str(match name {
                "lstrip" => text.trim_start_matches(strip),
                "rstrip" => text.trim_end_matches(strip),
                _ => text.trim_matches(strip),
            }))
        }
        "split" | "rsplit" => {
            let [separator, limit] = args.bind(["sep", "maxsplit"])?;
            let limit = limit.map_or(Ok(-1), |n| n.want_int("maxsplit"))?;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let separator = match &separator {
                None | Some(Val::None) => None,
                Some(separator) => Some(separator.want_str("sep")?),
            };
            split(text, separator, limit, name == "rsplit").map(Val::strs)
        }
        "replace" => {
            let [old, new, count] = args.bind(["old", "new", "count"])?;
            let (old, new) = (needed(old)?, needed(new)?);
            let (old, new) = (old.want_str("old")?, new.want_str("new")?);
            let count = count.map_or(Ok(-1), |n| n.want_int("count"))?;
            Ok(Val::str(match usize::try_from(count) {
                Ok(count) => text.replacen(old, new, count),
                Err(_) => text.replace(old, new),
            }))
        }
        "startswith" | "endswith" => has_edge(text, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, name, args),
        "removeprefix" | "removesuffix" => {
            let [part] = args.bind(["part"])?;
            let part = needed(part)?;
            let part = part.want_str("the argument")?;
            let cut = if name == "removeprefix" {
                text.strip_prefix(part)
            } else {
                text.strip_suffix(part)
            };
            Ok(Val::str(cut.unwrap_or(text)))
        }
        "partition" | "rpartition" => {
            let [separator] = args.bind(["sep"])?;
            let separator = needed(separator)?;
            let separator = separator.want_str("sep")?;
            let parts = if name == "partition" {
                text.split_once(separator)
                    .map_or([text, "", ""], |(a, b)| [a, separator, b])
            } else {
                text.rsplit_once(separator)
                    .map_or(["", "", text], |(a, b)| [a, separator, b])
            };
            Ok(Val::tuple(parts.iter().map(Val::str).collect()))
        }
        "ljust" | "rjust" | "center" | "zfill" => {
            let [width, fill] = args.bind(["width", "fillchar"])?;
            let width = needed(width)?.want_int("width")?;
            let fill = fill.map_or_else(|| " ".to_string(), |f| native::text(&f));
            Ok(Val::str(pad(text, name, width, &fill)))
        }
        _ => Err(Error::wrong_type(format!("a str has no method `{name}`"))),
    }
}

fn question(text: &str, name: &str) -> Option<bool> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    Some(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" | "isnumeric" => all(char::is_numeric),
        "isidentifier" => {
            all(|c| c.is_alphanumeric() || c == '_')
                && !text.starts_with(|c: char| c.is_ascii_digit())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        "isspace" => all(char::is_whitespace),
        "istitle" => !text.is_empty() && title(text) == text,
        _ => return None,
    })
}

fn skip(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .map_or("", |(at, _)| &text[at..])
}

/// `startswith` and `endswith`, with one text or several.
fn has_edge(text: &str, name: &str, args: Args) -> Res {
    let [wanted, start] = args.bind(["prefix", "start"])?;
    let wanted = needed(wanted)?;
    let from = start.map_or(Ok(0), |n| n.want_int("start"))?;
    let part = skip(text, usize::try_from(from).unwrap_or(0));
    let candidates = wanted.as_items().unwrap_or_else(|| vec![wanted.clone()]);
    for candidate in candidates {
        let candidate = candidate.want_str("the argument")?;
        let hit = if name == "startswith" {
            part.starts_with(candidate)
        } else {
            part.ends_with(candidate)
        };
        if hit {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn search(text: &str, name: &str, args: Args) -> Res {
    let [part, start] = args.bind(["sub", "start"])?;
    let part = needed(part)?;
    let part = part.want_str("sub")?;
    let start = start.map_or(Ok(0), |n| n.want_int("start"))?;
    let start = usize::try_from(start).unwrap_or(0);
    let rest = skip(text, start);
    if name == "count" {
        return Ok(Val::size(if part.is_empty() {
            rest.chars().count() + 1
        } else {
            rest.matches(part).count()
        }));
    }
    let found = if name.starts_with('r') {
        rest.rfind(part)
    } else {
        rest.find(part)
    };
    match found {
        Some(at) => Ok(Val::size(start + rest[..at].chars().count())),
        None if name.ends_with("find") => Ok(Val::Int(-1)),
        None => Err(Error::wrong_type(format!("`{part}` is not in the text"))),
    }
}

/// Python's `split`: on blanks where there is no separator.
pub(crate) fn split(
    text: &str,
    separator: Option<&str>,
    limit: usize,
    from_right: bool,
) -> Res<Vec<String>> {
    let parts: Vec<&str> = match separator {
        Some("") => return Err(Error::wrong_type("the separator is empty")),
        Some(separator) if from_right => {
            let mut parts: Vec<&str> = text.rsplitn(limit.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        Some(separator) => text.splitn(limit.saturating_add(1), separator).collect(),
        None if limit == usize::MAX => text.split_whitespace().collect(),
        None => {
            let mut parts = Vec::new();
            let mut rest = text.trim();
            while !rest.is_empty() {
                let cut = if parts.len() >= limit {
                    None
                } else if from_right {
                    rest.rsplit_once(char::is_whitespace)
                        .map(|(rest, part)| (part, rest.trim_end()))
                } else {
                    rest.split_once(char::is_whitespace)
                        .map(|(part, rest)| (part, rest.trim_start()))
                };
                let (part, left) = cut.unwrap_or((rest, ""));
                parts.push(part);
                rest = left;
            }
            if from_right {
                parts.reverse();
            }
            parts
        }
    };
    Ok(parts.into_iter().map(ToString::to_string).collect())
}

pub(crate) fn split_lines(text: &str, keep: bool) -> Vec<String> {
    text.split_inclusive('\n')
        .map(|line| {
            if keep {
                line.to_string()
            } else {
                let line = line.strip_suffix('\n').unwrap_or(line);
                line.strip_suffix('\r').unwrap_or(line).to_string()
            }
        })
        .collect()
}

pub(crate) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

/// Python's `str.title`: a letter after anything that is not a letter is made large.
pub(crate) fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn swapcase(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
    }
    out
}

fn pad(text: &str, name: &str, width: i128, fill: &str) -> String {
    let width = usize::try_from(width).unwrap_or(0).min(1_000_000);
    let missing = width.saturating_sub(text.chars().count());
    match name {
        "ljust" => text.to_string() + &fill.repeat(missing),
        "rjust" => fill.repeat(missing) + text,
        "zfill" => {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text),
            };
            sign.to_string() + &"0".repeat(missing) + digits
        }
        _ => {
            // Where the blanks are odd, Python puts the greater half left only for an odd width.
            let left = missing / 2 + (missing & width & 1);
            fill.repeat(left) + text + &fill.repeat(missing - left)
        }
    }
}

fn needed(arg: Option<Val>) -> Res {
    arg.ok_or_else(|| Error::wrong_type("an argument is missing"))
}
