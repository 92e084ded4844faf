//! A plan on a host with a real systemd and real account programs shows what the run then does.

use std::process::Command;

use krun::lab::LabSpec;

use crate::krun_run::{here, krun};
use crate::stage::{BROKERS, Stage, enabled};

const HOST: &str = "peter-kafka01.foo.bar";

const PLAYBOOK: &str = r#"
- hosts: all
  become: true
  gather_facts: false
  vars:
    seen: [/etc/passwd, /etc/group, /etc/shadow, /etc/gshadow, /etc/subuid, /etc/systemd/system/app.service, /srv/app/conf]
    links: [/etc/systemd/system/multi-user.target.wants/app.service, /etc/systemd/system/debug-shell.service, /srv/app,
      /etc/systemd/system/multi-user.target.wants/linked.service, /etc/systemd/system/multi-user.target.wants/other.service,
      /etc/systemd/system/multi-user.target.wants/late.service, /etc/systemd/system/later.service]
  handlers:
    - name: restart app
      systemd: name=app state=restarted
  tasks:
    - group: name=staff2 gid=4711
    - user: name=app groups=staff2 system=yes home=/srv/app comment="An app" password="$6$abc$def"
    - name: unit
      copy:
        dest: /etc/systemd/system/app.service
        content: |
          [Service]
          ExecStart=/bin/sleep infinity
          User=app
          [Install]
          WantedBy=multi-user.target
      notify: restart app
    - systemd: name=app state=started enabled=yes daemon_reload=yes
    - name: conf
      copy: dest=/srv/app/conf content="a=1\n" owner=app group=app mode=0600
      notify: restart app
    - systemd: name=app state=started
    - meta: flush_handlers
    - systemd: name=debug-shell masked=yes
    - service: name=app state=stopped enabled=no
    - systemd: name=app state=stopped
    - systemd: name=app enabled=yes
    - name: unit
      copy:
        dest: /srv/app/{{ item }}.service
        content: |
          [Service]
          ExecStart=/bin/sleep infinity
          [Install]
          WantedBy=multi-user.target
      loop: [linked, linked-2.6]
    - file: src=/srv/app/linked.service dest=/etc/systemd/system/linked.service state=link
    - file: src=/srv/app/linked-2.6.service dest=/etc/systemd/system/other.service state=link
    - systemd: name={{ item }} enabled=yes state=started daemon_reload=yes
      loop: [linked, other]
    - systemd: name={{ item }} enabled=yes
      loop: [linked, other]
    - name: unit without an [Install] section, then with one
      copy: dest=/etc/systemd/system/late.service content="[Service]\nExecStart=/bin/sleep infinity\n"
    - systemd: name=late state=started enabled=yes
    - copy: dest=/etc/systemd/system/late.service content="[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    - systemd: name=late state=started enabled=yes
    - file: src=/etc/systemd/system/late.service dest=/etc/systemd/system/later.service state=link
    - systemd: name=later enabled=yes
    - systemd: name=late enabled=no
    - service_facts:
    - debug: msg="{{ ansible_facts.services['app.service'] }}"
    - user: name=app shell=/bin/false append=yes groups=adm
    - slurp: src={{ item }}
      loop: "{{ seen }}"
      register: files
    - debug: msg="{{ item.item }} {{ item.content | b64decode }}"
      loop: "{{ files.results }}"
      loop_control: {label: "{{ item.item }}"}
    - stat: path={{ item }}
      loop: "{{ links }}"
      register: there
    - debug: msg="{{ item.stat.mode | default('none') }} {{ item.stat.pw_name | default('') }} {{ item.stat.lnk_source | default('') }}"
      loop: "{{ there.results }}"
      loop_control: {label: "{{ item.item }}"}
"#;

/// Runs krun on the host and returns what it told of its tasks, in the words of a real run.
fn told(stage: &Stage, words: &[&str]) -> Vec<String> {
    let place = stage.0.ssh_config().parent().unwrap().to_path_buf();
    std::fs::write(place.join("plan.yml"), PLAYBOOK).unwrap();
    let output = Command::new(krun())
        .args(words)
        .args(["-i", &format!("{HOST},")])
        .arg(format!(
            "--ssh-common-args=-F {}",
            stage.0.ssh_config().display()
        ))
        .arg("plan.yml")
        .current_dir(&place)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {text}{stderr}");
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("PLAY RECAP"));
    lines
        .filter(|line| !line.starts_with("check mode"))
        .map(|line| line.replace("would change:", "changed:"))
        // Seconds that a task took.
        .map(|line| {
            line.split("]  ")
                .next()
                .unwrap()
                .trim_end_matches(']')
                .to_owned()
        })
        .collect()
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn units_and_accounts_of_a_plan_are_those_of_the_run() {
    if !enabled() {
        return;
    }
    let stage = Stage::of(&LabSpec {
        name: "it-plan".to_owned(),
        hosts: vec![HOST.to_owned()],
        ..LabSpec::default()
    });
    let state = "cat /etc/passwd /etc/group; find /etc /srv -newer /proc/1 2>/dev/null | sort; systemctl list-unit-files --type=service --no-pager";
    let before = stage.on(HOST, state);
    let plan = told(&stage, &["--check"]);
    assert!(stage.on(HOST, state) == before, "the plan changed the host");
    let run = told(&stage, &[]);
    for (planned, done) in plan.iter().zip(&run) {
        assert_eq!(planned, done, "in the plan:\n{}", plan.join("\n"));
    }
    assert_eq!(plan.len(), run.len());
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_plan_of_the_upgrade_changes_nothing_and_says_what_it_cannot_know() {
    if !enabled() {
        return;
    }
    let stage = Stage::cluster("it-plan-upgrade", "2.1.0");
    let state = "find /opt /usr/local -name logs -prune -o -printf '%p %m %u %g %l %T@ %s\\n' | sort | sha256sum; systemctl show kafka-server -p MainPID";
    let before = BROKERS.map(|host| stage.on(host, state));
    let place = stage.0.ssh_config().parent().unwrap().to_path_buf();
    let output = Command::new(krun())
        .args(["plan", "-i"])
        .arg(here().join("inventories/example"))
        .arg(format!(
            "--ssh-common-args=-F {}",
            stage.0.ssh_config().display()
        ))
        .arg(here().join("playbooks/upgrade-2.6.yml"))
        .current_dir(&place)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let last = text.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("plan: ") && !last.contains("fail"),
        "{last}"
    );
    for (host, before) in BROKERS.iter().zip(before) {
        assert!(stage.on(host, state) == before, "the plan changed {host}");
    }
}
