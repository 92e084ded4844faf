//! `krun review`: what the change between two git revisions means for every host, without any host.

use super::schema;
use super::support::{Play, Ran};
use std::process::Command;

const PLAYBOOK: &str = "
- hosts: kafka
  become: true
  serial: 1
  tasks:
    - name: Tree
      file: {path: '/opt/kafka_{{ version }}/config', state: directory, owner: kafka}
    - name: Link
      file: {src: 'kafka_{{ version }}', dest: /opt/kafka, state: link}
    - name: Config
      template: {src: s.j2, dest: /opt/kafka/config/server.properties, owner: kafka, mode: '0640'}
      notify: restart kafka
    - name: Edit
      lineinfile: {path: /opt/kafka/config/server.properties, regexp: '^heap', line: 'heap={{ heap }}'}
    - name: Unseen
      lineinfile: {path: /etc/sysctl.conf, line: 'swappiness={{ swappiness }}'}
    - name: Format
      command: format {{ options }}
    - name: Old
      copy: {content: 'x', dest: /etc/old.conf}
    - name: Up
      systemd: {name: kafka, state: started}
    - name: Safe?
      wait_for: {port: 9092}
  handlers:
    - name: restart kafka
      systemd: {name: kafka, state: restarted}
";

const TEMPLATE: &str = "id={{ id }}
rack=r{{ id }}
ip={{ ansible_default_ipv4.address }}
a=1
b=2
c=3
d=4
e=5
f=6
g=7
x={{ strange }}
heap={{ heap }}
";

const VARS: &str = "version: '1'
heap: 4g
swappiness: 10
options: -a
strange: plain
";

