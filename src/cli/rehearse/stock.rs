//! Turns the URLs that playbooks fetch into a cache that has them, before there is a lab; what cannot be had is said all
//! at once, before anything is fetched.

use super::options::RehearseOptions;
use crate::artifacts::Fetching;
use crate::cli::wants::{Wanted, Wants, missing, way_out};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::rehearse::Say;
use crate::sys::http::{bare, server};
use std::path::Path;
use std::sync::Once;
use std::thread;

/// How many servers are asked at a time: one that does not answer takes its time.
const AT_ONCE: usize = 8;

/// Says what cannot be had; fetches nothing. `root`: where labs are kept.
pub(super) fn check(
    wants: &Wants,
    fetching: &Fetching,
    options: &RehearseOptions,
    root: &Path,
    say: &Say,
    diagnostics: &mut Diagnostics,
) {
    for (url, wanted) in &wants.urls {
        if let Err(error) = fetching.origins(std::slice::from_ref(url)) {
            diagnostics.push(fault(wanted, error.to_string()));
        } else if let Some((name, dir)) = site(url, options)
            && let Some(path) = missing(url, dir)
        {
            let (url, dir) = (bare(url), dir.display());
            let text = format!("`{url}` cannot be had: `--site {name}={dir}` has no `{path}`");
            diagnostics.push(fault(wanted, text));
        }
    }
    let once = Once::new();
    let asks = || once.call_once(|| say("Asking for what the playbooks will fetch"));
    let fetched: Vec<_> = fetched(wants, fetching, options).collect();
    for some in fetched.chunks(AT_ONCE) {
        let ask = |url: &String| fetching.can_get(url, &asks).err();
        let errors = thread::scope(|scope| {
            let asked = some.iter().map(|(url, _)| scope.spawn(|| ask(url)));
            let asked: Vec<_> = asked.collect();
            let told = asked
                .into_iter()
                .map(|it| it.join().expect("it returns its errors"));
            told.collect::<Vec<_>>()
        });
        for ((url, wanted), error) in some.iter().zip(errors) {
            if let Some(error) = error {
                let fault = fault(wanted, error.to_string());
                diagnostics.push(fault.help(way_out(url, root)));
            }
        }
    }
}

/// Gets every artifact into the controller's cache.
pub(super) fn fetch(
    wants: &Wants,
    fetching: &Fetching,
    options: &RehearseOptions,
    root: &Path,
    say: &Say,
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let once = Once::new();
    let progress = |text: &str| {
        once.call_once(|| say("Fetching what the playbooks will fetch"));
        say(&format!("  {text}"));
    };
    for (url, wanted) in fetched(wants, fetching, options) {
        // Of one that perhaps nobody wants it was said already that it cannot be had.
        if let Err(error) = fetching.get(url, &progress)
            && wanted.perhaps.is_none()
        {
            let fault = fault(wanted, error.to_string());
            diagnostics.push(fault.help(way_out(url, root)));
        }
    }
    diagnostics
}

/// What neither a site of the lab nor one of its hosts has, and the lock does not forbid.
fn fetched<'a>(
    wants: &'a Wants,
    fetching: &'a Fetching,
    options: &'a RehearseOptions,
) -> impl Iterator<Item = (&'a String, &'a Wanted)> {
    wants.urls.iter().filter(|(url, _)| {
        let is_reached = fetching.reached.iter().any(|it| it == server(url));
        let is_locked = fetching.origins(std::slice::from_ref(url)).is_ok();
        !is_reached && site(url, options).is_none() && is_locked
    })
}

fn site<'a>(url: &str, options: &'a RehearseOptions) -> Option<(&'a str, &'a Path)> {
    let sites = options.site.iter();
    let mut sites = sites.map(|(name, dir)| (name.as_str(), dir.as_path()));
    sites.find(|(name, _)| *name == server(url))
}

/// A task that may not run at all is no reason to stop.
pub(super) fn fault(wanted: &Wanted, text: String) -> Diagnostic {
    match &wanted.perhaps {
        None => wanted.task.span.error(text),
        Some(why) => {
            let text = format!("{text}; {why}");
            Diagnostic::new(Severity::Warning, text, Some(wanted.task.span.clone()))
        }
    }
}
