use super::super::trial::{Host, shown};
use super::*;

fn host() -> Host {
    Host::with(
        "user",
        &[
            (
                "/etc/group",
                "root:x:0:\nkafka:x:971:\nadm:x:4:old\nwheel:x:10:old\nusers:x:100:\n",
            ),
            (
                "/etc/gshadow",
                "root:*::\nkafka:!::\nadm:*::old\nwheel:*::old\nusers:!::\n",
            ),
            (
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\nold:x:1001:100:Old:/home/old:/bin/sh\n",
            ),
            (
                "/etc/shadow",
                "root:*:20228:0:99999:7:::\nold:$6$abc:20228:0:99999:7::20000:\n",
            ),
            (
                "/etc/login.defs",
                "UID_MIN 1000\nUID_MAX 60000\nSYS_UID_MIN 100\nSYS_UID_MAX 999\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n",
            ),
            ("/home/.keep", ""),
        ],
    )
}

#[test]
fn a_user_is_made_as_wished() {
    let host = host();
    let args = "{name: kafka, uid: 970, group: kafka, groups: adm, home: /home/kafka, shell: /bin/false, comment: Kafka}";
    let outcome = host.converges(args);
    assert_eq!(outcome.data["uid"], 970);
    assert_eq!(outcome.data["groups"], "adm");
    assert!(host.lstat("/home/kafka").is_dir());
    assert!(
        host.text("/etc/passwd")
            .contains("kafka:x:970:971:Kafka:/home/kafka:/bin/false")
    );
}

#[test]
fn a_user_without_a_home_gets_none_and_a_group_of_its_name_is_no_obstacle() {
    let host = host();
    host.converges("{name: kafka, createhome: no, system: yes}");
    assert_eq!(host.names("/home"), [".keep"]);
}

#[test]
fn a_user_is_changed_only_where_it_differs() {
    let host = host();
    host.is_content_with("{name: old, uid: 1001, group: users, groups: [adm, wheel], home: /home/old, shell: /bin/sh}");
    host.is_content_with("{name: old, groups: adm, append: yes}");
    host.is_content_with("{name: old, password: $6$abc}");
    host.is_content_with("{name: old, password: $6$other, update_password: on_create}");
    host.is_content_with("{name: old, expires: 1728000000}");
    let outcome = host.converges("{name: old, shell: /bin/bash, groups: [adm], comment: Older}");
    let lines = [
        "user old: groups [\"adm\",\"wheel\"] -> [\"adm\"]",
        "user old: comment Old -> Older",
        "user old: shell /bin/sh -> /bin/bash",
    ];
    assert_eq!(shown(&outcome), lines.join("\n"));
    let outcome = host.converges("{name: old, groups: [], expires: -1}");
    assert_eq!(outcome.data["groups"], "");
}

#[test]
fn a_new_password_is_a_change_that_shows_nothing_of_it() {
    let host = host();
    let module: User = serde_yaml::from_str("{name: old, password: $6$new}").unwrap();
    let found = module.check(&host.sys).unwrap();
    let change = found.change.unwrap();
    assert!(change.calls.is_empty());
    assert_eq!(change.hash.as_deref(), Some("$6$new"));
    assert!(!shown(&found.outcome).contains("$6$"));
}

#[test]
fn a_user_is_removed() {
    let host = host();
    host.is_content_with("{name: nobody-here, state: absent}");
    host.converges("{name: old, state: absent}");
    assert!(!host.text("/etc/passwd").contains("old"));
}

#[test]
fn a_missing_group_and_a_key_to_be_made_are_clear_errors() {
    let host = host();
    assert_eq!(
        host.fails("{name: x, group: none}"),
        "there is no group `none` on this host"
    );
    assert!(
        host.fails("{name: old, generate_ssh_key: yes}")
            .contains("makes no SSH keys")
    );
}

#[test]
fn a_day_is_written_as_a_date() {
    assert_eq!(day_name(20_000), "2024-10-04");
}

#[test]
fn files_are_not_moved_to_a_home_that_is_there() {
    let host = host();
    host.write("/home/old/kept", b"x");
    host.write("/home/taken/other", b"x");
    let error = host
        .run("{name: old, home: /home/taken, move_home: yes}")
        .unwrap_err();
    assert!(error.causes[0].contains("exists"), "{error}");
    assert_eq!(host.names("/home"), [".keep", "old", "taken"]);
}
