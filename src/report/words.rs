//! Small texts that several formats share: sizes, times, counts, and hosts named together.

use crate::value::{HostName, Value, display};

/// `850 ms`, `12.3 s`, `4 min 5 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// `1 byte`, `2,048 bytes`.
pub fn bytes(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + if n == 1 { " byte" } else { " bytes" }
}

/// `1 host`, `3 hosts`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// One side of an attribute.
pub fn value(value: &Value) -> String {
    display(value)
}

/// A moment, in UTC: `2026-11-21 07:16:22 UTC`.
pub fn moment(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(String::new, |at| {
            at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        })
}

/// So many hosts, or rows of numbered ones, are named; the JSON documents name all.
pub const NAMED: usize = 16;

/// Hosts in their order, those that only a running number tells apart together: `kafka01–03.foo.bar, zk1`.
pub fn hosts(hosts: &[HostName]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut rest = hosts;
    while let Some(first) = rest.first() {
        if out.len() == NAMED && rest.len() > 1 {
            out.push(format!("… and {} more", rest.len()));
            break;
        }
        let n = run_of(rest);
        match number(first).zip(number(&rest[n - 1])) {
            Some((from, to)) if n > 1 => {
                out.push(format!("{}{}–{}{}", from.0, from.1, to.1, from.2));
            }
            _ => out.push(first.to_string()),
        }
        rest = &rest[n..];
    }
    out.join(", ")
}

/// Batches in their turn, those in the middle of many only counted: `kafka01, then kafka02–03`.
pub fn in_turn<'a>(batches: impl Iterator<Item = &'a [HostName]>) -> String {
    let mut all: Vec<String> = batches.map(hosts).collect();
    if all.len() > NAMED {
        let more = format!("… {} batches …", all.len() - 4);
        all.splice(3..all.len() - 1, [more]);
    }
    all.join(", then ")
}

/// `3 hosts: kafka01–03` in the order of their numbers, or the name of the only one.
pub fn counted_hosts(names: &[HostName]) -> String {
    let [only] = names else {
        let mut names = names.to_vec();
        names.sort_by_cached_key(|name| {
            let parts = number(name).and_then(|(head, digits, tail)| {
                let number = digits.parse::<u64>().ok()?;
                Some((head.to_owned(), number, tail.to_owned()))
            });
            parts.unwrap_or_else(|| (name.to_string(), 0, String::new()))
        });
        return format!("{}: {}", count(names.len(), "host"), hosts(&names));
    };
    only.to_string()
}

/// How many hosts from the first on are numbered one after the other.
fn run_of(hosts: &[HostName]) -> usize {
    let Some((head, digits, tail)) = number(&hosts[0]) else {
        return 1;
    };
    let Ok(start) = digits.parse::<u64>() else {
        return 1;
    };
    let follows = |(offset, host): (u64, &HostName)| {
        number(host).is_some_and(|(other, its, end)| {
            other == head
                && end == tail
                && its.len() == digits.len()
                && its.parse::<u64>().ok() == start.checked_add(offset)
        })
    };
    (0..).zip(hosts).take_while(|next| follows(*next)).count()
}

/// A name in three: before its number, the number, behind it. The number is the last of the first label.
fn number(host: &str) -> Option<(&str, &str, &str)> {
    let label = host.find('.').unwrap_or(host.len());
    let end = host[..label].rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = host[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| {
            at + host[at..].chars().next().map_or(1, char::len_utf8)
        });
    // Addresses are not counted.
    (start > 0).then(|| (&host[..start], &host[start..end], &host[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> String {
        hosts(
            &names
                .iter()
                .map(|name| HostName::from(*name))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn of_many_batches_the_first_and_the_last_are_named() {
        let hosts: Vec<HostName> = (1..=30)
            .map(|n| HostName::from(format!("h{n}-a")))
            .collect();
        let few = in_turn(hosts[..4].chunks(2));
        assert_eq!(few, "h1–2-a, then h3–4-a");
        let many = in_turn(hosts.chunks(1));
        let end = "h3-a, then … 26 batches …, then h30-a";
        assert!(many.ends_with(end), "{many}");
        assert_eq!(in_turn(hosts[..16].chunks(1)).matches("then").count(), 15);
    }

    #[test]
    fn hosts_that_are_numbered_one_after_the_other_are_named_together() {
        assert_eq!(named(&["kafka01", "kafka02", "kafka03"]), "kafka01–03");
        assert_eq!(
            named(&["p-k01.foo.bar", "p-k02.foo.bar"]),
            "p-k01–02.foo.bar"
        );
        assert_eq!(named(&["k9", "k10", "k12", "zk1"]), "k9, k10, k12, zk1");
        assert_eq!(named(&["k1-a", "k2-a", "k2-b"]), "k1–2-a, k2-b");
        assert_eq!(named(&["10.0.0.1", "10.0.0.2"]), "10.0.0.1, 10.0.0.2");
        assert_eq!(named(&["a", "a"]), "a, a");
        let odd: Vec<String> = (1..60).step_by(2).map(|n| format!("h{n}")).collect();
        let odd: Vec<&str> = odd.iter().map(String::as_str).collect();
        assert!(
            named(&odd).ends_with("h29, h31, … and 14 more"),
            "{}",
            named(&odd)
        );
    }

    #[test]
    fn sizes_are_counted_in_thousands() {
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(1_234_567), "1,234,567 bytes");
    }
}
