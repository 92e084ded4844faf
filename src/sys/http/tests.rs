use super::serve::{Server, answer};
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn text(response: Response) -> String {
    io::read_to_string(response.body).unwrap()
}

/// A host without the proxies that this machine may have.
fn host() -> Sys {
    Sys::host().with_environment(vec![("no_proxy".into(), "*".into())])
}

#[test]
fn a_request_brings_status_headers_and_body() {
    let server = Server::with(|asked| {
        assert!(asked.line.starts_with("GET /a?b=c HTTP/1.1"));
        answer("404 Not Found", "X-Here: yes\r\n", b"none")
    });
    let mut request = Request::get(&format!(
        "{}/a?b=c",
        server.url.replace("//", "//me:p%40ss@")
    ));
    request.header("X-There", "1");
    let response = host().request(&request).unwrap();
    assert_eq!(
        (response.status, response.reason.as_str()),
        (404, "Not Found")
    );
    assert_eq!(response.header("x-here"), Some("yes"));
    assert_eq!(text(response), "none");
    let asked = &server.asked()[0];
    assert!(asked.headers.contains("x-there: 1"));
    let login = basic("me", "p@ss").to_lowercase();
    assert!(asked.headers.contains(&format!("authorization: {login}")));
}

#[test]
fn redirects_are_followed_or_not() {
    let server = Server::with(|asked| {
        if asked.line.contains("/old") {
            answer("302 Found", "Location: /new\r\n", b"")
        } else {
            answer("200 OK", "", b"new")
        }
    });
    let mut request = Request::get(&format!("{}/old", server.url));
    let response = host().request(&request).unwrap();
    assert_eq!(response.url, format!("{}/new", server.url));
    assert_eq!(text(response), "new");
    request.redirects = Redirects::None;
    assert_eq!(host().request(&request).unwrap().status, 302);
}

#[test]
fn a_proxy_gets_the_whole_url_and_its_login() {
    let proxy = Server::with(|_| answer("200 OK", "", b"through"));
    let setting = proxy.url.replace("//", "//me:secret@");
    let sys = Sys::host().with_environment(vec![
        ("http_proxy".into(), setting),
        ("no_proxy".into(), String::new()),
        ("NO_PROXY".into(), String::new()),
    ]);
    let response = sys.request(&Request::get("http://archive.invalid/dist/x"));
    assert_eq!(text(response.unwrap()), "through");
    let asked = &proxy.asked()[0];
    assert!(
        asked
            .line
            .starts_with("GET http://archive.invalid/dist/x HTTP/1.1"),
        "{asked:?}"
    );
    assert!(asked.headers.contains("proxy-authorization: basic"));
    assert!(asked.headers.contains("host: archive.invalid"));
}

#[test]
fn a_proxy_that_refuses_a_tunnel_is_named() {
    let proxy = Server::with(|asked| {
        assert!(
            asked
                .line
                .starts_with("CONNECT archive.invalid:443 HTTP/1.1")
        );
        answer("403 Forbidden", "", b"")
    });
    let sys = Sys::host().with_environment(vec![
        ("https_proxy".into(), proxy.url.clone()),
        ("no_proxy".into(), String::new()),
        ("NO_PROXY".into(), String::new()),
    ]);
    let error = sys
        .request(&Request::get("https://archive.invalid/"))
        .err()
        .unwrap();
    assert!(error.to_string().contains("403 Forbidden"), "{error}");
}

#[test]
fn a_silent_server_is_given_up_and_a_cancel_does_not_wait_for_it() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request = Request::get(&format!("http://{}/", silent.local_addr().unwrap()));
    request.timeout = Duration::from_millis(200);
    let error = host().request(&request).err().unwrap();
    assert!(
        error.to_string().contains("nothing came for 0.2 s"),
        "{error}"
    );
    request.timeout = Duration::from_secs(600);
    let cancel = Arc::new(AtomicBool::new(false));
    let sys = host().with_cancel(Arc::clone(&cancel));
    let begin = Instant::now();
    let asker = std::thread::spawn(move || sys.request(&request).err());
    cancel.store(true, Ordering::Relaxed);
    assert!(asker.join().unwrap().is_some());
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_unknown_host_and_a_strange_url_are_named() {
    let error = host()
        .request(&Request::get("http://no-such-host.invalid/x"))
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("`no-such-host.invalid`"),
        "{error}"
    );
    let error = host().request(&Request::get("ftp://x/y")).err().unwrap();
    assert_eq!(error.to_string(), "`ftp://x/y` is no http or https URL");
}

#[test]
fn server_of_a_url_is_told_without_login_and_port() {
    assert_eq!(server("https://me:secret@x.example:8443/a?b"), "x.example");
    assert_eq!(server("http://[::1]:80/a"), "[::1]");
}
