//! Turns `vars_prompt` into variables: what was answered before the run, else the defaults.

use super::Run;
use crate::plan::PlayPlan;
use crate::value::Dict;

impl Run {
    /// Nobody is asked in the middle of a run: a variable without answer and default ends it.
    pub(super) fn prompted(&self, plan: &PlayPlan) -> Result<Dict, String> {
        let mut answers = plan.answers.clone();
        for prompt in &plan.play.vars_prompt {
            let Some(name) = prompt.entry("name").and_then(|node| node.as_str()) else {
                continue;
            };
            if self.world.extra.contains_key(name) || answers.contains_key(name) {
                continue;
            }
            let Some(default) = prompt.entry("default") else {
                return Err(format!(
                    "`vars_prompt` asks for `{name}`: give it with -e {name}=…"
                ));
            };
            answers.insert(name.to_owned(), default.to_value());
        }
        Ok(answers)
    }
}
