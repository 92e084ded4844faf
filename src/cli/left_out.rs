//! Takes from commands those options of a run that mean nothing to them: they are not shown, and some are refused.

use super::Cli;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _};

/// What a command shares with a run and has no use for.
struct LeftOut {
    command: &'static [&'static str],
    /// Who gives it expects something that does not happen; with what does, where there is something.
    refused: &'static [(&'static str, &'static str)],
    /// It changes nothing, and the words of a run can be used again.
    taken: &'static [&'static str],
}

const ALL: &[LeftOut] = &[
    LeftOut {
        command: &["lab", "up"],
        refused: &[("tags", ""), ("skip_tags", ""), ("start_at_task", "")],
        taken: &[],
    },
    LeftOut {
        command: &["inventory"],
        refused: &[("tags", ""), ("skip_tags", ""), ("start_at_task", "")],
        taken: &[],
    },
    LeftOut {
        command: &["lock"],
        refused: &[
            ("check", ""),
            ("exit_code", ""),
            ("format", ""),
            ("list_hosts", ""),
            ("list_tasks", ""),
            ("locked", ""),
            ("on_lab", ""),
            ("output", ""),
            ("syntax_check", ""),
        ],
        taken: &[
            "allow_destroy",
            "ask_become_pass",
            "ask_pass",
            "become",
            "become_method",
            "become_password_file",
            "become_user",
            "connection",
            "connection_password_file",
            "diff",
            "force_handlers",
            "forks",
            "no_record",
            "private_key",
            "record",
            "remote_user",
            "ssh_common_args",
            "ssh_extra_args",
            "timeout",
            "verbose",
        ],
    },
    LeftOut {
        command: &["rehearse"],
        refused: &[
            (
                "check",
                "`--compare plan` shows what a plan would have said",
            ),
            ("exit_code", ""),
            (
                "format",
                "`--report FILE.md` and `--report FILE.html` write its report",
            ),
            ("list_hosts", ""),
            ("list_tasks", ""),
            ("on_lab", "it makes a lab of its own, which `--lab` names"),
            ("syntax_check", ""),
        ],
        taken: &["diff", "no_record"],
    },
];

/// The command line as users are shown it.
pub(super) fn command() -> Command {
    ALL.iter().fold(Cli::command(), |command, left_out| {
        hide(command, left_out.command, left_out)
    })
}

fn hide(command: Command, path: &[&'static str], left_out: &LeftOut) -> Command {
    if let Some((first, rest)) = path.split_first() {
        return command.mut_subcommand(first, |it| hide(it, rest, left_out));
    }
    left_out.all().fold(command, |command, id| {
        command.mut_arg(id, |arg| arg.hide(true))
    })
}

impl LeftOut {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let refused = self.refused.iter().map(|(id, _)| *id);
        refused.chain(self.taken.iter().copied())
    }
}

/// Refuses what a command would only seem to take.
pub(super) fn check(matches: &ArgMatches) -> Result<(), clap::Error> {
    for left_out in ALL {
        let mut named = Some(matches);
        for name in left_out.command {
            named = named.and_then(|it| it.subcommand_matches(name));
        }
        let Some(named) = named else { continue };
        let mut refused = left_out.refused.iter();
        let given = |id: &str| named.value_source(id) == Some(ValueSource::CommandLine);
        if let Some((id, instead)) = refused.find(|(id, _)| given(id)) {
            let option = id.replace('_', "-");
            let command = left_out.command.join(" ");
            let mut text = format!("`--{option}` means nothing to `krun {command}`");
            if !instead.is_empty() {
                text = format!("{text}: {instead}");
            }
            return Err(command_of(left_out).error(ErrorKind::UnknownArgument, text));
        }
    }
    Ok(())
}

/// For the usage that is shown with an error.
fn command_of(left_out: &LeftOut) -> Command {
    let mut command = command().bin_name("krun");
    command.build();
    let found = left_out
        .command
        .iter()
        .try_fold(&command, |it, name| it.find_subcommand(name));
    found.cloned().unwrap_or_else(Cli::command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Option<String> {
        let matches = command().try_get_matches_from(line.split(' ')).unwrap();
        check(&matches).err().map(|error| error.to_string())
    }

    #[test]
    fn what_means_nothing_to_a_command_is_refused_or_at_least_not_shown() {
        let up = fault("krun lab up -t x l h").unwrap();
        insta::assert_snapshot!(up, @r"
        error: `--tags` means nothing to `krun lab up`

        Usage: krun lab up [OPTIONS] <LAB> [HOSTS]...

        For more information, try '--help'.
        ");
        let rehearse = fault("krun rehearse -i h --on-lab x a.yml").unwrap();
        insta::assert_snapshot!(rehearse, @r"
        error: `--on-lab` means nothing to `krun rehearse`: it makes a lab of its own, which `--lab` names

        Usage: krun rehearse [OPTIONS] [PLAYBOOKS]...

        For more information, try '--help'.
        ");
        for line in [
            "krun lab up -l x -i h l",
            "krun lock -b -K -i h a.yml",
            "krun rehearse --diff -t x a.yml",
            "krun -C -t x a.yml",
        ] {
            assert_eq!(fault(line), None, "{line}");
        }
        for left_out in ALL {
            let help = command_of(left_out).render_long_help().to_string();
            for id in left_out.all() {
                let option = format!("--{} ", id.replace('_', "-"));
                assert!(!help.contains(&option), "{option}: {help}");
            }
        }
    }

    #[test]
    fn every_option_that_is_shown_says_what_it_does() {
        fn silent(command: &Command, path: &str, found: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            let mute = shown.filter(|arg| arg.get_help().is_none());
            found.extend(mute.map(|arg| format!("{path}: {}", arg.get_id())));
            let commands = command.get_subcommands().filter(|it| !it.is_hide_set());
            for command in commands {
                silent(command, &path, found);
            }
        }
        let mut found = Vec::new();
        silent(&command(), "", &mut found);
        assert_eq!(found, [""; 0]);
    }
}
