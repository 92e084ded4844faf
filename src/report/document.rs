//! Turns a story into one JSON document; `docs/report.schema.json` describes it, and its version rises with every change that breaks a reader.

use super::story::{BatchStory, Outcome, Story, TaskStory, Told, word};
use super::unknowns;
use crate::event::{At, TaskName};
use crate::modules::diff::{Content, Diff};
use crate::modules::keys;
use serde_json::{Map, Value, json};

/// The version of the document.
pub(super) const VERSION: u32 = 1;

/// Draws the whole story as one document, ended by a line feed.
pub(super) fn draw(story: &Story) -> String {
    let document = document(story);
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn document(story: &Story) -> Value {
    let sum = |count: fn(&crate::event::Stats) -> u32| story.stats.values().map(count).sum::<u32>();
    json!({
        "format": "krun-report",
        "version": VERSION,
        "run": story.run,
        "kind": if story.check_mode { "plan" } else { "run" },
        "playbooks": story.playbooks,
        "started_ms": story.started,
        "elapsed_ms": story.elapsed_ms,
        "summary": {
            "text": story.summary(),
            "changed": sum(|stats| stats.changed),
            "unknown": sum(|stats| stats.unforeseen),
            "unknown_by_cause": unknowns::causes(story).into_iter().map(|(cause, n)| json!({
                "cause": cause,
                "results": n,
            })).collect::<Vec<_>>(),
            "failed": sum(|stats| stats.failed),
            "unreachable": sum(|stats| stats.unreachable),
        },
        "hosts": story.stats.iter().map(|(host, stats)| (host.to_string(), json!({
            "ok": stats.ok,
            "changed": stats.changed,
            "skipped": stats.skipped,
            "unknown": stats.unforeseen,
            "failed": stats.failed,
            "unreachable": stats.unreachable,
            "rescued": stats.rescued,
            "ignored": stats.ignored,
            "not_run": stats.not_run,
        }))).collect::<Map<_, _>>(),
        "guarded": story.dangers.iter().map(|danger| json!({
            "task": danger.task.title,
            "at": place(&danger.task.at),
            "what": danger.what,
            "hosts": danger.hosts,
        })).collect::<Vec<_>>(),
        "warnings": story.warnings.iter().map(|(text, at)| json!({
            "text": text,
            "at": at.as_ref().map(place),
        })).collect::<Vec<_>>(),
        "unreachable": story.unreachable.iter().map(|lost| json!({
            "host": &*lost.host,
            "task": lost.task.as_ref().map(|task| &task.title),
            "message": lost.message,
            "causes": lost.causes,
            "help": lost.help,
        })).collect::<Vec<_>>(),
        "stopped": story.stop.as_ref().map(|stop| json!({
            "play": stop.play,
            "reason": stop.reason,
            "done": stop.done,
            "between": stop.between,
            "untouched": stop.untouched,
            "down": stop.down,
            "command": stop.command,
        })),
        "plays": story.plays.iter().map(|play| json!({
            "name": play.name,
            "at": play.at.as_ref().map(place),
            "skipped": play.skipped,
            "batches": play.batches.iter().map(batch).collect::<Vec<_>>(),
            "outcomes": play.ends().iter().filter(|outcome| outcome.is_news())
                .map(|outcome| shared(outcome, story.check_mode)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn place(at: &At) -> Value {
    json!({"file": at.file, "line": at.line, "column": at.column})
}

fn batch(batch: &BatchStory) -> Value {
    json!({
        "number": batch.number,
        "of": batch.of,
        "hosts": batch.hosts,
        "order": batch.order.iter().map(|(host, reason)| json!({"host": &**host, "reason": reason}))
            .collect::<Vec<_>>(),
        "tasks": batch.tasks.iter().map(task).collect::<Vec<_>>(),
    })
}

fn named(task: &TaskName) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("title".into(), json!(task.title));
    out.insert("module".into(), json!(task.module));
    out.insert("handler".into(), json!(task.is_handler));
    out.insert("at".into(), place(&task.at));
    out
}

fn task(story: &TaskStory) -> Value {
    let mut out = named(&story.task);
    out.insert("started_ms".into(), json!(story.started));
    let ends = |told: &Told| {
        json!({
            "host": &*told.host,
            "item": told.item,
            "status": status(told),
            "at_ms": told.at,
            "elapsed_ms": told.result.elapsed_ms,
        })
    };
    out.insert("results".into(), story.told.iter().map(ends).collect());
    Value::Object(out)
}

/// The status by itself, whether or not it is a plan.
fn status(told: &Told) -> String {
    format!("{:?}", told.result.status).to_lowercase()
}

/// What several hosts share, said once: with the diffs.
fn shared(outcome: &Outcome<'_>, check_mode: bool) -> Value {
    let mut out = named(outcome.task);
    let result = outcome.result;
    out.insert("hosts".into(), json!(outcome.hosts));
    out.insert("item".into(), json!(outcome.item));
    out.insert("outcome".into(), json!(word(result, check_mode)));
    out.insert("message".into(), json!(result.msg));
    out.insert("causes".into(), json!(result.causes));
    out.insert("help".into(), json!(result.help));
    out.insert("warnings".into(), json!(result.warnings));
    out.insert("show".into(), json!(result.show));
    out.insert("diffs".into(), result.diffs.iter().map(diff).collect());
    Value::Object(out)
}

/// A diff as every JSON document of krun has it.
pub fn diff(diff: &Diff) -> Value {
    json!({
        "subject": diff.subject,
        "source": diff.source,
        "new": diff.is_new,
        "attributes": diff.attributes.iter().map(|one| json!({
            "name": one.name,
            "before": one.before,
            "after": one.after,
        })).collect::<Vec<_>>(),
        "keys": keys::changed(diff),
        "content": diff.content.as_ref().map(|content| match content {
            Content::Text { before, after } => json!({"kind": "text", "before": before, "after": after}),
            Content::Opaque { reason, before, after } => {
                json!({"kind": "opaque", "reason": reason, "before_bytes": before, "after_bytes": after})
            }
        }),
    })
}

#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
