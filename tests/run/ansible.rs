//! Under the name `ansible-playbook`: Ansible's exit codes and rules, as ansible-core 2.19 has them.

use crate::support::Play;

const CLOSED: &str = "- hosts: all\n  gather_facts: false\n  tasks: [{command: \"test {{ inventory_hostname }} != b\"}]\n";

fn play(tasks: &str) -> Play {
    Play::new(&format!(
        "- hosts: all\n  gather_facts: false\n  tasks: [{tasks}]\n"
    ))
}

#[test]
fn failed_hosts_are_2_and_unreachable_ones_4_even_where_others_failed() {
    assert_eq!(play("{command: 'true'}").run_as_ansible().code, 0);
    assert_eq!(Play::new(CLOSED).run_as_ansible().code, 2);
    let connection = "{ansible_host: 127.0.0.1, ansible_port: 1, \
        ansible_connection: \"{{ 'ssh' if inventory_hostname == 'c' else 'local' }}\"}";
    let lost = Play::new(CLOSED).args(&["-e", connection]);
    let ran = lost.run_as_ansible();
    assert!(ran.recap("b").contains("failed=1"), "{}", ran.stdout);
    assert!(ran.recap("c").contains("unreachable=1"), "{}", ran.stdout);
    assert_eq!(ran.code, 4);
    assert_eq!(lost.run().code, 2);
}

#[test]
fn what_cannot_be_read_is_4_what_is_not_there_1_and_wrong_options_2() {
    assert_eq!(Play::new("- hosts: [").run_as_ansible().code, 4);
    assert_eq!(play("{no_such_module: }").run_as_ansible().code, 4);
    assert_eq!(play("{command: 'true', bogus: 1}").run_as_ansible().code, 4);
    assert_eq!(play("{import_tasks: nowhere.yml}").run_as_ansible().code, 1);
    assert_eq!(
        play("{import_role: {name: nowhere}}").run_as_ansible().code,
        1
    );
    let missing = play("{debug: }").args(&["nowhere.yml"]);
    assert_eq!(missing.run_as_ansible().code, 1);
    let vars = play("{debug: }").args(&["-e", "@nowhere.yml"]);
    assert_eq!(vars.run_as_ansible().code, 1);
    let limit = play("{debug: }").args(&["--limit", "nobody"]);
    assert_eq!(limit.run_as_ansible().code, 1);
    let option = play("{debug: }").args(&["--bogus"]);
    assert_eq!(option.run_as_ansible().code, 2);
    assert_eq!(option.run().code, 5);
}

#[test]
fn options_may_be_shortened_and_plan_is_the_name_of_a_playbook() {
    let ran = play("{command: 'true'}").args(&["--che"]).run_as_ansible();
    assert!(ran.stdout.contains("check mode"), "{}", ran.stdout);
    let plan = play("{debug: }").args(&["plan"]);
    plan.file(
        "plan",
        "- hosts: a\n  gather_facts: false\n  tasks: [{debug: msg=from-plan}]\n",
    );
    let ran = plan.run_as_ansible();
    assert!(
        ran.stdout.contains("from-plan"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn a_play_without_a_gate_is_ansible_s_own() {
    let text = r"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - command: test {{ inventory_hostname }} != b
      rescue:
        - debug: msg=rescued
    - debug: msg=after
";
    // Every host fails with b, is rescued, and goes on.
    let ran = Play::new(text).run_as_ansible();
    assert_eq!(ran.stdout.matches("after").count(), 3, "{}", ran.stdout);
    assert_eq!(ran.code, 0);
}