fn git(play: &Play, words: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(play.path())
        .args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(words)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

/// A repository with one commit.
fn repository() -> Play {
    let play = Play::new(PLAYBOOK);
    play.file("hosts", "[kafka]\nkafka[01:03]\n");
    play.file("templates/s.j2", TEMPLATE);
    play.file("group_vars/all.yml", VARS);
    for id in 1..=3 {
        play.file(&format!("host_vars/kafka0{id}.yml"), &format!("id: {id}\n"));
    }
    git(&play, &["init", "-q"]);
    git(&play, &["add", "-A"]);
    git(&play, &["commit", "-qm", "one"]);
    play
}

fn review(play: &Play, words: &[&str]) -> Ran {
    let mut all = vec!["review"];
    all.extend(words);
    if !words.contains(&"-i") {
        all.extend(["-i", "hosts"]);
    }
    all.push("play.yml");
    play.krun(&all)
}

fn reviewed(play: &Play, words: &[&str]) -> String {
    let ran = review(play, words);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

fn vars(play: &Play, from: &str, to: &str) {
    assert!(VARS.contains(from));
    play.file("group_vars/all.yml", &VARS.replace(from, to));
}

#[test]
fn a_change_that_means_nothing_says_so() {
    let play = repository();
    play.file("README", "words\n");
    let shown = reviewed(&play, &["HEAD", "--exit-code"]);
    assert!(shown.contains("nothing differs on any host"), "{shown}");
    assert!(!shown.contains("kafka restarts"), "{shown}");
}

#[test]
fn what_hosts_share_stands_once_and_what_only_some_have_beneath() {
    let play = repository();
    let text = TEMPLATE
        .replace("rack=r", "rack=rack")
        .replace("g=7", "g=8");
    play.file("templates/s.j2", &text);
    let ran = review(&play, &["HEAD", "--exit-code"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_new_tree_behind_a_link_is_compared_with_what_the_path_led_to() {
    let play = repository();
    vars(&play, "version: '1'", "version: '2'");
    let shown = reviewed(&play, &["HEAD"]);
    assert!(shown.contains("target: kafka_1 → kafka_2"), "{shown}");
    assert!(!shown.contains("id=1"), "the file is the same: {shown}");
}

#[test]
fn what_no_file_shows_is_compared_by_what_it_asks_for() {
    let play = repository();
    vars(
        &play,
        "swappiness: 10\noptions: -a",
        "swappiness: 1\noptions: -b",
    );
    let shown = reviewed(&play, &["HEAD"]);
    assert!(
        shown.contains("line: swappiness=10 → swappiness=1"),
        "{shown}"
    );
    assert!(shown.contains("command: format -a → format -b"), "{shown}");
    assert!(!shown.contains("restarts"), "nothing is notified: {shown}");
}

#[test]
fn a_task_that_is_gone_leaves_what_it_made() {
    let play = repository();
    play.file(
        "play.yml",
        &PLAYBOOK
            .replace("/etc/old.conf", "/etc/new.conf")
            .replace("name: Old", "name: New"),
    );
    let shown = reviewed(&play, &["HEAD"]);
    assert!(
        shown.contains("gone: /etc/old.conf stays as it is"),
        "{shown}"
    );
    assert!(shown.contains("/etc/new.conf (new)"), "{shown}");
}

#[test]
fn a_fact_that_nobody_knows_stands_by_its_name_and_a_file_of_facts_tells_it() {
    let play = repository();
    play.file("templates/s.j2", &TEMPLATE.replace("ip=", "ip2="));
    let shown = reviewed(&play, &["HEAD"]);
    assert!(
        shown.contains("+ip2=<ansible_default_ipv4.address>"),
        "{shown}"
    );
    play.file(
        "facts.json",
        r#"{"format":"krun-facts","version":1,"hosts":{"kafka02":{"default_ipv4":{"address":"10.0.0.2"}}}}"#,
    );
    let shown = reviewed(&play, &["HEAD", "--facts", "facts.json"]);
    assert!(shown.contains("+ip2=10.0.0.2"), "{shown}");
    assert!(
        shown.contains("+ip2=<ansible_default_ipv4.address>"),
        "{shown}"
    );
}

#[test]
fn a_condition_on_an_unknown_fact_is_a_perhaps() {
    let conditional = "    - name: Debian
      copy: {content: 'y', dest: /etc/apt.conf}
      when: ansible_os_family == 'Debian'
    - name: Up";
    let play = repository();
    play.file("play.yml", &PLAYBOOK.replace("    - name: Up", conditional));
    let shown = reviewed(&play, &["HEAD"]);
    assert!(
        shown.contains("new: perhaps: whether it runs depends on `ansible_os_family`"),
        "{shown}"
    );
}

#[test]
fn an_old_secret_is_covered_as_a_new_one_is() {
    let play = repository();
    let with = |secret: &str| {
        VARS.replace("plain", "'{{ my_password }}'") + "my_password: " + secret + "\n"
    };
    play.file("group_vars/all.yml", &with("hunter2old"));
    git(&play, &["commit", "-qam", "two"]);
    play.file("group_vars/all.yml", &with("hunter2new"));
    for format in ["text", "markdown", "json", "html", "patch"] {
        let shown = reviewed(&play, &["HEAD", "--format", format]);
        assert!(!shown.contains("hunter2"), "{format}: {shown}");
    }
    let shown = reviewed(&play, &["HEAD"]);
    assert!(shown.contains("only a secret differs"), "{shown}");
    assert!(shown.contains("my_password: *** #"), "{shown}");
}

#[test]
fn hosts_that_come_and_go_are_said_first() {
    let play = repository();
    play.file("hosts", "[kafka]\nkafka[02:04]\n[rack1]\nkafka02\n");
    play.file("host_vars/kafka04.yml", "id: 4\n");
    let shown = reviewed(&play, &["HEAD"]);
    assert!(shown.contains("new: kafka04"), "{shown}");
    assert!(shown.contains("gone: kafka01"), "{shown}");
    assert!(shown.contains("groups: kafka → kafka, rack1"), "{shown}");
    assert!(shown.contains("FILES OF NEW HOSTS"), "{shown}");
}

#[test]
fn a_roll_of_another_width_says_what_it_was() {
    let play = repository();
    play.file("play.yml", &PLAYBOOK.replace("serial: 1", "serial: 3"));
    let shown = reviewed(&play, &["HEAD"]);
    assert!(
        shown.contains("3 hosts, all at once (was: 3 hosts in 3 batches of 1)"),
        "{shown}"
    );
}

#[test]
fn two_commits_are_compared_and_the_working_tree_is_left_alone() {
    let play = repository();
    vars(&play, "options: -a", "options: -b");
    git(&play, &["commit", "-qam", "two"]);
    vars(&play, "options: -a", "options: -c");
    let shown = reviewed(&play, &["HEAD~1..HEAD"]);
    assert!(shown.contains("format -a → format -b"), "{shown}");
    let status = Command::new("git")
        .arg("-C")
        .arg(play.path())
        .args(["status", "--porcelain"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&status.stdout),
        " M group_vars/all.yml\n"
    );
}

#[test]
fn a_patch_is_one_that_git_reads() {
    let play = repository();
    play.file("templates/s.j2", &TEMPLATE.replace("g=7", "g=8"));
    let patch = reviewed(&play, &["HEAD", "--format", "patch"]);
    let path = play.file("a.patch", &patch);
    let read = Command::new("git")
        .args(["apply", "--stat"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        said.contains("kafka01/opt/kafka/config/server.properties"),
        "{said}{read:?}"
    );
}

#[test]
fn a_revision_that_does_not_exist_is_a_clear_error() {
    let play = repository();
    let ran = review(&play, &["v1..HEAD"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn faults_of_one_revision_name_it() {
    let play = repository();
    play.file("play.yml", &PLAYBOOK.replace("copy: {", "cpy: {"));
    let ran = review(&play, &["HEAD"]);
    assert_eq!(ran.code, 5, "{}", ran.stdout);
    assert!(ran.stderr.contains("at working tree:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("play.yml:20"), "{}", ran.stderr);
}

#[test]
fn a_playbook_that_was_not_there_is_all_new() {
    let play = repository();
    play.file("other.yml", "- hosts: kafka01\n  gather_facts: false\n  tasks:\n    - copy: {content: a, dest: /etc/a}\n");
    let ran = play.krun(&["review", "HEAD", "-i", "hosts", "other.yml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("`other.yml` does not exist at HEAD: everything in it is new"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("/etc/a (new)"), "{}", ran.stdout);
}

#[test]
fn facts_of_hosts_are_kept_in_a_file_that_a_review_reads() {
    let play = Play::new(
        "- hosts: a\n  tasks:\n    - copy: {content: \"{{ ansible_kernel }}{{ word }}\", dest: /etc/k}\n",
    );
    play.file("hosts", "a ansible_connection=local\n");
    play.file("group_vars/all.yml", "word: one\n");
    git(&play, &["init", "-q"]);
    git(&play, &["add", "-A"]);
    git(&play, &["commit", "-qm", "one"]);
    let asked = play.krun(&["facts", "-i", "hosts", "-o", "facts.json"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    play.file("group_vars/all.yml", "word: two\n");
    let shown = reviewed(&play, &["HEAD", "--facts", "facts.json"]);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(shown.contains(&format!("+{}two", kernel.trim())), "{shown}");
    play.file(
        "facts.json",
        "{\"format\":\"krun-facts\",\"version\":9,\"hosts\":{}}",
    );
    let ran = review(&play, &["HEAD", "--facts", "facts.json"]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr
            .contains("of version 9, not a `krun-facts` of version 1"),
        "{}",
        ran.stderr
    );
}

/// Runs a shell's lines as a CI would, with krun in its path.
fn as_in_ci(play: &Play, script: &str, environment: &[(&str, &str)]) -> std::process::Output {
    let krun = std::path::Path::new(env!("CARGO_BIN_EXE_krun"));
    let path = format!("{}:/usr/bin:/bin", krun.parent().unwrap().display());
    Command::new("bash")
        .args(["-eo", "pipefail", "-c", script])
        .current_dir(play.path())
        .env("PATH", path)
        .env("INVENTORY", "hosts")
        .env("PLAYBOOK", "play.yml")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn has_reviewed(play: &Play, done: &std::process::Output) {
    assert!(done.status.success(), "{done:?}");
    let read = |name: &str| std::fs::read_to_string(play.path().join(name)).unwrap();
    assert!(read("review.md").contains("### krun review: 1 task, 1 variable on 3 hosts"));
    assert!(read("review.html").contains("format -a"));
}

fn two_commits() -> Play {
    let play = repository();
    vars(&play, "options: -a", "options: -b");
    git(&play, &["commit", "-qam", "two"]);
    play
}

#[test]
fn the_workflow_for_github_does_what_it_says() {
    let text = include_str!("../../docs/ci/github.yml");
    let workflow: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let steps = workflow["jobs"]["review"]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Review").unwrap();
    let play = two_commits();
    let script = step["run"].as_str().unwrap();
    has_reviewed(&play, &as_in_ci(&play, script, &[("BASE", "HEAD~1")]));
    let missing = as_in_ci(&play, script, &[("BASE", "origin/main")]);
    assert!(!missing.status.success(), "{missing:?}");
}

#[test]
fn the_job_for_gitlab_does_what_it_says() {
    let text = include_str!("../../docs/ci/gitlab.yml");
    let job: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let lines = job["krun-review"]["script"].as_sequence().unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let play = two_commits();
    let base = [("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD~1")];
    has_reviewed(&play, &as_in_ci(&play, &lines.join("\n"), &base));
}

/// Real output, against the schemas that are in `docs`.
#[test]
fn json_of_reviews_plans_and_runs_is_what_the_schemas_say() {
    let play = repository();
    play.file("group_vars/all.yml", &VARS.replace("heap: 4g", "heap: 6g"));
    let review = play.krun(&[
        "review", "HEAD", "-i", "hosts", "play.yml", "--format", "json",
    ]);
    assert_eq!(review.code, 0, "{}", review.stderr);
    let document = serde_json::from_str(&review.stdout).unwrap();
    schema::assert_holds(&schema::read("review.schema.json"), &document);
    assert!(
        review.stdout.contains("\"kind\": \"text\""),
        "{}",
        review.stdout
    );
    let play = Play::new(
        r"
- hosts: a,b
  gather_facts: false
  tasks:
    - copy: dest={{ dir }}/{{ item }} content={{ inventory_hostname }} mode=0600
      loop: [one.properties, two]
    - command: 'echo {{ inventory_hostname }}'
      register: said
    - debug: var=said.stdout
    - lineinfile: path={{ dir }}/none line=x
      ignore_errors: true
- hosts: none_of_these
  tasks: []
",
    )
    .args(&["--format", "json"]);
    for ran in [play.subcommand("plan"), play.run()] {
        let text = &ran.stdout[ran.stdout.find("{\n").unwrap()..];
        let document = serde_json::from_str(text).unwrap();
        schema::assert_holds(&schema::read("report.schema.json"), &document);
    }
}
