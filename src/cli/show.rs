//! `krun graph`, `krun inventory`, `krun doc` and the listings: what is known without any host.

use super::apply::{compile, load, paint, show_diagnostics};
use super::exit;
use super::options::{FileOptions, RunOptions};
use super::settings::Machine;
use crate::diag::{Diagnostic, Diagnostics};
use crate::modules;
use crate::plan::{Plan, show, why};
use crate::report::html;
use crate::run::picture;
use crate::value::Value;
use clap::{Args, ValueEnum};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct GraphOptions {
    #[command(flatten)]
    files: FileOptions,
    /// How it is drawn.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    format: GraphFormat,
    /// Only what makes this node wait: `HOST › TASK`, a task's name or a part of it, or `FILE:LINE`.
    #[arg(long, value_name = "NODE")]
    why: Option<String>,
    /// Whose graph.
    #[arg(required = true)]
    playbooks: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GraphFormat {
    Text,
    Dot,
    Mermaid,
    /// One page with the batches, gates and reasons drawn as SVG.
    Html,
}

#[derive(Debug, Args)]
pub(super) struct InventoryOptions {
    #[command(flatten)]
    files: FileOptions,
}

#[expect(clippy::print_stdout, reason = "cli speaks to the user")]
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

pub(super) fn graph(options: &GraphOptions) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    let loaded = load(
        &options.files,
        &options.playbooks,
        &machine,
        &mut diagnostics,
    );
    let plan = compile(&loaded, &options.files, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    if diagnostics.has_errors() {
        return exit::usage();
    }
    if let Some(node) = &options.why {
        return match why::why(&plan, node) {
            Ok(text) => print(&text),
            Err(error) => {
                let titles: Vec<&str> = plan
                    .graph
                    .nodes()
                    .map(|(_, node)| node.title.as_str())
                    .collect();
                let fault = Diagnostic::global(error.to_string()).did_you_mean(node, titles);
                let mut diagnostics = Diagnostics::new();
                diagnostics.push(fault);
                show_diagnostics(
                    &diagnostics,
                    paint(std::io::stderr().is_terminal(), &machine),
                );
                exit::usage()
            }
        };
    }
    let format = match options.format {
        GraphFormat::Text => show::Format::Text,
        GraphFormat::Dot => show::Format::Dot,
        GraphFormat::Mermaid => show::Format::Mermaid,
        GraphFormat::Html => {
            return match picture(&plan) {
                Some(graph) => print(&html::graph_page(&graph)),
                None => print(&html::frame(
                    "krun graph",
                    "<p>the graph is too large to look at: narrow it with --limit or --tags</p>",
                )),
            };
        }
    };
    print(&show::show(&plan, format))
}

/// `--syntax-check`, `--list-hosts`, `--list-tasks`.
pub(super) fn listing(plan: &Plan, options: &RunOptions) -> ExitCode {
    let mut out = String::new();
    if options.syntax_check {
        out.push_str("the files are in order\n");
    }
    for (number, play) in plan.plays.iter().enumerate() {
        let _ = writeln!(out, "play {}: {}", number + 1, play.play.name);
        if options.list_hosts {
            match &play.hosts {
                Some(hosts) => {
                    for host in hosts {
                        let _ = writeln!(out, "  {host}");
                    }
                }
                None => out.push_str("  (hosts known while running)\n"),
            }
        }
        if options.list_tasks {
            for task in play.steps.iter().filter_map(|step| step.task()) {
                let tags = if task.tags.is_empty() {
                    String::new()
                } else {
                    format!("  tags: {}", task.tags.join(", "))
                };
                let _ = writeln!(out, "  {}{tags}", task.full_title());
            }
        }
    }
    print(&out)
}

pub(super) fn inventory(options: &InventoryOptions) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    let loaded = load(&options.files, &[], &machine, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let mut out = String::new();
    for (group, hosts) in loaded.inventory.groups_map() {
        let _ = writeln!(out, "{group}: {}", hosts.join(", "));
    }
    for host in loaded.inventory.hosts.keys() {
        let _ = writeln!(out, "\n{host}");
        for (name, value) in loaded.inventory.vars(host).values {
            let shown = if matches!(value, Value::Tagged(_)) {
                "***".to_owned()
            } else {
                crate::value::display(&value)
            };
            let _ = writeln!(out, "  {name}: {shown}");
        }
    }
    print(&out)
}

pub(super) fn doc(module: Option<&str>) -> ExitCode {
    let Some(name) = module else {
        let mut names: Vec<&str> = modules::entries().map(|entry| entry.name).collect();
        names.sort_unstable();
        return print(&(names.join("\n") + "\n"));
    };
    let Some(entry) = modules::find(name) else {
        let mut diagnostics = Diagnostics::new();
        let fault = crate::diag::Diagnostic::global(format!("no module `{name}`"));
        diagnostics.push(fault.did_you_mean(name, modules::entries().map(|entry| entry.name)));
        show_diagnostics(&diagnostics, paint(false, &Machine::read()));
        return exit::usage();
    };
    let mut out = format!("{}\n\n{}\n", entry.name, entry.doc);
    for arg in entry.args {
        let required = if arg.required { " (required)" } else { "" };
        let choices = if arg.choices.is_empty() {
            String::new()
        } else {
            format!(" [{}]", arg.choices.join(", "))
        };
        let aliases = if arg.aliases.is_empty() {
            String::new()
        } else {
            format!(" (also {})", arg.aliases.join(", "))
        };
        let _ = writeln!(
            out,
            "  {}{required}{aliases}{choices}: {}",
            arg.name, arg.doc
        );
    }
    print(&out)
}
