//! Turns the host's proxy settings into the way to a server: straight, or through which proxy.

use crate::sys::Sys;
use std::io;
use std::net::IpAddr;
use ureq::http::Uri;

/// A proxy that is spoken to in plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) login: Option<String>,
}

/// The proxy of each scheme, and who is reached without.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    without: Vec<String>,
}

impl Proxies {
    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in either case.
    pub(super) fn of_host(sys: &Sys) -> io::Result<Self> {
        let setting = |name: &str| {
            let value = sys
                .variable(name)
                .or_else(|| sys.variable(&name.to_uppercase()));
            value.filter(|value| !value.trim().is_empty())
        };
        let of = |name: &str| {
            let url = setting(name).or_else(|| setting("all_proxy"));
            url.as_deref().map(parse).transpose()
        };
        let without = setting("no_proxy").unwrap_or_default();
        let without = without.split([',', ' ']).filter(|name| !name.is_empty());
        Ok(Self {
            http: of("http_proxy")?,
            https: of("https_proxy")?,
            without: without.map(str::to_lowercase).collect(),
        })
    }

    /// Returns the proxy for a server, if it is to be reached through one.
    pub(super) fn to(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = match uri.scheme_str() {
            Some("https") => self.https.as_ref(),
            _ => self.http.as_ref(),
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_lowercase();
        let port = uri.port_u16();
        let is_without = self.without.iter().any(|name| spares(name, &host, port));
        proxy.filter(|_| !is_without)
    }
}

/// `*`, a name and all below it, an address, or a network.
fn spares(name: &str, host: &str, port: Option<u16>) -> bool {
    if name == "*" {
        return true;
    }
    if let (Some((network, bits)), Ok(ip)) = (name.split_once('/'), host.parse::<IpAddr>()) {
        return match (network.parse::<IpAddr>(), bits.parse::<u32>(), ip) {
            (Ok(IpAddr::V4(network)), Ok(bits @ 0..=32), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            (Ok(IpAddr::V6(network)), Ok(bits @ 0..=128), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        };
    }
    let (name, of_port) = match name.rsplit_once(':') {
        Some((bare, digits)) if !bare.contains(':') && digits.parse::<u16>().is_ok() => {
            (bare, digits.parse::<u16>().ok())
        }
        _ => (name, None),
    };
    if of_port.is_some() && of_port != port {
        return false;
    }
    let name = name.trim_start_matches('*').trim_start_matches('.');
    host == name
        || host
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn parse(text: &str) -> io::Result<Proxy> {
    let fault = |why: &str| {
        // The setting may hold a password: it is not shown.
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the proxy setting {why}"),
        )
    };
    let text = text.trim();
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let (url, login) = super::without_login(&text);
    let uri: Uri = url.parse().map_err(|_| fault("is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(fault("must be an http URL"));
    }
    Ok(Proxy {
        host: uri.host().ok_or_else(|| fault("names no host"))?.to_owned(),
        port: uri.port_u16().unwrap_or(80),
        login: login.map(|(user, password)| super::basic(&user, &password)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_through_the_proxy_of_its_scheme_unless_spared() {
        let sys = Sys::host().with_environment(vec![
            (
                "http_proxy".into(),
                "http://me:pa%40ss@proxy.test:3128/".into(),
            ),
            ("HTTPS_PROXY".into(), "proxy2.test:8080".into()),
            ("https_proxy".into(), String::new()),
            (
                "no_proxy".into(),
                "localhost, .lab.test,10.0.0.0/8,one.test:81".into(),
            ),
            ("NO_PROXY".into(), "localhost".into()),
        ]);
        let proxies = Proxies::of_host(&sys).unwrap();
        let to = |url: &str| proxies.to(&url.parse().unwrap()).map(|proxy| proxy.port);
        assert_eq!(to("http://archive.test/x"), Some(3128));
        assert_eq!(to("http://repo.lab.test/x"), None);
        assert_eq!(to("http://lab.test/x"), None);
        assert_eq!(to("http://xlab.test/x"), Some(3128));
        assert_eq!(to("http://10.3.4.5:8080/"), None);
        assert_eq!(to("http://one.test:81/"), None);
        assert_eq!(to("http://one.test/"), Some(3128));
        let login = proxies.http.unwrap().login.unwrap();
        assert_eq!(login, super::super::basic("me", "pa@ss"));
        assert!(parse("socks5://x:1").is_err());
    }
}
