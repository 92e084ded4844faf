//! Turns the name of a file into the paths where Ansible would look for it, in that order.

use super::{Role, Scope, Task};
use std::path::{Component, Path, PathBuf};

/// Where a task looks for a file named `name`. `kind` is `files`, `templates`, `vars`, `tasks` or `handlers`.
pub fn search_paths(task: &Task, kind: &str, name: &str) -> Vec<PathBuf> {
    paths(
        task.role.as_deref(),
        &task.dir,
        &task.playbook_dir,
        kind,
        name,
    )
}

pub(crate) fn in_scope(scope: &Scope, kind: &str, name: &str) -> Vec<PathBuf> {
    paths(
        scope.role.as_deref(),
        &scope.dir,
        &scope.playbook_dir,
        kind,
        name,
    )
}

/// A list of tasks is first looked for beside the file that names it, anything else in the role.
fn paths(
    role: Option<&Role>,
    dir: &Path,
    playbook_dir: &Path,
    kind: &str,
    name: &str,
) -> Vec<PathBuf> {
    let name = Path::new(name);
    if name.is_absolute() {
        return vec![name.to_owned()];
    }
    let mut found = Vec::new();
    let mut add = |base: &Path, sub: &str| {
        let path = clean(&base.join(sub).join(name));
        if !found.contains(&path) {
            found.push(path);
        }
    };
    let is_tasks = matches!(kind, "tasks" | "handlers");
    if is_tasks {
        add(dir, "");
    }
    if let Some(role) = role {
        add(&role.path, kind);
        if kind == "handlers" {
            add(&role.path, "tasks");
        }
        add(&role.path, "");
        for parent in role.parent_paths.iter().rev() {
            add(parent, kind);
            add(parent, "");
        }
    }
    add(dir, kind);
    add(dir, "");
    add(playbook_dir, kind);
    add(playbook_dir, "");
    found
}

/// Where a role named `name` may lie.
pub(crate) fn role_paths(name: &str, scope: &Scope, roles_path: &[PathBuf]) -> Vec<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let mut add = |base: &Path, name: &str| {
        let path = clean(&base.join(name));
        if !found.contains(&path) {
            found.push(path);
        }
    };
    add(&scope.playbook_dir.join("roles"), name);
    for base in roles_path {
        add(base, name);
    }
    if let Some(parent) = scope.role.as_ref().and_then(|role| role.path.parent()) {
        add(parent, name);
    }
    add(&scope.playbook_dir, name);
    // A collection's playbooks find its roles, by short name or as `namespace.collection.role`.
    let parts: Vec<&str> = name.split('.').collect();
    let last = match parts[..] {
        [namespace, collection, role] => {
            for base in roles_path {
                let root = base.join("ansible_collections").join(namespace);
                add(&root.join(collection).join("roles"), role);
            }
            role
        }
        _ => name,
    };
    if let Some(root) = collection_root(&scope.playbook_dir) {
        add(&root.join("roles"), last);
    }
    found
}

/// The collection whose checkout holds the directory, as a path relative like `dir`.
fn collection_root(dir: &Path) -> Option<PathBuf> {
    let mut root = dir.to_owned();
    for _ in 0..4 {
        if root.join("galaxy.yml").is_file() {
            return Some(root);
        }
        root = match root.file_name() {
            Some(_) => dir_of(&root),
            None => root.join(".."),
        };
    }
    None
}

/// Returns the path without `.` and `..` in it, as Ansible does: `roles/../x` is `x` even where there is no `roles`.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(cleaned.components().next_back(), Some(Component::Normal(_))) =>
            {
                cleaned.pop();
            }
            part => cleaned.push(part),
        }
    }
    if cleaned.as_os_str().is_empty() {
        cleaned.push(".");
    }
    cleaned
}

/// Returns the path as `playbook_dir` and `role_path` have it: absolute.
pub fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    clean(&path).display().to_string()
}

/// Returns the directory of a file; of a bare name it is `.`.
pub(crate) fn dir_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// `looked for a, b, c`: the help of a fault about a missing file.
pub(crate) fn looked_for(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!("looked for {}", paths.join(", "))
}
