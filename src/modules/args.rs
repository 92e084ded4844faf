//! Turns what a playbook wrote as a module's arguments into what the module's struct deserializes from, or into located faults.

use crate::diag::{Diagnostics, Span, nearest};
use crate::value::{self, Mapping, Value};
use crate::yaml::{Kind, Map, Node};

/// One argument of a module, as users see it.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgKind,
    pub required: bool,
    pub aliases: &'static [&'static str],
    pub choices: &'static [&'static str],
    /// One line for `krun doc`; says the default.
    pub doc: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    Str,
    /// A path on the host or controller; `~`, `~user` and `$NAME` in it mean what they mean there.
    Path,
    /// A list of such paths.
    PathList,
    Bool,
    Int,
    Float,
    /// `0644`, `u=rw,g=r`; an integer is read as its octal text, as YAML 1.1 makes it.
    Mode,
    /// A list of texts; a single text is split at commas, as Ansible does.
    StrList,
    /// A list of anything; a single value becomes a list of one.
    List,
    Dict,
    /// Left as it is.
    Any,
}

impl Arg {
    pub const fn new(name: &'static str, kind: ArgKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            required: false,
            aliases: &[],
            choices: &[],
            doc,
        }
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Returns the value in the shape that the module's field expects, or what is wrong with it.
    pub fn coerce(&self, value: Value) -> Result<Value, String> {
        let wrong = |wanted: &str, value: &Value| {
            Err(format!(
                "`{}` must be {wanted}, not `{}`",
                self.name,
                value::display(value)
            ))
        };
        let coerced = match (self.kind, value) {
            (ArgKind::Any, value)
            | (ArgKind::Float, value @ Value::Number(_))
            | (ArgKind::List, value @ Value::Sequence(_))
            | (ArgKind::Dict, value @ Value::Mapping(_)) => value,
            (_, Value::Null) => Value::Null,
            (_, Value::Tagged(tagged)) => return self.coerce(tagged.value),
            (ArgKind::Str | ArgKind::Path, value @ (Value::Sequence(_) | Value::Mapping(_)))
                if self.kind == ArgKind::Path =>
            {
                return wrong("a path", &value);
            }
            (ArgKind::Str | ArgKind::Path, value) => Value::String(value::display(&value)),
            (ArgKind::Bool, value) => match value::as_bool(&value) {
                Some(flag) => Value::Bool(flag),
                None => return wrong("a boolean", &value),
            },
            (ArgKind::Int, Value::Number(n)) if n.is_i64() || n.is_u64() => Value::Number(n),
            (ArgKind::Int, Value::String(text)) => match text.trim().parse::<i64>() {
                Ok(n) => Value::Number(n.into()),
                Err(_) => return wrong("an integer", &Value::String(text)),
            },
            (ArgKind::Float, Value::String(text)) => match text.trim().parse::<f64>() {
                Ok(n) => Value::Number(n.into()),
                Err(_) => return wrong("a number", &Value::String(text)),
            },
            (ArgKind::Mode, Value::Number(n)) => match n.as_u64() {
                Some(mode) => Value::String(format!("{mode:04o}")),
                None => return wrong("a file mode", &Value::Number(n)),
            },
            (ArgKind::Mode, Value::String(text)) => match super::mode::Mode::parse(&text) {
                Err(fault) if text != "preserve" => return Err(fault),
                _ => Value::String(text),
            },
            (ArgKind::StrList | ArgKind::PathList, Value::Sequence(items)) => items
                .iter()
                .map(|item| Value::String(value::display(item)))
                .collect(),
            (ArgKind::StrList | ArgKind::PathList, value @ Value::Mapping(_)) => {
                return wrong("a list", &value);
            }
            (ArgKind::StrList | ArgKind::PathList, value) => {
                let text = value::display(&value);
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(|part| Value::String(part.into()))
                    .collect()
            }
            (ArgKind::List, value) => Value::Sequence(vec![value]),
            (ArgKind::Int, value) => return wrong("an integer", &value),
            (ArgKind::Float, value) => return wrong("a number", &value),
            (ArgKind::Mode, value) => return wrong("a file mode", &value),
            (ArgKind::Dict, value) => return wrong("a mapping", &value),
        };
        if let (false, Value::String(text)) = (self.choices.is_empty(), &coerced)
            && !self.choices.contains(&text.as_str())
        {
            return Err(format!(
                "`{}` must be one of {}, not `{text}`",
                self.name,
                self.choices.join(", ")
            ));
        }
        Ok(coerced)
    }
}

/// The default of an argument that is on unless it is turned off.
pub(super) fn yes() -> bool {
    true
}

/// Joins lists of arguments: a module's own and those that it shares with others.
macro_rules! joined {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&[$crate::modules::args::Arg]] = &[$(&$part),+];
        const ALL: [$crate::modules::args::Arg; $crate::modules::args::count(PARTS)] =
            $crate::modules::args::join(PARTS);
        &ALL
    }};
}
pub(super) use joined;

