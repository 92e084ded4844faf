//! Turns the body of a request, as a playbook has it, into bytes and their kind.

use crate::modules::Error;
use crate::value::{Value, display, untagged};

/// Returns the bytes, and the `Content-Type` where the format has one.
pub fn written(body: &Value, format: &str) -> Result<(Vec<u8>, Option<&'static str>), Error> {
    let body = untagged(body);
    match (format, &body) {
        // A text is taken to be JSON already.
        ("json", Value::String(text)) => Ok((text.clone().into_bytes(), Some("application/json"))),
        ("json", value) => {
            let text = serde_json::to_vec(value);
            let text = text
                .map_err(|error| Error::new("`body` cannot be written as JSON").because(error))?;
            Ok((text, Some("application/json")))
        }
        ("form-urlencoded", value) => Ok((
            form(value)?.into_bytes(),
            Some("application/x-www-form-urlencoded"),
        )),
        ("form-multipart", _) => {
            let error = Error::new("`body_format: form-multipart` is not supported");
            Err(error.help("`command: curl --form …` can send one"))
        }
        (_, Value::Mapping(_) | Value::Sequence(_)) => {
            Ok((serde_json::to_vec(&body).unwrap_or_default(), None))
        }
        (_, value) => Ok((display(value).into_bytes(), None)),
    }
}

fn form(value: &Value) -> Result<String, Error> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Mapping(map) => {
            for (name, value) in map {
                match value {
                    Value::Sequence(all) => {
                        pairs.extend(all.iter().map(|one| (display(name), display(one))));
                    }
                    one => pairs.push((display(name), display(one))),
                }
            }
        }
        Value::Sequence(all) => {
            for pair in all {
                match pair {
                    Value::Sequence(pair) if pair.len() == 2 => {
                        pairs.push((display(&pair[0]), display(&pair[1])));
                    }
                    other => {
                        let message = format!(
                            "`body` must be a mapping or a list of pairs, not `{}`",
                            display(other)
                        );
                        return Err(Error::new(message));
                    }
                }
            }
        }
        other => {
            let message = format!("`body` must be a mapping, not `{}`", display(other));
            return Err(Error::new(message));
        }
    }
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => written.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                written.push(byte.into());
            }
            other => written.extend(["%", &hex::encode_upper([other])]),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(yaml: &str, format: &str) -> String {
        let body = serde_yaml::from_str(yaml).unwrap();
        String::from_utf8(written(&body, format).unwrap().0).unwrap()
    }

    #[test]
    fn bodies_are_written_by_their_format() {
        assert_eq!(
            text("{a: [1, yes], b: null}", "json"),
            r#"{"a":[1,"yes"],"b":null}"#
        );
        assert_eq!(text("'{\"a\": 1}'", "json"), r#"{"a": 1}"#);
        assert_eq!(
            text("{a: x y, b: [1, ä]}", "form-urlencoded"),
            "a=x+y&b=1&b=%C3%A4"
        );
        assert_eq!(text("[[a, 1], [a, '&']]", "form-urlencoded"), "a=1&a=%26");
        assert_eq!(text("plain", "raw"), "plain");
    }
}
