//! Lookups that read outside the variables: files, templates, the environment, commands, URLs.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of a table share one signature"
)]

use super::data::one_level;
use super::parse;
use super::{Lookup, Options};
use crate::template::args::flag;
use crate::template::error::{Error, ErrorKind};
use crate::template::eval::Cx;
use crate::template::filters::hash;
use crate::template::native;
use crate::template::values::{Key, Res, Val};
use crate::template::{SETTINGS, Setting};
use std::path::{Path, PathBuf};

pub(super) const TABLE: &[(&str, Lookup)] = &[
    ("file", file),
    ("unvault", file),
    ("template", template),
    ("env", env),
    ("pipe", pipe),
    ("lines", lines),
    ("url", url),
    ("fileglob", fileglob),
    ("first_found", first_found),
    ("ini", ini),
    ("csvfile", csvfile),
    ("password", password),
];

fn find(cx: &Cx, kind: &str, name: &str) -> Res<PathBuf> {
    cx.host.scope.files().find(kind, name).map_err(|searched| {
        Error::new(
            ErrorKind::NotFound,
            format!("could not find `{name}`: {searched}"),
        )
    })
}

/// Fails where an earlier task of a plan would change what lies there.
fn known(cx: &Cx, path: &Path) -> Res<()> {
    let cause = cx.host.scope.files().why_unknown(path);
    cause.map_or(Ok(()), |cause| Err(cx.run.unknown_error(&cause)))
}

