//! Keeps what lay at a path before a run first changed it, and what the run left there, so that it can be put back.
//!
//! In the agent's own directory, `before/RUN`, readable by its user only: `list` holds an entry a line, and each content
//! is a file of its own. Every user that tasks run as has a store of their own: nobody reads what they could not read.

use super::Sys;
use super::fs::{Kind, Stat, Time};
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A larger file is not kept, in bytes.
const FILE_LIMIT: u64 = 64 << 20;
/// So much is kept of one run, in bytes.
const RUN_LIMIT: u64 = 1 << 30;
/// A removed directory with more in it is not kept.
const TREE_LIMIT: usize = 10_000;
/// So much room is left to others, in bytes.
const ROOM: u64 = 256 << 20;
/// Runs of which a host keeps what was before.
pub const KEPT_RUNS: usize = 20;

/// What lies, or lay, at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// `None`: nothing.
    pub kind: Option<Kind>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: Time,
    pub target: Option<PathBuf>,
}

impl Was {
    pub fn of(stat: Option<&Stat>) -> Self {
        let Some(stat) = stat else {
            return Self {
                kind: None,
                mode: 0,
                uid: 0,
                gid: 0,
                size: 0,
                mtime: Time::from_seconds(0),
                target: None,
            };
        };
        let is_file = stat.kind == Kind::File;
        Self {
            kind: Some(stat.kind),
            // Links have no permissions of their own; the size and time of a directory change with what is in it.
            mode: if stat.is_link() { 0 } else { stat.mode },
            uid: stat.uid,
            gid: stat.gid,
            size: if is_file { stat.size } else { 0 },
            mtime: if is_file {
                stat.mtime
            } else {
                Time::from_seconds(0)
            },
            target: stat.link_target.clone(),
        }
    }

    pub fn is_dir(&self) -> bool {
        self.kind == Some(Kind::Directory)
    }
}

/// One path as a play of a run found it when it first changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Counted from 1.
    pub play: usize,
    /// The host's name in the inventory, as two of them may lead to one machine.
    pub host: String,
    pub path: PathBuf,
    /// As the task named it, links and all.
    pub named: PathBuf,
    /// The task that changed it first.
    pub task: String,
    /// The task says `no_log`.
    pub is_secret: bool,
    pub was: Was,
    /// Why its content was not kept.
    pub lacks: Option<String>,
    /// The file that holds its content.
    content: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Before(Image),
    /// What a task left at a path that it changed.
    Left {
        play: usize,
        path: PathBuf,
        now: Was,
    },
}

/// An image, and what the run left in its place; `None` where it was cut off in the middle.
#[derive(Debug, Clone)]
pub struct Kept {
    pub image: Image,
    pub left: Option<Was>,
    /// Where the content is.
    pub content: Option<PathBuf>,
}

/// The store of one user for one run.
pub struct Keeper {
    /// Finds or makes the agent's directory.
    open: Box<dyn Fn() -> io::Result<PathBuf> + Send + Sync>,
    run: String,
    host: String,
    state: Mutex<Option<Store>>,
}

struct Store {
    dir: PathBuf,
    list: File,
    known: HashSet<(usize, PathBuf)>,
    bytes: u64,
}

/// Under what a task's changes are kept.
pub struct Keeping {
    keeper: Arc<Keeper>,
    play: usize,
    task: String,
    is_secret: bool,
    touched: Mutex<BTreeSet<PathBuf>>,
}

impl Keeper {
    /// `open` finds the agent's directory once something is to be kept.
    pub fn new(
        open: impl Fn() -> io::Result<PathBuf> + Send + Sync + 'static,
        run: &str,
        host: &str,
    ) -> Self {
        Self {
            open: Box::new(open),
            run: run.to_owned(),
            host: host.to_owned(),
            state: Mutex::new(None),
        }
    }

    /// Begins a task's change.
    pub fn task(self: &Arc<Self>, play: usize, task: &str, is_secret: bool) -> Keeping {
        Keeping {
            keeper: Arc::clone(self),
            play,
            task: task.to_owned(),
            is_secret,
            touched: Mutex::default(),
        }
    }

