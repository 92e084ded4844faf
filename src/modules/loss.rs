//! Turns a directory that is to be removed into what would be lost with it.

use super::Error;
use crate::sys::Sys;
use std::path::Path;

/// So many entries are counted.
const MOST: usize = 100_000;

/// What removing a directory would destroy: `/data/kafka-logs` with what is in it. Nothing where it is empty, or no
/// older than the run.
pub(super) fn of_directory(sys: &Sys, path: &Path) -> Result<Option<String>, Error> {
    let names = sys.list(path)?;
    // Every ext4 has one.
    let is_bare = |name: &std::ffi::OsString| {
        name == "lost+found" && sys.list(&path.join(name)).is_ok_and(|it| it.is_empty())
    };
    if names.iter().all(is_bare) || sys.is_new(path)? {
        return Ok(None);
    }
    let (mut n_files, mut n_dirs, mut size) = (0, 0, 0);
    let mut ahead = vec![path.to_path_buf()];
    while let Some(directory) = ahead.pop().filter(|_| n_files + n_dirs < MOST) {
        for name in sys.list(&directory)? {
            let entry = directory.join(name);
            match sys.lstat(&entry)? {
                Some(stat) if stat.is_dir() => {
                    n_dirs += 1;
                    ahead.push(entry);
                }
                Some(stat) => {
                    n_files += 1;
                    size += stat.size;
                }
                None => {}
            }
        }
    }
    let more = if ahead.is_empty() { "" } else { "more than " };
    let content = match (n_files, n_dirs) {
        (0, n) => format!("{more}{}", counted(n, "directory", "directories")),
        (n, _) => format!("{more}{}, {}", counted(n, "file", "files"), bytes(size)),
    };
    Ok(Some(format!("`{}` with {content}", path.display())))
}

fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

fn bytes(n: u64) -> String {
    let units = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point")]
    match units.into_iter().find(|(_, unit)| n >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", n as f64 / unit as f64),
        None => counted(usize::try_from(n).unwrap_or(usize::MAX), "byte", "bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::Host;
    use std::time::Duration;

    fn real(host: &Host, path: &str) -> std::path::PathBuf {
        host.sys.real(Path::new(path))
    }

    #[test]
    fn what_is_lost_is_counted_and_an_empty_directory_is_no_loss() {
        let host = Host::with("file", &[]);
        let dir = |path: &str| std::fs::create_dir_all(real(&host, path)).unwrap();
        dir("/data/empty");
        dir("/data/disk/lost+found");
        dir("/data/dirs/a/b");
        host.write("/data/logs/t-0/0.log", &[0; 1500]);
        host.write("/data/logs/meta", b"x");
        std::thread::sleep(Duration::from_millis(30));
        let sys = Sys::at(real(&host, "/"));
        let loss = |path: &str| of_directory(&sys, Path::new(path)).unwrap();
        assert_eq!(loss("/data/empty"), None);
        assert_eq!(loss("/data/disk"), None);
        assert_eq!(
            loss("/data/dirs").unwrap(),
            "`/data/dirs` with 2 directories"
        );
        assert_eq!(
            loss("/data/logs").unwrap(),
            "`/data/logs` with 2 files, 1.5 kB"
        );
        host.write("/made/later/file", b"x");
        assert_eq!(loss("/made/later"), None);
    }
}
