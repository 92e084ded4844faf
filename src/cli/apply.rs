//! `krun -i HOSTS PLAYBOOK`: load, compile, run, report, in that order.

use super::options::{FileOptions, RunOptions};
use super::settings::{self, Machine};
use super::sink::{silent, sink};
use super::{ansible_cfg, exit, fetching, imagine, record};
use crate::artifacts::Fetching;
use crate::diag::{Diagnostic, Diagnostics};
use crate::event::{Event, EventKind};
use crate::inventory::{self, Inventory, Limit};
use crate::plan::{self, Plan, Selection};
use crate::playbook::{self, LoadOptions, Playbook};
use crate::record::{Header, Input};
use crate::report::{Paint, diagnostics as draw};
use crate::run::{self, Context, Interrupt, Past, TaskScope, World};
use crate::template::Templar;
use crate::transport::Confined;
use crate::value::{Dict, HostName};
use crate::vault::Vault;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// What was read from the user's files.
#[derive(Clone)]
pub(super) struct Loaded {
    pub inventory: Inventory,
    pub playbooks: Vec<Playbook>,
    pub limit: Option<Limit>,
    pub extra: Dict,
    pub vault: Vault,
    pub templar: Arc<Templar>,
    pub fetching: Fetching,
}

/// The stopped run that this one goes on with.
pub(super) struct GoesOn {
    pub run: String,
    pub past: Past,
    /// Of a run of a saved plan: what the plan showed.
    pub promise: Option<run::Promise>,
    /// Its files, where they must be the same; `None` if they may differ.
    pub inputs: Option<Vec<Input>>,
    /// The hosts on which it did anything.
    pub hosts: BTreeSet<HostName>,
}

pub(super) fn apply(options: &RunOptions, args: &[OsString]) -> ExitCode {
    apply_after(options, args, None)
}

pub(super) fn apply_after(
    options: &RunOptions,
    args: &[OsString],
    goes_on: Option<GoesOn>,
) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    if options.answers_on_stdin
        && let Err(error) = super::answers::take()
    {
        say(&format!("error: the answers on standard input: {error}"));
        return exit::usage();
    }
    let mut loaded = load(
        &options.files,
        &options.playbooks,
        &machine,
        &mut diagnostics,
    );
    loaded.fetching = fetching::fetching(options.locked, &machine, &mut diagnostics);
    let plan = compile(&loaded, &options.files, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    let program = options.files.program;
    if diagnostics.has_errors() {
        return program.faults(&diagnostics);
    }
    if options.syntax_check || options.list_hosts || options.list_tasks {
        return super::show::listing(&plan, options);
    }
    if let Some(GoesOn {
        run,
        inputs: Some(before),
        hosts,
        ..
    }) = &goes_on
    {
        let now = record::inputs(options, &machine, &plan);
        let differs = super::resume::differs("resume", run, before, now);
        let gone = || super::resume::gone("resume", run, hosts, &loaded.inventory);
        if let Some(words) = differs.or_else(gone) {
            say(&words);
            return exit::usage();
        }
    }
    let errand = Errand {
        goes_on,
        ..Errand::default()
    };
    match run_plan(plan, loaded, options, &machine, args, errand) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error}"));
            program.internal()
        }
    }
}

