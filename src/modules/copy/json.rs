//! Turns a mapping or list given as content into the JSON text that Ansible writes: a space behind `,` and `:`, ASCII only.

use crate::value::Value;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Returns `value` as Python's `json.dumps` writes it.
pub(super) fn dump(value: &Value) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Python))?;
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for letter in fragment.chars() {
            if letter.is_ascii() {
                write!(out, "{letter}")?;
                continue;
            }
            for unit in letter.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_reads_as_python_would_write_it() {
        let value: Value = serde_yaml::from_str("{a: 1, b: [1, 'é', \"x\\n\"], c: {}}").unwrap();
        assert_eq!(
            dump(&value).unwrap(),
            r#"{"a": 1, "b": [1, "\u00e9", "x\n"], "c": {}}"#
        );
    }
}
