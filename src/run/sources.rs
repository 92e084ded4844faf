//! Adds to a rendered action what the controller must send with it: files, rendered templates, scripts, archives.

use super::scope::TaskScope;
use crate::modules::copy::Sources;
use crate::modules::unarchive::Archive;
use crate::modules::{Action, Error};
use crate::plan::short_name;
use crate::playbook::{Task, absolute};
use crate::template::{Files, SETTINGS, Scope, Setting, Templar};
use crate::value::{Dict, Mapping, display};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why an action cannot be made.
pub(super) enum Fault {
    Pending,
    /// Check mode: the text reads what nobody can say.
    Unknown(String),
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Types the arguments of a task and reads what goes with them.
pub(super) fn action(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
    given: Mapping,
) -> Result<Action, Fault> {
    let module = crate::modules::find(&task.module)
        .map_or_else(|| short_name(&task.module), |entry| entry.name);
    let expands = Action::expands(module, &given);
    let settings = template_settings(module, &given);
    let mut action = Action::new(module, given).map_err(|faults| Error::new(faults.join("; ")))?;
    let files = scope.files();
    match &mut action {
        Action::Copy(copy) => {
            if let Some(source) = copy.needs_source().map(str::to_owned) {
                let path = find(&*files, "files", &source)?;
                let sources = match scope.world.foreseen.content(&path) {
                    Some(content) => {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        Sources::from_bytes(&name, &path.display().to_string(), content, 0o644)
                    }
                    None => Sources::load(&source, &path, copy.local_follow())?,
                };
                copy.set_sources(Arc::new(sources));
            }
        }
        Action::Template(template) => {
            let source = template.source().to_owned();
            let path = find(&*files, "templates", &source)?;
            let bytes = read(&*files, &path)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Error::new(format!("the template `{}` is not UTF-8", path.display()))
            })?;
            let mode = std::fs::metadata(&path).map_or(0o644, |meta| meta.permissions().mode());
            let inner: Arc<dyn Scope> = scope
                .with(template_names(
                    &path,
                    template.destination(),
                    &scope.world.settings.hostname,
                ))
                .shared();
            let rendered = templar
                .render_file(&text, &path, &settings, &inner)
                .map_err(|error| {
                    if error.is_pending() {
                        Fault::Pending
                    } else if error.is_unknown() {
                        Fault::Unknown(error.to_string())
                    } else {
                        Fault::Error(Error::new(error.to_string()))
                    }
                })?;
            template.set_text(rendered, &path, mode);
        }
        Action::Unarchive(unarchive) => {
            if let Some(source) = unarchive.needs_source().map(str::to_owned) {
                let path = find(&*files, "files", &source)?;
                unarchive.set_archive(Arc::new(Archive::new(read(&*files, &path)?)));
            }
        }
        Action::Uri(uri) => {
            if let Some(source) = uri.needs_source().map(str::to_owned) {
                let path = find(&*files, "files", &source)?;
                uri.set_sent(read(&*files, &path)?);
            }
        }
        Action::Script(script) => {
            let source = script.source()?;
            let path = find(&*files, "files", &source)?;
            script.with_content(read(&*files, &path)?);
        }
        Action::Assemble(assemble) => {
            if let Some(source) = assemble.needs_source().map(str::to_owned) {
                let path = find(&*files, "files", &source)?;
                let sources =
                    Sources::load(&format!("{}/", source.trim_end_matches('/')), &path, true)?;
                assemble.set_sources(Arc::new(sources));
            }
        }
        _ => {}
    }
    Ok(if expands {
        Action::Expanding(Box::new(action))
    } else {
        action
    })
}

fn read(files: &dyn Files, path: &Path) -> Result<Vec<u8>, Error> {
    files.read(path).map_err(|error| unreadable(path, &error))
}

/// How a template file is to be read, where the task says so.
fn template_settings(module: &str, given: &Mapping) -> Vec<Setting> {
    let keys = SETTINGS.iter().filter(|_| module == "template");
    keys.filter_map(|key| Some((*key, display(given.get(*key)?))))
        .collect()
}

/// Names that only a template file sees.
fn template_names(path: &Path, destination: &str, hostname: &str) -> Dict {
    let moment = |time: jiff::Timestamp| {
        let local = time.to_zoned(jiff::tz::TimeZone::system());
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let meta = std::fs::metadata(path).ok();
    let modified = meta.as_ref().and_then(|meta| meta.modified().ok());
    let modified = modified.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let owner = meta.and_then(|meta| {
        let user = nix::unistd::User::from_uid(meta.uid().into())
            .ok()
            .flatten();
        user.map(|user| user.name)
    });
    let whole = absolute(path);
    let names = [
        ("template_host", hostname.to_owned()),
        ("template_uid", owner.unwrap_or_default()),
        ("template_path", whole.clone()),
        ("template_fullpath", whole),
        ("template_destpath", destination.to_owned()),
        ("template_mtime", modified.map(moment).unwrap_or_default()),
        ("template_run_date", moment(jiff::Timestamp::now())),
        ("ansible_managed", "Ansible managed".to_owned()),
    ];
    let named = names.into_iter();
    named
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect()
}

fn find(files: &dyn Files, kind: &str, name: &str) -> Result<PathBuf, Fault> {
    let found = files.find(kind, name).map_err(|searched| {
        Error::new(format!("no file `{name}`")).because(format!("searched:\n{searched}"))
    })?;
    match files.why_unknown(&found) {
        Some(cause) => Err(Fault::Unknown(cause)),
        None => Ok(found),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("`{}` cannot be read", path.display())).because(error)
}
