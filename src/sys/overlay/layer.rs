//! Turns what was written over a host into a tree that says, for every path, what would lie there now.
//!
//! The tree holds only what differs. A directory of it may still have the host's own directory beneath, whose names
//! show through wherever the tree says nothing about them. Paths given here have no links on their way.

use crate::sys::fs::Stat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Everything that was written over a host. Agents of one host hand it to each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layer {
    root: Directory,
    inodes: BTreeMap<u64, Inode>,
    /// Files of the host with several names, by device and number: what is set on one name holds for all.
    shared: BTreeMap<(u64, u64), u64>,
    next: u64,
    /// Raised with every change.
    pub(super) version: u64,
    /// Bytes that would be taken on each of the host's file systems, by device.
    pub(super) taken: BTreeMap<u64, u64>,
    /// What no file says.
    pub(super) notes: BTreeMap<String, String>,
    /// Tasks that would do what no overlay can show, by name.
    pub(super) unknown_after: Vec<String>,
    /// Of a host that is only imagined: whoever writes is its root.
    pub(super) as_root: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Node {
    /// Removed: hides what the host has under this name.
    Gone,
    /// Nobody can say what lies here, for this reason.
    Unknown(String),
    Inode(u64),
    Directory(Directory),
}

/// A directory over the host's, or one that is only here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Directory {
    /// `None` where it is as the host has it.
    pub(super) stat: Option<Stat>,
    /// The host's directory whose names show through; `None` for one that was made here.
    pub(super) host: Option<PathBuf>,
    names: BTreeMap<OsString, Node>,
}

/// A file or link, under however many names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Inode {
    pub(super) stat: Stat,
    pub(super) content: Content,
}

/// Where a file's bytes lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// A file of the host, by its path there.
    Host(PathBuf),
    /// A private file, by its real path.
    Spilled(PathBuf),
    /// None: a link, or something that has no bytes.
    Nothing,
}

/// What is known of a path.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Nothing,
    /// Untouched: whatever the host has at this path.
    Host(PathBuf),
    Unknown(&'a str),
    Inode(u64, &'a Inode),
    Directory(&'a Directory),
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            root: Directory::of_host(PathBuf::from("/")),
            inodes: BTreeMap::new(),
            shared: BTreeMap::new(),
            next: 1 << 62,
            version: 0,
            taken: BTreeMap::new(),
            notes: BTreeMap::new(),
            unknown_after: Vec::new(),
            as_root: false,
        }
    }
}

impl Directory {
    fn of_host(path: PathBuf) -> Self {
        Self {
            stat: None,
            host: Some(path),
            names: BTreeMap::new(),
        }
    }

    /// Makes a directory that hides whatever the host has there.
    pub(super) fn new(stat: Stat) -> Self {
        Self {
            stat: Some(stat),
            ..Self::default()
        }
    }

    /// The names that are not as the host has them, and whether a directory would lie there.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&OsString, bool)> {
        let names = self.names.iter();
        names.map(|(name, node)| (name, matches!(node, Node::Directory(_))))
    }

    /// Changes the names that the host has into those that would be there.
    pub(super) fn merge(&self, mut host: Vec<OsString>) -> Vec<OsString> {
        host.retain(|name| !self.names.contains_key(name));
        let own = self.names.iter();
        host.extend(own.filter_map(|(name, node)| match node {
            Node::Gone => None,
            _ => Some(name.clone()),
        }));
        host.sort();
        host
    }
}

impl Layer {
    /// Nothing written yet, by the root of a host that is only imagined.
    pub(super) fn of_root() -> Self {
        Self {
            as_root: true,
            ..Self::default()
        }
    }

    /// Whether a path, or a directory above it, was removed.
    pub(super) fn is_removed(&self, path: &Path) -> bool {
        let mut directory = &self.root;
        for name in names(path) {
            match directory.names.get(&name) {
                Some(Node::Directory(below)) => directory = below,
                Some(Node::Gone) => return true,
                _ => return false,
            }
        }
        false
    }

