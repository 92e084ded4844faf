//! `stat`: turns a path into what lies there, in Ansible's keys.

use super::args::{Arg, ArgKind, yes};
use super::attributes::{group_name, owner_name};
use super::place::ends_with_slash;
use super::{Error, Found, Module, Nature, Outcome, mode};
use crate::sys::Sys;
use crate::sys::fs::{Kind, Stat as Metadata};
use crate::value::{Mapping, Value};
use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stat {
    path: PathBuf,
    #[serde(default)]
    follow: bool,
    #[serde(default = "yes")]
    get_checksum: bool,
    #[serde(default = "yes")]
    get_mime: bool,
    #[serde(default)]
    checksum_algorithm: Option<String>,
}

impl Module for Stat {
    const NAME: &'static str = "stat";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new("path", ArgKind::Path, "what is looked at")
            .required()
            .aliases(&["dest", "name"]),
        Arg::new(
            "follow",
            ArgKind::Bool,
            "where a link is, look at what it leads to (default no)",
        ),
        Arg::new(
            "get_checksum",
            ArgKind::Bool,
            "read the file for its checksum (default yes)",
        ),
        Arg::new(
            "get_mime",
            ArgKind::Bool,
            "guess what is in the file (default yes)",
        )
        .aliases(&["mime", "mime_type", "mime-type"]),
        Arg::new(
            "get_attributes",
            ArgKind::Bool,
            "accepted; attributes of the file system are not read",
        )
        .aliases(&["attr", "attributes"]),
        Arg::new(
            "get_selinux_context",
            ArgKind::Bool,
            "accepted, has no effect",
        ),
        Arg::new("checksum_algorithm", ArgKind::Str, "default `sha1`")
            .aliases(&["checksum", "checksum_algo"])
            .choices(super::digest::ALGORITHMS),
        Arg::new("get_md5", ArgKind::Bool, "accepted, has no effect"),
    ];
    const DOC: &'static str = "Registers whether a path exists and what lies there: `stat.exists`, `stat.isdir`, `stat.islnk`, `stat.lnk_target`, `stat.mode`, `stat.checksum`, ….\n\n    - stat: path=/usr/local/kafka\n      register: link\n    - debug: var=link.stat.lnk_target\n      when: link.stat.exists and link.stat.islnk\n";
    type Change = ();

    fn places(&self) -> Option<Vec<PathBuf>> {
        Some(vec![self.path.clone()])
    }

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        // As the kernel has it, a slash behind a link means what it leads to.
        let found = if self.follow || ends_with_slash(&self.path) {
            sys.stat(&self.path)?
        } else {
            sys.lstat(&self.path)?
        };
        let stat = match found {
            Some(metadata) => self.keys(sys, &metadata)?,
            None => [(Value::from("exists"), Value::from(false))]
                .into_iter()
                .collect(),
        };
        Ok(Found::same(Outcome::new().with("stat", stat)))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl Stat {
    fn keys(&self, sys: &Sys, found: &Metadata) -> Result<Mapping, Error> {
        let may = |access| sys.may(&self.path, access).unwrap_or(false);
        let bit = |bit| found.mode & bit != 0;
        let mut keys = Mapping::new();
        let mut put = |key: &str, value: Value| drop(keys.insert(key.into(), value));
        put("exists", true.into());
        put("path", self.path.display().to_string().into());
        put("mode", mode::show(found.mode).into());
        put("isdir", found.is_dir().into());
        put("ischr", (found.kind == Kind::CharDevice).into());
        put("isblk", (found.kind == Kind::BlockDevice).into());
        put("isreg", found.is_file().into());
        put("isfifo", (found.kind == Kind::Fifo).into());
        put("islnk", found.is_link().into());
        put("issock", (found.kind == Kind::Socket).into());
        put("uid", found.uid.into());
        put("gid", found.gid.into());
        put("size", found.size.into());
        put("inode", found.inode.into());
        put("dev", found.device.into());
        put("nlink", found.n_links.into());
        put("atime", found.atime.as_f64().into());
        put("mtime", found.mtime.as_f64().into());
        put("ctime", found.ctime.as_f64().into());
        for (index, key) in [
            "xoth", "woth", "roth", "xgrp", "wgrp", "rgrp", "xusr", "wusr", "rusr",
        ]
        .into_iter()
        .enumerate()
        {
            put(key, bit(1 << index).into());
        }
        put("isuid", bit(0o4000).into());
        put("isgid", bit(0o2000).into());
        put("block_size", found.block_size.into());
        put("blocks", found.blocks.into());
        put("device_type", found.device_type.into());
        put("readable", may(AccessFlags::R_OK).into());
        put("writeable", may(AccessFlags::W_OK).into());
        put("executable", may(AccessFlags::X_OK).into());
        put("pw_name", owner_name(sys, found.uid));
        put("gr_name", group_name(sys, found.gid));
        put("attributes", Value::Sequence(Vec::new()));
        put("attr_flags", "".into());
        put("version", Value::Null);
        if let Some(target) = &found.link_target {
            // A link that leads round in a circle is one all the same.
            let source = sys
                .resolve(&self.path)
                .unwrap_or_else(|_| self.path.clone());
            put("lnk_target", target.display().to_string().into());
            put("lnk_source", source.display().to_string().into());
        }
        let (mut mime, mut charset) = match found.kind {
            Kind::Directory => ("inode/directory", "binary"),
            Kind::Link => ("inode/symlink", "binary"),
            Kind::Fifo => ("inode/fifo", "binary"),
            Kind::Socket => ("inode/socket", "binary"),
            Kind::CharDevice => ("inode/chardevice", "binary"),
            Kind::BlockDevice => ("inode/blockdevice", "binary"),
            Kind::File => ("application/octet-stream", "binary"),
        };
        if found.is_file() && self.get_checksum && may(AccessFlags::R_OK) {
            let algorithm = self.checksum_algorithm.as_deref().unwrap_or("sha1");
            let checksum = super::digest::of_file(algorithm, &mut sys.open(&self.path)?)?;
            put("checksum", checksum.into());
        }
        if self.get_mime {
            if found.is_file() && may(AccessFlags::R_OK) {
                (mime, charset) = guess(sys, &self.path)?;
            }
            put("mimetype", mime.into());
            put("charset", charset.into());
        }
        Ok(keys)
    }
}

