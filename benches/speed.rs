//! Turns the parts that every run goes through into seconds: files read, a plan compiled, templates, frames, an agent.
//!
//! `cargo bench [NAME]` runs those whose name contains NAME. Each is repeated for two seconds, five times at least; the
//! median says how fast it is, the fastest how much of that is the machine's.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at a fault"
)]

#[path = "../tests/transport/tasks.rs"]
#[expect(dead_code, reason = "a bench waits for nothing and runs no shell")]
mod tasks;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use krun::agent::{self, Options};
use krun::diag::{Diagnostics, Source};
use krun::inventory::{self, Inventory};
use krun::modules::Action;
use krun::plan::{self, Plan};
use krun::playbook;
use krun::proto::{self, FromAgent, Hello, ToAgent, frame};
use krun::sys::Sys;
use krun::template::{Files, Raw, Scope, Templar};
use krun::value::{Dict, Mapping, Value};
use krun::vault::Vault;
use krun::yaml;
use tasks::task;

const N_HOSTS: usize = 1000;
const N_TASKS: usize = 200;

fn main() {
    // `cargo bench` adds `--bench` to the words of its user.
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = wanted.as_deref().unwrap_or_default();
    println!("{:44} {:>10} {:>10}", "", "median", "fastest");
    let files = files();
    let text = fs::read_to_string(files.path().join("site.yml")).unwrap();
    bench(wanted, "yaml: a playbook of 200 tasks", || {
        let mut faults = Diagnostics::new();
        black_box(yaml::parse_all(
            &Source::new("site.yml", text.as_str()),
            &mut faults,
        ))
        .unwrap();
    });
    bench(wanted, "inventory: 1,000 hosts in 20 groups", || {
        black_box(inventory(files.path()));
    });
    let hosts = inventory(files.path());
    bench(wanted, "variables of 1,000 hosts", || {
        for host in hosts.hosts.keys() {
            black_box(hosts.vars(host));
        }
    });
    bench(wanted, "plan: 200 tasks, 1,000 hosts, serial 10", || {
        black_box(compiled(files.path(), &hosts));
    });
    let (templar, scope) = (Templar::new(), Arc::new(Broker) as Arc<dyn Scope>);
    bench(wanted, "template: a server.properties, 1,000 times", || {
        for _ in 0..1000 {
            black_box(templar.render_file(
                TEMPLATE,
                Path::new("server.properties.j2"),
                &[],
                &scope,
            ))
            .unwrap();
        }
    });
    let small = ToAgent::Task(Box::new(task(1, action("stat", "{path: /etc/hosts}"))));
    bench(wanted, "frames: 10,000 small tasks there and back", || {
        for _ in 0..10_000 {
            let bytes = frame::encode(&small).unwrap();
            black_box(frame::decode::<ToAgent>(&bytes[4..])).unwrap();
        }
    });
    let content = "x".repeat(32 << 20);
    let large = format!("{{dest: /tmp/x, content: {content}}}");
    let large = ToAgent::Task(Box::new(task(1, action("copy", &large))));
    bench(wanted, "frames: a file of 32 MiB there and back", || {
        let bytes = frame::encode(&large).unwrap();
        black_box(frame::decode::<ToAgent>(&bytes[4..])).unwrap();
    });
    bench(wanted, "agent: greeted, then 1,000 looks", looks);
}

