//! Turns `krun.yml`, where it is, into the settings of labs and of what playbooks fetch.

use super::settings::Machine;
use crate::artifacts::Via;
use crate::diag::{Diagnostic, Diagnostics, Source};
use crate::lab::{EngineKind, EngineSpec};
use crate::yaml::{self, Kind, Map, Node};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What `krun.yml` says; what it leaves out has its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Config {
    /// `lab: engine:`, `engine_args:`, `run_args:`.
    pub engine: EngineSpec,
    /// `lab: base:`.
    pub base: Option<String>,
    /// `lab: packages:`.
    pub packages: Vec<String>,
    /// `lab: memory:`, here in bytes.
    pub memory_per_host: Option<u64>,
    /// `mirrors:`.
    pub mirrors: Vec<(String, String)>,
    /// `fetch_via:`.
    pub via: Via,
}

/// Reads the file that `KRUN_CONFIG` names, else `krun.yml` of the current directory, if it is there.
pub(super) fn read(machine: &Machine, diagnostics: &mut Diagnostics) -> Config {
    let named = machine.variable("KRUN_CONFIG").map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| "krun.yml".into());
    let text = match std::fs::read_to_string(machine.cwd.join(&path)) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Config::default();
        }
        Err(error) => {
            let text = format!(
                "the settings in `{}` cannot be read: {error}",
                path.display()
            );
            diagnostics.push(Diagnostic::global(text));
            return Config::default();
        }
        Ok(text) => text,
    };
    parse(&path, &text, diagnostics)
}

fn parse(path: &Path, text: &str, diagnostics: &mut Diagnostics) -> Config {
    const KEYS: &[&str] = &["lab", "mirrors", "fetch_via"];
    let mut config = Config::default();
    let Some(node) = yaml::parse(&Source::new(path, text), diagnostics) else {
        return config;
    };
    each(
        &node,
        KEYS,
        diagnostics,
        |key, value, diagnostics| match key {
            "lab" => lab(&mut config, value, diagnostics),
            "mirrors" => config.mirrors = mirrors(path, value, diagnostics),
            _ => config.via = via(value, diagnostics),
        },
    );
    config
}

fn via(node: &Node, diagnostics: &mut Diagnostics) -> Via {
    match node.as_str() {
        Some("host") => Via::Host,
        Some("controller") => Via::Controller,
        _ => wrong(node, "`host` or `controller`", diagnostics).unwrap_or_default(),
    }
}

/// Prefixes of URLs, and what stands in their place: another URL, or a directory, named from where the settings are.
fn mirrors(settings: &Path, node: &Node, diagnostics: &mut Diagnostics) -> Vec<(String, String)> {
    let is_web = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    let Kind::Map(map) = &node.kind else {
        return wrong(node, "a mapping of URLs", diagnostics).unwrap_or_default();
    };
    let mut mirrors = Vec::new();
    for (prefix, entry) in &map.entries {
        if !is_web(prefix) {
            let fault = format!("`{prefix}` is no beginning of an http or https URL");
            diagnostics.push(entry.key.error(fault));
        }
        let Some(place) = text(&entry.value, diagnostics) else {
            continue;
        };
        if is_web(&place) {
            mirrors.push((prefix.clone(), place));
            continue;
        }
        let beside = settings.parent().unwrap_or(Path::new(""));
        let dir = beside.join(place.trim_start_matches("file://"));
        match dir.canonicalize() {
            // Both ends in a slash, or neither: the rest of the URL follows either.
            Ok(dir) if prefix.ends_with('/') => {
                mirrors.push((prefix.clone(), format!("{}/", dir.display())));
            }
            Ok(dir) => mirrors.push((prefix.clone(), dir.display().to_string())),
            Err(error) => {
                let fault = format!("`{place}` is no URL, and no directory: {error}");
                diagnostics.push(entry.value.span.error(fault));
            }
        }
    }
    mirrors
}

fn lab(config: &mut Config, node: &Node, diagnostics: &mut Diagnostics) {
    const KEYS: &[&str] = &[
        "engine",
        "engine_args",
        "run_args",
        "base",
        "packages",
        "memory",
    ];
    each(
        node,
        KEYS,
        diagnostics,
        |key, value, diagnostics| match key {
            "engine" => config.engine.kind = engine(value, diagnostics),
            "engine_args" => config.engine.args = texts(value, diagnostics),
            "run_args" => config.engine.run_args = texts(value, diagnostics),
            "base" => config.base = text(value, diagnostics),
            "packages" => config.packages = texts(value, diagnostics),
            _ => {
                config.memory_per_host = match value.kind {
                    Kind::Int(mib) if mib > 0 => Some(mib.unsigned_abs() << 20),
                    _ => wrong(value, "a number of MiB", diagnostics),
                }
            }
        },
    );
}

