//! Turns names of rpm packages into the versions that are installed.

use crate::modules::{Error, tool};
use crate::sys::Sys;

/// How a name has to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `NAME`, `NAME-VERSION`, `NAME.ARCHITECTURE`, a file or another thing that a package provides.
    Package,
    Pattern,
    Group,
    /// An rpm file, by path or URL.
    File,
}

/// One name and the versions of it that are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub kind: Kind,
    pub versions: Vec<String>,
}

/// What rpm says of all names, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    pub packages: Vec<Package>,
}

const FORMAT: &str = "=%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";

fn kind(name: &str) -> Kind {
    if name.starts_with('@') {
        Kind::Group
    } else if name.contains("://") || name.to_lowercase().ends_with(".rpm") {
        Kind::File
    } else if name.contains(['*', '?', '[']) {
        Kind::Pattern
    } else {
        Kind::Package
    }
}

/// Looks all names up: the plain ones in one call of rpm, and what it does not know by who provides it in a second.
pub fn look(sys: &Sys, program: &str, names: &[&str]) -> Result<Looked, Error> {
    let mut packages: Vec<Package> = names
        .iter()
        .map(|name| Package {
            name: (*name).to_owned(),
            kind: kind(name),
            versions: Vec::new(),
        })
        .collect();
    for package in &mut packages {
        match package.kind {
            Kind::Package => {}
            Kind::Pattern => {
                let output = tool::must(sys, &["rpm", "-qa", "--qf", FORMAT, &package.name])?;
                package.versions = installed(&output.stdout)
                    .map(|(_, version)| version)
                    .collect();
            }
            Kind::File => package.versions = of_file(sys, &package.name)?,
            Kind::Group => package.versions = of_group(sys, program, &package.name)?,
        }
    }
    let plain = |packages: &[Package]| -> Vec<String> {
        let open = packages
            .iter()
            .filter(|p| p.kind == Kind::Package && p.versions.is_empty());
        open.map(|package| package.name.clone()).collect()
    };
    for by in [None, Some("--whatprovides")] {
        let open = plain(&packages);
        if open.is_empty() {
            break;
        }
        let queried: Vec<String> = open.iter().map(|name| without_epoch(name)).collect();
        let mut argv = vec!["rpm", "-q"];
        argv.extend(by);
        argv.extend(["--qf", FORMAT]);
        argv.extend(queried.iter().map(String::as_str));
        let output = tool::ask(sys, &argv)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        let found: Vec<(String, String)> = installed(&said).collect();
        for (name, queried) in open.iter().zip(&queried) {
            if is_missing(&said, queried) {
                continue;
            }
            let mut versions = own_versions(&found, queried);
            if versions.is_empty() {
                versions.push("provided".into());
            }
            if let Some(package) = packages.iter_mut().find(|package| package.name == *name) {
                package.versions.clone_from(&versions);
            }
        }
    }
    Ok(Looked { packages })
}

/// The versions of the package that is meant: of `jdk` and `jdk-devel`, both of which `jdk-devel-1` begins with,
/// the longer name.
fn own_versions(found: &[(String, String)], queried: &str) -> Vec<String> {
    let own = found
        .iter()
        .filter(|(known, _)| queried.starts_with(known.as_str()));
    let longest = own.clone().map(|(known, _)| known.len()).max();
    let mut versions: Vec<String> = Vec::new();
    for (_, version) in own.filter(|(known, _)| Some(known.len()) == longest) {
        if !versions.contains(version) {
            versions.push(version.clone());
        }
    }
    versions
}

/// rpm names what it does not have, in words that have not changed in twenty years.
fn is_missing(said: &str, name: &str) -> bool {
    let sentences = [
        format!("package {name} is not installed"),
        format!("no package provides {name}"),
        format!("error: file {name}: No such file or directory"),
        format!("file {name} is not owned by any package"),
    ];
    said.lines()
        .any(|line| sentences.iter().any(|sentence| line.trim() == sentence))
}

/// Reads lines of [`FORMAT`].
fn installed(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let mut fields = line.strip_prefix('=')?.split('\t');
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    })
}

/// rpm does not read `NAME-EPOCH:VERSION`.
fn without_epoch(name: &str) -> String {
    let Some((left, right)) = name.split_once(':') else {
        return name.to_owned();
    };
    match left.rsplit_once('-') {
        Some((bare, epoch)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{bare}-{right}")
        }
        _ => name.to_owned(),
    }
}

/// An rpm file counts as installed when its very version is.
fn of_file(sys: &Sys, name: &str) -> Result<Vec<String>, Error> {
    let whole = "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}";
    let file = tool::must(sys, &["rpm", "-qp", "--nosignature", "--qf", whole, name]);
    let file =
        file.map_err(|error| Error::new(format!("`{name}` is no rpm package")).because(error))?;
    let output = tool::ask(sys, &["rpm", "-q", "--qf", FORMAT, file.stdout.trim()])?;
    Ok(installed(&output.stdout)
        .map(|(_, version)| version)
        .collect())
}

fn of_group(sys: &Sys, program: &str, name: &str) -> Result<Vec<String>, Error> {
    let name = name.trim_start_matches(['@', '^']);
    let output = tool::ask(
        sys,
        &[program, "-q", "group", "list", "--installed", "--hidden"],
    )?;
    let has = output.stdout.lines().any(|line| {
        let line = line.trim();
        line.eq_ignore_ascii_case(name)
            || line.ends_with(&format!("({name})"))
            || line.split_whitespace().next() == Some(name)
    });
    Ok(if has {
        vec!["installed".into()]
    } else {
        Vec::new()
    })
}

/// Reads what `check-update` lists: name and new version.
pub fn updates(text: &str) -> Vec<(String, String)> {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("Obsoleting"));
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, version, _] = words[..] else {
                return None;
            };
            let (name, _) = name.rsplit_once('.')?;
            version
                .contains('-')
                .then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(kind("@development-tools"), Kind::Group);
        assert_eq!(kind("https://x.test/a.rpm"), Kind::File);
        assert_eq!(kind("java-11-*"), Kind::Pattern);
        assert_eq!(kind("java-11-openjdk-11.0.2"), Kind::Package);
        assert_eq!(without_epoch("bind-32:9.16-1.el9"), "bind-9.16-1.el9");
        assert_eq!(without_epoch("perl(File::Path)"), "perl(File::Path)");
    }

    #[test]
    fn a_package_is_not_taken_for_one_whose_name_begins_alike() {
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let found = [
            pair("jdk", "1-1"),
            pair("jdk-devel", "2-1"),
            pair("jdk", "1-1"),
        ];
        assert_eq!(own_versions(&found, "jdk-devel"), ["2-1"]);
        assert_eq!(own_versions(&found, "jdk-devel-2"), ["2-1"]);
        assert_eq!(own_versions(&found, "jdk"), ["1-1"]);
    }

    #[test]
    fn updates_are_listed_until_the_obsoleted_ones() {
        let text = "\nbash.x86_64    5.1.8-9.el9   baseos\nkernel.x86_64 5.14.0-427.el9 baseos\nObsoleting Packages\nx.noarch 1-1 y\n";
        let names: Vec<String> = updates(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bash", "kernel"]);
    }
}
