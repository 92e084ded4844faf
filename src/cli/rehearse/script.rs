//! Turns the command line and the user's files into a script: every run compiled before there is a lab.

use super::options::RehearseOptions;
use super::{faults, packages, report, stock};
use crate::artifacts::{Base, Fetching};
use crate::cli::apply::{Loaded, compile, context, load};
use crate::cli::fetching::rehearsed;
use crate::cli::lab::{check_sites, lab_sites, settle};
use crate::cli::options::RunOptions;
use crate::cli::settings::{self, Machine};
use crate::cli::sink::sink;
use crate::cli::wants::Wants;
use crate::cli::{config, prompt, record};
use crate::diag::{Diagnostic, Diagnostics};
use crate::event::Event;
use crate::lab::{Lab, LabSpec};
use crate::plan::{Plan, serial};
use crate::rehearse::estimate::Production;
use crate::rehearse::{self, Act, Place, Say, Script, Sink, Start, form};
use crate::run::{self, Interrupt, Settings};
use crate::value::Masks;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Playbooks that were read and compiled.
#[derive(Clone)]
struct Prepared {
    options: RunOptions,
    settings: Settings,
    loaded: Loaded,
    plan: Plan,
}

/// A script, and what is to be had before it begins.
pub(super) struct Ready {
    pub script: Script,
    wants: Wants,
    fetching: Fetching,
}

impl Ready {
    /// Fetches what the playbooks will.
    pub(super) fn fetch(&self, options: &RehearseOptions, say: &Say) -> Diagnostics {
        let root = &self.script.root;
        stock::fetch(&self.wants, &self.fetching, options, root, say)
    }
}

/// Nothing is fetched or made, but for the image where nothing else is in the way.
pub(super) fn script(
    options: &RehearseOptions,
    machine: &Machine,
    args: &[OsString],
    say: &Say,
    diagnostics: &mut Diagnostics,
) -> std::io::Result<Ready> {
    let command = record::quoted(&record::command(args, &Masks::default()));
    let settings = settings::settings(&options.run, machine, command.clone())?;
    let mut main = prepare(options.run.clone(), &settings, machine, diagnostics);
    let mut from: Vec<Prepared> = options
        .from
        .iter()
        .map(|playbook| {
            // What picks tasks means those of the rehearsed playbook; today's state needs all of its own.
            let mut run = options.run.clone();
            run.playbooks = vec![playbook.clone()];
            (run.files.tags, run.files.skip_tags) = (Vec::new(), Vec::new());
            run.files.start_at_task = None;
            prepare(run, &settings, machine, diagnostics)
        })
        .collect();
    wrong(options, diagnostics);
    let plans: Vec<&Plan> = from.iter().chain([&main]).map(|it| &it.plan).collect();
    let canary = canary(options, &plans, diagnostics)?;
    let form = form::form(
        &main.loaded.inventory,
        main.loaded.limit.as_ref(),
        &plans,
        options.allow_local,
        diagnostics,
    );
    let config = config::read(machine, diagnostics);
    let sites = options.site.iter().cloned();
    let spec = LabSpec {
        name: options.lab.clone(),
        hosts: form.hosts.iter().map(ToString::to_string).collect(),
        users: form.users.into_iter().collect(),
        packages: options.package.clone(),
        stand_ins: options.stand_in.clone(),
        sites: lab_sites(sites, machine),
        ..LabSpec::default()
    };
    let mut spec = settle(spec, &config, &options.engine, &options.begin);
    let root = options.root.clone().unwrap_or_else(|| machine.lab_root());
    let is_sound = !diagnostics.has_errors();
    obstacles(&root, &spec, diagnostics);
    if !diagnostics.has_errors() {
        for it in from.iter_mut().chain([&mut main]) {
            prompt::variables(&mut it.plan, &it.loaded.extra, &it.loaded.templar)?;
        }
    }
    let sites = options.site.iter().map(|(name, _)| name.clone());
    let reached = sites.chain(spec.hosts.iter().cloned()).collect();
    let fetching = rehearsed(options.run.locked, &config, reached, machine, diagnostics);
    for it in from.iter_mut().chain([&mut main]) {
        it.loaded.fetching = fetching.clone();
    }
    let act = |prepared: Prepared| Act {
        title: names(&prepared.options.playbooks),
        start: start(prepared, machine.clone()),
    };
    hold_base(&mut spec, &fetching, diagnostics);
    faults::check(&options.fault, &spec.hosts, &main.plan, diagnostics);
    let mut wants = Wants::default();
    if is_sound {
        wants = wanted(from.iter().chain([&main]), machine)?;
        spec.stand_ins = packages::stand_ins(&wants, &spec, options, diagnostics);
        stock::check(&wants, &fetching, options, &root, say, diagnostics);
        debs(&wants, &spec, &root, say, diagnostics);
    }
    let broken = faults::faults(options, machine, args, &main.plan, &root)?;
    let script = Script {
        command,
        program: std::env::current_exe()?,
        canary,
        rate: options.rate,
        client_settings: options.client_setting.clone(),
        root,
        faults: broken,
        evidence: evidence(options, machine),
        spec,
        allow_local: options.allow_local,
        keep: options.keep,
        production: Production {
            data_per_broker: options.data_per_broker,
            replication_rate: options.replication_rate,
        },
        hosts_there: hosts_there(&main),
        plan: options.compare.map(|_| act(in_check_mode(main.clone()))),
        again: act(main.clone()),
        main: act(main),
        from: from.into_iter().map(act).collect(),
    };
    Ok(Ready {
        script,
        wants,
        fetching,
    })
}

