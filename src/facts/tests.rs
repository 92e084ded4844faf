use super::*;

fn gathered(subset: &[&str]) -> Mapping {
    let wanted = Wanted {
        subset: subset.iter().map(|name| (*name).to_owned()).collect(),
        ..Wanted::default()
    };
    gather(&Sys::host(), &wanted).unwrap()
}

#[test]
fn this_machine_has_the_facts_that_playbooks_use() {
    let facts = gathered(&[]);
    for name in [
        "distribution",
        "distribution_version",
        "distribution_release",
        "distribution_major_version",
        "os_family",
        "service_mgr",
        "pkg_mgr",
        "fqdn",
        "hostname",
        "nodename",
        "domain",
        "default_ipv4",
        "all_ipv4_addresses",
        "all_ipv6_addresses",
        "interfaces",
        "lo",
        "memtotal_mb",
        "memfree_mb",
        "swaptotal_mb",
        "processor",
        "processor_vcpus",
        "architecture",
        "kernel",
        "system",
        "mounts",
        "env",
        "user_id",
        "user_uid",
        "user_gid",
        "user_dir",
        "date_time",
        "virtualization_type",
        "virtualization_role",
        "selinux",
        "lsb",
        "dns",
        "local",
        "uptime_seconds",
        "cmdline",
    ] {
        assert!(facts.contains_key(name), "no {name}");
    }
    assert_eq!(facts["lo"]["ipv4"]["address"], "127.0.0.1");
    assert!(facts["memtotal_mb"].as_u64() > Some(0));
}

#[test]
fn a_subset_leaves_the_others_out() {
    let minimal = gathered(&["!all"]);
    assert!(minimal.contains_key("distribution") && !minimal.contains_key("mounts"));
    let network = gathered(&["network"]);
    assert!(network.contains_key("interfaces") && network.contains_key("env"));
    assert!(!network.contains_key("memtotal_mb"));
    let only = gathered(&["!all", "!min", "mounts"]);
    assert!(only.contains_key("mounts") && !only.contains_key("distribution"));
    let most = gathered(&["!hardware", "!virtual"]);
    assert!(most.contains_key("interfaces") && !most.contains_key("mounts"));
}

#[test]
fn an_unknown_subset_is_an_error_that_names_the_known_ones() {
    let wanted = Wanted {
        subset: vec!["netwrok".into()],
        ..Wanted::default()
    };
    let error = gather(&Sys::host(), &wanted).unwrap_err();
    assert!(error.starts_with("unknown fact subset `netwrok`; there are all, min, platform"));
}

#[test]
fn facts_of_another_root_come_from_its_files() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let text = "ID=rocky\nVERSION_ID=9.3\n";
    std::fs::write(root.path().join("etc/os-release"), text).unwrap();
    std::fs::write(root.path().join("etc/hostname"), "broker1.lab.test\n").unwrap();
    let facts = gather(&Sys::at(root.path()), &Wanted::default()).unwrap();
    assert_eq!(facts["distribution"], "Rocky");
    assert_eq!(facts["os_family"], "RedHat");
    assert_eq!(facts["hostname"], "broker1");
    assert_eq!(facts["domain"], "lab.test");
    assert_eq!(facts["pkg_mgr"], "unknown");
}
