//! Writes a value as YAML, laid out as libyaml does for `PyYAML`: indents, flow style, folding at the width.

use super::scalar::{self, Place, Quotes, is_break, is_printable};
use crate::template::error::Error;
use crate::template::eval::ops;
use crate::template::native;
use crate::template::values::{Res, Val};

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Options {
    pub indent: usize,
    pub width: usize,
    /// `None`: collections of plain values stand on one line.
    pub flow: Option<bool>,
    pub sort: bool,
    pub unicode: bool,
    pub start: bool,
    pub end: bool,
}

enum Node {
    /// `is_data`: not a text, so never quoted.
    Scalar {
        text: String,
        is_data: bool,
    },
    Seq(Vec<Node>, bool),
    Map(Vec<(Node, Node)>, bool),
}

pub(super) fn document(value: &Val, options: Options) -> Res<String> {
    let node = options.node(value)?;
    let mut emitter = Emitter {
        options,
        out: String::new(),
        column: 0,
        indent: None,
        flow_level: 0,
        whitespace: true,
        indention: true,
    };
    if emitter.options.start {
        emitter.indicator("---", true, false, false);
        if matches!(&node, Node::Seq(items, false) if !items.is_empty())
            || matches!(&node, Node::Map(items, false) if !items.is_empty())
        {
            emitter.write_indent();
        }
    }
    emitter.node(&node, Context::Root);
    emitter.write_indent();
    if emitter.options.end {
        emitter.indicator("...", true, false, false);
        emitter.write_indent();
    }
    Ok(emitter.out)
}

impl Options {
    fn node(&self, value: &Val) -> Res<Node> {
        Ok(match value {
            Val::None => data("null"),
            Val::Bool(b) => data(if *b { "true" } else { "false" }),
            Val::Int(n) => data(&n.to_string()),
            Val::Float(n) => data(&float(*n)),
            Val::Str(text) => Node::Scalar {
                text: text.to_string(),
                is_data: false,
            },
            Val::List(items) => {
                let items = items.borrow().clone();
                self.seq(&items)?
            }
            Val::Tuple(items) => self.seq(items)?,
            Val::Dict(items) => {
                let mut entries: Vec<(Val, Val)> = items
                    .borrow()
                    .iter()
                    .filter(|(_, v)| !matches!(v, Val::Omit))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                // Keys without an order stay as they are, as in PyYAML.
                let sortable = entries
                    .windows(2)
                    .all(|pair| ops::order(&pair[0].0, &pair[1].0).is_some());
                if self.sort && sortable {
                    entries.sort_by(|a, b| {
                        ops::order(&a.0, &b.0).unwrap_or(std::cmp::Ordering::Equal)
                    });
                }
                let mut nodes = Vec::with_capacity(entries.len());
                for (key, item) in &entries {
                    nodes.push((self.node(key)?, self.node(item)?));
                }
                let simple = nodes.iter().all(|(k, v)| is_scalar(k) && is_scalar(v));
                Node::Map(nodes, self.flow.unwrap_or(simple))
            }
            Val::Object(object) => match object.to_value()? {
                crate::value::Value::String(text) => data(&text),
                other => self.node(&Val::from_plain(&other))?,
            },
            Val::Undefined(error) => return Err((**error).clone()),
            other => {
                return Err(Error::wrong_type(format!(
                    "a {} cannot be written as YAML",
                    other.type_name()
                )));
            }
        })
    }

    fn seq(&self, items: &[Val]) -> Res<Node> {
        let kept = items.iter().filter(|v| !matches!(v, Val::Omit));
        let nodes = kept.map(|v| self.node(v)).collect::<Res<Vec<_>>>()?;
        let simple = nodes.iter().all(is_scalar);
        Ok(Node::Seq(nodes, self.flow.unwrap_or(simple)))
    }
}

fn data(text: &str) -> Node {
    Node::Scalar {
        text: text.to_string(),
        is_data: true,
    }
}

fn is_scalar(node: &Node) -> bool {
    matches!(node, Node::Scalar { .. })
}

