//! Regular expressions in Python's dialect: its syntax is translated to fancy-regex's, its replacement text expanded.

use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::filters::Filter;
use crate::template::native;
use crate::template::values::{Res, Val};
use fancy_regex::{Captures, Regex};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("regex_replace", regex_replace),
    ("regex_search", regex_search),
    ("regex_findall", regex_findall),
    ("regex_escape", regex_escape),
];

thread_local! {
    static COMPILED: RefCell<HashMap<String, Rc<Regex>>> = RefCell::new(HashMap::new());
}

/// Compiles a pattern of Python's.
pub(crate) fn compile(pattern: &str, ignore_case: bool, multiline: bool) -> Res<Rc<Regex>> {
    let mut flags = String::new();
    for (on, flag) in [(ignore_case, 'i'), (multiline, 'm')] {
        if on {
            flags.push(flag);
        }
    }
    let mut text = translate(pattern, multiline);
    if !flags.is_empty() {
        text = format!("(?{flags}){text}");
    }
    if let Some(known) = COMPILED.with_borrow(|all| all.get(&text).cloned()) {
        return Ok(known);
    }
    let compiled = Rc::new(Regex::new(&text).map_err(|error| {
        Error::wrong_type(format!("`{pattern}` is not a regular expression: {error}"))
    })?);
    COMPILED.with_borrow_mut(|all| {
        if all.len() > 500 {
            all.clear();
        }
        all.insert(text, Rc::clone(&compiled));
    });
    Ok(compiled)
}

/// Writes a pattern of Python's in the words of fancy-regex, where the two differ.
fn translate(pattern: &str, multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let chars: Vec<char> = pattern.chars().collect();
    let mut in_class = false;
    let mut class_start = 0;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => {
                at += 1;
                match chars.get(at) {
                    Some('Z') if !in_class => out.push_str(r"\z"),
                    Some(&escaped) if !escaped.is_ascii_alphanumeric() => {
                        let special = r"\.+*?()|[]{}^$#&-~".contains(escaped);
                        if special {
                            out.push('\\');
                        }
                        out.push(escaped);
                    }
                    Some(&escaped) => {
                        out.push('\\');
                        out.push(escaped);
                    }
                    None => out.push_str(r"\\"),
                }
            }
            '[' if in_class => out.push_str(r"\["),
            '[' => {
                in_class = true;
                out.push('[');
                if chars.get(at + 1) == Some(&'^') {
                    at += 1;
                    out.push('^');
                }
                class_start = at + 1;
            }
            // A bracket that comes first in a class stands for itself.
            ']' if in_class && at == class_start => out.push_str(r"\]"),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            // Python's `$` also matches before a newline at the very end.
            '$' if !in_class && !multiline => out.push_str(r"(?:$|(?=\n\z))"),
            '{' if !in_class && !is_quantifier(&chars[at..]) => out.push_str(r"\{"),
            c => out.push(c),
        }
        at += 1;
    }
    out
}

fn is_quantifier(chars: &[char]) -> bool {
    let Some(end) = chars.iter().position(|c| *c == '}') else {
        return false;
    };
    end > 1
        && chars[1..end]
            .iter()
            .all(|c| c.is_ascii_digit() || *c == ',')
        && chars[1..end].iter().any(char::is_ascii_digit)
}

fn failed(error: &fancy_regex::Error) -> Error {
    Error::wrong_type(format!("the regular expression gave up: {error}"))
}

/// `re.search`, or `re.match` where the match must begin at the start of the text.
pub(crate) fn is_match(
    pattern: &str,
    text: &str,
    at_start: bool,
    ignore_case: bool,
    multiline: bool,
) -> Res<bool> {
    let regex = if at_start {
        compile(&format!(r"\A(?:{pattern})"), ignore_case, multiline)?
    } else {
        compile(pattern, ignore_case, multiline)?
    };
    regex.is_match(text).map_err(|e| failed(&e))
}

/// All matches from left to right, as Python's `finditer` finds them.
fn matches<'t>(regex: &Regex, text: &'t str) -> Res<Vec<Captures<'t, str>>> {
    let mut all = Vec::new();
    let mut from = 0;
    while from <= text.len() {
        let Some(found) = regex
            .captures_from_pos(text, from)
            .map_err(|e| failed(&e))?
        else {
            break;
        };
        let Some(whole) = found.get(0) else { break };
        from = if whole.start() == whole.end() {
            whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8)
        } else {
            whole.end()
        };
        all.push(found);
    }
    Ok(all)
}

