//! Keeps in a directory what was written over a host that is only imagined, for the next agent that stands for it.

use super::Overlay;
use super::layer::Layer;
use super::spill::Spill;
use crate::sys::Sys;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What was written, in the directory.
const LAYER: &str = "layer";
/// Where numbers of accounts begin that nobody has looked up.
const FIRST_ACCOUNT: u32 = 200_000;

impl Sys {
    /// Returns the overlay that an earlier agent kept in a directory, or an empty one whose contents will lie there.
    pub fn kept_overlay(&self, directory: &Path) -> io::Result<Arc<Overlay>> {
        let contents = directory.join("contents");
        fs::create_dir_all(&contents)?;
        let layer = match fs::read(directory.join(LAYER)) {
            Ok(bytes) => rmp_serde::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Layer::of_root(),
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Overlay {
            base: self.root.clone(),
            layer: Mutex::new(layer),
            spill: Arc::new(Spill::lent(contents)),
        }))
    }

    /// Makes the directories of an imagined host that lead to a path: nobody has said that they are not there.
    pub fn assume_directory(&self, path: &Path) -> io::Result<()> {
        let place = self.resolve(path)?;
        let mut above: Vec<&Path> = place.ancestors().collect();
        above.reverse();
        for directory in above.into_iter().skip(1) {
            if self.lstat(directory)?.is_none() {
                self.create_dir(directory, Some(0o755))?;
            }
        }
        Ok(())
    }

    /// Returns a number that stands for an account of an imagined host (`database`: `user` or `group`).
    pub fn imagined_account(&self, database: &str, name: &str) -> Option<u32> {
        let overlay = self.overlay().filter(|_| self.is_imagined())?;
        if name == "root" {
            return Some(0);
        }
        if let Ok(number) = name.parse() {
            return Some(number);
        }
        let known = overlay.notes(&format!("{database} "));
        if let Some((_, number)) = known.iter().find(|(known, _)| known == name) {
            return number.parse().ok();
        }
        let number = FIRST_ACCOUNT + u32::try_from(known.len()).ok()?;
        overlay.note(&format!("{database} {name}"), &number.to_string());
        Some(number)
    }

    /// Returns the name of such an account.
    pub fn imagined_name(&self, database: &str, number: u32) -> Option<String> {
        let overlay = self.overlay().filter(|_| self.is_imagined())?;
        if number == 0 {
            return Some("root".into());
        }
        let number = number.to_string();
        let known = overlay.notes(&format!("{database} "));
        let mut known = known.into_iter();
        known.find_map(|(name, known)| (known == number).then_some(name))
    }
}

impl Overlay {
    /// Keeps all that was written, for [`Sys::kept_overlay`].
    pub fn keep(&self, directory: &Path) -> io::Result<()> {
        let bytes = rmp_serde::to_vec(&self.layer()).map_err(io::Error::other)?;
        fs::write(directory.join(LAYER), bytes)
    }
}