    pub(super) fn seen(&self, path: &Path) -> Seen<'_> {
        let mut directory = &self.root;
        let mut ahead = names(path);
        while let Some(name) = ahead.next() {
            match directory.names.get(&name) {
                Some(Node::Directory(below)) => directory = below,
                Some(Node::Inode(number)) => {
                    return match self.inodes.get(number) {
                        Some(inode) if ahead.next().is_none() => Seen::Inode(*number, inode),
                        _ => Seen::Nothing,
                    };
                }
                Some(Node::Gone) => return Seen::Nothing,
                Some(Node::Unknown(cause)) => return Seen::Unknown(cause),
                None => {
                    return directory.host.as_ref().map_or(Seen::Nothing, |host| {
                        Seen::Host(ahead.fold(host.join(name), |path, name| path.join(name)))
                    });
                }
            }
        }
        Seen::Directory(directory)
    }

    /// Returns the file of the host with several names that was taken up under one of them.
    pub(super) fn shared(&self, device: u64, inode: u64) -> Option<(u64, &Inode)> {
        let number = *self.shared.get(&(device, inode))?;
        Some((number, self.inodes.get(&number)?))
    }

    pub(super) fn inode_mut(&mut self, number: u64) -> Option<&mut Inode> {
        self.version += 1;
        self.inodes.get_mut(&number)
    }

    /// Returns the directory at a path, taking up the host's and those above it.
    ///
    /// What lies there must be a directory.
    pub(super) fn directory_mut(&mut self, path: &Path) -> &mut Directory {
        self.version += 1;
        let mut directory = &mut self.root;
        for name in names(path) {
            let below = directory.host.as_ref().map(|host| host.join(&name));
            let fresh = || {
                let host = below.map_or_else(Directory::default, Directory::of_host);
                Node::Directory(host)
            };
            let node = directory.names.entry(name).or_insert_with(fresh);
            if !matches!(node, Node::Directory(_)) {
                *node = Node::Directory(Directory::default());
            }
            directory = match node {
                Node::Directory(below) => Some(below),
                _ => None,
            }
            .expect("it was made a directory");
        }
        directory
    }

    /// Puts a file or link at a path, in place of whatever was there.
    pub(super) fn put_inode(&mut self, path: &Path, number: u64) {
        self.put(path, Node::Inode(number));
    }

    pub(super) fn put_directory(&mut self, path: &Path, directory: Directory) {
        self.put(path, Node::Directory(directory));
    }

    /// Keeps a file or link that a later [`Layer::put_inode`] gives a name.
    pub(super) fn keep(&mut self, inode: Inode) -> u64 {
        self.next += 1;
        let number = self.next;
        let stat = Stat {
            inode: number,
            ..inode.stat
        };
        self.inodes.insert(number, Inode { stat, ..inode });
        number
    }

    /// Keeps a file of the host; its other names there lead to the same one.
    pub(super) fn keep_shared(&mut self, inode: Inode) -> u64 {
        let key = (inode.stat.device, inode.stat.inode);
        let is_shared = inode.stat.n_links > 1;
        let own = inode.stat.inode;
        let number = self.keep(inode);
        if is_shared {
            self.shared.insert(key, number);
        }
        // It is still the host's file.
        if let Some(kept) = self.inodes.get_mut(&number) {
            kept.stat.inode = own;
        }
        number
    }

    /// Takes away whatever lies at a path. Returns the directory, if it was one of the tree.
    pub(super) fn take(&mut self, path: &Path) -> Option<Directory> {
        match self.put(path, Node::Gone) {
            Some(Node::Directory(directory)) => Some(directory),
            _ => None,
        }
    }

    /// Returns what the tree had there before.
    fn put(&mut self, path: &Path, node: Node) -> Option<Node> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return None;
        };
        let parent = self.directory_mut(parent);
        let old = if matches!(node, Node::Gone) && parent.host.is_none() {
            parent.names.remove(name)
        } else {
            parent.names.insert(name.to_os_string(), node)
        };
        if let Some(Node::Inode(number)) = old
            && let Some(inode) = self.inodes.get_mut(&number)
        {
            inode.stat.n_links = inode.stat.n_links.saturating_sub(1);
        }
        old
    }
}

impl Layer {
    /// Makes unknown whatever is not the same in another layer, for this reason.
    pub(super) fn blur(&mut self, other: &Layer, cause: &str) {
        let mut differing = Vec::new();
        self.compare(
            &self.root,
            other,
            &other.root,
            Path::new("/"),
            &mut differing,
        );
        for path in differing {
            self.put(&path, Node::Unknown(cause.to_owned()));
        }
        // What a note is of stands before its last word: `unit kafka.service ActiveState`.
        let of = |note: &str| note.rsplit_once(' ').map(|(what, _)| what.to_owned());
        for (note, value) in &other.notes {
            if note.starts_with("doubt ") {
                self.notes
                    .entry(note.clone())
                    .or_insert_with(|| value.clone());
            } else if self.notes.get(note) != Some(value)
                && let Some(what) = of(note)
            {
                self.notes.insert(format!("doubt {what}"), cause.to_owned());
            }
        }
        self.unknown_after.clone_from(&other.unknown_after);
        self.version += 1;
    }

    fn compare(
        &self,
        own: &Directory,
        other: &Layer,
        others: &Directory,
        path: &Path,
        differing: &mut Vec<PathBuf>,
    ) {
        if own.stat != others.stat || own.host != others.host {
            differing.push(path.to_path_buf());
            return;
        }
        for (name, theirs) in &others.names {
            let path = path.join(name);
            let untouched = || {
                let host = own.host.as_ref().map(|host| host.join(name));
                host.map_or_else(Directory::default, Directory::of_host)
            };
            match (own.names.get(name), theirs) {
                (Some(Node::Directory(own)), Node::Directory(theirs)) => {
                    self.compare(own, other, theirs, &path, differing);
                }
                (None, Node::Directory(theirs)) => {
                    self.compare(&untouched(), other, theirs, &path, differing);
                }
                (Some(Node::Inode(own)), Node::Inode(theirs))
                    if self.inodes.get(own) == other.inodes.get(theirs) => {}
                (Some(own), theirs) if own == theirs && !matches!(own, Node::Inode(_)) => {}
                _ => differing.push(path),
            }
        }
        let gone = own.names.keys();
        let gone = gone.filter(|name| !others.names.contains_key(*name));
        differing.extend(gone.map(|name| path.join(name)));
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        _ => None,
    })
}