    /// Returns what runs, the oldest first, found on a host before one of their plays; each path once.
    pub fn images(&self, runs: &[String], play: usize, host: &str) -> io::Result<Vec<Kept>> {
        let all = (self.open)()?.join("before");
        let mut found: Vec<Kept> = Vec::new();
        for run in runs.iter().filter(|run| is_name(run)) {
            let dir = all.join(run);
            for line in lines(&dir)? {
                match line {
                    Line::Before(image) if image.play == play && image.host == host => {
                        if !found.iter().any(|kept| kept.image.path == image.path) {
                            let content = image.content.as_ref().map(|name| dir.join(name));
                            let content = content.filter(|path| path.exists());
                            found.push(Kept {
                                image,
                                left: None,
                                content,
                            });
                        }
                    }
                    Line::Left {
                        play: of,
                        path,
                        now,
                    } if of == play => {
                        let same = found.iter_mut().find(|kept| kept.image.path == path);
                        if let Some(kept) = same {
                            kept.left = Some(now);
                        }
                    }
                    Line::Before(_) | Line::Left { .. } => {}
                }
            }
        }
        found.sort_by(|a, b| a.image.path.cmp(&b.image.path));
        Ok(found)
    }

    fn store<T>(&self, work: impl FnOnce(&mut Store) -> io::Result<T>) -> io::Result<T> {
        let mut state = lock(&self.state);
        let store = match &mut *state {
            Some(store) => store,
            None => state.insert(self.begin()?),
        };
        work(store)
    }

    fn begin(&self) -> io::Result<Store> {
        if !is_name(&self.run) {
            return Err(io::Error::other("the run has no name"));
        }
        let all = (self.open)()?.join("before");
        let dir = all.join(&self.run);
        let is_new = !dir.exists();
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(&dir)?;
        if is_new {
            forget(&all);
        }
        let known = lines(&dir)?.into_iter().filter_map(|line| match line {
            Line::Before(image) => Some((image.play, image.path)),
            Line::Left { .. } => None,
        });
        let known = known.collect();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let list = options
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(dir.join("list"))?;
        let entries = fs::read_dir(&dir)?.filter_map(|entry| entry.ok()?.metadata().ok());
        let bytes = entries.map(|found| found.len()).sum();
        Ok(Store {
            dir,
            list,
            known,
            bytes,
        })
    }
}