/// Has the lab begin as `krun.lock` says, where it does.
fn hold_base(spec: &mut LabSpec, fetching: &Fetching, diagnostics: &mut Diagnostics) {
    let locked = fetching.lock.as_ref().and_then(|lock| lock.base.as_ref());
    let Some(Base { name, digest }) = locked.filter(|_| spec.snapshot.is_none()) else {
        return;
    };
    let base = spec.base();
    if name != base {
        let fault = format!("the hosts begin as `{base}`, and krun.lock says `{name}`");
        let help = format!(
            "`--base {name}`, or `krun lock --base {base}` with the same inventory and playbooks"
        );
        diagnostics.push(Diagnostic::global(fault).help(help));
    }
    spec.digest = Some(digest.clone());
}

/// What stands in the way of the lab.
fn obstacles(root: &Path, spec: &LabSpec, diagnostics: &mut Diagnostics) {
    // An inventory that cannot be read has no hosts, which was said.
    if spec.hosts.is_empty() && diagnostics.has_errors() {
        return;
    }
    for error in Lab::obstacles(root, &rehearse::with_client(spec)) {
        diagnostics.push(Diagnostic::global(error.to_string()));
    }
}

/// What the tasks of all playbooks want.
fn wanted<'a>(
    all: impl Iterator<Item = &'a Prepared>,
    machine: &Machine,
) -> std::io::Result<Wants> {
    let mut wants = Wants::default();
    for it in all {
        let (plan, loaded) = (it.plan.clone(), it.loaded.clone());
        wants.add(plan, loaded, it.settings.clone(), &it.options, machine)?;
    }
    Ok(wants)
}

/// What of the packages that the tasks want of apt the hosts will not have. What a snapshot's hosts have, only they can
/// tell.
fn debs(wants: &Wants, spec: &LabSpec, root: &Path, say: &Say, diagnostics: &mut Diagnostics) {
    if wants.debs.is_empty() || !spec.is_debian() || spec.snapshot.is_some() {
        return;
    }
    let is_made = Lab::has_image(spec);
    if !is_made && diagnostics.has_errors() {
        return;
    }
    if !is_made {
        say("Making the image, to see what the hosts will have");
    }
    match Lab::debian_packages(root, spec, &|step| say(&format!("  {step}"))) {
        Ok(status) => packages::debs(wants, &status, spec, diagnostics),
        Err(error) => diagnostics.push(Diagnostic::global(error.to_string())),
    }
}

/// Beside the records of ordinary runs.
fn evidence(options: &RehearseOptions, machine: &Machine) -> PathBuf {
    let runs = record::runs(&options.run.record, machine);
    let beside = runs.dir().parent().unwrap_or(runs.dir());
    beside.join("rehearsals").join(settings::run_id())
}

