//! Turns the bytes of an archive, whichever its format, into its entries, one after the other.

use crate::modules::Error;
use crate::sys::fs::Time;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What archives are read from: a file of the host, or bytes that were sent.
pub(in crate::modules) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::modules) enum Format {
    Tar,
    TarGzip,
    TarBzip2,
    TarXz,
    Zip,
}

/// One entry, its path as the archive has it.
#[derive(Debug, Clone)]
pub(in crate::modules) struct Entry {
    pub path: PathBuf,
    pub kind: EntryKind,
    /// Permission bits; `None` where the archive has none.
    pub mode: Option<u32>,
    /// In bytes.
    pub size: u64,
    pub mtime: Option<Time>,
    /// How far the time may be off, in seconds: zip counts in steps of two.
    pub mtime_slack: i64,
    pub owner: Option<Owner>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::modules) enum EntryKind {
    File,
    Directory,
    Link(PathBuf),
    /// Another name of an earlier entry.
    HardLink(PathBuf),
    /// A device, a fifo: not unpacked.
    Special,
}

/// Whose the entry was where the archive was made.
#[derive(Debug, Clone)]
pub(in crate::modules) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    pub group: String,
}

/// Is given every entry with its content.
pub(in crate::modules) type Visitor<'a> =
    dyn FnMut(&Entry, &mut dyn Read) -> Result<(), Error> + 'a;

impl Format {
    /// Tells the format by the first bytes.
    pub(in crate::modules) fn of(source: &mut dyn Source, name: &str) -> Result<Self, Error> {
        let mut start = Vec::new();
        let read = source.take(512).read_to_end(&mut start);
        read.and_then(|_| source.seek(SeekFrom::Start(0)))
            .map_err(|error| damaged(name, &error))?;
        let format = match &start[..] {
            [0x1f, 0x8b, ..] => Self::TarGzip,
            [b'B', b'Z', b'h', ..] => Self::TarBzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::TarXz,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::Zip,
            start if start.get(257..262) == Some(b"ustar") => Self::Tar,
            // The form before ustar has no mark but its checksum.
            start if has_tar_checksum(start) => Self::Tar,
            [] => return Err(Error::new(format!("the archive `{name}` is empty"))),
            _ => {
                return Err(Error::new(format!("`{name}` is not an archive"))
                    .help("krun unpacks tar, plain or packed by gzip, bzip2 or xz, and zip"));
            }
        };
        Ok(format)
    }

    /// Returns the name by which Ansible registers the format.
    pub(in crate::modules) fn handler(self) -> &'static str {
        match self {
            Self::Tar => "TarArchive",
            Self::TarGzip => "TgzArchive",
            Self::TarBzip2 => "TarBzipArchive",
            Self::TarXz => "TarXzArchive",
            Self::Zip => "ZipArchive",
        }
    }

    /// Gives all entries to the visitor, in order, and reads the archive to its very end.
    pub(in crate::modules) fn walk(
        self,
        source: &mut dyn Source,
        name: &str,
        visitor: &mut Visitor,
    ) -> Result<(), Error> {
        let mut source = BufReader::with_capacity(128 * 1024, source);
        match self {
            Self::Tar => walk_tar(&mut source, name, visitor),
            Self::TarGzip => {
                let mut unpacked = flate2::bufread::MultiGzDecoder::new(source);
                walk_tar(&mut unpacked, name, visitor)
            }
            Self::TarBzip2 => walk_tar(&mut bzip2_rs::DecoderReader::new(source), name, visitor),
            Self::TarXz => {
                let unpacked = unpack_xz(&mut source).map_err(|error| damaged(name, &error))?;
                walk_tar(&mut &unpacked[..], name, visitor)
            }
            Self::Zip => walk_zip(&mut source, name, visitor),
        }
    }
}

fn damaged(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(format!("the archive `{name}` is truncated or damaged")).because(error)
}

