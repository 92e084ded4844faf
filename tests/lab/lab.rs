//! A lab from the shell, for the scripts beside this file: `lab up NAME [--package P] [--user U] HOST... | list | ssh-config NAME | down NAME|--all`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line prints"
)]

use std::path::Path;
use std::process::ExitCode;

use krun::lab::{Error, Lab, LabSpec, Site};

/// Labs, their image and the tarballs; the same place as the command line's for root.
const ROOT: &str = "/var/cache/krun";
const USAGE: &str = "usage: lab up NAME [--package P] [--user U] HOST... | list | ssh-config NAME | down NAME|--all";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match answer(&words) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(it) = cause {
                eprintln!("{it}");
                cause = it.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn answer(words: &[&str]) -> Result<String, Error> {
    let root = Path::new(ROOT);
    match words {
        ["up", name, words @ ..] => {
            let (mut hosts, mut users, mut packages) = (Vec::new(), Vec::new(), Vec::new());
            let mut words = words.iter().map(|&word| word.to_owned());
            while let Some(word) = words.next() {
                match word.as_str() {
                    "--package" => packages.extend(words.next()),
                    "--user" => users.extend(words.next()),
                    _ => hosts.push(word),
                }
            }
            let archive = root.join("archive.apache.org");
            let site = Site {
                name: "archive.apache.org".to_owned(),
                root: archive.clone(),
            };
            let spec = LabSpec {
                name: (*name).to_owned(),
                hosts,
                users,
                packages,
                sites: archive.exists().then_some(site).into_iter().collect(),
                ..LabSpec::default()
            };
            Ok(Lab::up(root, &spec, &|step| eprintln!("{step}"))?.to_string())
        }
        ["list"] => {
            let labs = Lab::list(root)?;
            Ok(labs
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"))
        }
        ["ssh-config", name] => Ok(Lab::find(root, name)?.ssh_config().display().to_string()),
        ["down", "--all"] => Ok(format!("removed: {}", Lab::down_all(root)?.join(" "))),
        ["down", name] => Lab::down(root, name).map(|()| format!("removed: {name}")),
        _ => Ok(USAGE.to_owned()),
    }
}
