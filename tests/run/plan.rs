//! A plan shows what a run then does, task upon task, and leaves the host as it was.

use crate::support::{Play, Ran};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CHAIN: &str = r#"
- hosts: a
  gather_facts: false
  vars: {root: "{{ dir }}/root"}
  tasks:
    - name: a directory
      file: path={{ root }}/conf state=directory mode=0750
    - name: a file in it
      copy: dest={{ root }}/conf/app.conf content="one=1\ntwo=2\n" mode=0640
    - name: a line of it
      lineinfile: path={{ root }}/conf/app.conf regexp=^two= line=two=3
    - name: unpack
      unarchive: src={{ root }}/app.tgz dest={{ root }} remote_src=yes
    - name: into the tree
      template: src=settings.j2 dest={{ root }}/app-2/settings
    - name: switch the link
      file: src={{ root }}/app-2 path={{ root }}/app state=link
    - name: edit through it
      replace: path={{ root }}/app/settings regexp=blue replace=green
    - name: remove the old one
      file: path={{ root }}/app-1 state=absent
    - stat: path={{ root }}/app-1/settings
      register: old
    - debug: msg="gone {{ not old.stat.exists }}"
    - name: a block where it was
      blockinfile: path={{ root }}/app-1 create=yes block=here
    - slurp: src={{ root }}/app/settings
      register: settings
    - debug: msg="settings {{ settings.content | b64decode | trim }}"
"#;

fn chain() -> Play {
    let play = Play::new(CHAIN);
    play.file("settings.j2", "colour=blue\n");
    play.file("root/app-1/settings", "colour=red\n");
    play.file("pack/app-2/settings", "colour=white\n");
    play.file("pack/app-2/lib/x.jar", "jar");
    std::os::unix::fs::symlink("app-1", play.path().join("root/app")).unwrap();
    let packed = std::process::Command::new("tar")
        .args(["-czf", "root/app.tgz", "-C", "pack", "app-2"])
        .current_dir(play.path())
        .status();
    assert!(packed.unwrap().success());
    play
}

/// Everything below a directory, times left out.
fn fingerprint(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_path_buf()];
    while let Some(path) = ahead.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_symlink() {
            path.read_link().unwrap().display().to_string()
        } else if metadata.is_dir() {
            ahead.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else {
            hex::encode(Sha256::digest(std::fs::read(&path).unwrap()))
        };
        let line = format!(
            "{:o} {}:{} {content}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid()
        );
        found.insert(path.strip_prefix(root).unwrap().display().to_string(), line);
    }
    found
}

/// The plan as it is drawn, without what differs from run to run.
fn drawn(plan: &Ran, play: &Play) -> String {
    let dir = play.path().display().to_string();
    let text = plan.stdout.replace(&dir, "DIR");
    let end = text.rfind(" (").unwrap();
    text[..end].to_owned()
}

/// What a run printed below its plays, in the words of a real run.
fn told(ran: &Ran) -> Vec<String> {
    // A run says at its top what a plan says at the task: what is guarded.
    let story = ran.story().into_iter();
    let story =
        story.skip_while(|line| line.starts_with("guarded") || line.starts_with("  remove "));
    story
        .filter(|line| !line.starts_with("  guarded: "))
        .filter(|line| !line.starts_with("check mode") && !line.contains("plan:"))
        .filter(|line| !line.starts_with("a "))
        .map(|line| line.replace("would change:", "changed:"))
        .collect()
}

#[test]
fn a_plan_of_chained_tasks_is_what_the_run_then_does_and_touches_nothing() {
    let play = chain();
    let before = fingerprint(play.path());
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let mut after = fingerprint(play.path());
    after.retain(|path, _| !path.starts_with(".krun") && !path.starts_with(".cache"));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    assert_eq!(before["root/app"], after["root/app"]);
    assert!(
        before
            .iter()
            .skip(1)
            .all(|(path, line)| after[path] == *line)
    );
    plan.says(&[
        "gone True",
        "settings colour=green",
        "plan: 9 to change on 1 host",
    ]);
    let run = play.run_with(&["--allow-destroy"]);
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(told(&plan), told(&run));
}