/// Reads inventory, playbooks and extra variables; every fault becomes a diagnostic.
pub(super) fn load(
    options: &FileOptions,
    playbooks: &[PathBuf],
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Loaded {
    if machine.configuration.text(ansible_cfg::HASH_BEHAVIOUR) == Some("merge") {
        diagnostics.push(
            Diagnostic::global("`hash_behaviour = merge` would give variables other values, and krun replaces them")
                .help("merge where it is wanted: `{{ defaults | combine(overrides, recursive=true) }}`"),
        );
    }
    let vault = settings::vault(options, machine, diagnostics);
    let extra = settings::extra_vars(options, &vault, diagnostics);
    let templar = Arc::new(Templar::new());
    let inventory_options = inventory::LoadOptions {
        cwd: &machine.cwd,
        vault: &vault,
    };
    let sources = inventory_sources(options, machine);
    let mut inventory = inventory::load(&sources, &inventory_options, diagnostics);
    for playbook in playbooks {
        let dir = playbook
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        inventory.add_playbook_vars(dir, &inventory_options, diagnostics);
    }
    let loaded = {
        let names = Names::new(&extra);
        let render = |text: &str, known: &Dict| names.render(&templar, text, known);
        let decrypt = |text: &str| {
            vault
                .decrypt(text)
                .map(|secret| secret.reveal().to_owned())
                .map_err(|error| error.to_string())
        };
        let load_options = LoadOptions {
            roles_path: machine.roles_path(),
            render: &render,
            decrypt: Some(&decrypt),
        };
        playbooks
            .iter()
            .filter_map(|path| playbook::load(path, &load_options, diagnostics))
            .collect()
    };
    let limit = options.limit.as_deref().and_then(|text| {
        Limit::load(text, &machine.cwd)
            .map_err(|error| diagnostics.push(Diagnostic::global(error.to_string())))
            .ok()
    });
    Loaded {
        inventory,
        limit,
        playbooks: loaded,
        extra,
        vault,
        templar,
        fetching: Fetching::default(),
    }
}

/// `-i`, else what the environment names, else `/etc/ansible/hosts`.
pub(super) fn inventory_sources(options: &FileOptions, machine: &Machine) -> Vec<String> {
    if !options.inventory.is_empty() {
        return options.inventory.clone();
    }
    let named = machine.configuration.paths(ansible_cfg::INVENTORY, &[',']);
    let named = named.map(|paths| {
        let paths = paths.iter().map(|path| path.display().to_string());
        paths.collect::<Vec<_>>()
    });
    named.unwrap_or_else(|| {
        if Path::new("/etc/ansible/hosts").exists() {
            vec!["/etc/ansible/hosts".into()]
        } else {
            Vec::new()
        }
    })
}

/// Templates in the names of imported files see extra variables and what is known without a host.
struct Names {
    world: Arc<World>,
}

impl Names {
    fn new(extra: &Dict) -> Self {
        Self {
            world: World::without_hosts(extra.clone()),
        }
    }

    fn render(
        &self,
        templar: &Templar,
        text: &str,
        known: &Dict,
    ) -> Result<crate::value::Value, String> {
        let scope = TaskScope::new(&self.world, None, &HostName::from("localhost"), None)
            .with(known.clone());
        templar
            .render_str(text, &scope.shared())
            .map_err(|error| error.to_string())
    }
}

pub(super) fn compile(
    loaded: &Loaded,
    options: &FileOptions,
    diagnostics: &mut Diagnostics,
) -> Plan {
    let selection = selection(options);
    let input = plan::Input {
        limit: loaded.limit.as_ref(),
        selection,
        only_gates_guard: options.program == exit::Program::AnsiblePlaybook,
        extra: &loaded.extra,
        templar: &loaded.templar,
    };
    let plan = plan::compile(&loaded.playbooks, &loaded.inventory, &input, diagnostics);
    if loaded.playbooks.is_empty() && !diagnostics.has_errors() {
        diagnostics.push(Diagnostic::global("no playbook was given"));
    }
    plan
}

pub(super) fn selection(options: &FileOptions) -> Selection {
    Selection {
        tags: options.tags.clone(),
        skip_tags: options.skip_tags.clone(),
        start_at_task: options.start_at_task.clone(),
    }
}

/// Colour on a terminal only, unless the user says otherwise.
pub(super) fn paint(is_terminal: bool, machine: &Machine) -> Paint {
    let forced = machine
        .variable("FORCE_COLOR")
        .or_else(|| machine.variable("ANSIBLE_FORCE_COLOR"))
        .is_some_and(|text| !matches!(text, "" | "0"));
    Paint {
        colour: forced || (is_terminal && machine.variable("NO_COLOR").is_none_or(str::is_empty)),
    }
}

pub(super) fn show_diagnostics(diagnostics: &Diagnostics, paint: Paint) {
    if !diagnostics.is_empty() {
        #[expect(clippy::print_stderr, reason = "cli speaks to the user")]
        {
            eprint!("{}", draw::draw(diagnostics, paint));
        }
    }
}

/// What a run is for, beyond itself.
#[derive(Default)]
pub(super) struct Errand {
    /// The plan will be saved, or is compared with one that was.
    pub salt: Option<String>,
    /// A saved plan: only what it showed is done.
    pub promise: Option<run::Promise>,
    /// Where every event is kept.
    pub heard: Option<Arc<Mutex<Vec<Event>>>>,
    /// Neither shown nor recorded.
    pub is_silent: bool,
    pub goes_on: Option<GoesOn>,
    pub goes_back: Option<GoesBack>,
    /// No host is contacted.
    pub imagined: Option<Imagined>,
}

/// Hosts that are only imagined.
pub(super) struct Imagined {
    /// Where what is made of them is kept; nobody else may read it.
    pub directory: PathBuf,
    /// Makes hashes of secrets this review's own.
    pub salt: String,
    /// What is known of them.
    pub facts: IndexMap<String, Dict>,
}

/// The recorded run that this one rolls back.
pub(super) struct GoesBack {
    pub run: String,
    pub back: run::Back,
    /// What goes on with it after a stop.
    pub again: String,
}

pub(super) fn run_plan(
    plan: Plan,
    loaded: Loaded,
    options: &RunOptions,
    machine: &Machine,
    args: &[OsString],
    errand: Errand,
) -> std::io::Result<ExitCode> {
    let (mut plan, mut loaded) = (plan, loaded);
    super::prompt::variables(&mut plan, &loaded.extra, &loaded.templar)?;
    let masks = loaded.vault.masks();
    let command = record::command(args, &masks);
    let mut run_settings = settings::of_errand(&errand, options, machine, &command)?;
    let fetching = &mut loaded.fetching;
    let confined = match super::lab::on_lab(options, machine, &mut run_settings, fetching) {
        Ok(confined) => confined,
        Err(error) => return Ok(no_lab(&error)),
    };
    let (presses, interrupt) = Interrupt::channel();
    let mut context = context(loaded, run_settings, options, machine, interrupt, confined)?;
    context.promise = errand.promise;
    let header = continued(&mut context, errand.goes_on, errand.goes_back);
    if let Some(imagined) = &errand.imagined {
        imagine::prepare(imagined, &context.world)?;
    }
    let world = Arc::clone(&context.world);
    let recorder = if errand.is_silent {
        None
    } else {
        match record::begin(header, options, machine, command, &plan) {
            Ok(recorder) => recorder,
            Err(error) => return Ok(not_recorded(&error)),
        }
    };
    let names = options
        .playbooks
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let conclusion = runtime.block_on(async {
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && presses.send(()).is_ok() {}
        });
        let (sink, ticker, drawn) = if errand.is_silent {
            silent(machine)
        } else {
            sink(options, machine)
        };
        let pending = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&pending);
        let recorder = Arc::new(Mutex::new(recorder));
        let records = Arc::clone(&recorder);
        let mut sink = sink;
        let conclusion = run::run(
            plan,
            context,
            names,
            Box::new(move |event: &Event| {
                if let EventKind::RunEnded { stats, .. } = &event.kind {
                    *seen.lock().expect("a flag") = stats
                        .values()
                        .any(|stats| stats.changed + stats.unforeseen > 0);
                }
                // Written before it is shown: what was seen can be looked up.
                if let Some(recorder) = &mut *records.lock().expect("the recorder") {
                    recorder.hear(event);
                }
                if let Some(heard) = &errand.heard {
                    heard
                        .lock()
                        .expect("nobody panics with it")
                        .push(event.clone());
                }
                sink(event);
            }),
        )
        .await;
        if let Some(ticker) = ticker {
            ticker.abort();
        }
        if let Some(drawn) = drawn {
            drawn.print(paint(std::io::stdout().is_terminal(), machine));
        }
        let pending = *pending.lock().expect("a flag");
        let recorder = recorder.lock().expect("the recorder").take();
        (conclusion, pending, recorder)
    });
    let (conclusion, pending, recorder) = conclusion;
    if let Some(imagined) = &errand.imagined {
        imagine::keep_secrets(&imagined.directory, &world)?;
    }
    let code = if pending && conclusion.is_ok() && options.check && options.exit_code {
        exit::PENDING
    } else {
        options.files.program.of(conclusion)
    };
    if let Some(recorder) = recorder
        && let Err(error) = recorder.end(record::how(conclusion), code)
    {
        say(&format!("warning: {error}"));
    }
    Ok(ExitCode::from(code))
}