/// What is wrong with the options themselves.
fn wrong(options: &RehearseOptions, diagnostics: &mut Diagnostics) {
    for path in &options.report {
        if let Err(fault) = report::check(path) {
            diagnostics.push(Diagnostic::global(fault));
        }
    }
    check_sites(&options.site, diagnostics);
    for setting in options.client_setting.iter().filter(|it| !it.contains('=')) {
        let fault = format!("`--client-setting {setting}` is not `name=value`");
        diagnostics.push(Diagnostic::global(fault));
    }
}

/// The load's program, which must be there if the playbooks look as if brokers will.
fn canary(
    options: &RehearseOptions,
    plans: &[&Plan],
    diagnostics: &mut Diagnostics,
) -> std::io::Result<Option<PathBuf>> {
    if options.no_load {
        return Ok(None);
    }
    let path = match &options.canary {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("krun-canary"),
    };
    let is_wanted = options.canary.is_some() || plans.iter().any(|plan| speaks_of_kafka(plan));
    if is_wanted && !path.is_file() {
        let fault = format!(
            "the program that makes the load is not there: `{}`",
            path.display()
        );
        diagnostics.push(Diagnostic::global(fault).help(
            "`cargo build --release --features canary` makes it, `--canary FILE` names it, `--no-load` rehearses without",
        ));
    }
    Ok(Some(path))
}

fn speaks_of_kafka(plan: &Plan) -> bool {
    let speaks = |text: &str| text.to_lowercase().contains("kafka");
    plan.plays.iter().any(|play| {
        let hosts = play.hosts.iter().flatten();
        let mut tasks = play.steps.iter().filter_map(|step| step.task());
        speaks(&play.play.name)
            || hosts.into_iter().any(|host| speaks(host))
            || tasks.any(|task| speaks(&task.module) || speaks(&task.full_title()))
    })
}

/// How many hosts each play has without the limit.
fn hosts_there(main: &Prepared) -> BTreeMap<usize, usize> {
    let plays = main.plan.plays.iter().enumerate();
    plays
        .filter_map(|(place, plan)| {
            let pattern = serial::pattern_text(&plan.play.hosts)?;
            let inventory = &main.loaded.inventory;
            let hosts = serial::select(&pattern, inventory, None, &mut Vec::new()).ok()?;
            Some((place, hosts.len()))
        })
        .collect()
}

fn in_check_mode(mut prepared: Prepared) -> Prepared {
    prepared.options.check = true;
    prepared.settings.check_mode = true;
    prepared
}

fn names(playbooks: &[PathBuf]) -> String {
    let names = playbooks.iter().map(|path| path.display().to_string());
    names.collect::<Vec<_>>().join(" ")
}

fn prepare(
    options: RunOptions,
    settings: &Settings,
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Prepared {
    let loaded = load(&options.files, &options.playbooks, machine, diagnostics);
    let plan = compile(&loaded, &options.files, diagnostics);
    Prepared {
        options,
        settings: settings.clone(),
        loaded,
        plan,
    }
}

/// A run as `krun PLAYBOOK` would be it, but for the hosts that it may reach and where it keeps its state.
fn start(prepared: Prepared, machine: Machine) -> Start {
    Box::new(move |place: Place, mut hear: Sink| {
        Box::pin(async move {
            let (presses, interrupt) = Interrupt::channel();
            let mut stops = place.stops.clone();
            tokio::spawn(async move {
                while stops.changed().await.is_ok() && presses.send(()).is_ok() {}
            });
            let mut settings = prepared.settings;
            settings.state_dir = place.state_dir;
            let options = &prepared.options;
            let context = context(
                prepared.loaded,
                settings,
                options,
                &machine,
                interrupt,
                Some(place.confined),
            )
            .expect("the program's own path is known by now");
            let names = options.playbooks.iter();
            let names = names.map(|path| path.display().to_string()).collect();
            let (mut show, ticker, _) = sink(options, &machine);
            let listen = Box::new(move |event: &Event| {
                show(event);
                hear(event);
            });
            let conclusion = run::run(prepared.plan, context, names, listen).await;
            if let Some(ticker) = ticker {
                ticker.abort();
            }
            conclusion
        })
    })
}
