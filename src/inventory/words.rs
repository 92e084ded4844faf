//! Turns a host line into words with their places, by the quoting rules of Python's shlex.

/// One word of a line, quotes taken off.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Counted from 0, in characters.
    pub(super) column: usize,
    /// In characters as written, quotes included.
    pub(super) length: usize,
}

/// Where a quote or a backslash has no partner.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub(super) column: usize,
    pub(super) message: &'static str,
}

/// Splits at blanks outside quotes. A `#` begins a comment, even inside a word.
pub(super) fn split(line: &str) -> Result<Vec<Word>, Unclosed> {
    let mut words = Vec::new();
    let mut chars = line.chars().enumerate().peekable();
    while let Some(&(start, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        if c == '#' {
            break;
        }
        let mut text = String::new();
        let mut end = start;
        let mut comment = false;
        while let Some(&(column, c)) = chars.peek() {
            if c.is_whitespace() {
                break;
            }
            if c == '#' {
                comment = true;
                break;
            }
            chars.next();
            match c {
                '"' | '\'' => end = quoted(c, column, &mut chars, &mut text)?,
                '\\' => {
                    let (escaped_at, escaped) = chars.next().ok_or(Unclosed {
                        column,
                        message: "nothing follows this backslash",
                    })?;
                    text.push(escaped);
                    end = escaped_at;
                }
                _ => {
                    text.push(c);
                    end = column;
                }
            }
        }
        words.push(Word {
            text,
            column: start,
            length: end + 1 - start,
        });
        if comment {
            break;
        }
    }
    Ok(words)
}

/// Takes everything up to the closing quote, and returns where that stands.
fn quoted(
    quote: char,
    opened: usize,
    chars: &mut impl Iterator<Item = (usize, char)>,
    text: &mut String,
) -> Result<usize, Unclosed> {
    let unclosed = Unclosed {
        column: opened,
        message: "this quote is never closed",
    };
    while let Some((column, c)) = chars.next() {
        if c == quote {
            return Ok(column);
        }
        if c == '\\' && quote == '"' {
            let Some((_, escaped)) = chars.next() else {
                return Err(unclosed);
            };
            if !matches!(escaped, '\\' | '"') {
                text.push('\\');
            }
            text.push(escaped);
        } else {
            text.push(c);
        }
    }
    Err(unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let words = split(line).expect("words");
        words.into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn quotes_are_taken_off_and_comments_begin_inside_words() {
        assert_eq!(texts("h a=\"b c\" d='e\"f'"), ["h", "a=b c", "d=e\"f"]);
        assert_eq!(texts("h=a#b c=x"), ["h=a"]);
        assert_eq!(texts("h a=\"#1\" # more"), ["h", "a=#1"]);
        assert_eq!(texts(r#"a=x\ y b="\d\"""#), ["a=x y", r#"b=\d""#]);
    }

    #[test]
    fn words_know_their_place_with_quotes() {
        let words = split("h  a=\"b c\" x").expect("words");
        assert_eq!((words[1].column, words[1].length), (3, 7));
        assert_eq!(split("h a='b").unwrap_err().column, 4);
    }
}
