//! Turns the text of a file mode (`0644`, `u=rwX,g-w`) into permission bits.

/// A wish for permission bits: outright, or in terms of those that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Octal(u32),
    Symbolic(Vec<Clause>),
}

/// `ug+rw-x`: for whom, and what is done in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Some of `u`, `g`, `o`.
    who: String,
    /// Nobody was named: all are meant, less what the umask takes.
    spares_umask: bool,
    steps: Vec<(char, String)>,
}

impl Mode {
    /// Reads a mode as a task writes it. Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a file mode: write it like `0644` or `u=rw,g=r`");
        let text = text.trim();
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match u32::from_str_radix(digits, 8) {
                Ok(mode) if mode <= 0o7777 => Ok(Self::Octal(mode)),
                _ => Err(wrong()),
            };
        }
        text.split(',')
            .map(|clause| Clause::parse(clause).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Self::Symbolic)
    }

    /// Returns the bits that a file with the bits `now` is to have.
    pub fn apply(&self, now: u32, is_directory: bool, umask: u32) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(now, |now, clause| clause.apply(now, is_directory, umask)),
        }
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let start = text.find(['+', '-', '='])?;
        let (who, mut rest) = text.split_at(start);
        if who.contains(|c| !"ugoa".contains(c)) {
            return None;
        }
        let mut steps = Vec::new();
        while let Some(operator) = rest.chars().next() {
            let permissions = &rest[1..];
            let end = permissions
                .find(['+', '-', '='])
                .unwrap_or(permissions.len());
            let (permissions, behind) = permissions.split_at(end);
            if permissions.contains(|c| !"rwxXstugo".contains(c)) {
                return None;
            }
            steps.push((operator, permissions.to_owned()));
            rest = behind;
        }
        Some(Self {
            who: if who.is_empty() || who.contains('a') {
                "ugo".into()
            } else {
                who.into()
            },
            spares_umask: who.is_empty(),
            steps,
        })
    }

    fn apply(&self, mut now: u32, is_directory: bool, umask: u32) -> u32 {
        for (operator, permissions) in &self.steps {
            let before = now;
            for who in self.who.chars() {
                let (shift, all) = match who {
                    'u' => (6, 0o4700),
                    'g' => (3, 0o2070),
                    _ => (0, 0o1007),
                };
                let mut bits = permissions.chars().fold(0, |bits, permission| {
                    bits | match permission {
                        'r' => 4 << shift,
                        'w' => 2 << shift,
                        'x' => 1 << shift,
                        'X' if is_directory || before & 0o111 != 0 => 1 << shift,
                        's' if who == 'u' => 0o4000,
                        's' if who == 'g' => 0o2000,
                        't' if who == 'o' => 0o1000,
                        'u' => (before >> 6 & 7) << shift,
                        'g' => (before >> 3 & 7) << shift,
                        'o' => (before & 7) << shift,
                        _ => 0,
                    }
                });
                if self.spares_umask {
                    bits &= !umask;
                }
                now = match operator {
                    '+' => now | bits,
                    '-' => now & !bits,
                    _ => now & !all | bits,
                };
            }
        }
        now
    }
}

/// Returns a mode as it is registered and shown: `0644`.
pub fn show(mode: u32) -> String {
    format!("{mode:04o}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, now: u32, is_directory: bool) -> String {
        show(Mode::parse(text).unwrap().apply(now, is_directory, 0o022))
    }

    #[test]
    fn octal_modes_stand_for_themselves() {
        assert_eq!(applied("0644", 0o777, false), "0644");
        assert_eq!(applied("1777", 0, true), "1777");
        assert_eq!(applied("0o600", 0, true), "0600");
    }

    #[test]
    fn symbolic_modes_change_what_is_there() {
        assert_eq!(applied("u=rwX,g=rX,o=", 0o644, false), "0640");
        assert_eq!(applied("u=rwX,g=rX,o=", 0o644, true), "0750");
        assert_eq!(applied("a+X", 0o744, false), "0755");
        assert_eq!(applied("go-w", 0o666, false), "0644");
        assert_eq!(applied("g=u,o=g", 0o640, false), "0666");
        assert_eq!(applied("u+x", 0o644, false), "0744");
        assert_eq!(applied("u+s,g+s,o+t", 0o755, true), "7755");
        assert_eq!(applied("u=rw-x+X", 0o700, true), "0700");
    }

    #[test]
    fn the_umask_holds_where_nobody_is_named() {
        assert_eq!(applied("+w", 0o444, false), "0644");
        assert_eq!(applied("a+w", 0o444, false), "0666");
        assert_eq!(applied("+x", 0o644, false), "0755");
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["0888", "17777", "rw-r--r--", "u=rq", "z+x", "u"] {
            assert!(Mode::parse(text).is_err(), "{text}");
        }
    }
}
