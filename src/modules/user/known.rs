//! Turns the host's account files into what they hold of one user.

use crate::modules::Error;
use crate::sys::Sys;
use crate::sys::users::User as Account;
use std::collections::BTreeSet;
use std::path::Path;

/// A user as the host's files have it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) account: Account,
    /// The primary group's name, or its number where it has none.
    pub(super) group: String,
    /// The other groups.
    pub(super) groups: BTreeSet<String>,
    /// What `/etc/shadow` holds; `None` where it cannot be read.
    pub(super) hash: Option<String>,
    /// The last day of the account, counted from 1970.
    pub(super) last_day: Option<i64>,
}

/// Reads what the host has of a user.
pub(super) fn look(sys: &Sys, user: &str) -> Result<Option<Known>, Error> {
    let Some(account) = sys.user_named(user)? else {
        return Ok(None);
    };
    let all = sys.groups()?;
    let primary = all.iter().find(|group| group.gid == account.gid);
    let member =
        |group: &&crate::sys::users::Group| group.members.iter().any(|member| member == user);
    let others = all
        .iter()
        .filter(member)
        .filter(|group| group.gid != account.gid);
    let shadow = sys.read(Path::new("/etc/shadow")).unwrap_or_default();
    let shadow = String::from_utf8_lossy(&shadow).into_owned();
    let line = shadow
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let line = line
        .into_iter()
        .find(|fields| fields.first() == Some(&user));
    let field = |n: usize| {
        line.as_ref()
            .and_then(|fields| fields.get(n).map(|f| (*f).to_owned()))
    };
    Ok(Some(Known {
        group: primary.map_or_else(|| account.gid.to_string(), |group| group.name.clone()),
        groups: others.map(|group| group.name.clone()).collect(),
        hash: field(1),
        last_day: field(7).and_then(|day| day.parse().ok()),
        account,
    }))
}

/// Writes a day as useradd reads it.
pub(super) fn day_name(day: i64) -> String {
    let start = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(day);
    let date = span.and_then(|span| start.checked_add(span));
    date.map_or_else(|_| String::new(), |date| date.to_string())
}
