//! Turns a command line and what it loaded into the record of its run: what may be written down, and where.

use super::exit::Program;
use super::options::{RecordOptions, RunOptions};
use super::settings::Machine;
use crate::plan::Plan;
use crate::record::{self, Error, Header, How, Inputs, Recorder, Runs};
use crate::run::Conclusion;
use crate::value::{Masks, Secret, Value};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directories beside a playbook from which tasks may read.
const BESIDE_PLAYBOOK: &[&str] = &[
    "files",
    "group_vars",
    "handlers",
    "host_vars",
    "roles",
    "tasks",
    "templates",
    "vars",
];
/// Shorter values are words that would be masked everywhere.
const SHORTEST_SECRET: usize = 6;

/// Where records are: `--record`, else `KRUN_RECORD`, else `.krun/runs` where krun was started.
pub(super) fn runs(options: &RecordOptions, machine: &Machine) -> Runs {
    let named = options.record.clone();
    let named = named.or_else(|| machine.variable("KRUN_RECORD").map(PathBuf::from));
    Runs::at(match named {
        Some(dir) => machine.cwd.join(dir),
        None => machine.cwd.join(".krun/runs"),
    })
}

/// Begins the record of a run; `None` where the user wants none. `header` says what it has to do with other runs.
pub(super) fn begin(
    header: Header,
    options: &RunOptions,
    machine: &Machine,
    command: Vec<String>,
    plan: &Plan,
) -> Result<Option<Recorder>, Error> {
    if options.no_record {
        return Ok(None);
    }
    let runs = runs(&options.record, machine);
    let playbooks = options.playbooks.iter();
    let header = Header {
        command,
        directory: machine.cwd.clone(),
        who: machine.who(),
        began: record::now(),
        check_mode: options.check,
        playbooks: playbooks.map(|path| path.display().to_string()).collect(),
        inputs: inputs(options, machine, plan).into_list(),
        ..header
    };
    let beside = options.playbooks.first().and_then(|path| path.parent());
    let beside = machine.cwd.join(beside.unwrap_or(Path::new("")));
    let recorder = Recorder::begin(&runs, &header, &beside)?;
    let kept = machine.variable("KRUN_KEEP_RUNS");
    runs.prune(kept.and_then(|n| n.parse().ok()).unwrap_or(record::KEPT))?;
    Ok(Some(recorder))
}

/// Everything that the run may read here, as it is now.
pub(super) fn inputs(options: &RunOptions, machine: &Machine, plan: &Plan) -> Inputs {
    let mut inputs = Inputs::default();
    for source in super::apply::inventory_sources(&options.files, machine) {
        let path = Path::new(&source);
        if !path.exists() {
            continue;
        }
        inputs.add(path);
        let beside = path.parent().unwrap_or(Path::new(""));
        inputs.add(&beside.join("group_vars"));
        inputs.add(&beside.join("host_vars"));
    }
    let files = options.files.extra_vars.iter();
    files
        .filter_map(|text| text.strip_prefix('@'))
        .for_each(|path| inputs.add(Path::new(path)));
    options.playbooks.iter().for_each(|path| inputs.add(path));
    for play in &plan.plays {
        let dir = &play.play.dir;
        inputs.add(play.play.span.path());
        for name in BESIDE_PLAYBOOK {
            inputs.add(&dir.join(name));
        }
        for file in &play.play.vars_files {
            if let Some(name) = file.as_str() {
                inputs.add(&dir.join(name));
            }
        }
        play.play
            .role_list
            .iter()
            .for_each(|role| inputs.add(&role.path));
        let tasks = play.steps.iter().filter_map(|step| step.task());
        tasks.for_each(|task| inputs.add(task.span.path()));
    }
    inputs
}

