use super::super::trial::Host;
use super::*;
use crate::sys::http::serve::{Server, answer};

/// A host without the proxies that this machine may have.
fn host(files: &[(&str, &str)]) -> Host {
    let mut host = Host::with("get_url", files);
    // These tests count what the server is asked.
    host.rehearses = false;
    host.sys = host
        .sys
        .with_environment(vec![("no_proxy".into(), "*".into())]);
    host
}

fn sum(text: &str) -> String {
    digest::of_file("sha256", &mut text.as_bytes()).unwrap()
}

fn server() -> Server {
    let list = format!("x.tgz: {}\n", sum("new").to_uppercase());
    Server::with(move |asked| match asked.line.split(' ').nth(1).unwrap() {
        "/x.tgz" => answer("200 OK", "", b"new"),
        "/x.sha256" => answer("200 OK", "", list.as_bytes()),
        "/named" => answer(
            "200 OK",
            "Content-Disposition: attachment; filename=\"../x.rpm\"\r\n",
            b"rpm",
        ),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec(),
        _ => answer("404 Not Found", "", b"no"),
    })
}

#[test]
fn a_file_is_fetched_once() {
    let (host, server) = (host(&[("/opt/other", "")]), server());
    let args = format!(
        "{{url: {}/x.tgz, dest: /opt/y.tgz, mode: '0640'}}",
        server.url
    );
    let outcome = host.converges(&args);
    assert_eq!(host.text("/opt/y.tgz"), "new");
    assert_eq!(host.lstat("/opt/y.tgz").mode, 0o640);
    assert_eq!(outcome.data["status_code"], 200);
    assert_eq!(server.asked().len(), 1);
    host.converges(&args.replace("0640", "0600"));
    assert_eq!(host.lstat("/opt/y.tgz").mode, 0o600);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_checksum_decides_and_may_come_from_a_file() {
    let (host, server) = (host(&[("/opt/x.tgz", "old")]), server());
    let url = &server.url;
    host.is_content_with(&format!("{{url: {url}/x.tgz, dest: /opt/x.tgz}}"));
    let args = format!("{{url: {url}/x.tgz, dest: /opt/x.tgz, checksum: 'sha256:{url}/x.sha256'}}");
    host.converges(&args);
    assert_eq!(host.text("/opt/x.tgz"), "new");
    host.is_content_with(&format!(
        "{{url: {url}/gone, dest: /opt/x.tgz, checksum: 'sha256:{}'}}",
        sum("new")
    ));
}

#[test]
fn a_wrong_checksum_names_both_and_leaves_the_old_file() {
    let (host, server) = (host(&[("/opt/x.tgz", "old")]), server());
    let wrong = sum("something else");
    let args = format!(
        "{{url: {}/x.tgz, dest: /opt/x.tgz, checksum: 'sha256:{wrong}'}}",
        server.url
    );
    let error = host.run(&args).unwrap_err();
    let said = error.causes.join("\n");
    assert!(
        said.contains(&wrong) && said.contains(&sum("new")),
        "{said}"
    );
    assert_eq!(host.text("/opt/x.tgz"), "old");
    assert_eq!(host.names("/opt"), ["x.tgz"]);
}

#[test]
fn force_and_a_directory_change_only_what_differs() {
    let (host, server) = (
        host(&[("/opt/x.tgz", "old"), ("/dir/x.tgz", "new")]),
        server(),
    );
    let url = &server.url;
    host.is_content_with(&format!("{{url: {url}/x.tgz, dest: /dir}}"));
    let outcome = host.converges(&format!(
        "{{url: {url}/x.tgz, dest: /opt/x.tgz, force: yes, backup: yes}}"
    ));
    let backup = outcome.data["backup_file"].as_str().unwrap();
    assert_eq!(host.text(backup), "old");
    let outcome = host.converges(&format!("{{url: {url}/named, dest: /dir/}}"));
    assert_eq!(outcome.data["dest"], "/dir/x.rpm");
}

#[test]
fn a_download_cut_short_or_refused_leaves_nothing() {
    let (host, server) = (host(&[("/opt/other", "")]), server());
    let error = host
        .run(&format!("{{url: {}/cut, dest: /opt/x}}", server.url))
        .unwrap_err();
    assert!(error.message.starts_with("cannot download"), "{error}");
    let error = host
        .run(&format!("{{url: {}/none, dest: /opt/x}}", server.url))
        .unwrap_err();
    assert_eq!(error.causes, ["the server says 404 Not Found"]);
    assert_eq!(error.data["status_code"], 404);
    assert_eq!(host.names("/opt"), ["other"]);
    let error = host.fails(&format!("{{url: {}/x.tgz, dest: /none/x}}", server.url));
    assert_eq!(error, "no directory `/none` for the download");
}

#[test]
fn names_come_from_urls() {
    assert_eq!(file_name("https://a.test/dist/x.tgz?y=/z#w"), "x.tgz");
    assert_eq!(file_name("https://a.test"), "index.html");
    assert_eq!(file_name("https://a.test/dist/"), "index.html");
}
