//! Turns the reason for something unknown into what nobody knew first: what all that stands on it shares.

/// Returns `` `now`, which `date` would bring (…) `` of a reason that names such a value, if it names one.
pub fn of_value(reason: &str) -> Option<&str> {
    let words = [" would bring (", " sets ("];
    let found = words.iter().filter_map(|it| Some((reason.rfind(it)?, it)));
    let (at, word) = found.max()?;
    let which = reason[..at].rfind("`, which `")?;
    let from = reason[..which].rfind('`')?;
    let mut open = 0_usize;
    let rest = &reason[at + word.len() - 1..];
    let end = rest.char_indices().find_map(|(place, it)| {
        match it {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(place + 1)
    })?;
    Some(&reason[from..at + word.len() - 1 + end])
}

/// Returns what a reason comes down to, in words that are the same for all that share it.
pub fn root(reason: &str) -> String {
    if let Some(value) = of_value(reason) {
        return value.to_owned();
    }
    let behind = reason.split_once(" is not there now; after ");
    match behind.and_then(|(_, rest)| rest.split_once(" it may be")) {
        Some((tasks, _)) => format!("what {} leaves on the host", tasks.trim_end_matches(',')),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_that_nobody_knows_is_found_behind_what_stands_on_it() {
        let value = "`now`, which `date` would bring (command does not run in check mode)";
        let reason = format!("whether it runs depends on {value}");
        assert_eq!(root(&reason), value);
        let further = format!("it needs `s`, which rests on {value}; if it runs: no `x` (y)");
        assert_eq!(root(&further), value);
        assert_eq!(of_value("command does not run in check mode"), None);
    }

    #[test]
    fn files_that_a_task_may_leave_come_down_to_the_task() {
        let reason = "`/srv/a` is not there now; after `make` it may be; as it is now: no";
        assert_eq!(root(reason), "what `make` leaves on the host");
        let several = "`/srv/a` is not there now; after `make`, or 2 before it, it may be";
        assert_eq!(
            root(several),
            "what `make`, or 2 before it leaves on the host"
        );
    }
}