/// An error of reading or parsing, told from the visitor's own by the type.
fn walk_tar(unpacked: &mut dyn Read, name: &str, visitor: &mut Visitor) -> Result<(), Error> {
    let broken = |error: io::Error| damaged(name, &error);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let header = tar_entry(&entry).map_err(broken)?;
        if let Some(header) = header {
            visitor(
                &header,
                &mut Reading {
                    inner: &mut entry,
                    name,
                },
            )?;
        }
    }
    // What follows the last entry belongs to the packing, checksum included.
    io::copy(archive.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(())
}

/// A content that names its archive when it breaks off.
struct Reading<'a> {
    inner: &'a mut dyn Read,
    name: &'a str,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let text = format!(
                "the archive `{}` is truncated or damaged: {error}",
                self.name
            );
            io::Error::new(error.kind(), text)
        })
    }
}

/// Returns `None` for what is no entry but a remark.
fn tar_entry<R: Read>(entry: &tar::Entry<R>) -> io::Result<Option<Entry>> {
    use tar::EntryType;
    let header = entry.header();
    let bytes = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let target = || {
        entry
            .link_name_bytes()
            .map(|target| bytes(&target))
            .unwrap_or_default()
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            // Before ustar, a slash at the end made a directory.
            if entry.path_bytes().ends_with(b"/") {
                EntryKind::Directory
            } else {
                EntryKind::File
            }
        }
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Link(target()),
        EntryType::Link => EntryKind::HardLink(target()),
        EntryType::XGlobalHeader | EntryType::XHeader => return Ok(None),
        _ => EntryKind::Special,
    };
    let text = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    let number = |number: io::Result<u64>| number.map(|n| u32::try_from(n).unwrap_or(0));
    Ok(Some(Entry {
        path: bytes(&entry.path_bytes()),
        kind,
        mode: Some(header.mode()? & 0o7777),
        size: entry.size(),
        mtime: Some(Time::from_seconds(
            i64::try_from(header.mtime()?).unwrap_or(0),
        )),
        mtime_slack: 0,
        owner: Some(Owner {
            uid: number(header.uid())?,
            gid: number(header.gid())?,
            user: text(header.username_bytes()),
            group: text(header.groupname_bytes()),
        }),
    }))
}

fn has_tar_checksum(start: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(start) else {
        return false;
    };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            if (148..156).contains(&index) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    block[0] != 0 && header.cksum().is_ok_and(|written| written == sum)
}

fn walk_zip(
    source: &mut BufReader<&mut dyn Source>,
    name: &str,
    visitor: &mut Visitor,
) -> Result<(), Error> {
    let broken = |error: zip::result::ZipError| damaged(name, &error);
    let mut archive = zip::ZipArchive::new(source).map_err(broken)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        let mode = file.unix_mode();
        let kind = if file.is_dir() {
            EntryKind::Directory
        } else if mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000) {
            let mut target = Vec::new();
            file.read_to_end(&mut target)
                .map_err(|error| damaged(name, &error))?;
            EntryKind::Link(PathBuf::from(OsStr::from_bytes(&target)))
        } else {
            EntryKind::File
        };
        let entry = Entry {
            path: PathBuf::from(OsStr::from_bytes(file.name_raw())),
            kind,
            mode: mode.map(|mode| mode & 0o7777).filter(|mode| *mode != 0),
            size: file.size(),
            mtime: file.last_modified().and_then(zip_time),
            mtime_slack: 2,
            owner: None,
        };
        visitor(
            &entry,
            &mut Reading {
                inner: &mut file,
                name,
            },
        )?;
    }
    Ok(())
}

/// Zip keeps local time.
fn zip_time(time: zip::DateTime) -> Option<Time> {
    let small = |number: u8| i8::try_from(number).ok();
    let time = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        small(time.month())?,
        small(time.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?.min(59),
        0,
    );
    let zoned = time.ok()?.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    Some(Time::from_seconds(zoned.timestamp().as_second()))
}

fn unpack_xz(source: &mut impl BufRead) -> Result<Vec<u8>, lzma_rs::error::Error> {
    let mut unpacked = Vec::new();
    lzma_rs::xz_decompress(source, &mut unpacked)?;
    Ok(unpacked)
}
