//! Servers of a cluster that would stop together: held before the run, held right before the task, or done where it is allowed.

use std::fs;
use std::process::{Command, Output};

use krun::lab::LabSpec;

use crate::krun_run::krun;
use crate::stage::{Stage, enabled};

const HOSTS: [&str; 3] = ["k1.foo.bar", "k2.foo.bar", "k3.foo.bar"];

/// What stands in for a broker: its process has the main class among its words, which is what a broker is known by.
const BROKER: &str = r"
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - copy:
        dest: /etc/systemd/system/broker.service
        content: |
          [Service]
          ExecStart=/bin/sh -c 'sleep infinity' kafka.Kafka /etc/server.properties
    - systemd: name=broker state=started daemon_reload=yes
";

/// A play over all hosts: its head, its tasks, and a handler that restarts.
fn play(head: &str, tasks: &str) -> String {
    format!(
        r"
- hosts: all
  become: true
  gather_facts: false
  {head}
  tasks:
    - copy: dest=/var/tmp/mark content=here
{tasks}
  handlers:
    - name: restart
      systemd: name=broker state=restarted
"
    )
}

struct Site(Stage);

impl Site {
    fn run(&self, playbook: &str, words: &[&str]) -> Output {
        let place = self.0.0.ssh_config().parent().unwrap().to_path_buf();
        fs::write(place.join("guards.yml"), playbook).unwrap();
        let output = Command::new(krun())
            .args(words)
            .args(["-i", &HOSTS.join(",")])
            .arg(format!(
                "--ssh-common-args=-F {}",
                self.0.0.ssh_config().display()
            ))
            .arg("guards.yml")
            .current_dir(&place)
            .output();
        output.unwrap()
    }

    /// Runs it, and says how it ended, what it told, on how many hosts the mark lies, and how many brokers were restarted.
    fn tried(&self, playbook: &str, words: &[&str]) -> (Option<i32>, String, usize, usize) {
        let pid = "systemctl show broker -p MainPID";
        let before = HOSTS.map(|host| {
            self.0.on(host, "sudo rm -f /var/tmp/mark");
            self.0.on(host, pid)
        });
        let output = self.run(playbook, words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        println!("{text}");
        let marks = HOSTS
            .iter()
            .filter(|host| self.0.on(host, "ls /var/tmp").contains("mark"));
        let anew = HOSTS
            .iter()
            .zip(before)
            .filter(|(host, before)| self.0.on(host, pid) != *before);
        (output.status.code(), text, marks.count(), anew.count())
    }
}

const RESTART: &str = "    - name: Restart all\n      systemd: name=broker state=restarted\n";

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn servers_of_a_cluster_stop_together_only_where_the_user_says_so() {
    if !enabled() {
        return;
    }
    let site = Site(Stage::of(&LabSpec {
        name: "it-guards".to_owned(),
        hosts: HOSTS.map(str::to_owned).into(),
        ..LabSpec::default()
    }));
    let made = site.run(BROKER, &[]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );

    // Without `serial`, and with one that is too wide: nothing at all is done.
    for head in ["", "serial: 2"] {
        let (code, text, marks, anew) = site.tried(&play(head, RESTART), &[]);
        assert_eq!((code, marks, anew), (Some(2), 0, 0));
        assert!(text.contains("held before anything was changed"), "{text}");
        assert!(text.contains("stop the Kafka broker on 3 hosts"), "{text}");
    }
    // What only the run can tell is held on the host: a handler, and a name that is registered.
    let notifies =
        "    - copy: dest=/var/tmp/notified content={{ 999 | random }}\n      notify: restart\n";
    let registered = "    - command: echo restarted\n      register: what\n    - systemd: name=broker state={{ what.stdout }}\n";
    for tasks in [notifies, registered] {
        let (code, text, marks, anew) = site.tried(&play("", tasks), &[]);
        assert_eq!((code, marks, anew), (Some(2), 3, 0));
        assert!(
            text.contains("it would stop this Kafka broker, and not this one alone"),
            "{text}"
        );
    }
    // A host that a task of another batch reaches by delegation.
    let delegated = "    - systemd: name=broker state=stopped\n      delegate_to: k3.foo.bar\n      when: inventory_hostname == 'k1.foo.bar'\n";
    let (code, text, _, anew) = site.tried(&play("serial: 1", delegated), &[]);
    assert_eq!((code, anew), (Some(2), 0));
    assert!(text.contains("k3.foo.bar is not in this batch"), "{text}");
    // The plan says the same, and ends well.
    let plan = site.run(&play("", RESTART), &["plan"]);
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(
        plan.status.success() && text.contains("stop the Kafka broker on "),
        "{text}"
    );
    // One by one, or all where that is said.
    for (head, words) in [("serial: 1", &[][..]), ("", &["--allow-destroy"][..])] {
        let (code, text, marks, anew) = site.tried(&play(head, RESTART), words);
        assert_eq!((code, marks, anew), (Some(0), 3, 3), "{text}");
    }
}
