use super::super::trial::{Host, shown};
use super::*;

fn host() -> Host {
    let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n\
        Package: ntp\nStatus: install ok installed\nArchitecture: amd64\nVersion: 4.2\n";
    Host::with("apt", &[("/var/lib/dpkg/status", status)])
}

fn looked(host: &Host, args: &str) -> Found<Change> {
    let given = serde_yaml::from_str(args).unwrap();
    let mapping = super::super::args::coerce(Apt::ARGS, given).unwrap();
    let module: Apt = serde_yaml::from_value(Value::Mapping(mapping)).unwrap();
    module.check(&host.sys).unwrap()
}

#[test]
fn what_is_there_is_left_alone() {
    let host = host();
    host.is_content_with("{pkg: 'bash, ntp', update_cache: yes}");
    host.is_content_with("{name: [bash=5.2*], state: installed}");
    host.is_content_with("{name: nano, state: absent, purge: yes}");
}

#[test]
fn what_is_missing_is_installed_in_one_call() {
    let host = host();
    let found = looked(&host, "{name: [bash, nano, jdk=11*], cache_valid_time: 60}");
    let lines = [
        "packages: nano absent -> present",
        "packages: jdk absent -> 11*",
    ];
    assert_eq!(shown(&found.outcome), lines.join("\n"));
    let change = found.change.unwrap();
    assert!(change.update);
    assert_eq!(change.calls, [["install", "nano", "jdk=11*"]]);
}

#[test]
fn lists_that_are_new_enough_are_not_read_again() {
    let host = host();
    host.write("/var/lib/apt/lists/x", b"");
    let found = looked(&host, "{name: nano, cache_valid_time: 3600}");
    assert!(!found.change.unwrap().update);
    host.is_content_with("{update_cache: yes, cache_valid_time: 3600}");
    assert!(looked(&host, "update_cache: yes").change.unwrap().update);
}

#[test]
fn what_is_too_much_is_removed() {
    let found = looked(&host(), "{name: [ntp, nano], state: absent, purge: yes}");
    assert_eq!(shown(&found.outcome), "packages: ntp 4.2 -> absent");
    assert_eq!(found.change.unwrap().calls, [["purge", "ntp"]]);
}

#[test]
fn a_host_without_dpkg_says_so() {
    let error = Host::with("apt", &[]).fails("name: x");
    assert_eq!(
        error,
        "this host has no dpkg: `apt` is for Debian and its kin"
    );
}

#[test]
fn a_package_file_is_installed_unless_its_version_is_there() {
    let host = host();
    for (version, is_new) in [("5.2-1", false), ("5.3", true)] {
        let control = format!(
            "Package: bash\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.test>\nDescription: x\n"
        );
        host.write("/build/DEBIAN/control", control.as_bytes());
        let (from, to) = (
            host.sys.real(Path::new("/build")),
            host.sys.real(Path::new("/bash.deb")),
        );
        let argv = ["dpkg-deb".into(), "-b".into(), from, to];
        host.sys
            .run(&crate::sys::process::Command::tool(argv))
            .unwrap();
        let found = looked(&host, "deb: /bash.deb");
        assert_eq!(found.change.is_some(), is_new, "{version}");
        if is_new {
            assert_eq!(shown(&found.outcome), "packages: bash 5.2-1 -> 5.3");
        }
    }
}
