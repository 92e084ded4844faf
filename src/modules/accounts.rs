//! Runs the host's own account programs; in check mode on private copies of the account files, which then enter the overlay.
//!
//! So a rehearsed `useradd` picks the very numbers, home and defaults that the real one will.

use super::{Error, tool};
use crate::sys::Sys;
use crate::sys::fs::{Attributes, Stat};
use crate::sys::process::Command;
use nix::unistd::AccessFlags;
use std::path::{Path, PathBuf};

/// What the programs read and write, backups included.
const FILES: [&str; 14] = [
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/group",
    "/etc/group-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
    "/etc/login.defs",
    "/etc/default/useradd",
];

/// Runs one of the account programs; below a test's root it changes the files there.
pub(super) fn call(sys: &Sys, argv: &[String]) -> Result<(), Error> {
    if sys.overlay().is_some() {
        return rehearse(sys, argv);
    }
    let words = if sys.is_host() {
        argv.to_vec()
    } else {
        below(sys, &sys.real(Path::new("/")), argv)
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tool::must(sys, &words).map(drop)
}

/// Returns the call that works below another root, where a new home's skeleton lies, too.
fn below(sys: &Sys, root: &Path, argv: &[String]) -> Vec<String> {
    let mut words = argv.to_vec();
    if words.len() < 2 {
        return words;
    }
    let prefix = ["--prefix".to_owned(), root.display().to_string()];
    let skeleton = skeleton(argv);
    let makes_home = argv[0] == "useradd" && argv.iter().any(|word| word == "-m");
    if makes_home && sys.exists(&skeleton).unwrap_or(false) {
        // The prefix does not hold for it in all versions.
        if let Some(at) = words.iter().position(|word| word == "-k") {
            words.drain(at..at + 2);
        }
        let there = root.join(skeleton.strip_prefix("/").unwrap_or(&skeleton));
        words.splice(1..1, ["-k".to_owned(), there.display().to_string()]);
    }
    words.splice(1..1, prefix);
    words
}

fn skeleton(argv: &[String]) -> PathBuf {
    after(argv, "-k").unwrap_or_else(|| "/etc/skel".into())
}

fn after(argv: &[String], flag: &str) -> Option<PathBuf> {
    let at = argv.iter().position(|word| word == flag)?;
    argv.get(at + 1).map(PathBuf::from)
}

/// Sets a password's hash; not by an argument, as those are seen by every user of the host.
pub(super) fn set_password(sys: &Sys, name: &str, hash: &str) -> Result<(), Error> {
    let argv = ["chpasswd", "-e"];
    if sys.overlay().is_none() {
        let command = Command::tool(argv).stdin(format!("{name}:{hash}\n"));
        let output = tool::start(sys, &command, &argv)?;
        return if output.success() {
            Ok(())
        } else {
            Err(tool::failure(&argv, &output))
        };
    }
    let path = Path::new("/etc/shadow");
    let text = String::from_utf8_lossy(&sys.read(path)?).into_owned();
    let today = jiff::Timestamp::now().as_second() / 86_400;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        let mut fields: Vec<&str> = line.split(':').collect();
        let today = today.to_string();
        if let [user, password, changed, ..] = &mut fields[..]
            && *user == name
        {
            (*password, *changed) = (hash, &today);
            *line = fields.join(":");
        }
    }
    let text = lines.join("\n") + "\n";
    Ok(sys.write_atomic(path, text.as_bytes(), Attributes::default())?)
}