fn float(n: f64) -> String {
    match native::float(n).as_str() {
        "inf" => ".inf".into(),
        "-inf" => "-.inf".into(),
        "nan" => ".nan".into(),
        // YAML 1.1 wants a point in a number with an exponent.
        text if !text.contains('.') => text.replacen('e', ".0e", 1),
        text => text.into(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Seq,
    /// A value, or a key that needs `?`.
    Map,
    SimpleKey,
}

struct Emitter {
    options: Options,
    out: String,
    column: usize,
    indent: Option<usize>,
    flow_level: usize,
    /// The last thing written was a blank.
    whitespace: bool,
    /// Only indentation and indicators stand on this line so far.
    indention: bool,
}

impl Emitter {
    fn node(&mut self, node: &Node, context: Context) {
        match node {
            Node::Scalar { text, is_data } => self.scalar(text, *is_data, context),
            Node::Seq(items, flow) if self.flow_level > 0 || *flow || items.is_empty() => {
                self.flow(items.len(), '[', ']', |emitter, at| {
                    emitter.node(&items[at], Context::Seq);
                });
            }
            Node::Map(items, flow) if self.flow_level > 0 || *flow || items.is_empty() => {
                self.flow(items.len(), '{', '}', |emitter, at| {
                    let (key, value) = &items[at];
                    if emitter.is_simple_key(key) {
                        emitter.node(key, Context::SimpleKey);
                        emitter.indicator(":", false, false, false);
                    } else {
                        emitter.indicator("?", true, false, false);
                        emitter.node(key, Context::Map);
                        emitter.indicator(":", true, false, false);
                    }
                    emitter.node(value, Context::Map);
                });
            }
            Node::Seq(items, _) => {
                let outer = self.indent;
                let indentless = context == Context::Map && !self.indention;
                if !indentless || outer.is_none() {
                    self.deeper();
                }
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, false, true);
                    self.node(item, Context::Seq);
                }
                self.indent = outer;
            }
            Node::Map(items, _) => {
                let outer = self.indent;
                self.deeper();
                for (key, value) in items {
                    self.write_indent();
                    if self.is_simple_key(key) {
                        self.node(key, Context::SimpleKey);
                        self.indicator(":", false, false, false);
                    } else {
                        self.indicator("?", true, false, true);
                        self.node(key, Context::Map);
                        self.write_indent();
                        self.indicator(":", true, false, true);
                    }
                    self.node(value, Context::Map);
                }
                self.indent = outer;
            }
        }
    }

    fn deeper(&mut self) {
        self.indent = Some(self.indent.map_or(0, |indent| indent + self.options.indent));
    }

    fn flow(&mut self, len: usize, open: char, close: char, item: impl Fn(&mut Self, usize)) {
        self.indicator(open.encode_utf8(&mut [0; 4]), true, true, false);
        self.flow_level += 1;
        let outer = self.indent;
        self.indent = Some(outer.map_or(self.options.indent, |i| i + self.options.indent));
        for at in 0..len {
            if at > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.options.width {
                self.write_indent();
            }
            item(self, at);
        }
        self.indent = outer;
        self.flow_level -= 1;
        self.indicator(close.encode_utf8(&mut [0; 4]), false, false, false);
    }

    fn is_simple_key(&self, key: &Node) -> bool {
        match key {
            Node::Scalar { text, .. } => {
                text.len() <= 128 && !scalar::analyse(text, self.options.unicode).multiline
            }
            Node::Seq(items, _) => items.is_empty(),
            Node::Map(items, _) => items.is_empty(),
        }
    }

    fn indicator(&mut self, text: &str, need_blank: bool, whitespace: bool, indention: bool) {
        if need_blank && !self.whitespace {
            self.write(" ");
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.write(text);
    }

    fn write(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn line_break(&mut self, text: &str) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push_str(text);
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break("\n");
        }
        if self.column < indent {
            self.whitespace = true;
            let blanks = " ".repeat(indent - self.column);
            self.write(&blanks);
        }
    }

    fn scalar(&mut self, text: &str, is_data: bool, context: Context) {
        let place = Place {
            in_flow: self.flow_level > 0,
            simple_key: context == Context::SimpleKey,
        };
        let analysis = scalar::analyse(text, self.options.unicode);
        let split = context != Context::SimpleKey;
        // A long text is folded below the place where it starts.
        let outer = self.indent;
        self.indent = Some(outer.map_or(self.options.indent, |i| i + self.options.indent));
        match analysis.quotes(text, place, is_data) {
            Quotes::Plain => self.plain(text, split),
            Quotes::Single => self.single_quoted(text, split),
            Quotes::Double => self.double_quoted(text, split),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.write(" ");
        }
        self.whitespace = false;
        self.indention = false;
        for (spaces, part) in runs(text) {
            if spaces && part.len() == 1 && self.column > self.options.width && split {
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
            } else {
                self.write(part);
            }
        }
    }

    fn single_quoted(&mut self, text: &str, split: bool) {
        self.indicator("'", true, false, false);
        let mut done = 0;
        for (spaces, part) in runs(text) {
            let at_edge = done == 0 || done + part.len() == text.len();
            done += part.len();
            if spaces && part.len() == 1 && self.column > self.options.width && split && !at_edge {
                self.write_indent();
            } else if part.starts_with(is_break) {
                if part.starts_with('\n') {
                    self.line_break("\n");
                }
                for c in part.chars() {
                    self.line_break(c.encode_utf8(&mut [0; 4]));
                }
                self.write_indent();
            } else {
                self.write(&part.replace('\'', "''"));
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &str, split: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (at, &c) in chars.iter().enumerate() {
            if matches!(c, '"' | '\\') || !is_printable(c, self.options.unicode) || is_break(c) {
                self.write(&escape(c));
                after_space = false;
            } else if c == ' ' {
                let inside = at > 0 && at + 1 < chars.len();
                if split && !after_space && inside && self.column > self.options.width {
                    self.write_indent();
                    if chars.get(at + 1) == Some(&' ') {
                        self.write("\\");
                    }
                } else {
                    self.write(" ");
                }
                after_space = true;
            } else {
                self.write(c.encode_utf8(&mut [0; 4]));
                after_space = false;
            }
        }
        self.indicator("\"", false, false, false);
    }
}

/// Cuts a text into runs of blanks, of line breaks, and of the rest; tells which are blanks.
fn runs(text: &str) -> Vec<(bool, &str)> {
    let kind = |c: char| (c == ' ', is_break(c));
    let mut all = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        if last.is_some_and(|last| last != kind(c)) {
            all.push((start, at));
            start = at;
        }
        last = Some(kind(c));
    }
    all.push((start, text.len()));
    all.into_iter()
        .map(|(from, to)| &text[from..to])
        .filter(|part| !part.is_empty())
        .map(|part| (part.starts_with(' '), part))
        .collect()
}

fn escape(c: char) -> String {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            let code = c as u32;
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{letter}")
}
