//! Turns the events of the YAML parser into a tree of nodes, with anchors, merge keys and tags resolved.

use super::{Entry, Kind, Map, Node, fault, mend, scalar};
use crate::diag::{Diagnostic, Diagnostics, Source, Span};
use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, Span as Stretch, StrInput, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// How deep collections may be nested.
const MAX_DEPTH: usize = 128;
/// How long a file may be, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How many nodes aliases may copy in one file.
const MAX_COPIES: usize = 200_000;

/// Reads the one document of `source`; an empty file is a null.
///
/// A syntax error becomes a diagnostic, and the result is `None`.
pub fn parse(source: &Arc<Source>, diagnostics: &mut Diagnostics) -> Option<Node> {
    let mut documents = parse_all(source, diagnostics)?;
    if let Some(second) = documents.get(1) {
        diagnostics.push(
            second
                .span
                .error("a second document begins here, but this file may hold only one")
                .help("remove the `---` before it"),
        );
        return None;
    }
    Some(
        documents
            .pop()
            .unwrap_or_else(|| Node::new(Kind::Null, Span::start_of(source))),
    )
}

/// Reads every document of `source`.
pub fn parse_all(source: &Arc<Source>, diagnostics: &mut Diagnostics) -> Option<Vec<Node>> {
    if source.text.len() > MAX_BYTES {
        let message = format!("file is larger than {} MiB", MAX_BYTES / 1024 / 1024);
        diagnostics.push(Span::start_of(source).error(message));
        return None;
    }
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let text = mend::mend(text);
    let mut composer = Composer::new(&text, source, diagnostics);
    match composer.documents() {
        Ok(documents) => Some(documents),
        Err(fault) => {
            diagnostics.push(*fault);
            None
        }
    }
}

type Fault = Box<Diagnostic>;

