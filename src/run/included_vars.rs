//! `include_vars`: a file, or the files of a directory that are wanted → variables of a host.

use super::Run;
use super::scope::TaskScope;
use super::world;
use crate::modules::{Error, Outcome};
use crate::template::Scope;
use crate::value::{Dict, Mapping, Value, display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What Ansible reads in a directory unless `extensions` says otherwise.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Reads the variables and gives them to the host.
///
/// Fails if there is no such file or directory, and if a file of the directory has another extension or holds no mapping.
pub(super) fn include(run: &Run, scope: &TaskScope, given: &Mapping) -> Result<Outcome, Error> {
    let text = |name: &str| given.get(name).map(display);
    let files = scope.files();
    let paths = match (text("_raw_params").or_else(|| text("file")), text("dir")) {
        (Some(file), _) => {
            let file = file.trim();
            vec![files.find("vars", file).map_err(|searched| {
                Error::new(format!("no file `{file}`")).because(format!("searched:\n{searched}"))
            })?]
        }
        (None, Some(dir)) => {
            let path = files.find("vars", &dir).map_err(|searched| {
                Error::new(format!("no directory `{dir}`"))
                    .because(format!("searched:\n{searched}"))
            })?;
            Wanted::new(given)?.below(&path)?
        }
        (None, None) => return Err(Error::new("`include_vars` needs a file or `dir`")),
    };
    let mut found = Dict::new();
    for path in &paths {
        if let Some(cause) = files.why_unknown(path) {
            return Ok(Outcome {
                unknown: Some(format!("it needs {cause}")),
                ..Outcome::new()
            });
        }
        let read = run.read_vars(path).map_err(|fault| {
            Error::new(format!("`{}` cannot be read", path.display())).because(fault)
        })?;
        found.extend(read);
    }
    let merges = text("hash_behaviour").is_some_and(|how| how == "merge");
    let mut vars: Dict = match text("name") {
        Some(name) => [(name, mapping(&found))].into_iter().collect(),
        None => found,
    };
    if merges {
        let shared: Arc<dyn Scope> = scope.clone().shared();
        for (name, value) in &mut vars {
            let before = run
                .templar
                .render_str(&format!("{{{{ {name} }}}}"), &shared);
            if let (Ok(Value::Mapping(before)), Value::Mapping(after)) = (before, &*value) {
                *value = Value::Mapping(merged(before, after));
            }
        }
    }
    run.world.hide(&vars);
    let facts = mapping(&vars);
    world::write(&scope.world.host(&scope.host), |host| {
        host.included.extend(vars);
    });
    let paths = paths.iter().map(|path| path.display().to_string().into());
    Ok(Outcome::new().with("ansible_facts", facts).with(
        "ansible_included_var_files",
        Value::Sequence(paths.collect()),
    ))
}

fn mapping(vars: &Dict) -> Value {
    let entries = vars.iter();
    Value::Mapping(
        entries
            .map(|(name, value)| (Value::String(name.clone()), value.clone()))
            .collect(),
    )
}

/// `hash_behaviour: merge`: mappings within mappings are merged, everything else is replaced.
fn merged(mut before: Mapping, after: &Mapping) -> Mapping {
    for (name, value) in after {
        let both = match (before.get(name), value) {
            (Some(Value::Mapping(old)), Value::Mapping(new)) => {
                Value::Mapping(merged(old.clone(), new))
            }
            _ => value.clone(),
        };
        before.insert(name.clone(), both);
    }
    before
}

/// Which files of a directory are read.
struct Wanted {
    /// Directories below the first one that are entered: 1 is none; 0: all.
    depth: usize,
    /// The name holds this.
    matching: Option<fancy_regex::Regex>,
    /// The name ends with one of these.
    ignored: Vec<fancy_regex::Regex>,
    extensions: Vec<String>,
    passes_over_others: bool,
}

impl Wanted {
    fn new(given: &Mapping) -> Result<Self, Error> {
        let list = |name: &str| -> Option<Vec<String>> {
            match given.get(name)? {
                Value::Sequence(list) => Some(list.iter().map(display).collect()),
                text => Some(display(text).split(' ').map(str::to_owned).collect()),
            }
        };
        let pattern = |text: &str| {
            fancy_regex::Regex::new(text).map_err(|error| {
                Error::new(format!("`{text}` is no regular expression")).because(error)
            })
        };
        let matching = given.get("files_matching").map(display);
        let ignored = list("ignore_files").unwrap_or_default();
        let ignored = ignored.iter().map(|text| pattern(&format!("{text}$")));
        Ok(Self {
            depth: given
                .get("depth")
                .and_then(|depth| display(depth).trim().parse().ok())
                .unwrap_or(0),
            matching: matching.as_deref().map(pattern).transpose()?,
            ignored: ignored.collect::<Result<_, _>>()?,
            extensions: list("extensions")
                .unwrap_or_else(|| EXTENSIONS.map(str::to_owned).to_vec()),
            passes_over_others: given
                .get("ignore_unknown_extensions")
                .and_then(crate::value::as_bool)
                .unwrap_or(false),
        })
    }

    /// The files below a directory that are wanted: those of a directory before those of its directories, by name.
    fn below(&self, dir: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        self.collect(dir, 1, &mut paths)?;
        Ok(paths)
    }

    fn collect(&self, dir: &Path, level: usize, into: &mut Vec<PathBuf>) -> Result<(), Error> {
        let unreadable =
            |error| Error::new(format!("`{}` cannot be read", dir.display())).because(error);
        let entries = std::fs::read_dir(dir).map_err(unreadable)?;
        let entries: Result<Vec<_>, _> = entries.map(|it| it.map(|it| it.path())).collect();
        let mut entries = entries.map_err(unreadable)?;
        entries.sort();
        let (dirs, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
        for path in files {
            if self.wants(&path)? {
                into.push(path);
            }
        }
        if self.depth == 0 || level < self.depth {
            for dir in dirs {
                self.collect(&dir, level + 1, into)?;
            }
        }
        Ok(())
    }

    fn wants(&self, path: &Path) -> Result<bool, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is = |regex: &fancy_regex::Regex| regex.is_match(&*name).unwrap_or(false);
        if self.ignored.iter().any(is) || self.matching.as_ref().is_some_and(|regex| !is(regex)) {
            return Ok(false);
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if self
            .extensions
            .iter()
            .any(|known| known.trim_start_matches('.') == extension)
        {
            return Ok(true);
        }
        if self.passes_over_others {
            return Ok(false);
        }
        let known = self.extensions.join(", ");
        let message = format!(
            "`{}` does not have a valid extension: {known}",
            path.display()
        );
        Err(Error::new(&message).with("message", message).help(
            "name the files with `files_matching`, or pass over others with `ignore_unknown_extensions: true`",
        ))
    }
}
