//! Turns playbooks that were read and compiled into what their tasks fetch and install, without asking any host.

use super::apply::{Loaded, context};
use super::options::RunOptions;
use super::settings::Machine;
use crate::facts;
use crate::modules::{FETCHING, INSTALLING};
use crate::plan::Plan;
use crate::playbook::Task;
use crate::run::foresee::{Foreseen, What, foresee};
use crate::run::{Interrupt, Settings};
use crate::sys::Sys;
use crate::sys::http::server;
use indexmap::{IndexMap, IndexSet};
use std::path::Path;
use std::sync::Arc;

/// What playbooks want of the world beside their hosts, in their order.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// By URL, the first task that fetches it.
    pub urls: IndexMap<String, Wanted>,
    /// By their task, the packages that it wants of Red Hat's managers.
    pub packages: IndexMap<String, (Wanted, IndexSet<String>)>,
    /// By their task, the packages that it wants of apt.
    pub debs: IndexMap<String, (Wanted, IndexSet<String>)>,
    /// Whether a task brings a package as a file.
    pub brings_debs: bool,
    /// Fetching tasks of which nobody can tell what they fetch, a line each.
    pub unknown: IndexSet<String>,
}

/// A task that wants something.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub task: Arc<Task>,
    /// Why nobody can say whether it runs, where there is a reason.
    pub perhaps: Option<String>,
}

impl Wanted {
    /// Its name and place.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.task.full_title(), self.task.span)
    }

    fn is_wanted_as(&mut self, perhaps: Option<&String>) {
        if perhaps.is_none() {
            self.perhaps = None;
        }
    }
}

impl Wants {
    /// Adds what a plan wants.
    ///
    /// # Errors
    /// The program's own path is not known.
    pub(super) fn add(
        &mut self,
        plan: Plan,
        loaded: Loaded,
        settings: Settings,
        options: &RunOptions,
        machine: &Machine,
    ) -> std::io::Result<()> {
        let (_, interrupt) = Interrupt::channel();
        let context = context(loaded, settings, options, machine, interrupt, None)?;
        let installing = INSTALLING.iter().filter(|name| !FETCHING.contains(name));
        let modules: Vec<&str> = FETCHING.iter().chain(installing).copied().collect();
        foresee(plan, context, &modules, &fact_names(), &mut |it| {
            self.take(it);
        });
        Ok(())
    }

    fn take(&mut self, foreseen: Foreseen) {
        let wanted = |perhaps: Option<&String>| Wanted {
            task: Arc::clone(&foreseen.task),
            perhaps: perhaps.cloned(),
        };
        let (action, perhaps) = match foreseen.what {
            What::Does(action, perhaps) => (action, perhaps),
            What::Unknown(cause) | What::Fault(cause) => {
                if is_among(FETCHING, &foreseen.task) {
                    let title = wanted(None).title();
                    self.unknown.insert(format!("{title}: {cause}"));
                }
                return;
            }
        };
        let perhaps = perhaps.as_ref();
        for url in action.urls() {
            let known = self.urls.entry(url).or_insert_with(|| wanted(perhaps));
            known.is_wanted_as(perhaps);
        }
        self.brings_debs |= action.brings_deb();
        let place = foreseen.task.span.to_string();
        for (all, packages) in [
            (&mut self.packages, action.rpm_packages()),
            (&mut self.debs, action.deb_packages()),
        ] {
            if packages.is_empty() {
                continue;
            }
            let (known, names) = all
                .entry(place.clone())
                .or_insert_with(|| (wanted(perhaps), IndexSet::new()));
            known.is_wanted_as(perhaps);
            names.extend(packages);
        }
    }
}

fn is_among(modules: &[&str], task: &Task) -> bool {
    modules.contains(&crate::plan::short_name(&task.module))
}

/// The names that facts have: those of this machine are as good as any.
fn fact_names() -> Vec<String> {
    let facts = facts::gather(&Sys::host(), &facts::Wanted::default()).unwrap_or_default();
    let names = facts.keys().filter_map(|name| name.as_str());
    let names = names.map(|name| format!("ansible_{}", name.trim_start_matches("ansible_")));
    names.chain(["ansible_facts".to_owned()]).collect()
}

/// What of a site's directory should be there and is not.
pub(super) fn missing(url: &str, dir: &Path) -> Option<String> {
    let path = path_of(url)?;
    (!dir.join(&path).is_file()).then_some(path)
}

/// The path of a URL, where it is one of a file as it is written.
fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    (!path.contains(['?', '%', '#'])).then(|| path.to_owned())
}

/// How an artifact can be had that cannot be fetched here. `root`: where labs are kept.
pub(super) fn way_out(url: &str, root: &Path) -> String {
    let name = server(url);
    // Where `make rehearse` leaves what it makes.
    let made = root.join(name);
    if missing(url, &made).is_none() && made.is_dir() {
        return format!("`--site {name}={}` has it", made.display());
    }
    format!(
        "fetch it where that works, and name the directory: `--site {name}=DIR` for DIR/{}, or `mirrors:` in krun.yml",
        path_of(url).unwrap_or_else(|| "…".to_owned())
    )
}