/// Runs a program on copies of what it reads, and takes over what it wrote.
fn rehearse(sys: &Sys, argv: &[String]) -> Result<(), Error> {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    let shown: Vec<&str> = argv.iter().map(String::as_str).collect();
    let refused = |why: String| {
        let text = format!("`{}` would fail", shown.join(" "));
        Err(Error::new(text).because(why))
    };
    if !sys.may(Path::new("/etc"), AccessFlags::W_OK)? {
        return refused("permission denied: only root changes accounts".into());
    }
    let name = argv.last().map(String::as_str).unwrap_or_default();
    let user = sys.user_named(name)?;
    let moves = |flag: &str| argv.iter().any(|word| word == flag);
    if let Some(user) = &user
        && (program == "userdel" && !moves("-f")
            || program == "usermod" && (moves("-u") || moves("-d")))
        && sys.is_host()
        && let Some(process) = process_of(sys, user.uid)
    {
        return refused(format!(
            "user {name} is currently used by process {process}"
        ));
    }
    if program == "groupmod" && !moves("-o") {
        return rehearse_number(sys, argv);
    }
    run_on_copies(sys, argv)?;
    let Some(user) = user else {
        return Ok(());
    };
    let home = Path::new(&user.home);
    let home_stat = sys.stat(home)?.filter(Stat::is_dir);
    if program == "userdel" && moves("-r") {
        let mail = Path::new("/var/mail").join(name);
        if sys.lstat(&mail)?.is_some() {
            sys.remove(&mail)?;
        }
        match &home_stat {
            Some(stat) if stat.uid == user.uid => sys.remove_tree(home)?,
            Some(_) => {
                let why = format!("{} not owned by {name}, not removing", home.display());
                return Err(ended(argv, 12, &why));
            }
            None => {}
        }
    }
    if let Some(to) = after(argv, "-d")
        && program == "usermod"
        && moves("-m")
    {
        if sys.exists(&to)? {
            return Err(ended(
                argv,
                12,
                &format!("directory {} exists", to.display()),
            ));
        }
        if home_stat.is_some() {
            sys.rename(home, &to)?;
        }
    }
    Ok(())
}

/// What a program would say as it ends with this code.
fn ended(argv: &[String], rc: i32, why: &str) -> Error {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    let said = format!("{program}: {why}");
    Error::new(format!("`{}` ended with code {rc}", argv.join(" ")))
        .because(&said)
        .with("rc", rc)
        .with("stdout", "")
        .with("stderr", said)
}

/// Gives a group another number: groupmod looks for who has it on the host itself, below whatever root it works.
fn rehearse_number(sys: &Sys, argv: &[String]) -> Result<(), Error> {
    let name = argv.last().map(String::as_str).unwrap_or_default();
    let at = argv.iter().position(|word| word == "-g");
    let number = at.and_then(|at| argv.get(at + 1));
    let taken = match number.and_then(|number| number.parse().ok()) {
        Some(gid) => sys.group_numbered(gid)?.filter(|group| group.name != name),
        None => None,
    };
    if let (Some(number), Some(_)) = (number, taken) {
        return Err(ended(argv, 4, &format!("GID '{number}' already exists")));
    }
    let mut argv = argv.to_vec();
    argv.insert(1, "-o".to_owned());
    run_on_copies(sys, &argv)
}

fn process_of(sys: &Sys, uid: u32) -> Option<String> {
    let names = sys.list(Path::new("/proc")).ok()?;
    names.into_iter().find_map(|name| {
        let name = name.into_string().ok()?;
        name.parse::<u32>().ok()?;
        let stat = sys.stat(&Path::new("/proc").join(&name)).ok()??;
        (stat.uid == uid).then_some(name)
    })
}

/// Gives a program copies of what it reads, runs it on them, and takes back what it wrote.
fn run_on_copies(sys: &Sys, argv: &[String]) -> Result<(), Error> {
    let copies = sys.lend()?;
    for path in FILES {
        copies.file(Path::new(path))?;
    }
    let program = argv.first().map(String::as_str);
    if program == Some("useradd") {
        copies.tree(&skeleton(argv))?;
        for directory in ["/home", "/var/mail", "/var/spool/mail"] {
            copies.directory(Path::new(directory))?;
        }
        // A home that is there already is left alone.
        if let Some(home) = after(argv, "-d") {
            copies.directory(&home)?;
        }
    }
    // These move and remove files, which is done in the overlay.
    let files_only = |word: &&String| match program {
        Some("userdel") => *word != "-r",
        Some("usermod") => *word != "-m",
        _ => true,
    };
    let call: Vec<String> = argv.iter().filter(files_only).cloned().collect();
    let words = below(sys, copies.root(), &call);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = tool::start(sys, &Command::tool(&words).only_reads(), &words)?;
    if !output.success() {
        let shown: Vec<&str> = argv.iter().map(String::as_str).collect();
        return Err(tool::failure(&shown, &output));
    }
    Ok(copies.take_back()?)
}