/// How a run ended, as its record says it.
pub(super) fn how(conclusion: Conclusion) -> How {
    match conclusion {
        Conclusion::Interrupted => How::Interrupted,
        Conclusion::Ended { failed: true, .. } => How::Failed,
        Conclusion::Ended {
            unreachable: true, ..
        } => How::Unreachable,
        Conclusion::Ended { .. } => How::Ok,
    }
}

/// The command line with its secrets masked: vaulted values, and those of `-e` whose names say what they are.
pub(super) fn command(args: &[OsString], masks: &Masks) -> Vec<String> {
    let mut is_extra = false;
    args.iter()
        .map(|arg| {
            let text = arg.to_string_lossy();
            let text = masks.mask(&text);
            let follows = std::mem::replace(
                &mut is_extra,
                matches!(&*text, "-e" | "--extra-vars" | "--extra_vars"),
            );
            let glued = ["--extra-vars=", "-e"]
                .into_iter()
                .find(|option| text.len() > option.len() && text.starts_with(option));
            match glued {
                _ if follows => without_secrets(&text),
                Some(option) => format!("{option}{}", without_secrets(&text[option.len()..])),
                None => text.into_owned(),
            }
        })
        .collect()
}

/// What a stopped run says to type: `krun resume`, where there is a record to go on with.
pub(super) fn goes_on_with(options: &RunOptions, command: &[String]) -> String {
    if options.no_record || options.check || options.files.program == Program::AnsiblePlaybook {
        return quoted(command);
    }
    let mut words = vec!["krun".to_owned(), "resume".to_owned()];
    if let Some(dir) = &options.record.record {
        words.extend(["--record".to_owned(), dir.display().to_string()]);
    }
    quoted(&words)
}

/// A command line as it would be typed.
pub(super) fn quoted(command: &[String]) -> String {
    let quote = |word: &String| {
        shlex::try_quote(word).map_or_else(|_| word.clone(), std::borrow::Cow::into_owned)
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// One value of `-e`. A mapping that holds a secret is hidden whole.
fn without_secrets(text: &str) -> String {
    if text.trim_start().starts_with(['{', '[']) {
        let hides = text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(is_secret);
        return if hides { "***".into() } else { text.into() };
    }
    let Some(words) = shlex::split(text) else {
        return text.into();
    };
    let names_one = |word: &String| {
        word.split_once('=')
            .is_some_and(|(name, _)| is_secret(name))
    };
    if !words.iter().any(names_one) {
        return text.into();
    }
    let shown = words.iter().map(|word| match word.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => shlex::try_quote(word).map_or_else(|_| word.clone(), Into::into),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Whether a variable's name says that its value is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "private_key",
        "api_key",
    ];
    words.iter().any(|word| name.contains(word)) || name.ends_with("_pass")
}

/// The secrets among the extra variables, to be masked wherever they come up.
pub(super) fn secrets(extra: &crate::value::Dict) -> Masks {
    let mut masks = Masks::default();
    for (name, value) in extra {
        if let Value::String(text) = value
            && is_secret(name)
            && text.len() >= SHORTEST_SECRET
        {
            masks.add(&Secret::new(text.as_str()));
        }
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> String {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        command(&args, &Masks::default()).join(" ")
    }

    #[test]
    fn secrets_of_extra_variables_are_not_written_down() {
        let shown = [
            shown(&["krun", "-e", "db_password=hunter2 port=9092", "a.yml"]),
            shown(&["krun", "--extra-vars=api_token='x y'", "a.yml"]),
            shown(&["krun", "-eadmin_pass=x", "a.yml"]),
            shown(&[
                "krun",
                "-e",
                "{\"db_password\": \"x\"}",
                "-e",
                "{\"port\": 1}",
            ]),
            shown(&["krun", "-e", "@secrets.yml", "-e", "port=1"]),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r#"
        krun -e db_password=*** 'port=9092' a.yml
        krun --extra-vars=api_token=*** a.yml
        krun -eadmin_pass=*** a.yml
        krun -e *** -e {"port": 1}
        krun -e @secrets.yml -e port=1
        "#);
    }
}