/// What an alias leads to, and what following it costs.
struct Anchored {
    node: Node,
    size: usize,
    height: usize,
}

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
    source: &'a Arc<Source>,
    lines: Vec<&'a str>,
    anchors: HashMap<usize, Anchored>,
    copies: usize,
    depth: usize,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Composer<'a> {
    fn new(text: &'a str, source: &'a Arc<Source>, diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            source,
            lines: text.lines().collect(),
            anchors: HashMap::new(),
            copies: 0,
            depth: 0,
            diagnostics,
        }
    }

    fn documents(&mut self) -> Result<Vec<Node>, Fault> {
        let mut documents = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(documents),
                (Event::DocumentStart(_), _) => {
                    let (event, at) = self.next()?;
                    documents.push(self.node(event, at)?);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Stretch), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Box::new(fault::explain(&error, self.source, &self.lines))),
            None => Ok((Event::StreamEnd, Stretch::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, at: Stretch) -> Result<Node, Fault> {
        match event {
            Event::Alias(id) => self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.span(at);
                let kind = scalar_kind(text, style, tag.as_deref(), &span)?;
                Ok(self.remember(anchor, Node::new(kind, span)))
            }
            Event::SequenceStart(anchor, tag) => {
                let tag = collection_tag(tag.as_deref(), &self.span(at))?;
                let items = self.within(at, Composer::items)?;
                let node = Node::new(Kind::Seq(items), self.span(at));
                Ok(self.remember(anchor, tag.apply(node)))
            }
            Event::MappingStart(anchor, tag) => {
                let tag = collection_tag(tag.as_deref(), &self.span(at))?;
                let map = self.within(at, |composer| composer.map(at))?;
                let mut span = self.span(at);
                // A block mapping has no mark of its own: its first key stands for it.
                if let Some(first) = map.entries.values().map(|entry| &entry.key).next()
                    && (first.line, first.column) == (span.line, span.column)
                {
                    span.length = first.length;
                }
                Ok(self.remember(anchor, tag.apply(Node::new(Kind::Map(map), span))))
            }
            _ => Ok(Node::new(Kind::Null, self.span(at))),
        }
    }

    fn within<T>(
        &mut self,
        at: Stretch,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(self.span(at).error(message)));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn items(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at)?),
            }
        }
    }

    fn map(&mut self, start: Stretch) -> Result<Map, Fault> {
        let mut own: Vec<(String, Entry)> = Vec::new();
        let mut merged = Map::default();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge = matches!(
                &event,
                Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<"
            );
            if matches!(event, Event::MappingStart(..) | Event::SequenceStart(..)) {
                return Err(Box::new(self.collection_as_key(start, at)));
            }
            let key = self.node(event, at)?;
            let (event, value_at) = self.next()?;
            let is_absent =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
            let mut value = self.node(event, value_at)?;
            if is_absent {
                // Nothing was written: the parser's mark may be lines below.
                value.span = key.span.clone();
            }
            if is_merge {
                merge(&mut merged, value)?;
                continue;
            }
            let name = key_text(&key)?;
            let entry = Entry {
                key: key.span,
                value,
            };
            own.push((name, entry));
        }
        Ok(self.with_merged(merged, own))
    }

    /// Puts a mapping's own entries over the merged ones; of the same key twice the last wins.
    fn with_merged(&mut self, merged: Map, own: Vec<(String, Entry)>) -> Map {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut map = merged;
        for (name, entry) in own {
            if let Some(first) = seen.insert(name.clone(), entry.key.clone()) {
                let warning = entry
                    .key
                    .warning(format!("duplicate key `{name}`: the last one wins"))
                    .label(first, "first defined here");
                self.diagnostics.push(warning);
            }
            map.entries.insert(name, entry);
        }
        map
    }

    fn collection_as_key(&self, start: Stretch, at: Stretch) -> Diagnostic {
        let opens_template = at.start.line() == start.start.line()
            && at.start.index() == start.start.index() + 1
            && self.rest_of_line(start).starts_with("{{");
        if opens_template {
            let length = fault::template_length(self.rest_of_line(start));
            let span = fault::span(self.source, start.start.line(), start.start.col(), length);
            return fault::unquoted_template(&span);
        }
        self.span(at)
            .error("a mapping or a list cannot be the key of a mapping")
    }

    fn alias(&mut self, id: usize, at: Stretch) -> Result<Node, Fault> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Box::new(
                self.span(at).error("this alias is inside its own anchor"),
            ));
        };
        self.copies += anchored.size;
        if self.copies > MAX_COPIES {
            let message = format!("aliases expand to more than {MAX_COPIES} values");
            return Err(Box::new(self.span(at).error(message)));
        }
        if self.depth + anchored.height > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(self.span(at).error(message)));
        }
        Ok(anchored.node.clone())
    }

    fn remember(&mut self, anchor: usize, node: Node) -> Node {
        if anchor > 0 {
            let (size, height) = measure(&node);
            let anchored = Anchored {
                node: node.clone(),
                size,
                height,
            };
            self.anchors.insert(anchor, anchored);
        }
        node
    }

    fn rest_of_line(&self, at: Stretch) -> &'a str {
        let line = self.lines.get(at.start.line().wrapping_sub(1));
        let line = line.copied().unwrap_or("");
        line.char_indices()
            .nth(at.start.col())
            .map_or("", |(offset, _)| &line[offset..])
    }

    /// The part of a stretch that is on its first line.
    fn span(&self, at: Stretch) -> Span {
        let length = if at.start.line() == at.end.line() {
            at.end.col().saturating_sub(at.start.col())
        } else {
            self.rest_of_line(at).trim_end().chars().count()
        };
        fault::span(self.source, at.start.line(), at.start.col(), length)
    }
}

/// Counts the nodes of a tree, and its levels.
fn measure(node: &Node) -> (usize, usize) {
    let (mut size, mut height) = (1, 0);
    let mut add = |child: &Node| {
        let (s, h) = measure(child);
        size += s;
        height = height.max(h + 1);
    };
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(&mut add),
        Kind::Map(map) => map.entries.values().for_each(|entry| add(&entry.value)),
        _ => {}
    }
    (size, height)
}

/// A key that is no string becomes its text, booleans as Python writes them.
fn key_text(key: &Node) -> Result<String, Fault> {
    Ok(match &key.kind {
        Kind::Str(text) | Kind::Unsafe(text) => text.clone(),
        Kind::Null => "null".into(),
        Kind::Bool(true) => "True".into(),
        Kind::Bool(false) => "False".into(),
        Kind::Int(n) => n.to_string(),
        Kind::Float(n) => format!("{n:?}"),
        Kind::Vault(_) | Kind::Seq(_) | Kind::Map(_) => {
            let message = format!("{} cannot be the key of a mapping", key.kind_name());
            return Err(Box::new(key.span.error(message)));
        }
    })
}

