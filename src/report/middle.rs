//! Turns lines that hosts replace by different ones into the text between: what the shared part of these changes leaves.

use super::diff::in_both;

/// Lines that stand in the place of `before` when what all of `afters` have in common is done; each is reached from there
/// by what only its host has. A line of `before` stays where a host has another of its subject, so that the two are seen
/// together. `None` where the shared part would save its reader nothing.
pub(super) fn middle(before: &[String], afters: &[&[String]]) -> Option<Vec<String>> {
    let (first, rest) = afters.split_first()?;
    let common = rest
        .iter()
        .fold(first.to_vec(), |common, after| in_both(&common, after));
    let mut kept: Vec<Vec<&String>> = vec![Vec::new(); common.len() + 1];
    for line in before.iter().filter(|line| !common.contains(line)) {
        let Some(subject) = subject(line) else {
            continue;
        };
        let mut own = afters.iter().flat_map(|after| own(&common, after));
        if let Some((gap, _)) = own.find(|(_, other)| self::subject(other) == Some(subject)) {
            kept[gap].push(line);
        }
    }
    let n_kept: usize = kept.iter().map(Vec::len).sum();
    let mut middle = Vec::new();
    for (gap, lines) in kept.into_iter().enumerate() {
        middle.extend(lines.into_iter().cloned());
        middle.extend(common.get(gap).cloned());
    }
    let says = |line: &&String| line.contains(char::is_alphanumeric);
    let removed = before.iter().filter(|line| !middle.contains(line));
    let added = middle.iter().filter(|line| !before.contains(line));
    let n_saved = removed.chain(added).filter(says).count();
    let longest = afters.iter().map(|after| after.len()).max()?;
    let n_own = longest.saturating_sub(common.len()) + n_kept;
    (n_saved > 0 && 2 * n_saved >= n_own).then_some(middle)
}

/// The lines that `after` has beside the common ones, each with the number of those before it.
fn own<'a>(common: &[String], after: &'a [String]) -> Vec<(usize, &'a String)> {
    let (mut found, mut gap) = (Vec::new(), 0);
    for line in after {
        if common.get(gap) == Some(line) {
            gap += 1;
        } else {
            found.push((gap, line));
        }
    }
    found
}

/// What a line is about: what stands before its `=` or `:`, or its first word.
fn subject(line: &str) -> Option<&str> {
    let line = line.trim();
    let end = line
        .find(['=', ':'])
        .or_else(|| line.find(char::is_whitespace));
    let subject = line[..end.unwrap_or(line.len())].trim_end();
    subject.contains(char::is_alphanumeric).then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn between(before: &str, afters: &[&str]) -> Option<String> {
        let afters: Vec<Vec<String>> = afters.iter().map(|after| lines(after)).collect();
        let afters: Vec<&[String]> = afters.iter().map(Vec::as_slice).collect();
        middle(&lines(before), &afters).map(|lines| lines.concat())
    }

    #[test]
    fn what_all_hosts_add_or_remove_is_shared_and_a_setting_of_one_host_keeps_its_line() {
        let before = "# as it comes\nbroker.id=0\nlog.dirs=/tmp\n";
        let after = |id: u8| format!("broker.id={id}\nlog.dirs=/data\nadvertised=k{id}\n");
        let found = between(before, &[&after(1), &after(2)]);
        assert_eq!(found.unwrap(), "broker.id=0\nlog.dirs=/data\n");
    }

    #[test]
    fn a_new_file_is_shared_but_for_its_own_lines() {
        let after = |name: &str| format!("[Unit]\nDescription={name}\n[Service]\nExecStart=/x\n");
        let found = between("", &[&after("a"), &after("b"), &after("c")]);
        assert_eq!(found.unwrap(), "[Unit]\n[Service]\nExecStart=/x\n");
    }

    #[test]
    fn what_shares_little_is_not_split() {
        assert_eq!(between("x=1\n", &["x=2\n", "x=3\n"]), None);
        assert_eq!(between("", &["a\nb\nc\n\nend\n", "d\ne\nf\n\nend\n"]), None);
        assert_eq!(between("", &["a\n\n", "b\n\n"]), None);
    }
}