#[test]
fn an_account_of_the_plan_owns_files_of_the_plan() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let accounts = || {
        ["passwd", "group", "shadow"]
            .map(|name| std::fs::read(Path::new("/etc").join(name)).unwrap())
    };
    let before = accounts();
    let plan = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - group: name=krun-planned gid=64711
    - user: name=krun-planned group=krun-planned uid=64712 home={{ dir }}/home
    - copy: dest={{ dir }}/home/a content=a owner=krun-planned group=krun-planned mode=0600
    - stat: path={{ dir }}/home/a
      register: a
    - debug: msg="{{ a.stat.pw_name }}:{{ a.stat.gr_name }} {{ a.stat.uid }} {{ a.stat.mode }}"
    - user: name=krun-planned state=absent remove=yes
    - stat: path={{ dir }}/home
      register: home
    - debug: msg="home {{ home.stat.exists }}"
"#,
    )
    .subcommand("--check");
    plan.says(&[
        "krun-planned:krun-planned 64712 0600",
        "home False",
        "plan: 4 to change on 1 host",
    ]);
    assert_eq!(accounts(), before);
}

#[test]
fn what_the_host_would_refuse_fails_in_the_plan_as_it_would_in_the_run() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: dest={{ dir }}/conf content="a=1\n" validate="grep b %s"
      ignore_errors: true
    - copy: dest=/proc/krun content=x
      ignore_errors: true
    - file: path={{ dir }}/none/at/all state=touch
"#,
    );
    let (plan, run) = (play.subcommand("--check"), play.run());
    assert_eq!((plan.code, run.code), (2, 2));
    plan.says(&["failed to validate"]);
    assert_eq!(told(&plan), told(&run));
}

#[test]
fn a_temporary_directory_of_the_plan_can_be_worked_in_and_goes_again() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - tempfile: state=directory path={{ dir }} suffix=work
      register: work
    - copy: dest={{ work.path }}/a content=one
    - lineinfile: path={{ work.path }}/a line=two
    - copy: src={{ work.path }}/a dest={{ dir }}/made remote_src=yes
    - file: path={{ work.path }} state=absent
",
    );
    let plan = play.subcommand("--check");
    plan.says(&["+one", "+two", "plan: 5 to change on 1 host"]);
    let left = std::fs::read_dir(play.path()).unwrap();
    assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| {
        let name = name.to_string_lossy().into_owned();
        !name.ends_with("work") && name != "made"
    }));
    assert_eq!(play.run().code, 0);
    assert_eq!(
        std::fs::read_to_string(play.path().join("made")).unwrap(),
        "one\ntwo\n"
    );
}

#[test]
fn what_perhaps_runs_is_shown_with_its_diff_and_what_it_would_write_is_unknown() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  handlers:
    - name: restarts
      copy: dest={{ dir }}/restarted content=now
  tasks:
    - name: asks
      command: /bin/true
      register: asked
    - name: perhaps writes
      copy: dest={{ dir }}/a content=1
      when: asked.rc == 0
      notify: restarts
    - name: reads it
      slurp: src={{ dir }}/a
    - name: is as wished in any case
      copy: src={{ dir }}/play.yml dest={{ dir }}/play.yml remote_src=yes
      when: asked.rc == 0
    - name: does not run in any case
      copy: dest={{ dir }}/b content=1
      when: [asked.rc == 0, false]
    - name: sets
      set_fact: {answer: "{{ asked.stdout }}"}
    - debug: msg="{{ answer }}"
    - name: includes
      include_tasks: more.yml
      when: asked.rc == 0
    - name: loops
      copy: dest={{ dir }}/{{ item }} content=1
      loop: "{{ asked.stdout_lines }}"
    - name: goes on
      copy: dest={{ dir }}/c content=1
"#,
    );
    play.file("more.yml", "- debug: msg=never\n");
    let plan = play.subcommand("--check");
    let hangs = "whether it runs depends on `asked`, which `asks` would bring (command does not run in check mode)";
    plan.says(&[
        "TASK [perhaps writes]",
        "perhaps: [a]",
        hangs,
        "+1",
        "TASK [reads it]",
        "unknown: [a]",
        hangs,
        "TASK [is as wished in any case]",
        "ok: [a]",
        "TASK [does not run in any case]",
        "skipping: [a]",
        "TASK [sets]",
        "unknown: [a]",
        "TASK [debug]",
        "unknown: [a]",
        "TASK [includes]",
        "unknown: [a]",
        "TASK [loops]",
        "unknown: [a]",
        "TASK [goes on]",
        "would change: [a]",
        "RUNNING HANDLER [restarts]",
        "perhaps: [a]",
        &format!("`perhaps writes` notifies it, perhaps: {hangs}"),
        "+now",
        "plan: 1 to change on 1 host, 8 unknown",
    ]);
    assert!(!plan.stdout.contains("never"));
}