/// Adds what `<<` gives: of several mappings in a list the first wins, of several `<<` the last.
fn merge(into: &mut Map, value: Node) -> Result<(), Fault> {
    match value.kind {
        Kind::Map(map) => into.entries.extend(map.entries),
        Kind::Seq(items) => {
            for item in items.into_iter().rev() {
                let Kind::Map(map) = item.kind else {
                    return Err(Box::new(not_mergeable(&item)));
                };
                into.entries.extend(map.entries);
            }
        }
        _ => return Err(Box::new(not_mergeable(&value))),
    }
    Ok(())
}

fn not_mergeable(value: &Node) -> Diagnostic {
    let message = format!("`<<` needs a mapping, found {}", value.kind_name());
    let help = "write `<<: *anchor` or `<<: [*one, *two]`";
    value.span.error(message).help(help)
}

fn scalar_kind(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: &Span,
) -> Result<Kind, Fault> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => scalar::resolve(&text),
            _ => Kind::Str(text.into_owned()),
        });
    };
    let wrong = |what: &str| Box::new(span.error(format!("`{text}` is not {what}")));
    match tag_name(tag).as_str() {
        "!unsafe" => Ok(Kind::Unsafe(text.into_owned())),
        "!vault" | "!vault-encrypted" => Ok(Kind::Vault(text.into_owned())),
        "!" | "!!str" | "!!timestamp" => Ok(Kind::Str(text.into_owned())),
        "!!null" => Ok(Kind::Null),
        "!!bool" => scalar::bool_of(&text)
            .map(Kind::Bool)
            .ok_or_else(|| wrong("a boolean")),
        "!!int" => scalar::int_of(&text)
            .map(Kind::Int)
            .ok_or_else(|| wrong("an integer")),
        "!!float" => scalar::float_of(&text)
            .or_else(|| text.parse().ok())
            .map(Kind::Float)
            .ok_or_else(|| wrong("a number")),
        "!!binary" => {
            let compact: String = text.split_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(compact)
                .map(|bytes| Kind::Str(String::from_utf8_lossy(&bytes).into_owned()))
                .map_err(|_| wrong("base64"))
        }
        other => Err(Box::new(unknown_tag(other, span))),
    }
}

#[derive(Clone, Copy)]
enum CollectionTag {
    None,
    Unsafe,
}

impl CollectionTag {
    fn apply(self, mut node: Node) -> Node {
        if let Self::Unsafe = self {
            make_unsafe(&mut node);
        }
        node
    }
}

fn collection_tag(tag: Option<&Tag>, span: &Span) -> Result<CollectionTag, Fault> {
    let Some(tag) = tag else {
        return Ok(CollectionTag::None);
    };
    match tag_name(tag).as_str() {
        "!unsafe" => Ok(CollectionTag::Unsafe),
        "!" | "!!seq" | "!!map" | "!!omap" | "!!set" | "!!pairs" => Ok(CollectionTag::None),
        other => Err(Box::new(unknown_tag(other, span))),
    }
}

fn make_unsafe(node: &mut Node) {
    match &mut node.kind {
        Kind::Str(text) => node.kind = Kind::Unsafe(std::mem::take(text)),
        Kind::Seq(items) => items.iter_mut().for_each(make_unsafe),
        Kind::Map(map) => {
            let entries = map.entries.values_mut();
            entries.for_each(|entry| make_unsafe(&mut entry.value));
        }
        _ => {}
    }
}

fn tag_name(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        format!("!!{}", tag.suffix)
    } else {
        format!("{}{}", tag.handle, tag.suffix)
    }
}

fn unknown_tag(name: &str, span: &Span) -> Diagnostic {
    let known = ["!vault", "!unsafe", "!!str", "!!int", "!!float", "!!bool"];
    span.error(format!("unknown tag `{name}`"))
        .did_you_mean(name, known)
}

#[cfg(test)]
mod tests;
