//! Compares versions as `packaging`'s loose and strict rules and semantic versioning do.

use crate::template::error::Error;
use crate::template::values::Res;
use std::cmp::Ordering;

/// Compares by the rules of `kind`: `loose`, `strict`, `semver` or `pep440`.
pub(crate) fn compare(a: &str, b: &str, kind: &str) -> Res<Ordering> {
    match kind {
        "semver" | "semantic" => {
            let parse = |text: &str| {
                semantic(text)
                    .ok_or_else(|| Error::wrong_type(format!("`{text}` is not a semantic version")))
            };
            Ok(compare_semantic(&parse(a)?, &parse(b)?))
        }
        "strict" => {
            for text in [a, b] {
                let fits = text.split('.').count() <= 3
                    && text.split('.').all(|part| {
                        part.trim_end_matches(|c: char| c.is_ascii_digit())
                            .trim_end_matches(['a', 'b'])
                            .chars()
                            .all(|c| c.is_ascii_digit())
                    });
                if !fits {
                    return Err(Error::wrong_type(format!(
                        "invalid version number `{text}`"
                    )));
                }
            }
            Ok(compare_strict(a, b))
        }
        "pep440" => Ok(compare_strict(
            a.trim_start_matches('v'),
            b.trim_start_matches('v'),
        )),
        "loose" | "" => loose(a, b),
        other => Err(Error::wrong_type(format!("unknown version type `{other}`"))),
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Part {
    Number(u128),
    Word(String),
}

fn parts(text: &str) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        if c == '.' {
            chars.next();
        } else if c.is_ascii_digit() {
            let mut n: u128 = 0;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                n = n
                    .saturating_mul(10)
                    .saturating_add(u128::from(digit as u32 - '0' as u32));
            }
            all.push(Part::Number(n));
        } else if c.is_ascii_lowercase() {
            let mut word = String::new();
            while let Some(letter) = chars.next_if(char::is_ascii_lowercase) {
                word.push(letter);
            }
            all.push(Part::Word(word));
        } else {
            let mut word = String::new();
            while let Some(other) =
                chars.next_if(|c| !(c.is_ascii_digit() || c.is_ascii_lowercase() || *c == '.'))
            {
                word.push(other);
            }
            all.push(Part::Word(word));
        }
    }
    all
}

/// distutils' `LooseVersion`: numbers and words, compared one by one.
fn loose(a: &str, b: &str) -> Res<Ordering> {
    let (left, right) = (parts(a), parts(b));
    for pair in left.iter().zip(&right) {
        let order = match pair {
            (Part::Number(x), Part::Number(y)) => x.cmp(y),
            (Part::Word(x), Part::Word(y)) => x.cmp(y),
            _ => {
                return Err(Error::wrong_type(format!(
                    "version comparison failed: `{a}` and `{b}` have a number and a word in the same place"
                )));
            }
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(left.len().cmp(&right.len()))
}

/// Numbers, then a pre-release (`1.0a2`, `1.0rc1`), which comes before the release.
fn compare_strict(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let cut = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (numbers, pre) = text.split_at(cut);
        let mut numbers: Vec<u128> = numbers
            .trim_end_matches(['.', '-', '_'])
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        (numbers, pre.to_string())
    };
    let ((a, a_pre), (b, b_pre)) = (split(a), split(b));
    let pre = |text: &str| {
        let digits = text
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(text.len());
        let (word, number) = text.split_at(digits);
        (word.to_string(), number.parse::<u128>().unwrap_or(0))
    };
    a.cmp(&b)
        .then_with(|| match (a_pre.is_empty(), b_pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => pre(&a_pre).cmp(&pre(&b_pre)),
        })
}

struct Semantic {
    core: [u128; 3],
    pre: Vec<String>,
}

fn semantic(text: &str) -> Option<Semantic> {
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (core, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = core.split('.').map(|part| part.parse().ok());
    let core = [numbers.next()??, numbers.next()??, numbers.next()??];
    if numbers.next().is_some() {
        return None;
    }
    let pre = pre
        .split('.')
        .filter(|part| !part.is_empty())
        .map(ToString::to_string)
        .collect();
    Some(Semantic { core, pre })
}

fn compare_semantic(a: &Semantic, b: &Semantic) -> Ordering {
    a.core.cmp(&b.core).then_with(|| {
        match (a.pre.is_empty(), b.pre.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        for (x, y) in a.pre.iter().zip(&b.pre) {
            let order = match (x.parse::<u128>(), y.parse::<u128>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.pre.len().cmp(&b.pre.len())
    })
}
