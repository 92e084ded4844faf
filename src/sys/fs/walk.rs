//! Turns a path of the host into where it leads, component by component, through links of the host and of the overlay.

use super::{MAX_LINKS, Sys, named};
use crate::sys::overlay::Overlay;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

impl Sys {
    /// Returns where `path` leads as the host sees it, all links resolved; what does not exist is kept as written.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.walk(path, true)
    }

    /// Like [`Sys::resolve`], but a link in the last place stays itself.
    pub fn resolve_parent(&self, path: &Path) -> io::Result<PathBuf> {
        self.walk(path, false)
    }

    /// Returns the overlay, where there is one, and `path` with the links on its way resolved, through both.
    pub(super) fn overlaid(
        &self,
        path: &Path,
        follow_last: bool,
    ) -> io::Result<Option<(&Overlay, PathBuf)>> {
        let Some(overlay) = self.overlay() else {
            return Ok(None);
        };
        let place = self.walk(path, follow_last)?;
        if let Some(cause) = overlay.why_unknown(&place) {
            self.meet_unknown(cause);
        }
        // Also where a link that is on its way may soon lead elsewhere.
        let assumed = [place.as_path(), path].map(|it| overlay.why_assumed(it));
        if let Some(cause) = assumed.into_iter().flatten().next() {
            self.meet_assumed(cause);
        }
        if overlay.opens(&place) {
            self.meet_opened(path);
        }
        let is_open = if self.is_imagined() {
            !overlay.is_removed(&place)
        } else {
            overlay.is_untouched(&place)
        };
        if is_open && !matches!(overlay.lstat(&place), Ok(Some(_))) {
            self.miss(|| format!("`{}`", path.display()));
        }
        Ok(Some((overlay, place)))
    }

    /// Whether an overlay would change what lies at a path, beneath it, or where its link leads.
    pub fn is_overlaid(&self, path: &Path) -> bool {
        [true, false].into_iter().any(|follow_last| {
            let overlaid = self.overlaid(path, follow_last);
            matches!(overlaid, Ok(Some((overlay, place))) if !overlay.is_untouched(&place))
        })
    }

    /// Returns the real path of what `path` leads to. The kernel resolves links, except below a test's root.
    pub(super) fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_host() {
            return Ok(path.to_path_buf());
        }
        self.walk(path, true).map(|path| self.on_host(&path))
    }

    /// Returns the real path of what lies at `path` itself, which may be a link.
    pub(super) fn locate_link(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_host() {
            // A trailing slash would follow the link.
            return Ok(path.components().collect());
        }
        self.walk(path, false).map(|path| self.on_host(&path))
    }

    fn walk(&self, path: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let parts = |path: &Path| -> Vec<OsString> {
            let part = |component: Component| match component {
                Component::Normal(name) => Some(name.to_os_string()),
                Component::ParentDir => Some("..".into()),
                _ => None,
            };
            path.components().rev().filter_map(part).collect()
        };
        let mut ahead = parts(path);
        let mut walked = if path.is_absolute() || !self.is_host() {
            PathBuf::from("/")
        } else {
            std::env::current_dir()?
        };
        let mut n_links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                walked.pop();
                continue;
            }
            walked.push(name);
            if ahead.is_empty() && !follow_last {
                break;
            }
            let target = match self.overlay() {
                Some(overlay) => overlay.link_target(&walked),
                None => fs::read_link(self.on_host(&walked)).ok(),
            };
            let Some(target) = target else {
                continue;
            };
            n_links += 1;
            if n_links > MAX_LINKS {
                return named("follow", path, Err(io::Error::other("too many links")));
            }
            walked.pop();
            if target.is_absolute() {
                walked = PathBuf::from("/");
            }
            ahead.extend(parts(&target));
        }
        Ok(walked)
    }
}
