//! Filters that make a text of a text.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of a table share one signature"
)]

use super::Filter;
use crate::template::args::{Args, count, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::methods;
use crate::template::native;
use crate::template::printf::MAX_WIDTH;
use crate::template::values::{Res, Val};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("lower", lower),
    ("upper", upper),
    ("capitalize", capitalize),
    ("title", title),
    ("trim", trim),
    ("replace", replace),
    ("indent", indent),
    ("center", center),
    ("truncate", truncate),
    ("wordwrap", wordwrap),
    ("wordcount", wordcount),
    ("split", split),
    ("quote", quote),
    ("comment", comment),
    ("striptags", striptags),
    ("e", escape),
    ("escape", escape),
    ("forceescape", escape),
    ("join", join),
    ("splitlines", splitlines),
];

fn lower(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::str(native::text(subject).to_lowercase()))
}

fn upper(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::str(native::text(subject).to_uppercase()))
}

fn capitalize(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::str(methods::capitalize(&native::text(subject))))
}

/// Jinja's `title`: only what follows a blank, a dash or a bracket is made large.
fn title(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = native::text(subject);
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = !(c.is_whitespace() || "-([{<".contains(c));
    }
    Ok(Val::str(out))
}

fn trim(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [chars] = args.bind(["chars"])?;
    let text = native::text(subject);
    Ok(Val::str(match chars {
        Some(Val::Str(chars)) => text.trim_matches(|c| chars.contains(c)),
        _ => text.trim(),
    }))
}

fn replace(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [old, new, limit] = args.bind(["old", "new", "count"])?;
    let (Some(old), Some(new)) = (old, new) else {
        return Err(Error::wrong_type("needs an old and a new text"));
    };
    let (old, new) = (native::text(&old), native::text(&new));
    let text = native::text(subject);
    Ok(Val::str(match count(limit.as_ref(), "count")? {
        Some(limit) => text.replacen(&old, &new, limit),
        None => text.replace(&old, &new),
    }))
}

fn indent(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [width, first, blank] = args.bind(["width", "first", "blank"])?;
    let pad = match &width {
        Some(Val::Str(pad)) => pad.to_string(),
        other => " ".repeat(count(other.as_ref(), "width")?.unwrap_or(4).min(MAX_WIDTH)),
    };
    let first = flag(first.as_ref(), false);
    let blank = flag(blank.as_ref(), false);
    let mut out = String::new();
    for (at, line) in native::text(subject).split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        // The first line is indented on request even where it is blank.
        let wanted = if at == 0 {
            first
        } else {
            blank || !line.is_empty()
        };
        if wanted {
            out.push_str(&pad);
        }
        out.push_str(line);
    }
    Ok(Val::str(out))
}

fn center(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [width] = args.bind(["width"])?;
    let width = count(width.as_ref(), "width")?.unwrap_or(80).min(MAX_WIDTH);
    let text = native::text(subject);
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(Val::str(
        " ".repeat(left) + &text + &" ".repeat(missing - left),
    ))
}

fn truncate(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [length, kill_words, end, leeway] = args.bind(["length", "killwords", "end", "leeway"])?;
    let length = count(length.as_ref(), "length")?.unwrap_or(255);
    let leeway = count(leeway.as_ref(), "leeway")?.unwrap_or(5);
    let end = end.map_or_else(|| "...".to_string(), |e| native::text(&e));
    let text = native::text(subject);
    if text.chars().count() <= length + leeway {
        return Ok(Val::str(text));
    }
    let kept: String = text
        .chars()
        .take(length.saturating_sub(end.chars().count()))
        .collect();
    let kept = if flag(kill_words.as_ref(), false) {
        kept
    } else {
        kept.rsplit_once(' ')
            .map_or(kept.clone(), |(a, _)| a.into())
    };
    Ok(Val::str(kept + &end))
}

