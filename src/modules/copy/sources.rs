//! Turns a file or directory of the controller into what travels to the host with a `copy`.

use crate::modules::Error;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How deep a directory may be: links followed can lead round in a circle.
const MAX_DEPTH: usize = 64;

/// What `src` of a `copy` holds, read on the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// The last part of `src`: the name in a destination that is a directory. Empty if `src` ends with a slash.
    pub(super) name: String,
    /// `src` as found, for the head of diffs.
    pub(super) shown: String,
    /// One of an empty path for a file; a directory's entries, each after the directory that holds it.
    pub(super) entries: Vec<Entry>,
    pub(super) is_directory: bool,
    /// Of a directory of the host: what a new one gets.
    #[serde(default)]
    pub(super) mode: Option<u32>,
}

/// A file, directory or link; the path is relative to the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub path: String,
    pub what: What,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum What {
    /// `mode` is that of a directory of the host.
    Directory {
        mode: Option<u32>,
    },
    File {
        content: ByteBuf,
        mode: u32,
    },
    Link {
        target: String,
    },
}

/// Contents are long, and may be secret.
impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory { .. } => f.write_str("directory"),
            Self::File { content, mode } => write!(f, "{} bytes, {mode:04o}", content.len()),
            Self::Link { target } => write!(f, "link to {target}"),
        }
    }
}

impl Sources {
    /// Reads a file, or a directory with all that is in it.
    ///
    /// `written` is `src` as the task has it (a trailing slash means the contents only); `found` is where it was found.
    /// Links are followed, or sent as links where `local_follow` is false.
    pub fn load(written: &str, found: &Path, local_follow: bool) -> Result<Self, Error> {
        let unreadable = |error: std::io::Error| {
            Error::new(format!("cannot read `{}`", found.display())).because(error)
        };
        let mut sources = Self {
            name: if written.ends_with('/') {
                String::new()
            } else {
                name_of(written)
            },
            shown: found.display().to_string(),
            entries: Vec::new(),
            is_directory: fs::metadata(found).map_err(unreadable)?.is_dir(),
            mode: None,
        };
        if sources.is_directory {
            sources
                .walk(found, "", local_follow, 0)
                .map_err(unreadable)?;
        } else {
            let what = file(found).map_err(unreadable)?;
            sources.name = name_of(written);
            sources.entries.push(Entry {
                path: String::new(),
                what,
            });
        }
        Ok(sources)
    }

    /// Content that comes from no file, under this name.
    pub fn from_bytes(name: &str, shown: &str, content: Vec<u8>, mode: u32) -> Self {
        Self {
            name: name.into(),
            shown: shown.into(),
            entries: vec![Entry {
                path: String::new(),
                what: What::File {
                    content: ByteBuf::from(content),
                    mode,
                },
            }],
            is_directory: false,
            mode: None,
        }
    }

    /// Returns all files, by their path below the source.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::File { content, .. } => Some((entry.path.as_str(), &content[..])),
            _ => None,
        })
    }

    fn walk(
        &mut self,
        directory: &Path,
        prefix: &str,
        local_follow: bool,
        depth: usize,
    ) -> std::io::Result<()> {
        if depth > MAX_DEPTH {
            let text = format!(
                "`{}` is too deep, or a circle of links",
                directory.display()
            );
            return Err(std::io::Error::other(text));
        }
        let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let found = entry.path();
            let name = entry.file_name().into_string().map_err(|name| {
                std::io::Error::other(format!("`{}` is not UTF-8", name.display()))
            })?;
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            let what = if entry.file_type()?.is_symlink() && !local_follow {
                What::Link {
                    target: fs::read_link(&found)?.display().to_string(),
                }
            } else if fs::metadata(&found)?.is_dir() {
                What::Directory { mode: None }
            } else {
                file(&found)?
            };
            let is_directory = matches!(what, What::Directory { .. });
            self.entries.push(Entry {
                path: path.clone(),
                what,
            });
            if is_directory {
                self.walk(&found, &path, local_follow, depth + 1)?;
            }
        }
        Ok(())
    }
}

fn file(path: &Path) -> std::io::Result<What> {
    Ok(What::File {
        content: ByteBuf::from(fs::read(path)?),
        mode: fs::metadata(path)?.permissions().mode() & 0o7777,
    })
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
