use super::super::trial::{Host, shown};
use std::os::unix::fs::PermissionsExt;

/// Stands in for rpm: what is installed is a file of `name version` lines, `web` is provided by `httpd`.
const RPM: &str = r#"#!/bin/sh
db=$(dirname "$0")/db; provides=; rc=0
while [ $# -gt 0 ]; do case "$1" in
  --qf) shift;; --whatprovides) provides=yes;; -*) ;;
  *) name=$1
     [ -n "$provides" ] && [ "$name" = web ] && name=httpd
     line=$(awk -v n="$name" '$1==n || $1"-"$2==n {print "="$1"\t"$2"\tx86_64"}' "$db")
     if [ -n "$line" ]; then echo "$line"
     elif [ -n "$provides" ]; then echo "no package provides $name"; rc=1
     else echo "package $name is not installed"; rc=1; fi;;
esac; shift; done; exit $rc
"#;

/// Stands in for dnf: knows `nano`, and an update of `bash`.
const DNF: &str = r#"#!/bin/sh
here=$(dirname "$0"); echo "$@" >> "$here/log"
while :; do case "$1" in -*) shift;; *) break;; esac; done
verb=$1; shift
case $verb in
  install) for n; do case $n in nano) echo "nano 5.6-1" >> "$here/db";; *) echo "Error: Unable to find a match: $n" >&2; exit 1;; esac; done;;
  remove) for n; do sed -i "/^$n /d" "$here/db"; done;;
  upgrade|update) sed -i 's/^bash .*/bash 5.2-1/' "$here/db";;
  check-update) grep -q '^bash 5.1' "$here/db" && { echo; echo "bash.x86_64 5.2-1 baseos"; exit 100; }; exit 0;;
esac
"#;

fn host(module: &'static str, program: &str) -> (Host, tempfile::TempDir) {
    let bin = tempfile::tempdir().unwrap();
    for (name, text) in [("rpm", RPM), (program, DNF)] {
        let path = bin.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(bin.path().join("db"), "bash 5.1-1\nhttpd 2.4-1\n").unwrap();
    let mut host = Host::with(module, &[]);
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    host.sys = host.sys.with_environment(vec![("PATH".into(), path)]);
    (host, bin)
}

#[test]
fn what_is_installed_or_provided_is_left_alone() {
    let (host, bin) = host("dnf", "dnf");
    host.is_content_with("{name: [bash, web, bash-5.1-1], state: present}");
    host.is_content_with("{name: nano, state: absent}");
    assert!(!bin.path().join("log").exists());
}

#[test]
fn missing_packages_are_installed_in_one_call_and_removed_again() {
    let (host, bin) = host("dnf", "dnf");
    let outcome = host.converges("{name: 'bash,nano', enablerepo: epel, disable_gpg_check: yes}");
    assert_eq!(shown(&outcome), "packages: nano absent -> 5.6-1");
    let log = std::fs::read_to_string(bin.path().join("log")).unwrap();
    assert_eq!(log, "--enablerepo=epel --nogpgcheck -y install nano\n");
    let outcome = host.converges("{name: nano, state: removed}");
    assert_eq!(shown(&outcome), "packages: nano 5.6-1 -> absent");
}

#[test]
fn the_latest_version_is_asked_for_once() {
    let (host, _bin) = host("yum", "yum");
    let outcome = host.converges("{name: [bash, httpd], state: latest}");
    assert_eq!(shown(&outcome), "packages: bash 5.1-1 -> 5.2-1");
    host.is_content_with("{name: '*', state: latest}");
}

#[test]
fn yum_takes_dnf_where_there_is_no_yum() {
    let (host, _bin) = host("yum", "dnf");
    host.converges("name: nano");
}

#[test]
fn an_unknown_package_is_an_error_that_names_it() {
    let (host, _bin) = host("dnf", "dnf");
    let error = host.run("name: no-such").unwrap_err();
    assert_eq!(error.causes, ["Error: Unable to find a match: no-such"]);
}
