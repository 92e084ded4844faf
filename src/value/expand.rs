//! Turns `~`, `~user`, `$NAME` and `${NAME}` in a path into what they stand for, as Python's `expanduser` and `expandvars` do.

/// Replaces `$NAME` and `${NAME}` by what `variable` says; names that it does not know stay as they are.
pub fn variables(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = if let Some(braced) = after.strip_prefix('{') {
            let end = braced.find('}');
            end.map_or(("", 0), |end| (&braced[..end], end + 2))
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
            (&after[..end], end)
        };
        match variable(name) {
            Some(value) if !name.is_empty() => expanded.push_str(&value),
            _ => expanded.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    expanded + rest
}

/// Replaces a leading `~` or `~user`; `home` is asked for the directory of the user, of nobody by name for `~` alone.
pub fn user(text: &str, home: impl Fn(Option<&str>) -> Option<String>) -> String {
    let Some(after) = text.strip_prefix('~') else {
        return text.to_owned();
    };
    let (user, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    match home(Some(user).filter(|user| !user.is_empty())) {
        Some(home) => format!("{}{rest}", home.trim_end_matches('/')),
        None => text.to_owned(),
    }
}

/// Whether [`user`] or [`variables`] could find something to replace.
pub fn concerns(text: &str) -> bool {
    text.starts_with('~') || text.contains('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_and_users_stay_as_they_are() {
        let known = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(variables("$A/${A}y/$NOPE_/$", known), "x/xy/$NOPE_/$");
        let home = |name: Option<&str>| match name {
            None => Some("/home/me".to_owned()),
            Some("root") => Some("/root/".to_owned()),
            Some(_) => None,
        };
        assert_eq!(user("~/f", home), "/home/me/f");
        assert_eq!(user("~root/f", home), "/root/f");
        assert_eq!(user("~nobody-here/f", home), "~nobody-here/f");
        assert_eq!(user("a~/f", home), "a~/f");
        assert!(concerns("~") && concerns("/$A") && !concerns("/a~"));
    }
}
