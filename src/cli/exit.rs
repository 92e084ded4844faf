//! The exit codes, in one place (design.md §9), and Ansible's under the name `ansible-playbook`.

use crate::diag::{Diagnostics, Severity};
use crate::lab;
use crate::run::Conclusion;
use std::process::ExitCode;

/// The name under which the program was started; decides the exit codes and what guards a play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Program {
    #[default]
    Krun,
    AnsiblePlaybook,
}

/// The user's files or command line are wrong, or this machine lacks what a lab needs; no host was contacted.
pub(super) fn usage() -> ExitCode {
    ExitCode::from(5)
}

/// Changes are pending, with `--check --exit-code` or `plan --exit-code`.
pub(super) const PENDING: u8 = 3;

/// A rehearsal in which not all was well, or that was stopped.
pub(super) fn not_proven() -> ExitCode {
    ExitCode::from(2)
}

/// What stands in the way of a lab.
pub(super) fn of_lab(error: &lab::Error) -> ExitCode {
    if error.is_users() {
        usage()
    } else {
        internal()
    }
}

/// A fault of krun's own, or of the machine it runs on.
pub(super) fn internal() -> ExitCode {
    ExitCode::from(1)
}

impl Program {
    /// Options that cannot be read.
    pub(super) fn wrong_options(self) -> ExitCode {
        match self {
            Self::Krun => usage(),
            Self::AnsiblePlaybook => ExitCode::from(2),
        }
    }

    /// Errors in the user's files. Ansible ends at the first: with 1 for what is not there, with 4 for what cannot be
    /// read as a playbook.
    pub(super) fn faults(self, diagnostics: &Diagnostics) -> ExitCode {
        if self == Self::Krun {
            return usage();
        }
        let first = diagnostics
            .iter()
            .find(|fault| fault.severity == Severity::Error);
        let is_missing = first.is_none_or(|fault| fault.is_missing || fault.span.is_none());
        ExitCode::from(if is_missing { 1 } else { 4 })
    }

    /// A fault of krun's own.
    pub(super) fn internal(self) -> ExitCode {
        match self {
            Self::Krun => internal(),
            Self::AnsiblePlaybook => ExitCode::from(250),
        }
    }

    /// How a run ended.
    pub(super) fn of(self, conclusion: Conclusion) -> u8 {
        match (conclusion, self) {
            (Conclusion::Interrupted, Self::AnsiblePlaybook) => 99,
            // Whoever is unreachable hides failures in Ansible's code.
            (
                Conclusion::Ended {
                    unreachable: true, ..
                },
                Self::AnsiblePlaybook,
            ) => 4,
            (Conclusion::Interrupted, Self::Krun) | (Conclusion::Ended { failed: true, .. }, _) => {
                2
            }
            (
                Conclusion::Ended {
                    unreachable: true, ..
                },
                Self::Krun,
            ) => 4,
            (Conclusion::Ended { .. }, _) => 0,
        }
    }
}
