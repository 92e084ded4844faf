//! `krun rehearse --fault`: what breaks on purpose leaves what the run without it leaves.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use krun::lab::Snapshot;
use tempfile::TempDir;

use crate::krun_run::{krun, told};
use crate::rehearse::assert_gone;
use crate::stage::{ROOT, enabled};

/// A roll of two hosts.
struct Roll(TempDir);

impl Roll {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(files.path().join(name), text).unwrap();
        put(
            "hosts",
            "[web]\nweb1.prod ansible_host=192.0.2.1\nweb2.prod\n",
        );
        put(
            "site.yml",
            "- hosts: web\n  become: true\n  serial: 1\n  any_errors_fatal: true\n  tasks:\n    \
             - name: The settings\n      copy: {content: \"x={{ inventory_hostname }}\\n\", dest: /etc/app.conf}\n    \
             - name: A slow command\n      command: sh -c 'sleep 4; echo done > /opt/done'\n      args: {creates: /opt/done}\n    \
             - systemd: {daemon_reload: true}\n    \
             - name: The last file\n      copy: {content: \"y\\n\", dest: /etc/last.conf}\n",
        );
        Self(files)
    }

    /// Rehearses it with these faults.
    fn rehearse(&self, lab: &str, faults: &[&str]) -> Command {
        let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
        let mut command = Command::new(krun());
        command
            .current_dir(self.0.path())
            .args(["rehearse", "-i", "hosts", "--lab", lab, "--no-load"])
            .args(["--seed", "4", "--report", "r.md"])
            .args(faults)
            .arg("site.yml")
            .stdin(Stdio::null());
        command
    }
}

fn rehearse(lab: &str, faults: &[&str]) -> Output {
    Roll::new().rehearse(lab, faults).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_killed_controller_and_a_killed_host_leave_what_a_run_without_them_leaves() {
    if !enabled() {
        return;
    }
    let faults = [
        "kill-controller:web1.prod@A slow command",
        "kill-host:web2.prod@A slow command",
        "random",
    ];
    let output = rehearse("it-faults", &faults);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for word in [
        "3 faults, chosen with --seed 4",
        "was killed, then asked whether to run `A slow command` again on web1.prod, then ended well",
        "3, --seed 4",
    ] {
        assert!(said.contains(word), "no `{word}`: {said}");
    }
    assert_gone("it-faults");
    assert!(Snapshot::find(Path::new(ROOT), "it-faults-today").is_err());
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn the_runs_of_a_fault_are_told_what_the_terminal_answered() {
    if !enabled() {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let play = "- hosts: web1.prod\n  become: true\n  gather_facts: false\n  \
        vars_prompt: [{name: colour}]\n  tasks:\n    \
        - copy: {content: \"{{ colour }}\\n\", dest: /etc/app.conf}\n    \
        - name: A slow command\n      command: sleep 4\n      changed_when: false\n";
    fs::write(files.path().join("site.yml"), play).unwrap();
    let line = format!(
        "{} rehearse -i web1.prod, --lab it-faults-ask --no-load -K --ask-vault-pass \
         --fault 'kill-controller@A slow command' site.yml",
        krun().display()
    );
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(files.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It stays open: at its end the terminal would be told that nobody types any more.
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"login\nvault\nblue\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for question in ["BECOME password: ", "Vault password: ", "colour: "] {
        assert_eq!(said.matches(question).count(), 1, "`{question}`: {said}");
    }
    assert!(said.contains("was killed, then asked whether to run `A slow command` again on web1.prod, then ended well"), "{said}");
    assert_gone("it-faults-ask");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_fault_on_an_unknown_host_is_said_before_anything_is_made() {
    if !enabled() {
        return;
    }
    let output = rehearse("it-faults-none", &["kill-host:web9.prod", "burn"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("there is no fault `burn`"));
    let output = rehearse("it-faults-none", &["kill-host:web9.prod"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("the inventory has no host `web9.prod`"));
    assert!(!text(&output).contains("Making a lab"));
}

/// A directory with a podman of its own, which refuses the third network that it is to create, and the try after it.
fn grudging_podman() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (path, count) = (dir.path().join("podman"), dir.path().join("count"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'network create'*)\n  echo >>{0}\n  \
         case $(wc -l <{0}) in 3 | 4) echo 'no network is left' >&2; exit 125 ;; esac\nesac\n\
         PATH=${{PATH#*:}} exec podman \"$@\"\n",
        count.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_lab_that_cannot_be_made_ends_the_faults_with_a_report_and_the_same_command_goes_on() {
    if !enabled() {
        return;
    }
    let (roll, podman) = (Roll::new(), grudging_podman());
    let path = format!(
        "{}:{}",
        podman.path().display(),
        told("PATH").unwrap().display()
    );
    let faults = ["kill-controller@The last file", "kill-ssh@The last file"];
    let run = || {
        let mut command = roll.rehearse("it-faults-cut", &faults);
        let output = command.env("PATH", &path).output().unwrap();
        (output.status.code(), text(&output))
    };
    let (code, said) = run();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("once more"), "{said}");
    let report = fs::read_to_string(roll.0.path().join("r.md")).unwrap();
    for text in [&said, &report] {
        for word in [
            "1 of 2 faults were tried",
            "fault 2 of 2 cannot be tried: ",
            "no network is left",
            "the same command goes on",
        ] {
            assert!(text.contains(word), "no `{word}`: {text}");
        }
    }
    assert_gone("it-faults-cut");
    let (code, said) = run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 of them are tried already"), "{said}");
    assert_gone("it-faults-cut");
    assert!(Snapshot::find(Path::new(ROOT), "it-faults-cut-today").is_err());
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn whether_a_restart_was_done_when_it_was_cut_off_nobody_has_to_say() {
    if !enabled() {
        return;
    }
    let roll = Roll::new();
    // It takes its time to stop, so that the restart is under way when something dies.
    let unit = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 5\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(roll.0.path().join("slow.service"), unit).unwrap();
    let play = "- hosts: web\n  become: true\n  gather_facts: false\n  serial: 1\n  any_errors_fatal: true\n  tasks:\n    \
         - copy: {src: slow.service, dest: /etc/systemd/system/}\n    \
         - systemd: {name: slow, state: started, enabled: true, daemon_reload: true}\n    \
         - stat: {path: /opt/restarted}\n      register: mark\n    \
         - name: Restart it\n      systemd: {name: slow, state: restarted}\n      when: not mark.stat.exists\n    \
         - copy: {content: \"\", dest: /opt/restarted}\n";
    fs::write(roll.0.path().join("site.yml"), play).unwrap();
    let faults = [
        "kill-host:web2.prod@Restart it+1",
        "kill-controller:web1.prod@Restart it+1",
    ];
    let output = roll
        .rehearse("it-faults-restart", &faults)
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told = |fault: &str| {
        let mut lines = said.lines();
        let line = lines.find(|it| it.contains("passed") && it.contains(fault));
        line.unwrap_or_else(|| panic!("no `{fault}`: {said}"))
    };
    for fault in ["fault: kill-host", "fault: kill-controller"] {
        let line = told(fault);
        assert!(
            line.contains(", then ended well") && !line.contains("asked"),
            "{line}"
        );
    }
    assert_gone("it-faults-restart");
}