#[test]
fn a_wait_looks_once_and_what_it_does_not_find_is_no_failure() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: content=x dest={{ dir }}/there
    - name: of the plan
      wait_for: path={{ dir }}/there
    - name: of nobody
      wait_for: path={{ dir }}/nowhere
      register: it
    - name: a port
      wait_for: port=1 timeout=300 delay=300
    - debug: msg="{{ it.elapsed }}"
"#,
    );
    let ran = play.subcommand("--check");
    ran.says(&[
        "TASK [of the plan]",
        "ok: [a]",
        "TASK [of nobody]",
        "unknown: [a]",
        "TASK [a port]",
        "unknown: [a]",
    ]);
    let nowhere = format!(
        "would wait: {}/nowhere to be present: it does not exist",
        play.path().display()
    );
    assert!(ran.stdout.contains(&nowhere), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("would wait: 127.0.0.1:1: "),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

/// Each was a failure, or left out, though a run does it.
#[test]
fn what_only_a_plan_cannot_do_is_unknown_with_its_cause() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: dest={{ dir }}/made content=made
    - name: runs in plans, too
      command: cat {{ dir }}/made
      check_mode: false
      changed_when: false
      register: read
    - copy: dest={{ dir }}/read content="{{ read.stdout }}"
    - copy: dest={{ dir }}/old content=new
    - name: reads what is old by then
      command: cat {{ dir }}/old
      check_mode: false
      changed_when: false
    - name: not in plans
      copy: dest={{ dir }}/not-in-plans content=x
      when: not ansible_check_mode
    - lineinfile: path={{ dir }}/not-in-plans line=y
    - command: echo some
      register: which
    - include_tasks: "{{ which.stdout }}.yml"
    - include_tasks: some.yml
      loop: "{{ which.stdout_lines }}"
    - file: path={{ dir }}/perhaps-there state=absent
"#,
    );
    play.file("old", "old");
    play.file("some.yml", "- copy: dest={{ dir }}/some content=x\n");
    let plan = play.subcommand("plan");
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    insta::assert_snapshot!(drawn(&plan, &play));
    assert!(!play.path().join("made").exists());
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_is_done_as_a_user_that_only_the_plan_makes_is_unknown_and_no_failure() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: the user
      user: name=krun-only-planned
    - name: its file
      copy: dest={{ dir }}/its-file content=x
      become: true
      become_user: krun-only-planned
    - name: a line more
      lineinfile: path={{ dir }}/its-file line=y
",
    );
    let plan = play.subcommand("plan");
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    insta::assert_snapshot!(drawn(&plan, &play));
}

#[test]
fn hosts_of_many_with_the_same_numbers_share_a_line_and_what_each_has_its_own_is_folded() {
    let play = Play::new(
        "
- hosts: all
  gather_facts: false
  tasks:
    - name: Own
      copy: {dest: '{{ dir }}/{{ inventory_hostname }}', content: '{{ inventory_hostname }}'}
",
    );
    play.file("many", "kafka[01:30] ansible_connection=local\n");
    let dir = format!("dir={}", play.path().display());
    let plan = play.krun(&["plan", "-i", "many", "-e", &dir, "play.yml"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let rows = plan
        .stdout
        .lines()
        .filter(|line| line.ends_with("  1 to change"));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        ["30 hosts: kafka01–30  1 to change"]
    );
    let page = play.krun(&["show", "last", "--format", "html"]).stdout;
    let (open, folded) = page.split_once("<details class=\"more\">").unwrap();
    assert_eq!(open.matches("class=\"badge changed\"").count(), 8);
    assert!(folded.contains("<b>22 hosts: kafka09–30</b>"), "{folded}");
}
