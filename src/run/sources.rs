//! Adds to a rendered action what the controller must send with it: files, rendered templates, scripts, archives.

use super::scope::TaskScope;
use crate::modules::copy::Sources;
use crate::modules::unarchive::Archive;
use crate::modules::{Action, Error};
use crate::plan::short_name;
use crate::playbook::Task;
use crate::template::{Files, Scope, Templar};
use crate::value::{Dict, Mapping};
use std::os::unix::fs::PermissionsExt;
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
    let mut action = Action::new(module, given).map_err(|faults| Error::new(faults.join("; ")))?;
    let files = scope.files();
    match &mut action {
        Action::Copy(copy) => {
            if let Some(source) = copy.needs_source().map(str::to_owned) {
                let path = find(&*files, "files", &source)?;
                let sources = Sources::load(&source, &path, copy.local_follow())?;
                copy.set_sources(Arc::new(sources));
            }
        }
        Action::Template(template) => {
            let source = template.source().to_owned();
            let path = find(&*files, "templates", &source)?;
            let bytes = files
                .read(&path)
                .map_err(|error| unreadable(&path, &error))?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Error::new(format!("the template `{}` is not UTF-8", path.display()))
            })?;
            let mode = std::fs::metadata(&path).map_or(0o644, |meta| meta.permissions().mode());
            let inner: Arc<dyn Scope> = scope.with(template_names(&path)).shared();
            let rendered = templar.render_file(&text, &path, &inner).map_err(|error| {
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
                let bytes = files
                    .read(&path)
                    .map_err(|error| unreadable(&path, &error))?;
                unarchive.set_archive(Arc::new(Archive::new(bytes)));
            }
        }
        Action::Script(script) => {
            let source = script.source()?;
            let path = find(&*files, "files", &source)?;
            let bytes = files
                .read(&path)
                .map_err(|error| unreadable(&path, &error))?;
            script.with_content(bytes);
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
    Ok(action)
}

/// Names that only a template file sees.
fn template_names(path: &Path) -> Dict {
    let text = |path: &Path| path.display().to_string().into();
    [
        ("template_path".to_owned(), text(path)),
        ("template_fullpath".to_owned(), text(path)),
        ("ansible_managed".to_owned(), "Ansible managed".into()),
    ]
    .into_iter()
    .collect()
}

fn find(files: &dyn Files, kind: &str, name: &str) -> Result<PathBuf, Error> {
    files.find(kind, name).map_err(|searched| {
        Error::new(format!("no file `{name}`")).because(format!("searched:\n{searched}"))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("`{}` cannot be read", path.display())).because(error)
}
