//! Fetches what the playbooks will, before there is a lab; what cannot be had is said all at once.

use super::options::RehearseOptions;
use crate::artifacts::Fetching;
use crate::cli::wants::{Wanted, Wants, missing, way_out};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::rehearse::Say;
use crate::sys::http::{bare, server};
use std::cell::Cell;
use std::path::Path;

/// Gets every artifact into the controller's cache. `root`: where labs are kept.
pub(super) fn stock(
    wants: &Wants,
    fetching: &Fetching,
    options: &RehearseOptions,
    root: &Path,
    say: &Say,
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let is_said = Cell::new(false);
    for (url, wanted) in &wants.urls {
        if let Err(error) = fetching.origins(std::slice::from_ref(url)) {
            diagnostics.push(fault(wanted, error.to_string()));
            continue;
        }
        let name = server(url);
        if let Some((_, dir)) = options.site.iter().find(|(site, _)| site == name) {
            if let Some(path) = missing(url, dir) {
                let text = format!(
                    "`{}` cannot be had: `--site {name}={}` has no `{path}`",
                    bare(url),
                    dir.display()
                );
                diagnostics.push(fault(wanted, text));
            }
            continue;
        }
        if fetching.reached.iter().any(|it| it == name) {
            continue;
        }
        let progress = |text: &str| {
            if !is_said.replace(true) {
                say("Fetching what the playbooks will fetch");
            }
            say(&format!("  {text}"));
        };
        if let Err(error) = fetching.get(url, &progress) {
            let fault = fault(wanted, error.to_string());
            diagnostics.push(fault.help(way_out(url, root)));
        }
    }
    diagnostics
}

/// A task that may not run at all is no reason to stop.
fn fault(wanted: &Wanted, text: String) -> Diagnostic {
    match &wanted.perhaps {
        None => wanted.task.span.error(text),
        Some(why) => {
            let text = format!("{text}; {why}");
            Diagnostic::new(Severity::Warning, text, Some(wanted.task.span.clone()))
        }
    }
}
