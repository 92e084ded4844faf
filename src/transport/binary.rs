//! Reads the agent's binary once a run: its hash, which names it on hosts, and its compressed form.

use crate::transport::Error;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// An agent for one kind of machine.
pub(super) struct Binary {
    path: PathBuf,
    cache: Option<PathBuf>,
    pub(super) size: u64,
    /// SHA-256 in hexadecimal.
    pub(super) hash: String,
    plain: OnceCell<Arc<Vec<u8>>>,
    compressed: OnceCell<Arc<Vec<u8>>>,
}

/// A hash that was computed before, valid while size and time are the same.
#[derive(Serialize, Deserialize, PartialEq)]
struct Known {
    path: PathBuf,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    hash: String,
}

impl Binary {
    /// Reads size and hash of the binary at `path`; `cache` is a directory that may not exist yet.
    pub(super) fn read(path: &Path, cache: Option<&Path>) -> Result<Self, Error> {
        let fault = |error: io::Error| Error::Binary {
            causes: vec![format!("{}: {error}", path.display())],
        };
        let found = path.metadata().map_err(fault)?;
        let mut known = Known {
            path: path.to_path_buf(),
            size: found.size(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
            hash: String::new(),
        };
        let note = cache.map(|cache| cache.join("agent.json"));
        let before: Option<Known> = note
            .as_ref()
            .and_then(|note| serde_json::from_slice(&std::fs::read(note).ok()?).ok());
        let plain = OnceCell::new();
        match before {
            Some(before) if same(&before, &known) => known.hash = before.hash,
            _ => {
                let bytes = std::fs::read(path).map_err(fault)?;
                known.hash = hex::encode(Sha256::digest(&bytes));
                known.size = bytes.len() as u64;
                if let Some(note) = &note {
                    // A cache that cannot be written only costs time.
                    let _ = store(note, &serde_json::to_vec(&known).unwrap_or_default());
                }
                let _ = plain.set(Arc::new(bytes));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            cache: cache.map(Path::to_path_buf),
            size: known.size,
            hash: known.hash,
            plain,
            compressed: OnceCell::new(),
        })
    }

    /// Returns the binary's bytes.
    pub(super) async fn plain(&self) -> Result<Arc<Vec<u8>>, Error> {
        let read = || async {
            let bytes = tokio::fs::read(&self.path).await;
            let bytes = bytes.map_err(|error| Error::Binary {
                causes: vec![format!("{}: {error}", self.path.display())],
            })?;
            if hex::encode(Sha256::digest(&bytes)) != self.hash {
                let causes = vec![format!("{} changed during the run", self.path.display())];
                return Err(Error::Binary { causes });
            }
            Ok(Arc::new(bytes))
        };
        self.plain.get_or_try_init(read).await.cloned()
    }

    /// Returns the binary's bytes as gzip has them.
    pub(super) async fn compressed(&self) -> Result<Arc<Vec<u8>>, Error> {
        let make = || async {
            let kept = self
                .cache
                .as_ref()
                .map(|cache| cache.join(format!("agent-{}.gz", self.hash)));
            if let Some(bytes) = kept.as_ref().and_then(|kept| std::fs::read(kept).ok()) {
                return Ok(Arc::new(bytes));
            }
            let plain = self.plain().await?;
            let bytes = tokio::task::spawn_blocking(move || compress(&plain)).await;
            let fault = |error: &dyn std::fmt::Display| Error::Binary {
                causes: vec![error.to_string()],
            };
            let bytes = bytes
                .map_err(|error| fault(&error))?
                .map_err(|error| fault(&error))?;
            if let Some(kept) = &kept {
                forget_others(kept);
                let _ = store(kept, &bytes);
            }
            Ok(Arc::new(bytes))
        };
        self.compressed.get_or_try_init(make).await.cloned()
    }
}

fn same(before: &Known, now: &Known) -> bool {
    before.path == now.path
        && before.size == now.size
        && (before.seconds, before.nanoseconds) == (now.seconds, now.nanoseconds)
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes a file of the cache so that a reader never sees half of it.
fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let temporary = path.with_extension(std::process::id().to_string());
    std::fs::write(&temporary, bytes)?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&temporary, path)
}

fn forget_others(kept: &Path) {
    let others = kept
        .parent()
        .and_then(|directory| std::fs::read_dir(directory).ok());
    for entry in others.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("agent-") && name.ends_with(".gz") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
