//! Decides how `PyYAML` would quote a text: plain, in single or in double quotes.

use fancy_regex::Regex;
use std::sync::LazyLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    Plain,
    Single,
    Double,
}

/// Where the text stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub in_flow: bool,
    /// A key on one line with its value.
    pub simple_key: bool,
}

/// What a text would be taken for if it stood there without quotes (YAML 1.1).
static NOT_TEXT: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\z",
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\z",
        r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)\z",
        r"^(?:<<|~|null|Null|NULL||=|[!&*])\z",
        r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)\z",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

fn is_text(text: &str) -> bool {
    !NOT_TEXT
        .iter()
        .any(|kind| kind.is_match(text).unwrap_or(true))
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c)
}

/// Characters that can stand unescaped when Unicode is allowed.
pub(super) fn is_printable(c: char, unicode: bool) -> bool {
    match c {
        ' '..='~' => true,
        '\u{feff}' => false,
        // libyaml escapes what lies beyond the first plane.
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' => unicode,
        _ => false,
    }
}

/// What matters about a text for choosing its quotes.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Analysis {
    pub multiline: bool,
    flow_indicators: bool,
    block_indicators: bool,
    special: bool,
    edge_blank: bool,
    break_space: bool,
    space_break: bool,
}

pub(super) fn analyse(text: &str, unicode: bool) -> Analysis {
    let mut found = Analysis::default();
    if text.starts_with("---") || text.starts_with("...") {
        found.block_indicators = true;
        found.flow_indicators = true;
    }
    let chars: Vec<char> = text.chars().collect();
    let last = chars.len().saturating_sub(1);
    let (mut after_blank, mut after_space, mut after_break) = (true, false, false);
    for (at, &c) in chars.iter().enumerate() {
        let before_blank = chars.get(at + 1).is_none_or(|next| is_blank(*next));
        if at == 0 {
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`' => {
                    found.flow_indicators = true;
                    found.block_indicators = true;
                }
                '?' | ':' => {
                    found.flow_indicators = true;
                    found.block_indicators |= before_blank;
                }
                '-' if before_blank => {
                    found.flow_indicators = true;
                    found.block_indicators = true;
                }
                _ => {}
            }
        } else {
            match c {
                ',' | '?' | '[' | ']' | '{' | '}' => found.flow_indicators = true,
                ':' => {
                    found.flow_indicators = true;
                    found.block_indicators |= before_blank;
                }
                '#' if after_blank => {
                    found.flow_indicators = true;
                    found.block_indicators = true;
                }
                _ => {}
            }
        }
        found.multiline |= is_break(c);
        found.special |= c != '\n' && !is_printable(c, unicode);
        let is_edge = at == 0 || at == last;
        if c == ' ' {
            found.edge_blank |= is_edge;
            found.break_space |= after_break;
            (after_space, after_break) = (true, false);
        } else if is_break(c) {
            found.edge_blank |= is_edge;
            found.space_break |= after_space;
            (after_space, after_break) = (false, true);
        } else {
            (after_space, after_break) = (false, false);
        }
        after_blank = is_blank(c);
    }
    found
}

impl Analysis {
    /// The quotes for a text, or for a number or truth (`is_data`), which is plain wherever it can be.
    pub(super) fn quotes(&self, text: &str, place: Place, is_data: bool) -> Quotes {
        let never_plain = self.edge_blank
            || self.break_space
            || self.space_break
            || self.special
            || self.multiline
            || if place.in_flow {
                self.flow_indicators
            } else {
                self.block_indicators
            };
        let empty_in_flow = text.is_empty() && (place.in_flow || place.simple_key);
        if !never_plain && !empty_in_flow && (is_data || is_text(text)) {
            return Quotes::Plain;
        }
        let never_single = self.break_space || self.space_break || self.special;
        if never_single || (place.simple_key && self.multiline) {
            Quotes::Double
        } else {
            Quotes::Single
        }
    }
}