fn read(cx: &Cx, path: &Path) -> Res<String> {
    known(cx, path)?;
    let bytes = cx.host.scope.files().read(path).map_err(|error| {
        Error::new(
            ErrorKind::NotFound,
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Error::wrong_type(format!("{} is not UTF-8 text", path.display())))
}

fn file(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let left = flag(options.take("lstrip").as_ref(), false);
    let right = flag(options.take("rstrip").as_ref(), true);
    let mut all = Vec::new();
    for term in terms {
        let text = read(cx, &find(cx, "files", &native::text(term))?)?;
        let text = if left { text.trim_start() } else { &text };
        all.push(Val::str(if right { text.trim_end() } else { text }));
    }
    Ok(all)
}

fn template(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let convert = options.take("convert_data").is_none_or(|c| c.is_true());
    let variables = options.take("template_vars");
    let settings: Vec<Setting> = SETTINGS
        .iter()
        .filter_map(|key| Some((*key, native::text(&options.take(key)?))))
        .collect();
    let mut all = Vec::new();
    for term in terms {
        let name = native::text(term);
        let path = find(cx, "templates", &name)?;
        let text = read(cx, &path)?;
        let template = cx.run.engine.file(&text, &settings)?;
        let mut inner = Cx::new(&cx.run, &cx.host);
        if let Some(Val::Dict(variables)) = &variables {
            for (key, value) in variables.borrow().iter() {
                inner.set(&native::text(key), value.clone());
            }
        }
        let text = inner.text(&template).map_err(|mut error| {
            if error.via.is_empty() {
                error.template.get_or_insert_with(|| name.as_str().into());
            }
            error
        })?;
        // A template that prints a list or mapping yields one, as it always did.
        let literal = convert.then(|| parse::literal(&text)).flatten();
        all.push(literal.unwrap_or_else(|| Val::str(text)));
    }
    Ok(all)
}

fn env(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let default = options.take("default").unwrap_or_else(|| Val::str(""));
    let files = cx.host.scope.files();
    let value = |term: &Val| {
        let text = native::text(term);
        let name = text.split_whitespace().next().unwrap_or("");
        files.env(name).map_or_else(|| default.clone(), Val::str)
    };
    Ok(terms.iter().map(value).collect())
}

fn pipe(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let files = cx.host.scope.files();
    terms
        .iter()
        .map(|term| {
            let output = files.pipe(&native::text(term)).map_err(Error::wrong_type)?;
            Ok(Val::str(output.trim_end()))
        })
        .collect()
}

fn lines(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let files = cx.host.scope.files();
    let mut all = Vec::new();
    for term in terms {
        let output = files.pipe(&native::text(term)).map_err(Error::wrong_type)?;
        all.extend(output.lines().map(Val::str));
    }
    Ok(all)
}

fn url(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let split = flag(options.take("split_lines").as_ref(), true);
    let files = cx.host.scope.files();
    let mut all = Vec::new();
    for term in terms {
        let body = files.url(&native::text(term)).map_err(Error::wrong_type)?;
        if split {
            all.extend(body.lines().map(Val::str));
        } else {
            all.push(Val::str(body));
        }
    }
    Ok(all)
}

fn fileglob(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let files = cx.host.scope.files();
    let mut all = Vec::new();
    for term in terms {
        let pattern = native::text(term);
        let parent = Path::new(&pattern).parent();
        if let Some(directory) = parent.filter(|it| it.is_absolute()) {
            known(cx, directory)?;
        }
        let found = files.glob(&pattern);
        all.extend(found.iter().map(|path| whole(path)));
    }
    Ok(all)
}

/// The path as another task or lookup can find it, wherever it looks from.
fn whole(path: &Path) -> Val {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Val::str(path.to_string_lossy())
}

fn first_found(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let mut skip = flag(options.take("skip").as_ref(), false);
    let mut paths: Vec<String> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    let texts = |value: &Val| -> Vec<String> {
        match value.as_items() {
            Some(items) => items.iter().map(native::text).collect(),
            None => native::text(value)
                .split([',', ':', ';'])
                .map(|part| part.trim().to_string())
                .filter(|part| !part.is_empty())
                .collect(),
        }
    };
    if let Some(given) = options.take("files") {
        wanted.extend(texts(&given));
    }
    if let Some(given) = options.take("paths") {
        paths.extend(texts(&given));
    }
    for term in one_level(terms) {
        let Val::Dict(term) = &term else {
            wanted.push(native::text(&term));
            continue;
        };
        let term = term.borrow();
        if let Some(files) = term.get(&Key("files")) {
            wanted.extend(texts(files));
        }
        if let Some(dirs) = term.get(&Key("paths")) {
            paths.extend(texts(dirs));
        }
        skip |= term.get(&Key("skip")).is_some_and(Val::is_true);
    }
    let mut candidates = Vec::new();
    for dir in &paths {
        candidates.extend(wanted.iter().map(|name| format!("{dir}/{name}")));
    }
    if paths.is_empty() {
        candidates.clone_from(&wanted);
    }
    let files = cx.host.scope.files();
    for candidate in &candidates {
        // Ansible searches templates/ or vars/ where the task is of that kind; all of them do no harm.
        for kind in ["files", "templates", "vars", "tasks", ""] {
            if let Ok(found) = files.find(kind, candidate) {
                return Ok(vec![whole(&found)]);
            }
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(Error::new(
        ErrorKind::NotFound,
        format!("no file was found among {}", candidates.join(", ")),
    ))
}

/// The key, then `file=… section=… type=…`, or these as options.
fn ini(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let names = ["file", "section", "type", "default"];
    let given = names.map(|name| options.take(name));
    let mut all = Vec::new();
    for term in terms {
        let (key, written) = words(term);
        let option = |at: usize| {
            let word = written.iter().rev().find(|(name, _)| name == names[at]);
            word.map(|(_, value)| Val::str(value))
                .or_else(|| given[at].clone())
        };
        let text =
            |at: usize, default: &str| option(at).map_or(default.into(), |v| native::text(&v));
        let path = find(cx, "files", &text(0, "ansible.ini"))?;
        let section = text(1, "global");
        let section = (text(2, "ini") != "properties").then_some(section.as_str());
        let found = parse::ini(&read(cx, &path)?, section, &key);
        let default = option(3).unwrap_or_else(|| Val::str(""));
        all.push(found.map_or(default, Val::str));
    }
    Ok(all)
}

/// A term as old playbooks write it: what is looked for, then `name=value` words.
fn words(term: &Val) -> (String, Vec<(String, String)>) {
    let text = native::text(term);
    let all = text.split_whitespace();
    let (pairs, key): (Vec<&str>, Vec<&str>) = all.partition(|word| word.contains('='));
    let pairs = pairs.iter().filter_map(|word| word.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (key.join(" "), pairs.collect())
}

fn csvfile(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let mut all = Vec::new();
    for term in terms {
        let term = native::text(term);
        let mut words = term.split_whitespace();
        let key = words.next().unwrap_or("").to_string();
        let written: Vec<(&str, &str)> = words.filter_map(|w| w.split_once('=')).collect();
        let mut option = |name: &str, default: &str| {
            let given = written.iter().find(|(k, _)| *k == name);
            match (given, options.take(name)) {
                (Some((_, value)), _) => (*value).to_string(),
                (None, Some(value)) => native::text(&value),
                (None, None) => default.to_string(),
            }
        };
        let name = option("file", "ansible.csv");
        let delimiter = match option("delimiter", "TAB").as_str() {
            "TAB" | "\\t" | "t" => '\t',
            other => other.chars().next().unwrap_or(','),
        };
        let column: usize = option("col", "1").parse().unwrap_or(1);
        let key_column: usize = option("keycol", "0").parse().unwrap_or(0);
        let default = option("default", "");
        let text = read(cx, &find(cx, "files", &name)?)?;
        let row = text
            .lines()
            .map(|line| parse::csv_line(line, delimiter))
            .find(|row| row.get(key_column) == Some(&key));
        let cell = row.and_then(|row| row.get(column).cloned());
        all.push(Val::str(cell.unwrap_or(default)));
    }
    Ok(all)
}

/// The path, then `length=… chars=… encrypt=…`; makes the file where it is not there.
fn password(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    const DEFAULT_LENGTH: usize = 20;
    let mut all = Vec::new();
    for term in terms {
        let term = native::text(term);
        let mut words = term.split_whitespace();
        let path = words.next().unwrap_or("").to_string();
        let written: Vec<(&str, &str)> = words.filter_map(|w| w.split_once('=')).collect();
        let mut option = |name: &str| {
            let given = written.iter().find(|(k, _)| *k == name);
            given
                .map(|(_, value)| Val::str(value))
                .or_else(|| options.take(name))
        };
        let length = option("length")
            .and_then(|n| native::text(&n).parse().ok())
            .unwrap_or(DEFAULT_LENGTH);
        let alphabet = parse::alphabet(option("chars").as_ref());
        let encrypt = option("encrypt").map(|e| native::text(&e));
        let files = cx.host.scope.files();
        let place = files
            .find("", &path)
            .unwrap_or_else(|_| PathBuf::from(&path));
        known(cx, &place)?;
        let bytes = match place.to_str() {
            Some("/dev/null") => None,
            _ => files.read(&place).ok(),
        };
        let (password, salt) = if let Some(bytes) = bytes {
            let text = String::from_utf8_lossy(&bytes).trim_end().to_string();
            match text.rsplit_once(" salt=") {
                Some((password, salt)) => (password.to_string(), Some(salt.to_string())),
                None => (text, None),
            }
        } else {
            let password = hash::random_text(length, &alphabet);
            let salt = encrypt.is_some().then(|| hash::random_text(8, hash::SALT));
            let content = match &salt {
                Some(salt) => format!("{password} salt={salt}\n"),
                None => format!("{password}\n"),
            };
            if place.to_str() != Some("/dev/null") {
                files
                    .write_private(&place, &content)
                    .map_err(|error| Error::wrong_type(error.to_string()))?;
                // A plan writes nothing, and the run makes up another one.
                known(cx, &place)?;
            }
            (password, salt)
        };
        all.push(Val::str(match encrypt.as_deref() {
            None => password,
            Some(kind) => {
                let salt = salt.unwrap_or_else(|| hash::random_text(8, hash::SALT));
                let sha512 = kind.starts_with("sha512");
                let rounds = if sha512 { 656_000 } else { 535_000 };
                hash::crypt(&password, &salt, rounds, sha512)?
            }
        }));
    }
    Ok(all)
}