fn regex_replace(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [
        pattern,
        replacement,
        ignore_case,
        multiline,
        count,
        mandatory,
    ] = args.bind([
        "pattern",
        "replacement",
        "ignorecase",
        "multiline",
        "count",
        "mandatory_count",
    ])?;
    let text = native::text(subject);
    let pattern = pattern.map_or_else(String::new, |p| native::text(&p));
    let replacement = replacement.map_or_else(String::new, |r| native::text(&r));
    let regex = compile(
        &pattern,
        flag(ignore_case.as_ref(), false),
        flag(multiline.as_ref(), false),
    )?;
    let limit = count.map_or(Ok(0), |n| n.want_int("count"))?;
    let mut found = matches(&regex, &text)?;
    if limit > 0 {
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    if let Some(wanted) = mandatory {
        let wanted = wanted.want_int("mandatory_count")?;
        if wanted > 0 && wanted != found.len() as i128 {
            return Err(Error::wrong_type(format!(
                "'{pattern}' should match {wanted} times, but matches {} times",
                found.len()
            )));
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for captures in &found {
        if let Some(whole) = captures.get(0) {
            out.push_str(&text[last..whole.start()]);
            expand(&mut out, &replacement, captures)?;
            last = whole.end();
        }
    }
    out.push_str(&text[last..]);
    Ok(Val::str(out))
}

/// Writes a replacement of Python's: `\1`, `\g<1>`, `\g<name>`, `\n`.
fn expand(out: &mut String, replacement: &str, captures: &Captures<'_, str>) -> Res<()> {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('g') if chars.peek() == Some(&'<') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push_str(group(captures, &name)?);
            }
            Some(digit) if digit.is_ascii_digit() => {
                let mut name = digit.to_string();
                if let Some(second) = chars.next_if(char::is_ascii_digit) {
                    name.push(second);
                }
                out.push_str(group(captures, &name)?);
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(())
}

fn group<'t>(captures: &Captures<'t, str>, name: &str) -> Res<&'t str> {
    let found = match name.parse::<usize>() {
        Ok(at) if at < captures.len() => captures.get(at),
        Ok(_) => return Err(Error::wrong_type(format!("there is no group {name}"))),
        Err(_) => captures.name(name),
    };
    Ok(found.map_or("", |m| m.as_str()))
}

fn flags(args: &mut Args) -> (bool, bool) {
    (
        flag(args.take("ignorecase").as_ref(), false),
        flag(args.take("multiline").as_ref(), false),
    )
}

fn regex_search(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let (ignore_case, multiline) = flags(&mut args);
    let regex_named = args.take("regex");
    let mut rest = args.pos.into_iter();
    let Some(pattern) = regex_named.or_else(|| rest.next()) else {
        return Err(Error::wrong_type("needs a regular expression"));
    };
    let regex = compile(pattern.want_str("regex")?, ignore_case, multiline)?;
    let text = native::text(subject);
    let Some(found) = regex.captures(text.as_str()).map_err(|e| failed(&e))? else {
        return Ok(Val::None);
    };
    let mut groups = Vec::new();
    for wanted in rest {
        let wanted = native::text(&wanted);
        let name = wanted
            .strip_prefix("\\g<")
            .and_then(|name| name.strip_suffix('>'))
            .or_else(|| wanted.strip_prefix('\\'))
            .ok_or_else(|| Error::wrong_type(format!("`{wanted}` names no group")))?;
        groups.push(Val::str(group(&found, name)?));
    }
    Ok(if groups.is_empty() {
        Val::str(found.get(0).map_or("", |m| m.as_str()))
    } else {
        Val::list(groups)
    })
}

fn regex_findall(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [pattern, multiline, ignore_case] = args.bind(["regex", "multiline", "ignorecase"])?;
    let pattern = pattern.unwrap_or(Val::None);
    let regex = compile(
        pattern.want_str("regex")?,
        flag(ignore_case.as_ref(), false),
        flag(multiline.as_ref(), false),
    )?;
    let text = native::text(subject);
    let found = matches(&regex, &text)?;
    let texts = found.iter().map(|captures| {
        let group = |at| Val::str(captures.get(at).map_or("", |m| m.as_str()));
        match captures.len() {
            1 => group(0),
            2 => group(1),
            n => Val::tuple((1..n).map(group).collect()),
        }
    });
    Ok(Val::list(texts.collect()))
}

fn regex_escape(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [kind] = args.bind(["re_type"])?;
    let kind = kind.map_or_else(|| "python".to_string(), |k| native::text(&k));
    let special = match kind.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        "posix_extended" => {
            return Err(Error::wrong_type(
                "`posix_extended` is not implemented, nor is it in Ansible",
            ));
        }
        other => return Err(Error::wrong_type(format!("unknown re_type `{other}`"))),
    };
    let mut out = String::new();
    for c in native::text(subject).chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Val::str(out))
}
