//! Turns a host as an inventory writes it (`web[01:03].example:2222`) into names and a port.

/// How many hosts one inventory entry may stand for.
const MAX_HOSTS: usize = 100_000;

/// What is wrong with a host entry, and how many characters into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RangeError {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Takes the port off and expands every `[from:to:step]`; both ends are included.
pub(super) fn expand(entry: &str) -> Result<(Vec<String>, Option<u16>), RangeError> {
    let (name, port) = split_port(entry)?;
    let mut names = Vec::new();
    expand_into(name, 0, &mut names)?;
    Ok((names, port))
}

/// `[v6]:port` and `name:port`; a bare IPv6 address has no port.
fn split_port(entry: &str) -> Result<(&str, Option<u16>), RangeError> {
    if let Some((address, port)) = entry.strip_prefix('[').and_then(|e| e.rsplit_once("]:"))
        && is_number(port)
        && (address.parse::<std::net::IpAddr>().is_ok() || !address.contains([':', '[', ']']))
    {
        return Ok((address, Some(port_of(entry, port)?)));
    }
    let mut colons = outside_brackets(entry).filter(|(_, c)| *c == ':');
    let (Some((at, _)), None) = (colons.next(), colons.next()) else {
        return Ok((entry, None));
    };
    let port = &entry[at + 1..];
    if is_number(port) {
        return Ok((&entry[..at], Some(port_of(entry, port)?)));
    }
    if port.is_empty() {
        return Err(RangeError {
            offset: chars(&entry[..at]),
            length: 1,
            message: format!("host `{entry}` ends in `:`"),
            help: Some("a colon is followed by a port; is this a YAML inventory?".into()),
        });
    }
    Ok((entry, None))
}

fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut depth = 0_u32;
    text.char_indices().filter(move |(_, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

fn port_of(entry: &str, port: &str) -> Result<u16, RangeError> {
    port.parse().map_err(|_| RangeError {
        offset: chars(entry) - chars(port),
        length: chars(port),
        message: format!("`{port}` is not a port"),
        help: Some("ports go up to 65535".into()),
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// `done` counts the characters in front that hold no range any more.
fn expand_into(name: &str, done: usize, names: &mut Vec<String>) -> Result<(), RangeError> {
    let Some(open) = name.find('[') else {
        names.push(name.into());
        return Ok(());
    };
    let offset = chars(&name[..open]).max(done);
    let Some(close) = name[open..].find(']').map(|at| open + at) else {
        return Err(RangeError {
            offset,
            length: chars(&name[open..]),
            message: "this `[` is never closed".into(),
            help: None,
        });
    };
    let (head, tail) = (&name[..open], &name[close + 1..]);
    let fail = |message: String, help: Option<String>| RangeError {
        offset,
        length: chars(&name[open..=close]),
        message,
        help,
    };
    for value in values(&name[open + 1..close]).map_err(|(message, help)| fail(message, help))? {
        expand_into(&format!("{head}{value}{tail}"), offset, names)?;
        if names.len() > MAX_HOSTS {
            let message = format!("a range of more than {MAX_HOSTS} hosts");
            return Err(fail(message, None));
        }
    }
    Ok(())
}

type Reason = (String, Option<String>);

/// The values of a range's inside: `01:10`, `a:f`, `0:10:5`, `:3`.
fn values(range: &str) -> Result<Vec<String>, Reason> {
    let parts: Vec<&str> = range.split(':').collect();
    let (from, to, step) = match parts[..] {
        [from, to] => (from, to, "1"),
        [from, to, step] => (from, to, step),
        _ => {
            let meant = range.replace('-', ":");
            let help = (meant != range).then(|| format!("write `[{meant}]`"));
            return Err((
                format!("`[{range}]` is not a range `[from:to]` or `[from:to:step]`"),
                help,
            ));
        }
    };
    let step = match step.parse::<usize>() {
        Ok(step) if step > 0 => step,
        _ => return Err((format!("`{step}` is not a step of 1 or more"), None)),
    };
    let from = if from.is_empty() { "0" } else { from };
    if to.is_empty() {
        return Err((format!("the range `[{range}]` has no end"), None));
    }
    if let (Some(first), Some(last)) = (letter(from), letter(to)) {
        let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
        let place = |c: char| letters.iter().position(|l| *l == c);
        let (Some(first), Some(last)) = (place(first), place(last)) else {
            return Err((format!("`[{range}]` is not a range"), None));
        };
        if first > last {
            return Err((format!("the range `[{range}]` runs backwards"), None));
        }
        let chosen = letters[first..=last].iter().step_by(step);
        return Ok(chosen.map(ToString::to_string).collect());
    }
    let (Ok(first), Ok(last)) = (from.parse::<u64>(), to.parse::<u64>()) else {
        return Err((
            format!("`[{range}]` is neither a range of numbers nor of letters"),
            None,
        ));
    };
    if first > last {
        return Err((format!("the range `[{range}]` runs backwards"), None));
    }
    let is_padded = from.len() > 1 && from.starts_with('0');
    if is_padded && from.len() != to.len() {
        let width = from.len().max(to.len());
        let help = format!("write `[{from:0>width$}:{to:0>width$}]`");
        return Err((
            format!("the ends of `[{range}]` differ in length"),
            Some(help),
        ));
    }
    let width = if is_padded { from.len() } else { 0 };
    let numbers = (first..=last).step_by(step).take(MAX_HOSTS + 1);
    Ok(numbers.map(|n| format!("{n:0>width$}")).collect())
}

fn letter(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars
        .next()
        .filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entry: &str) -> String {
        match expand(entry) {
            Ok((names, None)) => names.join(" "),
            Ok((names, Some(port))) => format!("{} port {port}", names.join(" ")),
            Err(error) => format!(
                "{}+{} {}{}",
                error.offset,
                error.length,
                error.message,
                error.help.map(|h| format!(" ({h})")).unwrap_or_default()
            ),
        }
    }

    #[test]
    fn ranges_include_both_ends_and_keep_their_zeros() {
        assert_eq!(names("web[08:11].x"), "web08.x web09.x web10.x web11.x");
        assert_eq!(names("db-[a:c]"), "db-a db-b db-c");
        assert_eq!(names("n[0:10:5]"), "n0 n5 n10");
        assert_eq!(names("n[:2]"), "n0 n1 n2");
        assert_eq!(names("r[1:2]n[a:b]"), "r1na r1nb r2na r2nb");
    }

    #[test]
    fn ports_are_told_from_ipv6_addresses() {
        assert_eq!(names("web:2222"), "web port 2222");
        assert_eq!(names("w[1:2]:22"), "w1 w2 port 22");
        assert_eq!(names("[2001:db8::1]:2222"), "2001:db8::1 port 2222");
        assert_eq!(names("2001:db8::1"), "2001:db8::1");
        assert_eq!(names("2001:db8::[1:2]"), "2001:db8::1 2001:db8::2");
    }

    #[test]
    fn bad_ranges_say_what_is_wrong() {
        let all: Vec<String> = [
            "web[1-3]",
            "web[3:1]",
            "web[01:100]",
            "web[1:3",
            "web[1:]",
            "w[a:3]",
            "w:99999",
            "w[1:3:0]",
            "w:",
            "w[1:999999999]",
            "x[1:2]y[2:1]",
        ]
        .into_iter()
        .map(names)
        .collect();
        insta::assert_snapshot!(all.join("\n"), @"
        3+5 `[1-3]` is not a range `[from:to]` or `[from:to:step]` (write `[1:3]`)
        3+5 the range `[3:1]` runs backwards
        3+8 the ends of `[01:100]` differ in length (write `[001:100]`)
        3+4 this `[` is never closed
        3+4 the range `[1:]` has no end
        1+5 `[a:3]` is neither a range of numbers nor of letters
        2+5 `99999` is not a port (ports go up to 65535)
        1+7 `0` is not a step of 1 or more
        1+1 host `w:` ends in `:` (a colon is followed by a port; is this a YAML inventory?)
        1+13 a range of more than 100000 hosts
        3+5 the range `[2:1]` runs backwards
        ");
    }
}
