//! Turns `--fault` and the command line around it into what shall break, and into the commands whose runs it breaks.

use super::options::RehearseOptions;
use crate::cli::answers;
use crate::cli::options::RunOptions;
use crate::cli::record;
use crate::cli::settings::Machine;
use crate::diag::{Diagnostic, Diagnostics};
use crate::plan::Plan;
use crate::playbook::is_template;
use crate::rehearse::fault::Wish;
use crate::rehearse::fault::drive::Program;
use crate::rehearse::fault::matrix::Faults;
use clap::{ArgAction, Args as _, Command, CommandFactory as _};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::Path;

/// What shall break; `None` if nothing. `hosts` are the lab's.
pub(super) fn faults(
    options: &RehearseOptions,
    machine: &Machine,
    args: &[OsString],
    plan: &Plan,
    root: &Path,
) -> std::io::Result<Option<Faults>> {
    if options.fault.is_empty() {
        return Ok(None);
    }
    let run = &options.run;
    let dir = root.join("labs").join(&options.lab);
    let own = own_options(args);
    // Of these its record keeps no secrets.
    let is_secret = |word: &&OsString| word.to_string_lossy().starts_with("--extra-vars=");
    let secrets: Vec<OsString> = own.iter().filter(is_secret).cloned().collect();
    let lab = dir.clone().into();
    let mut words: Vec<OsString> = vec!["--on-lab".into(), lab, "--answers-on-stdin".into()];
    if options.allow_local {
        words.push("--on-lab-local".into());
    }
    let said: [OsString; 4] = [
        "--output".into(),
        "json".into(),
        "--record".into(),
        dir.join("state/runs").into(),
    ];
    words.extend(said.iter().cloned());
    words.extend(own);
    words.extend(run.playbooks.iter().map(OsString::from));
    let mut hash = Sha256::new();
    for word in args
        .iter()
        .filter(|word| !word.to_string_lossy().contains("--report"))
    {
        hash.update(word.as_encoded_bytes());
        hash.update([0]);
    }
    for input in record::inputs(run, machine, plan).into_list() {
        hash.update(format!("{input:?}"));
    }
    Ok(Some(Faults {
        wishes: options.fault.clone(),
        seed: options.seed,
        key: hex::encode(hash.finalize()),
        runs: Program {
            path: std::env::current_exe()?,
            run: words,
            resume: [&["resume".into()], &said[..], &secrets].concat(),
            answers: Some(answers::handed_over(plan)?),
        },
        snapshot: format!("{}-today", options.lab),
        journal: root.join("faults").join(format!("{}.jsonl", options.lab)),
    }))
}

/// Of the command line what an ordinary run takes, too; without what is said to every run.
fn own_options(args: &[OsString]) -> Vec<OsString> {
    const SAID: [&str; 5] = ["output", "record", "no_record", "format", "playbooks"];
    let matches = crate::cli::Cli::command().try_get_matches_from(args);
    let Ok(Some((_, matches))) = matches.as_ref().map(clap::ArgMatches::subcommand) else {
        return Vec::new();
    };
    let run = RunOptions::augment_args(Command::new("run"));
    let mut words = Vec::new();
    for arg in run.get_arguments() {
        let id = arg.get_id().as_str();
        let is_given = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        let Some(long) = arg.get_long().filter(|_| is_given && !SAID.contains(&id)) else {
            continue;
        };
        match arg.get_action() {
            ArgAction::SetTrue => words.push(format!("--{long}").into()),
            ArgAction::Count => {
                let count = usize::from(matches.get_count(id));
                words.extend(std::iter::repeat_n(format!("--{long}").into(), count));
            }
            _ => words.extend(matches.get_raw(id).into_iter().flatten().map(|value| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            })),
        }
    }
    words
}

/// What of the wishes is known to be wrong before there is a lab.
pub(super) fn check(wishes: &[Wish], hosts: &[String], plan: &Plan, diagnostics: &mut Diagnostics) {
    let steps = plan.plays.iter().flat_map(|play| &play.steps);
    let tasks: Vec<_> = steps.filter_map(|step| step.task()).collect();
    // Tasks that are included then are known only when it runs.
    let all_known = !tasks.iter().any(|task| task.module.contains("include"));
    for wish in wishes {
        if let Wish::One {
            task: Some(name), ..
        } = wish
            && all_known
            && !name.contains(':')
            && !tasks
                .iter()
                .any(|task| may_be(&task.full_title().to_lowercase(), &name.to_lowercase()))
        {
            let fault = format!("`--fault …@{name}`: no task of the playbook has that name");
            let help = "`--list-tasks` of an ordinary run tells their names";
            diagnostics.push(Diagnostic::global(fault).help(help));
        }
        if let Wish::One {
            kind,
            host: Some(host),
            ..
        } = wish
            && !hosts.contains(host)
        {
            let fault = format!("`--fault {kind}:{host}`: the inventory has no host `{host}`");
            diagnostics.push(Diagnostic::global(fault));
        }
    }
}

/// Whether a title may come to have this in it; one that is computed is known by its fixed words.
fn may_be(title: &str, name: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| word.len() > 2 && word.contains(char::is_alphabetic))
    }
    if title.contains(name) || !is_template(title) {
        return title.contains(name);
    }
    let fixed: String = title
        .split("{{")
        .map(|part| part.rsplit("}}").next().unwrap_or_default())
        .fold(String::new(), |all, part| all + part + " ");
    let (mut fixed, mut asked) = (words(&fixed).peekable(), words(name).peekable());
    let is_all_computed = fixed.peek().is_none() || asked.peek().is_none();
    let fixed: Vec<&str> = fixed.collect();
    is_all_computed || asked.any(|word| fixed.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_that_is_computed_is_known_by_its_fixed_words() {
        assert!(may_be("stop the broker", "stop"));
        assert!(!may_be("stop the broker", "raise the protocol"));
        let computed = "unpack kafka {{ new_version }}";
        for name in ["unpack", "kafka 2.6.0", "2.6.0"] {
            assert!(may_be(computed, name), "{name}");
        }
        assert!(!may_be(computed, "raise the protocol"));
        assert!(may_be("{{ what }}", "raise the protocol"));
    }

    #[test]
    fn of_a_rehearsals_command_line_the_runs_own_options_are_kept() {
        let line = "krun rehearse -i prod -i more --lab x --from a.yml -e a=1 -vv -b --fault all --keep --output json site.yml";
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words: Vec<_> = own_options(&args)
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            words,
            [
                "--inventory=prod",
                "--inventory=more",
                "--extra-vars=a=1",
                "--become",
                "--verbose",
                "--verbose"
            ]
        );
    }
}
