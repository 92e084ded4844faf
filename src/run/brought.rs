//! Turns what `fetch` read on a host into a file of the controller.

use super::files::TaskFiles;
use super::foreseen::Foreseen;
use super::prepare::Work;
use super::scope::TaskScope;
use crate::modules::diff::Diff;
use crate::modules::fetch::{self, Fetch};
use crate::modules::{Action, Error, Outcome};
use crate::playbook::absolute;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Keeps the file that a `fetch` brought; any other task's result is left as it is.
///
/// With `only_shows` nothing is written. A file that is the same already is no change.
pub(super) fn keep(
    scope: &TaskScope,
    work: &Work,
    mut outcome: Outcome,
    only_shows: bool,
) -> Result<Outcome, Error> {
    let Some(fetch) = fetch_of(work) else {
        return Ok(outcome);
    };
    let Some(content) = fetch::take_content(&mut outcome.data)? else {
        return Ok(outcome);
    };
    let source = outcome.data.get("file").and_then(|file| file.as_str());
    let source = PathBuf::from(source.unwrap_or_default());
    let path = destination(&scope.local_files(), &scope.host, fetch, &source)?;
    let path = PathBuf::from(absolute(&path));
    let failed = |what: &str, error: io::Error| {
        Error::new(format!(
            "cannot {what} `{}` on the controller",
            path.display()
        ))
        .because(error)
    };
    let is_same = match std::fs::read(&path) {
        Ok(old) => old == content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("read", error)),
    };
    if !is_same && only_shows {
        let content = Foreseen::Content(content.clone());
        scope.world.foreseen.note(&path, content, "fetch");
    } else if !is_same {
        write(&path, &content).map_err(|error| failed("write", error))?;
    }
    outcome.changed = !is_same;
    if !is_same {
        // Its content may be anything, a key too, and is not shown.
        let subject = format!("controller's file {}", path.display());
        let source = outcome.data.remove("file");
        let diff = Diff::new(subject).attribute("copy of", None, source);
        outcome.diffs.push(diff);
        if let Some(checksum) = outcome.data.get("checksum").cloned() {
            outcome = outcome.with("remote_checksum", checksum);
        }
    }
    Ok(outcome.with("dest", path.display().to_string()))
}

fn fetch_of(work: &Work) -> Option<&Fetch> {
    let Work::Agent(action) = work else {
        return None;
    };
    let action = match action.as_ref() {
        Action::Expanding(inner) => inner,
        action => action,
    };
    match action {
        Action::Fetch(fetch) => Some(fetch),
        _ => None,
    }
}

/// Where a file is kept: `DEST/HOST/SOURCE`, or flat as `DEST` says.
fn destination(
    files: &TaskFiles,
    host: &str,
    fetch: &Fetch,
    source: &Path,
) -> Result<PathBuf, Error> {
    let dest = files.place(&fetch.dest);
    let is_directory = fetch.dest.ends_with('/');
    if fetch.flat && !is_directory {
        if dest.is_dir() {
            let text = format!(
                "`dest` is a directory of the controller: `{}`",
                dest.display()
            );
            return Err(Error::new(text).help("end it with a slash to put the file into it"));
        }
        return Ok(dest);
    }
    // A host says where a `~` leads: it must not lead out of `dest`.
    let is_up = |part: Component| part == Component::ParentDir;
    if source.components().any(is_up) || host.contains('/') || host == ".." {
        let text = format!("`{}` of `{host}` leads out of `dest`", source.display());
        return Err(Error::new(text).help("`flat: yes` names the file itself"));
    }
    if fetch.flat {
        return Ok(dest.join(source.file_name().unwrap_or_default()));
    }
    let source = source.strip_prefix("/").unwrap_or(source);
    Ok(dest.join(host).join(source))
}

/// Replaces a file in one step; what is missing above it is made.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new()
        .prefix(".krun-fetch-")
        // As the umask has it.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
