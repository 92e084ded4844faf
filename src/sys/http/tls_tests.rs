//! TLS against a server of a private authority. The key in `testdata` is for these tests alone.

use super::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;

const AUTHORITY: &str = include_str!("testdata/authority.pem");

/// Answers every request with `secure`; returns its port.
fn server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("testdata/localhost.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/localhost.key"));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.unwrap()], key.unwrap())
            .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut buffer = [0; 4096];
            // A client that trusts nobody hangs up.
            if stream.read(&mut buffer).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecure",
                );
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

fn host(store: &std::path::Path) -> Sys {
    Sys::host().with_environment(vec![
        ("no_proxy".into(), "*".into()),
        ("SSL_CERT_FILE".into(), store.display().to_string()),
        ("SSL_CERT_DIR".into(), String::new()),
    ])
}

#[test]
fn a_private_authority_of_the_hosts_store_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store.pem");
    std::fs::write(&store, AUTHORITY).unwrap();
    let request = Request::get(&format!("https://localhost:{}/", server()));
    let response = host(&store).request(&request).unwrap();
    assert_eq!(io::read_to_string(response.body).unwrap(), "secure");
}

#[test]
fn an_unknown_authority_is_refused_unless_named_or_not_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("empty.pem");
    std::fs::write(&store, "").unwrap();
    let authority = directory.path().join("ca.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let sys = Sys::at(directory.path()).with_environment(vec![
        ("no_proxy".into(), "*".into()),
        ("SSL_CERT_FILE".into(), "/empty.pem".into()),
        ("SSL_CERT_DIR".into(), String::new()),
    ]);
    let mut request = Request::get(&format!("https://127.0.0.1:{}/", server()));
    let error = sys.request(&request).err().unwrap().to_string();
    assert!(error.contains("not in this host's trust store"), "{error}");
    request.authorities = Some("/ca.pem".into());
    assert_eq!(sys.request(&request).unwrap().status, 200);
    request.authorities = None;
    request.validate = false;
    assert_eq!(sys.request(&request).unwrap().status, 200);
}
