//! Turns `2d`, `-1h`, `10m` into limits of age and size.

use crate::modules::Error;

/// At least so much; at most, where it was written with a minus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    amount: i64,
    at_most: bool,
}

impl Limit {
    /// Reads an age: seconds, or with `s`, `m`, `h`, `d`, `w`.
    pub(super) fn age(text: &str) -> Result<Self, Error> {
        let units = [
            ('s', 1),
            ('m', 60),
            ('h', 3600),
            ('d', 86400),
            ('w', 604_800),
        ];
        Self::read(text, &units).ok_or_else(|| {
            Error::new(format!(
                "`{text}` is not an age: write it like `2d` or `-90m`"
            ))
        })
    }

    /// Reads a size: bytes, or with `b`, `k`, `m`, `g`, `t`, in steps of 1024.
    pub(super) fn size(text: &str) -> Result<Self, Error> {
        let units = [
            ('b', 1),
            ('k', 1 << 10),
            ('m', 1 << 20),
            ('g', 1 << 30),
            ('t', 1 << 40),
        ];
        Self::read(text, &units).ok_or_else(|| {
            Error::new(format!(
                "`{text}` is not a size: write it like `10m` or `-1k`"
            ))
        })
    }

    fn read(text: &str, units: &[(char, i64)]) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let at_most = text.starts_with('-');
        let text = text.trim_start_matches('-');
        let unit = units.iter().find(|(letter, _)| text.ends_with(*letter));
        let (digits, factor) = match unit {
            Some((letter, factor)) => (text.trim_end_matches(*letter), *factor),
            None => (text, 1),
        };
        Some(Self {
            amount: digits.parse::<i64>().ok()?.checked_mul(factor)?,
            at_most,
        })
    }

    pub(super) fn holds(self, amount: i64) -> bool {
        if self.at_most {
            amount <= self.amount
        } else {
            amount >= self.amount
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minus_makes_the_least_the_most() {
        assert!(Limit::age("2d").unwrap().holds(172_800));
        assert!(!Limit::age("2d").unwrap().holds(172_799));
        assert!(Limit::age("-1h").unwrap().holds(3600));
        assert!(!Limit::size("-1k").unwrap().holds(1025));
        assert!(Limit::size("10").unwrap().holds(10));
        assert!(Limit::age("soon").is_err() && Limit::size("1x").is_err());
    }
}