fn engine(node: &Node, diagnostics: &mut Diagnostics) -> Option<EngineKind> {
    let named = node.as_str().unwrap_or_default();
    let found = EngineKind::ALL
        .into_iter()
        .find(|kind| kind.program() == named);
    found.or_else(|| wrong(node, "`podman` or `docker`", diagnostics))
}

/// Hands every entry of a mapping to `take`; a key that is not among `keys` is a fault.
fn each(
    node: &Node,
    keys: &[&str],
    diagnostics: &mut Diagnostics,
    mut take: impl FnMut(&str, &Node, &mut Diagnostics),
) {
    let empty = Map::default();
    let map = match &node.kind {
        Kind::Null => &empty,
        Kind::Map(map) => map,
        _ => return wrong(node, "a mapping", diagnostics).unwrap_or_default(),
    };
    for (key, entry) in &map.entries {
        if keys.contains(&key.as_str()) {
            take(key, &entry.value, diagnostics);
        } else {
            let fault = entry.key.error(format!("unknown setting `{key}`"));
            diagnostics.push(fault.did_you_mean(key, keys.iter().copied()));
        }
    }
}

fn text(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    let found = node.as_str().map(str::to_owned);
    found.or_else(|| wrong(node, "a text", diagnostics))
}

/// A list of texts, or one text of words.
fn texts(node: &Node, diagnostics: &mut Diagnostics) -> Vec<String> {
    if let Some(words) = node.as_str().and_then(shlex::split) {
        return words;
    }
    let Some(items) = node.as_seq() else {
        return wrong(node, "a list of texts", diagnostics).unwrap_or_default();
    };
    let texts = items.iter().filter_map(|item| text(item, diagnostics));
    texts.collect()
}

fn wrong<T>(node: &Node, wanted: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    let found = match node.as_str() {
        Some(text) => format!("`{text}`"),
        None => node.kind_name().to_owned(),
    };
    let text = format!("this must be {wanted}, not {found}");
    diagnostics.push(node.span.error(text));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Paint, diagnostics as draw};

    fn read(text: &str) -> (Config, String) {
        let mut diagnostics = Diagnostics::new();
        let config = parse(Path::new("krun.yml"), text, &mut diagnostics);
        (config, draw::draw(&diagnostics, Paint { colour: false }))
    }

    #[test]
    fn settings_of_labs_are_read() {
        let (config, faults) = read(
            "lab:\n  engine: docker\n  engine_args: --log-level error\n  run_args: [--cpus, '2']\n  \
             base: ubuntu:24.04\n  packages: [chrony]\n  memory: 512\n",
        );
        assert_eq!(faults, "");
        assert_eq!(config.engine.kind, Some(EngineKind::Docker));
        assert_eq!(config.engine.args, ["--log-level", "error"]);
        assert_eq!(config.engine.run_args, ["--cpus", "2"]);
        assert_eq!(config.base.as_deref(), Some("ubuntu:24.04"));
        assert_eq!(config.packages, ["chrony"]);
        assert_eq!(config.memory_per_host, Some(512 << 20));
        assert_eq!(read("").0, Config::default());
    }

    #[test]
    fn every_fault_of_the_settings_is_shown_where_it_is() {
        let (_, faults) = read("lab:\n  engin: podman\n  engine: lxc\n  memory: much\nlabs: {}\n");
        insta::assert_snapshot!(faults);
    }

    #[test]
    fn settings_of_what_is_fetched_are_read() {
        let (config, faults) = read(
            "fetch_via: controller\nmirrors:\n  https://archive.apache.org/dist/: http://mirror.intern/\n  \
             https://repo.example/: /usr/\n",
        );
        assert_eq!(faults, "");
        assert_eq!(config.via, Via::Controller);
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(
            config.mirrors,
            [
                pair("https://archive.apache.org/dist/", "http://mirror.intern/"),
                pair("https://repo.example/", "/usr/"),
            ]
        );
        let (_, faults) = read(
            "fetch_via: hosts\nmirrors:\n  archive.apache.org: http://mirror.intern/\n  https://x.example/: /not/there\n",
        );
        insta::assert_snapshot!(faults);
    }
}
