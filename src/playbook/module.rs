//! Finds the module among the keys of a task, and reads its arguments in any of the ways in which they are written.

use super::freeform::{self, RAW, Style};
use super::keywords::{self, Place, is_template, shown};
use super::load::Loader;
use crate::diag::{Diagnostic, Span, nearest};
use crate::modules;
use crate::yaml::{Entry, Kind, Map, Node};

/// The module of a task, as written.
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) key: Span,
    /// Its arguments, of whatever kind.
    value: Node,
    /// The free text, where it is not the whole of `value`.
    text: Option<String>,
    pub(crate) is_local: bool,
}

/// The arguments of a task.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) map: Map,
    pub(crate) template: Option<Node>,
}

const IMPORTS: &[&str] = &["import_tasks", "import_role", "import_playbook", "include"];
/// A condition does not help: what is read before the run must be known before the run, as in Ansible.
const NO_SUCH_MODULE: &str = "`krun doc` lists the modules that krun has; a task for other hosts may stand in a file \
    of its own, which `include_tasks` reads only where it is wanted (`import_tasks` and `when` do not help)";
const COMMANDS: &[&str] = &["command", "shell", "raw", "script", "expect"];
/// Modules whose free text is a name rather than a command.
const NAMED: &[&str] = &[
    "meta",
    "include_vars",
    "include_tasks",
    "include_role",
    "import_tasks",
    "import_role",
    "include",
];

/// Returns a module's name without Ansible's own prefixes.
pub(crate) fn short(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name)
}

/// Returns a module's name without its collection.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub(crate) fn is_import(name: &str) -> bool {
    IMPORTS.contains(&short(name))
}

fn is_module(name: &str) -> bool {
    is_import(name) || modules::find(name).is_some()
}

/// Returns krun's name of the module, or the written one if there is no such module.
pub(crate) fn canonical(name: &str) -> &str {
    if is_import(name) {
        return short(name);
    }
    modules::find(name).map_or_else(|| short(name), |entry| entry.name)
}

