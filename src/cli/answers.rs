//! Keeps what the user has answered: nothing is asked twice, and runs that are programs of their own are told all of it.

use crate::plan::Plan;
use crate::value::{Dict, Secret, display};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};

static GIVEN: Mutex<Given> = Mutex::new(Given {
    passwords: BTreeMap::new(),
    variables: None,
});

#[derive(Default, Serialize, Deserialize)]
struct Given {
    /// By question.
    passwords: BTreeMap<String, String>,
    /// Of each play, by its place, what `vars_prompt` wanted; `None` where the terminal is to be asked.
    variables: Option<Vec<BTreeMap<String, String>>>,
}

fn given() -> MutexGuard<'static, Given> {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this question was answered with before, or what `ask` brings now.
///
/// # Errors
/// Those of `ask`; or all answers were told beforehand, and this is none of them.
pub(super) fn once(question: &str, ask: impl FnOnce() -> io::Result<String>) -> io::Result<Secret> {
    let mut given = given();
    if let Some(answer) = given.passwords.get(question) {
        return Ok(Secret::new(answer));
    }
    if given.variables.is_some() {
        return Err(io::Error::other("nobody is there to be asked"));
    }
    let answer = ask()?;
    given.passwords.insert(question.to_owned(), answer.clone());
    Ok(Secret::new(answer))
}

/// Puts into the plan what was told beforehand; `false` where nothing was.
pub(super) fn told(plan: &mut Plan) -> bool {
    let given = given();
    for (play, answers) in plan.plays.iter_mut().zip(given.variables.iter().flatten()) {
        let answers = answers.iter();
        play.answers
            .extend(answers.map(|(name, answer)| (name.clone(), answer.as_str().into())));
    }
    given.variables.is_some()
}

/// All that was answered, `plan`'s variables among it, as [`take`] reads it.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn handed_over(plan: &Plan) -> io::Result<Secret> {
    let texts = |answers: &Dict| {
        let answers = answers.iter();
        answers
            .map(|(name, answer)| (name.clone(), display(answer)))
            .collect()
    };
    let all = Given {
        passwords: given().passwords.clone(),
        variables: Some(plan.plays.iter().map(|play| texts(&play.answers)).collect()),
    };
    Ok(Secret::new(serde_json::to_string(&all)?))
}

/// Reads from standard input what [`handed_over`] wrote. On a terminal a person sits, who is asked.
///
/// # Errors
/// It is not that.
pub(super) fn take() -> io::Result<()> {
    if !io::stdin().is_terminal() {
        *given() = serde_json::from_str(&io::read_to_string(io::stdin())?)?;
    }
    Ok(())
}