/// How many arguments [`joined!`] joins.
pub(super) const fn count(parts: &[&[Arg]]) -> usize {
    let (mut n_args, mut at) = (0, 0);
    while at < parts.len() {
        n_args += parts[at].len();
        at += 1;
    }
    n_args
}

/// What [`joined!`] makes; `N` is what [`count`] says.
pub(super) const fn join<const N: usize>(parts: &[&[Arg]]) -> [Arg; N] {
    let mut all = [Arg::new("", ArgKind::Any, ""); N];
    let (mut filled, mut at) = (0, 0);
    while at < parts.len() {
        let mut index = 0;
        while index < parts[at].len() {
            all[filled] = parts[at][index];
            filled += 1;
            index += 1;
        }
        at += 1;
    }
    all
}

/// Turns rendered arguments into the mapping that the module's struct deserializes from: aliases resolved, values coerced, `null` left out.
///
/// Returns every fault, as lines for a message.
pub fn coerce(specification: &[Arg], given: Mapping) -> Result<Mapping, Vec<String>> {
    let (mut mapping, mut faults) = (Mapping::new(), Vec::new());
    for (key, value) in given {
        let name = value::display(&key);
        // What krun itself hands over, such as free text, is no argument that a user could write.
        if name.starts_with('_') {
            mapping.insert(key, value);
            continue;
        }
        let Some(arg) = specification.iter().find(|arg| arg.answers_to(&name)) else {
            faults.push(format!("unknown argument `{name}`"));
            continue;
        };
        match arg.coerce(value) {
            Ok(Value::Null) => {}
            Ok(value) => drop(mapping.insert(arg.name.into(), value)),
            Err(fault) => faults.push(fault),
        }
    }
    for arg in specification
        .iter()
        .filter(|arg| arg.required && !mapping.contains_key(arg.name))
    {
        faults.push(format!("missing argument `{}`", arg.name));
    }
    if faults.is_empty() {
        Ok(mapping)
    } else {
        Err(faults)
    }
}

/// How the documentation of an argument begins that krun takes and does not heed; to use it is a warning.
const NO_EFFECT: &str = "accepted, has no effect";

/// Judges arguments as written, before any host is touched: names, missing ones, and values wherever no template stands in the way.
pub fn lint(
    module: &str,
    specification: &[Arg],
    given: &Map,
    at: &Span,
    is_template: &dyn Fn(&str) -> bool,
    diagnostics: &mut Diagnostics,
) {
    for (name, entry) in &given.entries {
        let Some(arg) = specification.iter().find(|arg| arg.answers_to(name)) else {
            let known = specification
                .iter()
                .flat_map(|arg| std::iter::once(arg.name).chain(arg.aliases.iter().copied()));
            let fault = entry
                .key
                .error(format!("unknown argument `{name}` of `{module}`"));
            diagnostics.push(match nearest(name, known) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!(
                    "`{module}` takes {}",
                    specification
                        .iter()
                        .map(|arg| arg.name)
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            });
            continue;
        };
        if holds_template(&entry.value, is_template) {
            continue;
        }
        if arg.doc.starts_with(NO_EFFECT) {
            let warning = format!("`{name}` of `{module}` has no effect in krun");
            diagnostics.push(entry.key.warning(warning));
        }
        if let Some(warning) = decimal_mode(arg, &entry.value) {
            diagnostics.push(warning);
        }
        if let Err(fault) = arg.coerce(entry.value.to_value()) {
            let fault = entry.value.span.error(fault);
            let word = entry.value.as_str().unwrap_or_default();
            diagnostics.push(fault.did_you_mean(word, arg.choices.iter().copied()));
        }
    }
    for arg in specification.iter().filter(|arg| arg.required) {
        if !given.entries.keys().any(|name| arg.answers_to(name)) {
            diagnostics.push(at.error(format!("missing argument `{}` of `{module}`", arg.name)));
        }
    }
}

fn holds_template(node: &Node, is_template: &dyn Fn(&str) -> bool) -> bool {
    match &node.kind {
        Kind::Str(text) => is_template(text),
        Kind::Vault(_) => true,
        Kind::Seq(items) => items.iter().any(|item| holds_template(item, is_template)),
        Kind::Map(map) => map
            .entries
            .iter()
            .any(|(key, entry)| is_template(key) || holds_template(&entry.value, is_template)),
        _ => false,
    }
}

/// `mode: 644` is decimal: it means 1204 in octal, which nobody wants.
fn decimal_mode(arg: &Arg, value: &Node) -> Option<crate::diag::Diagnostic> {
    let Kind::Int(mode) = value.kind else {
        return None;
    };
    let written = value
        .span
        .source
        .line(value.span.line)
        .chars()
        .skip(value.span.column as usize - 1)
        .collect::<String>();
    (arg.kind == ArgKind::Mode && !written.starts_with('0')).then(|| {
        value
            .span
            .warning(format!(
                "`{}: {mode}` is a decimal number and means {mode:04o}",
                arg.name
            ))
            .help(format!("write `{}: '0{mode}'`", arg.name))
    })
}