/// Tells text from the rest by a file's first bytes.
fn guess(sys: &Sys, path: &Path) -> Result<(&'static str, &'static str), Error> {
    use std::io::Read;
    let mut start = Vec::new();
    sys.open(path)?.take(4096).read_to_end(&mut start)?;
    Ok(match std::str::from_utf8(&start) {
        Ok("") => ("inode/x-empty", "binary"),
        Ok(text) if text.contains('\0') => ("application/octet-stream", "binary"),
        Ok(text) if text.is_ascii() => ("text/plain", "us-ascii"),
        Ok(_) => ("text/plain", "utf-8"),
        // The last letter may be cut in two.
        Err(error) if error.valid_up_to() + 4 > 4096 => ("text/plain", "utf-8"),
        Err(_) => ("application/octet-stream", "binary"),
    })
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;
    use crate::value::Value;
    use std::path::Path;

    #[test]
    fn what_is_not_there_has_one_key() {
        let host = Host::with("stat", &[]);
        let stat = &host.run("{path: /none/x}").unwrap().data["stat"];
        assert_eq!(stat["exists"], Value::from(false));
        assert_eq!(stat.as_mapping().unwrap().len(), 1);
    }

    #[test]
    fn a_file_has_checksum_mode_and_permissions() {
        let host = Host::with("stat", &[("/a", "x\n")]);
        let stat = &host.run("{path: /a}").unwrap().data["stat"];
        assert_eq!(stat["isreg"], true);
        assert_eq!(stat["mode"], "0644");
        assert_eq!(stat["rusr"], true);
        assert_eq!(stat["woth"], false);
        assert_eq!(stat["checksum"], "6fcf9dfbd479ed82697fee719b9f8c610a11ff2a");
        assert_eq!(stat["mimetype"], "text/plain");
        let args = "{path: /a, checksum_algorithm: md5, get_mime: no}";
        let stat = &host.run(args).unwrap().data["stat"];
        assert_eq!(stat["checksum"], "401b30e3b8b5d629635a5c613cdb7919");
        let stat = &host.run("{path: /a, get_checksum: no}").unwrap().data["stat"];
        assert!(stat.get("checksum").is_none());
    }

    #[test]
    fn a_link_is_looked_at_itself_unless_followed() {
        let host = Host::with("stat", &[("/dir/a", "x\n")]);
        host.sys.symlink(Path::new("dir"), Path::new("/l")).unwrap();
        let stat = &host.run("{path: /l}").unwrap().data["stat"];
        assert_eq!(stat["islnk"], true);
        assert_eq!(stat["lnk_target"], "dir");
        assert_eq!(stat["lnk_source"], "/dir");
        let stat = &host.run("{path: /l, follow: yes}").unwrap().data["stat"];
        assert_eq!(stat["isdir"], true);
        assert_eq!(stat["islnk"], false);
    }

    #[test]
    fn a_slash_behind_a_link_follows_it_and_links_may_lead_round_in_a_circle() {
        let host = Host::with("stat", &[("/dir/a", "x\n")]);
        for (target, path) in [("dir", "/l"), ("two", "/one"), ("one", "/two")] {
            host.sys
                .symlink(Path::new(target), Path::new(path))
                .unwrap();
        }
        let stat = &host.run("{path: /l/}").unwrap().data["stat"];
        assert_eq!(
            (&stat["isdir"], &stat["islnk"]),
            (&true.into(), &false.into())
        );
        let stat = &host.run("{path: /one}").unwrap().data["stat"];
        assert_eq!(stat["islnk"], true);
        assert_eq!(stat["lnk_target"], "two");
        assert_eq!(stat["lnk_source"], "/one");
    }
}
