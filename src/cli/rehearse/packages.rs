//! Turns the packages that playbooks ask for into stand-ins, or into why a lab of Debian cannot have them.

use super::options::RehearseOptions;
use super::stock::fault;
use crate::cli::wants::{Wanted, Wants};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::lab::{LabSpec, can_stand_in};
use crate::modules::apt;
use indexmap::IndexSet;

/// The names of which the lab shall have stand-ins.
pub(super) fn stand_ins(
    wants: &Wants,
    spec: &LabSpec,
    options: &RehearseOptions,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let named = options.stand_in.iter().chain(&spec.stand_ins).cloned();
    let mut all: IndexSet<String> = named.collect();
    // What a snapshot's hosts have, only they can tell.
    let have_none = spec.is_debian() && spec.snapshot.is_none();
    for (wanted, names) in wants.packages.values() {
        let span = &wanted.task.span;
        if options.stand_ins {
            let (can, cannot): (Vec<_>, Vec<_>) = names.iter().partition(|name| can_stand_in(name));
            all.extend(can.into_iter().cloned());
            if let Some(name) = cannot.first().filter(|_| wanted.perhaps.is_none()) {
                let fault =
                    format!("there can be no stand-in for `{name}`, which is no name of a package");
                diagnostics.push(span.error(fault));
            }
        } else if have_none && wanted.perhaps.is_none() && !names.iter().all(|it| all.contains(it))
        {
            diagnostics.push(no_manager(wanted.task.module.as_str(), names, spec, span));
        }
    }
    all.into_iter().collect()
}

fn no_manager(
    module: &str,
    names: &IndexSet<String>,
    spec: &LabSpec,
    span: &crate::diag::Span,
) -> Diagnostic {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fault = format!(
        "`{module}` finds neither dnf nor yum on the lab's hosts, which are made from `{}`",
        spec.base()
    );
    let fault = span.error(fault);
    fault.help(format!(
        "`--stand-ins` gives them a dnf with empty packages for {}; `--base IMAGE` makes them from a system that has one",
        names.join(", ")
    ))
}

/// Says which packages apt will not find. `status` is dpkg's, of the image that hosts begin as.
pub(super) fn debs(wants: &Wants, status: &str, spec: &LabSpec, diagnostics: &mut Diagnostics) {
    for (wanted, names) in wants.debs.values() {
        let names: Vec<String> = names.iter().cloned().collect();
        let absent = apt::absent(status, &names);
        if !absent.is_empty() {
            diagnostics.push(no_package(wanted, &absent, wants, spec));
        }
    }
}

fn no_package(wanted: &Wanted, absent: &[String], wants: &Wants, spec: &LabSpec) -> Diagnostic {
    let named = absent.join("`, `");
    let text =
        format!("apt cannot have `{named}`: a lab reaches no archive, and its image has none");
    let mut fault = fault(wanted, text);
    // What a site of the lab has, or a file brings, only a run can tell.
    if !spec.sites.is_empty() || wants.brings_debs {
        fault.severity = Severity::Warning;
    }
    let bare = |name: &String| {
        name.split(['=', '/', ':'])
            .next()
            .unwrap_or(name)
            .to_owned()
    };
    let options: Vec<String> = absent
        .iter()
        .map(|name| format!("--package {}", bare(name)))
        .collect();
    fault.help(format!(
        "`{}` makes an image that has it",
        options.join(" ")
    ))
}
