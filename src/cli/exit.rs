//! The exit codes, in one place (design.md §9).

use crate::run::Conclusion;
use std::process::ExitCode;

/// The user's files or command line are wrong; no host was contacted.
pub(super) fn usage() -> ExitCode {
    ExitCode::from(5)
}

/// Changes are pending, with `--check --exit-code` or `plan --exit-code`.
pub(super) fn pending() -> ExitCode {
    ExitCode::from(3)
}

/// A fault of krun's own, or of the machine it runs on.
pub(super) fn internal() -> ExitCode {
    ExitCode::from(1)
}

/// How a run ended.
pub(super) fn of(conclusion: Conclusion) -> ExitCode {
    match conclusion {
        Conclusion::Ok => ExitCode::SUCCESS,
        Conclusion::Failed | Conclusion::Interrupted => ExitCode::from(2),
        Conclusion::Unreachable => ExitCode::from(4),
    }
}