/// A run's name becomes a directory's.
fn is_name(run: &str) -> bool {
    !run.is_empty() && !run.starts_with('.') && !run.contains('/')
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what is there of a list; a last line that was cut off is left out.
fn lines(dir: &Path) -> io::Result<Vec<Line>> {
    let text = match fs::read(dir.join("list")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let whole = lines.filter(|line| line.ends_with(b"\n"));
    whole
        .map(|line| {
            serde_json::from_slice(line).map_err(|error| {
                let place = dir.join("list");
                let text = format!(
                    "`{}`, what was kept of the run, cannot be read: {error}",
                    place.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            })
        })
        .collect()
}

/// Removes what the oldest runs left. Their names begin with the time.
fn forget(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else {
        return;
    };
    let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    runs.sort();
    let n_old = runs.len().saturating_sub(KEPT_RUNS);
    for run in &runs[..n_old] {
        let _ = fs::remove_dir_all(run);
    }
}

impl Store {
    fn write(&mut self, line: &Line, is_synced: bool) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.list.write_all(&text)?;
        self.bytes += text.len() as u64;
        if is_synced {
            self.list.sync_data()?;
        }
        Ok(())
    }

    /// Copies a file's content. What stands in the way is said, and the run goes on.
    fn copy(&mut self, real: &Path, size: u64, name: &str) -> Result<(), String> {
        if size > FILE_LIMIT {
            return Err(format!("it was larger than {} MiB", FILE_LIMIT >> 20));
        }
        if self.bytes + size > RUN_LIMIT {
            return Err(format!(
                "more than {} MiB of this run would have been kept",
                RUN_LIMIT >> 20
            ));
        }
        let disk = statvfs(&self.dir).map_err(|error| error.to_string())?;
        if disk.blocks_available() * disk.fragment_size() < size + ROOM {
            return Err("the disk had no room for a copy".into());
        }
        let copy = || -> io::Result<u64> {
            let mut from = OpenOptions::new()
                .read(true)
                .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
                .open(real)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut to = options.open(self.dir.join(name))?;
            let n_bytes = io::copy(&mut from, &mut to)?;
            to.sync_data()?;
            Ok(n_bytes)
        };
        self.bytes += copy().map_err(|error| format!("it could not be copied: {error}"))?;
        Ok(())
    }
}

impl Keeping {
    /// Keeps what lies at `path` before it is changed; of a directory that goes, all that is in it.
    pub(super) fn keep(&self, sys: &Sys, path: &Path, named: &Path, whole: bool) -> io::Result<()> {
        let now = sys.lstat(path)?;
        let is_new = self.keeper.store(|store| {
            let key = (self.play, path.to_path_buf());
            Ok(!store.known.contains(&key))
        })?;
        lock(&self.touched).insert(path.to_path_buf());
        let is_tree = whole && now.as_ref().is_some_and(Stat::is_dir);
        if is_new {
            let lacks = (is_tree && count(&sys.on_host(path), TREE_LIMIT) >= TREE_LIMIT)
                .then(|| format!("it held more than {TREE_LIMIT} files"));
            let is_lacking = lacks.is_some();
            self.note(sys, path, named, now.as_ref(), lacks)?;
            if is_lacking {
                return Ok(());
            }
        }
        if is_tree {
            for name in sys.list(path)? {
                self.keep(sys, &path.join(&name), &named.join(&name), true)?;
            }
        }
        Ok(())
    }

    fn note(
        &self,
        sys: &Sys,
        path: &Path,
        named: &Path,
        now: Option<&Stat>,
        mut lacks: Option<String>,
    ) -> io::Result<()> {
        let was = Was::of(now);
        self.keeper.store(|store| {
            let mut content = None;
            if was.kind == Some(Kind::File) {
                let mut hash = Sha256::new();
                hash.update(self.play.to_be_bytes());
                hash.update(path.as_os_str().as_bytes());
                let name = hex::encode(&hash.finalize()[..12]);
                match store.copy(&sys.on_host(path), was.size, &name) {
                    Ok(()) => content = Some(name),
                    Err(why) => lacks = Some(why),
                }
            } else if !matches!(was.kind, None | Some(Kind::Directory | Kind::Link)) {
                lacks = Some("it was neither a file, a link nor a directory".into());
            }
            let is_synced = was.kind.is_some();
            let image = Image {
                play: self.play,
                host: self.keeper.host.clone(),
                path: path.to_path_buf(),
                named: named.to_path_buf(),
                task: self.task.clone(),
                is_secret: self.is_secret,
                was,
                lacks,
                content,
            };
            store.write(&Line::Before(image), is_synced)?;
            store.known.insert((self.play, path.to_path_buf()));
            Ok(())
        })
    }

    /// Notes what the task left, at its end.
    pub fn end(&self, sys: &Sys) -> io::Result<()> {
        let touched = std::mem::take(&mut *lock(&self.touched));
        for path in touched {
            let now = Was::of(sys.lstat(&path)?.as_ref());
            let play = self.play;
            self.keeper
                .store(|store| store.write(&Line::Left { play, path, now }, false))?;
        }
        Ok(())
    }
}

/// Counts what is in a directory, up to a limit.
fn count(real: &Path, limit: usize) -> usize {
    let mut n = 0;
    let mut ahead = vec![real.to_path_buf()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            n += 1;
            if n >= limit {
                return n;
            }
            if entry.metadata().is_ok_and(|found| found.is_dir()) {
                ahead.push(entry.path());
            }
        }
    }
    n
}

impl Sys {
    /// Returns this host with a store of what was before.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Arc<Keeper>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Returns this host with each path kept before it is changed.
    #[must_use]
    pub fn keeping(mut self, keeping: Option<Arc<Keeping>>) -> Self {
        self.keeping = keeping;
        self
    }

    /// The store of what was before.
    pub fn keeper(&self) -> Option<&Arc<Keeper>> {
        self.keeper.as_ref()
    }

    /// Keeps what lies at `path` before it is changed; `follow` says that the change is to what a link leads to.
    pub(super) fn keep(&self, path: &Path, follow: bool) -> io::Result<()> {
        self.keep_as(path, follow, false)
    }

    /// The same of a directory with all that is in it.
    pub(super) fn keep_tree(&self, path: &Path) -> io::Result<()> {
        self.keep_as(path, false, true)
    }

    fn keep_as(&self, path: &Path, follow: bool, whole: bool) -> io::Result<()> {
        let Some(keeping) = &self.keeping else {
            return Ok(());
        };
        let place = if follow {
            self.resolve(path)?
        } else {
            self.resolve_parent(path)?
        };
        keeping.keep(self, &place, path, whole).map_err(|error| {
            let text = format!(
                "what lay at `{}` cannot be kept for a rollback: {error}",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })
    }
}