fn bench(wanted: &str, name: &str, mut run: impl FnMut()) {
    if !name.contains(wanted) {
        return;
    }
    run();
    let (begun, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || begun.elapsed() < Duration::from_secs(2) {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    println!(
        "{name:44} {:>10} {:>10}",
        ms(times[times.len() / 2]),
        ms(times[0])
    );
}

/// A playbook and an inventory as large as they come.
fn files() -> tempfile::TempDir {
    let mut hosts = String::new();
    for rack in 0..20 {
        let (first, last) = (rack * N_HOSTS / 20, (rack + 1) * N_HOSTS / 20 - 1);
        writeln!(
            hosts,
            "[rack{rack}]\nbroker[{first:04}:{last:04}].foo.bar rack=r{rack}\n"
        )
        .unwrap();
    }
    writeln!(hosts, "[kafka:children]").unwrap();
    (0..20).for_each(|rack| writeln!(hosts, "rack{rack}").unwrap());
    writeln!(
        hosts,
        "[kafka:vars]\nport=9092\nlog_dirs=['/data/a', '/data/b']"
    )
    .unwrap();
    let mut site = String::from("- hosts: kafka\n  serial: 10\n  tasks:\n");
    for n in 0..N_TASKS {
        writeln!(
            site,
            "    - name: Write setting {n}\n      lineinfile:\n        path: \"/etc/kafka/{{{{ rack }}}}.conf\"\n        regexp: '^setting{n}='\n        line: \"setting{n}={{{{ port + {n} }}}}\"\n      when: rack != 'r99' and port | int > {n}\n      notify: restart kafka\n      tags: [settings]\n"
        )
        .unwrap();
    }
    site += "  handlers:\n    - name: restart kafka\n      service: name=kafka-server state=restarted\n";
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("hosts"), hosts).unwrap();
    fs::write(files.path().join("site.yml"), site).unwrap();
    files
}

fn inventory(directory: &Path) -> Inventory {
    let vault = Vault::default();
    let options = inventory::LoadOptions {
        cwd: directory,
        vault: &vault,
    };
    let mut faults = Diagnostics::new();
    let loaded = inventory::load(&["hosts".into()], &options, &mut faults);
    assert!(!faults.has_errors() && loaded.hosts.len() == N_HOSTS);
    loaded
}

fn compiled(directory: &Path, hosts: &Inventory) -> Plan {
    let options = playbook::LoadOptions {
        roles_path: Vec::new(),
        render: &|text, _| Ok(text.into()),
        decrypt: None,
    };
    let mut faults = Diagnostics::new();
    let loaded = playbook::load(&directory.join("site.yml"), &options, &mut faults).unwrap();
    let (extra, templar) = (Dict::default(), Templar::new());
    let input = plan::Input {
        limit: None,
        selection: plan::Selection::default(),
        only_gates_guard: false,
        extra: &extra,
        templar: &templar,
    };
    let plan = plan::compile(&[loaded], hosts, &input, &mut faults);
    assert!(!faults.has_errors());
    plan
}

fn action(module: &str, arguments: &str) -> Action {
    let arguments: Mapping = serde_yaml::from_str(arguments).unwrap();
    Action::new(module, arguments).unwrap()
}

/// An agent over a pipe, from its first byte to the answer to its last task.
fn looks() {
    let directory = tempfile::tempdir().unwrap();
    let (input, mut to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let options = Options {
        imagined: None,
        sys: Sys::host(),
        directories: vec![directory.path().join("krun")],
        executable: PathBuf::from("/nonexistent"),
        child: false,
        exclusive: true,
        told_to_end: None,
    };
    let agent = thread::spawn(move || agent::serve(input, output, options));
    let hello = Hello {
        version: proto::VERSION,
        controller: "bench".into(),
        run: "bench".into(),
        host: "host".into(),
        check_mode: false,
        playbooks: "site.yml".into(),
        silence_limit: None,
    };
    let say = thread::spawn(move || {
        frame::write(&mut to, &ToAgent::Hello(hello)).unwrap();
        for seq in 1..=1000 {
            let look = task(seq, action("stat", "{path: /etc/hosts}"));
            frame::write(&mut to, &ToAgent::Task(Box::new(look))).unwrap();
        }
        to
    });
    let mut from = BufReader::new(from);
    assert!(frame::skip_noise(&mut from).unwrap().1);
    let mut n_ended = 0;
    while n_ended < 1000 {
        let message: FromAgent = frame::read(&mut from).unwrap().unwrap();
        n_ended += usize::from(matches!(message, FromAgent::Ended { .. }));
    }
    drop(say.join().unwrap());
    agent.join().unwrap().unwrap();
}

const TEMPLATE: &str = "# {{ ansible_managed | default('managed') }}
broker.id={{ broker_id }}
listeners=PLAINTEXT://0.0.0.0:{{ port }}
log.dirs={{ log_dirs | join(',') }}
zookeeper.connect={% for host in zookeepers %}{{ host }}:2181{% if not loop.last %},{% endif %}{% endfor %}

{% for key, value in settings.items() %}
{{ key }}={{ value | string | lower if value is boolean else value }}
{% endfor %}
";

/// The variables of one broker.
struct Broker;

impl Scope for Broker {
    fn lookup(&self, name: &str) -> Option<Raw> {
        let value: Value = match name {
            "broker_id" => return Some(Raw::Lazy("{{ 1000 + number }}".into())),
            "number" => 7.into(),
            "port" => 9092.into(),
            "log_dirs" => vec![Value::from("/data/a"), "/data/b".into()].into(),
            "zookeepers" => vec![Value::from("zk1"), "zk2".into(), "zk3".into()].into(),
            "settings" => {
                let pairs = (0..20).map(|n| (format!("setting.{n}").into(), (n % 2 == 0).into()));
                Value::Mapping(pairs.collect())
            }
            _ => return None,
        };
        Some(Raw::Plain(value))
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn hostvars(&self, _host: &str) -> Option<Arc<dyn Scope>> {
        None
    }
    fn hosts(&self) -> Vec<String> {
        Vec::new()
    }
    fn files(&self) -> Arc<dyn Files> {
        unreachable!("the template reads no files")
    }
}
