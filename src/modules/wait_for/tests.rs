use super::super::registry::Action;
use super::super::{Permission, Ran};
use super::*;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn run_at(sys: &Sys, args: &str) -> Result<Outcome, Error> {
    let action = Action::new("wait_for", serde_yaml::from_str(args).unwrap()).unwrap();
    match action.run(sys, &mut |_| Permission::Apply)? {
        Ran::Done(outcome) => Ok(outcome),
        Ran::Cancelled => panic!("cancelled"),
    }
}

fn run(args: &str) -> Result<Outcome, Error> {
    run_at(&Sys::host(), args)
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn an_open_port_is_there_and_is_no_change() {
    let (_listener, port) = listener();
    let outcome = run(&format!("{{port: {port}, timeout: 5}}")).unwrap();
    assert!(!outcome.changed);
    assert_eq!(outcome.data["port"], port);
    assert_eq!(outcome.data["state"], "started");
}

#[test]
fn a_closed_port_ends_in_a_timeout_that_says_what_was_seen() {
    let (listener, port) = listener();
    drop(listener);
    let error = run(&format!("{{port: {port}, timeout: 0.2, sleep: 0.05}}")).unwrap_err();
    assert_eq!(
        error.message,
        format!("timeout when waiting for 127.0.0.1:{port}")
    );
    assert!(error.causes[0].contains("refused"));
    run(&format!("{{port: {port}, state: stopped, timeout: 1}}")).unwrap();
    let error = run(&format!("{{port: {port}, timeout: 0, msg: no broker}}")).unwrap_err();
    assert_eq!(error.message, "no broker");
}

#[test]
fn what_a_port_says_is_searched() {
    let (listener, port) = listener();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH").unwrap();
        stream.write_all(b"_9.2\r\n").unwrap();
        stream
    });
    let args = format!("{{port: {port}, search_regex: 'OpenSSH_(?P<v>[0-9.]+)\\r', timeout: 5}}");
    let outcome = run(&args).unwrap();
    assert_eq!(outcome.data["match_groupdict"]["v"], "9.2");
    assert_eq!(outcome.data["match_groups"][0], "9.2");
    drop(server.join().unwrap());
}

#[test]
fn a_file_and_its_text_are_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("server.log");
    let sys = Sys::at(root.path());
    let writer = std::thread::spawn(move || std::fs::write(path, "a\nstarted (kafka)\n").unwrap());
    let args = "{path: /server.log, search_regex: '^started', sleep: 0.02, timeout: 10}";
    run_at(&sys, args).unwrap();
    writer.join().unwrap();
    run_at(&sys, "{path: /gone, state: absent, timeout: 0}").unwrap();
    let error = run_at(&sys, "{path: /gone, timeout: 0}").unwrap_err();
    assert_eq!(
        error.message,
        "timeout when waiting for /gone to be present"
    );
}

#[test]
fn a_cancel_ends_the_wait_at_once() {
    let cancel = Arc::new(AtomicBool::new(false));
    let sys = Sys::host().with_cancel(Arc::clone(&cancel));
    let begin = Instant::now();
    let waiter = std::thread::spawn(move || run_at(&sys, "{path: /no/such/file, sleep: 60}"));
    cancel.store(true, Ordering::Relaxed);
    let error = waiter.join().unwrap().unwrap_err();
    assert_eq!(error.message, "the wait was ended");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_port_with_a_connection_is_not_drained() {
    let (listener, port) = listener();
    let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    let args = format!("{{port: {port}, state: drained, timeout: 0}}");
    run(&args).unwrap_err();
    let args = format!(
        "{{port: {port}, state: drained, timeout: 0, exclude_hosts: 127.0.0.1, host: 0.0.0.0}}"
    );
    run(&args).unwrap();
    drop((client, server));
}

#[test]
fn the_kernels_table_is_read() {
    let table = "  sl  local_address rem_address   st\n   0: 0100007F:2384 0200000A:C350 01 0:0\n\
        \n   1: 0000000000000000FFFF00000100007F:2384 00000000000000000000000001000000:0016 0A x\n";
    let found = connections(table);
    assert_eq!(found[0].local, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(found[0].remote, IpAddr::from([10, 0, 0, 2]));
    assert_eq!((found[0].port, found[0].state), (9092, 1));
    assert_eq!(found[1].local, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(found[1].remote, "::1".parse::<IpAddr>().unwrap());
}

#[test]
fn arguments_that_exclude_each_other_are_refused() {
    assert!(run("{port: 1, path: /a}").is_err());
    assert!(run("{state: drained}").is_err());
    assert!(run("{path: /a, search_regex: '('}").is_err());
}