fn no_lab(error: &crate::lab::Error) -> ExitCode {
    say(&format!("error: {error}"));
    exit::usage()
}

/// Gives a run what it knows of an earlier one; its record says which.
fn continued(
    context: &mut Context,
    goes_on: Option<GoesOn>,
    goes_back: Option<GoesBack>,
) -> Header {
    let mut header = Header::new(&context.id);
    if let Some(goes_on) = goes_on {
        context.past = Some(goes_on.past);
        context.promise = goes_on.promise;
        header.resumes = Some(goes_on.run);
    }
    if let Some(goes_back) = goes_back {
        context.back = Some(goes_back.back);
        header.rolls_back = Some(goes_back.run);
    }
    header
}

/// A run that would leave no record does not start.
fn not_recorded(error: &crate::record::Error) -> ExitCode {
    say(&format!("error: {error}"));
    say("help: name another directory with --record DIR or KRUN_RECORD, or run with --no-record");
    exit::usage()
}

#[expect(clippy::print_stderr, reason = "cli speaks to the user")]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

/// What a run needs beside its plan. `confined` leaves it no hosts but a lab's.
pub(super) fn context(
    loaded: Loaded,
    mut run_settings: run::Settings,
    options: &RunOptions,
    machine: &Machine,
    interrupt: Interrupt,
    confined: Option<Confined>,
) -> std::io::Result<Context> {
    let id = settings::run_id();
    let mut transport = settings::transport_options(options, machine, &id)?;
    transport.confined = confined;
    transport.imagined = run_settings
        .is_imagined
        .then(|| run_settings.state_dir.clone());
    let transport = Arc::new(transport);
    run_settings.limit = loaded.limit;
    let world = World::new(loaded.inventory, loaded.extra, run_settings);
    {
        let mut masks = world.masks.write().expect("masks lock");
        masks.merge(&loaded.vault.masks());
        masks.merge(&record::secrets(&world.extra));
    }
    world.hide(&world.extra);
    Ok(Context {
        world,
        templar: loaded.templar,
        fetching: loaded.fetching,
        transport,
        interrupt,
        vault: loaded.vault,
        roles_path: machine.roles_path(),
        selection: selection(&options.files),
        past: None,
        back: None,
        id,
        promise: None,
    })
}