impl Loader<'_> {
    /// Finds the one module key of a task; reports all other keys that are no keywords.
    pub(crate) fn module(&mut self, map: &Map, place: Place, span: &Span) -> Option<Chosen> {
        let mut found: Vec<Chosen> = Vec::new();
        let mut unknown = Vec::new();
        let is_old_include = map.entries.contains_key("include");
        for (name, entry) in &map.entries {
            if matches!(name.as_str(), "action" | "local_action") {
                found.extend(self.action(name == "local_action", &entry.value));
            } else if keywords::find(name, place).is_some()
                || name.starts_with("with_")
                || (is_old_include && name == "static")
            {
            } else if is_module(name) {
                found.push(Chosen {
                    name: name.clone(),
                    key: entry.key.clone(),
                    value: entry.value.clone(),
                    text: None,
                    is_local: false,
                });
            } else {
                unknown.push((name, entry));
            }
        }
        if let [first, others @ ..] = &found[..]
            && !others.is_empty()
        {
            let names: Vec<String> = found.iter().map(|c| format!("`{}`", c.name)).collect();
            let message = format!(
                "a task has one module, this one has {}",
                names.join(" and ")
            );
            let mut fault = others[0].key.error(message);
            fault = fault.label(first.key.clone(), "the first module");
            self.push(fault.help("begin another task with `- `"));
            return None;
        }
        let is_action_written =
            map.entries.contains_key("action") || map.entries.contains_key("local_action");
        if found.is_empty() && !is_action_written {
            found.extend(self.no_module(&mut unknown, place, span));
        }
        for (name, entry) in unknown {
            if name == "hosts" && found.is_empty() {
                continue;
            }
            keywords::unknown(name, &entry.key, place, self.diagnostics);
        }
        found.pop()
    }

    /// Says why a task has no module, and takes the key that was meant to be it out of `unknown`.
    ///
    /// Returns the module that krun does not know, where the task may never run.
    fn no_module(
        &mut self,
        unknown: &mut Vec<(&String, &crate::yaml::Entry)>,
        place: Place,
        span: &Span,
    ) -> Option<Chosen> {
        if unknown.iter().any(|(name, _)| *name == "hosts") {
            let fault = span.error("a play stands where a task is expected");
            self.push(fault.help("plays stand at the top level of a playbook"));
            unknown.clear();
            return None;
        }
        let known: Vec<&str> = modules::entries()
            .map(|entry| entry.name)
            .chain(IMPORTS.iter().copied())
            .collect();
        // Of several keys the one nearest to a module was meant, or one that looks like no keyword.
        let is_keyword = |name: &str| keywords::KEYWORDS.iter().any(|k| k.name == name);
        let is_near_module = |name: &str| nearest(last(name), known.iter().copied()).is_some();
        let is_near_keyword = |name: &str| nearest(name, keywords::names(place)).is_some();
        let candidates: Vec<usize> = (0..unknown.len())
            .filter(|&at| !is_keyword(unknown[at].0))
            .collect();
        let first = |test: &dyn Fn(&str, &Node) -> bool| {
            let mut all = candidates.iter().copied();
            all.find(|&at| test(unknown[at].0, &unknown[at].1.value))
        };
        let meant = match candidates[..] {
            [only] => Some(only),
            _ => first(&|name, _| is_near_module(name))
                .or_else(|| {
                    first(&|name, value| value.as_map().is_some() && !is_near_keyword(name))
                })
                .or_else(|| first(&|name, _| !is_near_keyword(name))),
        };
        let Some(at) = meant else {
            if unknown.is_empty() {
                let fault = span.error(format!("{} without a module", place.noun()));
                self.push(fault.help("add one, such as `command:` or `copy:`"));
            }
            return None;
        };
        let (name, entry) = unknown.remove(at);
        let fault = self.unknown_module(&entry.key, name);
        let is_near = nearest(last(name), known).is_some();
        self.push(match nearest(name, keywords::names(place)) {
            Some(near) if !is_near => fault.help(format!("did you mean the keyword `{near}`?")),
            _ => fault,
        });
        self.is_included.then(|| Chosen {
            name: name.clone(),
            key: entry.key.clone(),
            value: entry.value.clone(),
            text: None,
            is_local: false,
        })
    }

    /// An error, or a warning where the task may never run.
    fn unknown_module(&self, at: &Span, name: &str) -> Diagnostic {
        let message = format!("unknown module `{name}`");
        let known = modules::entries()
            .map(|entry| entry.name)
            .chain(IMPORTS.iter().copied());
        match nearest(last(name), known) {
            Some(near) if self.is_included => at.warning(message).help(format!(
                "did you mean `{near}`? a task that comes to it fails"
            )),
            Some(near) => at.error(message).help(format!("did you mean `{near}`?")),
            None if self.is_included => at.warning(message).help("a task that comes to it fails"),
            None => at.error(message).help(NO_SUCH_MODULE),
        }
    }

    /// Reads `action:`, a text `module k=v` or a mapping with `module`.
    fn action(&mut self, is_local: bool, value: &Node) -> Option<Chosen> {
        let word = if is_local { "local_action" } else { "action" };
        let (name, text, rest) = match &value.kind {
            Kind::Str(text) => {
                let text = text.trim();
                let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                (name.to_owned(), Some(rest.to_owned()), value.clone())
            }
            Kind::Map(map) => {
                let mut rest = map.clone();
                let name = rest.entries.shift_remove("module");
                let Some(name) = name.and_then(|entry| entry.value.as_str().map(str::to_owned))
                else {
                    let fault = value.span.error(format!("`{word}` names no module"));
                    self.push(fault.help(format!("write `{word}: {{module: copy, …}}`")));
                    return None;
                };
                let (name, text) = match name.split_once(char::is_whitespace) {
                    Some((name, rest)) => (name.to_owned(), Some(rest.to_owned())),
                    None => (name, None),
                };
                let mut chosen = Node::new(Kind::Map(rest), value.span.clone());
                if let Some(text) = text {
                    chosen.kind = Kind::Str(text);
                }
                (name, None, chosen)
            }
            _ => {
                let fault = format!(
                    "`{word}` must be a string or a mapping, not {}",
                    shown(value)
                );
                self.push(value.span.error(fault));
                return None;
            }
        };
        if !is_module(&name) {
            if is_template(&name) {
                let fault = value
                    .span
                    .error(format!("the module of `{word}` is a template"));
                self.push(fault.help("name the module; its arguments may be templates"));
                return None;
            }
            let fault = self.unknown_module(&value.span, &name);
            self.push(fault);
            if !self.is_included {
                return None;
            }
        }
        Some(Chosen {
            name,
            key: value.span.clone(),
            value: rest,
            text,
            is_local,
        })
    }

    /// Reads the arguments of the module, and those under `args:`, which it beats.
    pub(crate) fn read_arguments(&mut self, chosen: &Chosen, task: &Map) -> Option<Arguments> {
        let mut arguments = Arguments::default();
        if let Some(entry) = task.entries.get("args") {
            match &entry.value.kind {
                Kind::Map(map) => arguments.map = map.clone(),
                Kind::Str(text) if is_template(text) => {
                    arguments.template = Some(entry.value.clone());
                }
                // Anything else has been reported as the wrong kind of value.
                _ => {}
            }
        }
        let value = &chosen.value;
        match (&value.kind, &chosen.text) {
            (_, Some(text)) => self.free_form(chosen, text, &mut arguments)?,
            (Kind::Null, _) => {}
            (Kind::Map(map), _) => arguments.map.entries.extend(map.entries.clone()),
            (Kind::Str(text) | Kind::Unsafe(text), _) => {
                self.free_form(chosen, text, &mut arguments)?;
            }
            (Kind::Bool(_) | Kind::Int(_) | Kind::Float(_), _) => {
                let text = crate::value::display(&value.to_value());
                self.free_form(chosen, &text, &mut arguments)?;
            }
            (Kind::Seq(_) | Kind::Vault(_), _) => {
                let fault = value.span.error(format!(
                    "the arguments of `{}` must be a mapping, not {}",
                    chosen.name,
                    shown(value)
                ));
                self.push(fault);
                return None;
            }
        }
        Some(arguments)
    }

    fn free_form(&mut self, chosen: &Chosen, text: &str, into: &mut Arguments) -> Option<()> {
        let module = canonical(&chosen.name);
        let style = if COMMANDS.contains(&module) {
            Style::Command
        } else {
            Style::Words
        };
        let node = &chosen.value;
        let mut map = match freeform::parse(node, text, style) {
            Ok(map) => map,
            Err(fault) => {
                self.push(node.span.error(fault));
                return None;
            }
        };
        if style == Style::Words
            && !NAMED.contains(&module)
            && let Some(raw) = map.entries.shift_remove(RAW)
        {
            let text = raw.value.as_str().unwrap_or_default();
            if modules::find(&chosen.name).is_none() {
                map.entries.insert(RAW.into(), raw);
            } else if is_template(text) && text.starts_with('{') {
                into.template = Some(raw.value);
            } else {
                self.push(stray_words(node, &chosen.name, text));
                return None;
            }
        }
        if module == "set_fact" {
            map.entries.values_mut().for_each(read_flag);
        }
        into.map.entries.extend(map.entries);
        Some(())
    }
}

/// `set_fact: ready=no` sets a boolean, as Ansible has always done.
fn read_flag(entry: &mut Entry) {
    let flag = match entry.value.as_str().map(str::to_lowercase).as_deref() {
        Some("true" | "yes") => true,
        Some("false" | "no") => false,
        _ => return,
    };
    entry.value.kind = Kind::Bool(flag);
}

fn stray_words(node: &Node, module: &str, text: &str) -> Diagnostic {
    let message = format!("`{text}` is not an argument of `{module}`");
    let entry = modules::find(module);
    let first = entry.and_then(|entry| {
        let required = entry.args.iter().find(|arg| arg.required);
        required.or(entry.args.first())
    });
    let fault = node.span.error(message);
    match first {
        Some(arg) => fault.help(format!("arguments are written as `{}: …`", arg.name)),
        None => fault,
    }
}