fn wordwrap(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [width, break_long, wrap] = args.bind(["width", "break_long_words", "wrapstring"])?;
    let width = count(width.as_ref(), "width")?.unwrap_or(79).max(1);
    let break_long = flag(break_long.as_ref(), true);
    let wrap = wrap.map_or_else(|| "\n".to_string(), |w| native::text(&w));
    let mut lines = Vec::new();
    for paragraph in native::text(subject).lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            let used = line.chars().count();
            if !line.is_empty() && used + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
            }
            while break_long && line.is_empty() && word.len() > width {
                let rest = word.split_off(width);
                lines.push(word.into_iter().collect());
                word = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word);
        }
        lines.push(line);
    }
    Ok(Val::str(lines.join(&wrap)))
}

fn wordcount(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = native::text(subject);
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    Ok(Val::size(words.filter(|word| !word.is_empty()).count()))
}

fn split(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [separator, limit] = args.bind(["sep", "maxsplit"])?;
    let separator = match &separator {
        None | Some(Val::None) => None,
        Some(separator) => Some(separator.want_str("sep")?),
    };
    let limit = limit.map_or(Ok(-1), |n| n.want_int("maxsplit"))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    methods::split(subject.want_str("the subject")?, separator, limit, false).map(Val::strs)
}

/// `shlex.quote`.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if text.is_empty() {
        "''".into()
    } else if text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    }
}

fn quote(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = match subject {
        Val::None => String::new(),
        other => native::text(other),
    };
    Ok(Val::str(shell_quoted(&text)))
}

fn comment(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let style = match args.take("style") {
        Some(style) => native::text(&style),
        None => args.pos.first().map_or("plain".into(), native::text),
    };
    let (begin, decoration, end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(Error::wrong_type(format!("invalid style `{other}`"))),
    };
    let mut text_of = |name: &str, default: &str| {
        args.take(name)
            .map_or_else(|| default.to_string(), |v| native::text(&v))
    };
    let newline = text_of("newline", "\n");
    let decoration = text_of("decoration", decoration);
    let begin = text_of("beginning", begin);
    let end = text_of("end", end);
    let prefix = text_of("prefix", decoration.trim_end());
    let postfix = text_of("postfix", decoration.trim_end());
    let prefix_count = count(args.take("prefix_count").as_ref(), "prefix_count")?.unwrap_or(1);
    let postfix_count = count(args.take("postfix_count").as_ref(), "postfix_count")?.unwrap_or(1);
    let text = native::text(subject);
    let mut out = String::new();
    if !begin.is_empty() {
        out += &(begin + &newline);
    }
    if !prefix.is_empty() {
        for _ in 0..prefix_count {
            out += &(prefix.clone() + &newline);
        }
    }
    // Blank lines get the decoration without its trailing blank.
    let lines: Vec<String> = text
        .split(newline.as_str())
        .map(|line| {
            if line.is_empty() {
                decoration.trim_end().to_string()
            } else {
                decoration.clone() + line
            }
        })
        .collect();
    out += &lines.join(&newline);
    if !postfix.is_empty() {
        for _ in 0..postfix_count {
            out += &(newline.clone() + &postfix);
        }
    }
    if !end.is_empty() {
        out += &(newline + &end);
    }
    Ok(Val::str(out))
}

fn striptags(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let mut out = String::new();
    let mut in_tag = false;
    for c in native::text(subject).chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            c if !in_tag => out.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = out.split_whitespace().collect();
    Ok(Val::str(words.join(" ")))
}

fn escape(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = native::text(subject);
    Ok(Val::str(
        text.replace('&', "&amp;")
            .replace('>', "&gt;")
            .replace('<', "&lt;")
            .replace('\'', "&#39;")
            .replace('"', "&#34;"),
    ))
}

fn join(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [separator, attribute] = args.bind(["d", "attribute"])?;
    let separator = separator.map_or_else(String::new, |s| native::text(&s));
    let mut parts = Vec::new();
    for item in cx.items(subject)? {
        let item = match &attribute {
            Some(Val::None) | None => item,
            Some(path) => super::select::attribute(cx, &item, path)?,
        };
        match item {
            Val::Undefined(error) => return Err((*error).clone()),
            Val::Omit => {}
            item => parts.push(native::text(&item)),
        }
    }
    Ok(Val::str(parts.join(&separator)))
}

fn splitlines(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::strs(methods::split_lines(
        &native::text(subject),
        false,
    )))
}
