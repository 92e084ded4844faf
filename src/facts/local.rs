//! Turns the host's own `*.fact` files (JSON, INI or programs that print either) into the fact `local`.

use crate::sys::Sys;
use crate::sys::process::Command;
use crate::value::{Mapping, Value};
use std::path::Path;
use std::time::Duration;

pub(super) fn gather(sys: &Sys, directory: &Path) -> Mapping {
    let mut found = Mapping::new();
    for name in sys.list(directory).unwrap_or_default() {
        let Some(name) = name.to_str() else { continue };
        let path = directory.join(name);
        let Some(name) = name.strip_suffix(".fact") else {
            continue;
        };
        let said = match sys.stat(&path) {
            Ok(Some(stat)) if stat.is_file() && stat.mode & 0o111 != 0 => run(sys, &path),
            Ok(Some(stat)) if stat.is_file() => match sys.read(&path) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) => Err(error.to_string()),
            },
            _ => continue,
        };
        // A fault of one file is its value, as in Ansible: the others are facts all the same.
        let value = match said {
            Ok(text) => parse(&text).unwrap_or_else(|| {
                format!(
                    "error loading fact - output of running \"{}\" was neither JSON nor INI",
                    path.display()
                )
                .into()
            }),
            Err(fault) => format!("error loading fact - {fault}").into(),
        };
        found.insert(name.into(), value);
    }
    found
}

fn run(sys: &Sys, path: &Path) -> Result<String, String> {
    let command = Command::new([sys.real(path)]).limit(Duration::from_secs(30));
    let output = sys.run(&command).map_err(|error| error.to_string())?;
    if output.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "`{}` {}: {}",
            path.display(),
            output.ending(),
            output.reason()
        ))
    }
}

fn parse(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::from(""));
    }
    serde_json::from_str(text).ok().or_else(|| ini(text))
}

/// Reads sections of `name = value` lines as Python's configparser does: names in lower case, values as texts.
fn ini(text: &str) -> Option<Value> {
    let mut sections = Mapping::new();
    let mut current: Option<(String, Mapping)> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let last = current.replace((name.to_owned(), Mapping::new()));
            sections.extend(last.map(|(name, section)| (name.into(), section.into())));
            continue;
        }
        let (name, value) = line.split_once(['=', ':'])?;
        let (_, section) = current.as_mut()?;
        section.insert(name.trim().to_lowercase().into(), value.trim().into());
    }
    sections.extend(current.map(|(name, section)| (name.into(), section.into())));
    Some(sections.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn facts_come_from_json_ini_and_programs() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("facts.d");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a.fact"), "{\"rack\": [1, 2]}").unwrap();
        std::fs::write(directory.join("b.fact"), "# x\n[General]\nRack = 7\n").unwrap();
        std::fs::write(directory.join("c.fact"), "nothing of the kind").unwrap();
        std::fs::write(directory.join("ignored.txt"), "{}").unwrap();
        let program = directory.join("d.fact");
        std::fs::write(&program, "#!/bin/sh\necho '{\"n\": 3}'\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let facts = gather(&Sys::at(root.path()), Path::new("/facts.d"));
        assert_eq!(facts["a"]["rack"][1], 2);
        assert_eq!(facts["b"]["General"]["rack"], "7");
        assert!(
            facts["c"]
                .as_str()
                .unwrap()
                .starts_with("error loading fact")
        );
        assert_eq!(facts["d"]["n"], 3);
        assert_eq!(facts.len(), 4);
    }
}
