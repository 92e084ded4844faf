//! Filters on paths, as Python's `os.path` treats them. Only `realpath`, `expanduser` and `fileglob` look outside.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of a table share one signature"
)]

use super::Filter;
use crate::template::args::Args;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};
use crate::value::expand;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("basename", |_, s, _| {
        Ok(Val::str(split(&native::text(s)).1))
    }),
    ("dirname", |_, s, _| Ok(Val::str(split(&native::text(s)).0))),
    ("normpath", |_, s, _| Ok(Val::str(normal(&native::text(s))))),
    ("realpath", |_, s, _| Ok(Val::str(normal(&native::text(s))))),
    ("path_join", path_join),
    ("relpath", relpath),
    ("commonpath", commonpath),
    ("splitext", splitext),
    ("expanduser", expanduser),
    ("expandvars", expandvars),
    ("fileglob", fileglob),
    ("win_basename", |_, s, _| {
        let text = native::text(s);
        Ok(Val::str(text.rsplit(['\\', '/']).next().unwrap_or("")))
    }),
    ("win_dirname", |_, s, _| {
        let text = native::text(s);
        Ok(Val::str(text.rsplit_once(['\\', '/']).map_or("", |p| p.0)))
    }),
    ("win_splitdrive", |_, s, _| {
        let text = native::text(s);
        let (drive, rest) = text.split_at(if text.get(1..2) == Some(":") { 2 } else { 0 });
        Ok(Val::tuple(vec![Val::str(drive), Val::str(rest)]))
    }),
];

/// `os.path.split`.
fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (head, tail) = path.split_at(at);
    let stripped = head.trim_end_matches('/');
    (if stripped.is_empty() { head } else { stripped }, tail)
}

/// `os.path.normpath`.
pub(crate) fn normal(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if absolute && parts.is_empty() => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        // Two leading slashes mean something of their own to POSIX.
        (true, _) if path.starts_with("//") && !path.starts_with("///") => format!("//{joined}"),
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn path_join(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let parts = match subject {
        Val::Str(_) => vec![subject.clone()],
        other => cx.items(other)?,
    };
    let mut path = String::new();
    for part in parts {
        let part = part.want_str("every part")?.to_string();
        if part.starts_with('/') || path.is_empty() {
            path = part;
        } else {
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&part);
        }
    }
    Ok(Val::str(path))
}

fn relpath(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [start] = args.bind(["start"])?;
    let start = start.map_or_else(|| ".".to_string(), |s| native::text(&s));
    let (path, start) = (normal(&native::text(subject)), normal(&start));
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(ToString::to_string)
            .collect()
    };
    let (path, start) = (parts(&path), parts(&start));
    let common = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let mut all = vec!["..".to_string(); start.len() - common];
    all.extend_from_slice(&path[common..]);
    Ok(Val::str(if all.is_empty() {
        ".".into()
    } else {
        all.join("/")
    }))
}

fn commonpath(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let mut common: Option<Vec<String>> = None;
    for path in cx.items(subject)? {
        let text = native::text(&path);
        let parts: Vec<String> = text
            .split('/')
            .enumerate()
            .filter(|(at, part)| *at == 0 || !(part.is_empty() || *part == "."))
            .map(|(_, part)| part.to_string())
            .collect();
        common = Some(match common {
            None => parts,
            Some(known) => known
                .into_iter()
                .zip(parts)
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a)
                .collect(),
        });
    }
    let parts = common.unwrap_or_default();
    Ok(Val::str(if parts.len() == 1 && parts[0].is_empty() {
        "/".into()
    } else {
        parts.join("/")
    }))
}

fn splitext(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let path = native::text(subject);
    let name_start = path.rfind('/').map_or(0, |at| at + 1);
    let name = &path[name_start..];
    let leading_dots = name.len() - name.trim_start_matches('.').len();
    let cut = name[leading_dots..]
        .rfind('.')
        .map_or(path.len(), |at| name_start + leading_dots + at);
    let (root, extension) = path.split_at(cut);
    Ok(Val::tuple(vec![Val::str(root), Val::str(extension)]))
}

fn expanduser(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let files = cx.host.scope.files();
    let home = |user: Option<&str>| user.is_none().then(|| files.env("HOME")).flatten();
    Ok(Val::str(expand::user(&native::text(subject), home)))
}

fn expandvars(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let files = cx.host.scope.files();
    let text = native::text(subject);
    Ok(Val::str(expand::variables(&text, |name| files.env(name))))
}

fn fileglob(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let found = cx.host.scope.files().glob(&native::text(subject));
    Ok(Val::strs(found.iter().map(|path| path.to_string_lossy())))
}
