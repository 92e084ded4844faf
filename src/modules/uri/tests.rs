use super::super::Action;
use super::super::trial::Host;
use crate::sys::http::serve::{Server, answer};

fn host() -> Host {
    let mut host = Host::with("uri", &[("/srv/x", "")]);
    host.sys = host
        .sys
        .with_environment(vec![("no_proxy".into(), "*".into())]);
    host
}

fn server() -> Server {
    Server::with(|asked| match asked.line.split(' ').nth(1).unwrap() {
        "/json" => answer(
            "200 OK",
            "Content-Type: application/json\r\nSet-Cookie: a=b; Path=/\r\n",
            b"{\"n\": [1]}",
        ),
        "/echo" => answer("201 Created", "X-Kind: yes\r\n", asked.body.as_bytes()),
        "/old" => answer("302 Found", "Location: /json\r\n", b""),
        _ => answer("503 Service Unavailable", "", b"later"),
    })
}

#[test]
fn json_headers_and_cookies_are_registered() {
    let (host, server) = (host(), server());
    let outcome = host
        .run(&format!("{{url: {}/old, return_content: yes}}", server.url))
        .unwrap();
    assert!(!outcome.changed);
    assert_eq!(outcome.data["status"], 200);
    assert_eq!(outcome.data["json"]["n"][0], 1);
    assert_eq!(outcome.data["content"], "{\"n\": [1]}");
    assert_eq!(outcome.data["content_type"], "application/json");
    assert_eq!(outcome.data["cookies"]["a"], "b");
    assert_eq!(outcome.data["redirected"], true);
}

#[test]
fn a_body_is_sent_and_its_answer_expected() {
    let (host, server) = (host(), server());
    let args = format!(
        "{{url: {}/echo, method: post, body: {{a: 1}}, body_format: json, status_code: [200, 201], return_content: yes}}",
        server.url
    );
    let outcome = host.run(&args).unwrap();
    assert_eq!(outcome.data["content"], "{\"a\":1}");
    assert_eq!(outcome.data["x_kind"], "yes");
    let asked = &server.asked()[0];
    assert!(asked.line.starts_with("POST "));
    assert!(asked.headers.contains("content-type: application/json"));
}

#[test]
fn a_file_is_sent_from_the_controller_or_with_remote_src_from_the_host() {
    let (host, server) = (host(), server());
    let args = |rest: &str| {
        format!(
            "{{url: {}/echo, method: POST, src: /srv/x, status_code: 201, return_content: yes{rest}}}",
            server.url
        )
    };
    let mut action = host.action(&args(""));
    let Action::Uri(uri) = &mut action else {
        unreachable!()
    };
    assert_eq!(uri.needs_source(), Some("/srv/x"));
    uri.set_sent(b"of the controller".to_vec());
    let outcome = host.run_action(&action).unwrap();
    assert_eq!(outcome.data["content"], "of the controller");
    std::fs::write(host.sys.real("/srv/x".as_ref()), "of the host").unwrap();
    let outcome = host.run(&args(", remote_src: yes")).unwrap();
    assert_eq!(outcome.data["content"], "of the host");
}

#[test]
fn another_status_is_an_error_that_carries_the_answer() {
    let (host, server) = (host(), server());
    let error = host.run(&format!("url: {}/busy", server.url)).unwrap_err();
    assert_eq!(
        error.message,
        "Status code was 503 and not [200]: Service Unavailable"
    );
    assert_eq!(error.data["status"], 503);
    assert_eq!(error.data["content"], "later");
    drop(server);
    let error = host
        .run("{url: 'http://127.0.0.1:1/', timeout: 2}")
        .unwrap_err();
    assert_eq!(error.data["status"], -1);
}

#[test]
fn a_body_is_saved_where_it_differs() {
    let (host, server) = (host(), server());
    let args = format!("{{url: {}/json, dest: /srv, mode: '0600'}}", server.url);
    let outcome = host.run(&args).unwrap();
    assert!(outcome.changed);
    assert_eq!(host.text("/srv/json"), "{\"n\": [1]}");
    assert_eq!(host.lstat("/srv/json").mode, 0o600);
    assert!(!host.run(&args).unwrap().changed);
    let outcome = host
        .run("{url: 'http://127.0.0.1:1/', creates: /srv/json}")
        .unwrap();
    assert!(outcome.data.is_empty());
}
