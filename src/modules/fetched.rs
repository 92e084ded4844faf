//! Turns an action into the URLs whose bytes it fetches: what `krun lock` locks.

use super::Action;

/// The modules that may.
pub const FETCHING: &[&str] = &["get_url", "unarchive", "apt", "uri"];

impl Action {
    /// The URLs of files that this action downloads. A request of `uri` is one only where it is saved to a file.
    pub fn urls(&self) -> Vec<String> {
        let urls = match self {
            Self::GetUrl(task) => task.urls(),
            Self::Unarchive(task) => task.url().into_iter().collect(),
            Self::Apt(task) => task.url().into_iter().collect(),
            Self::Uri(task) => task.download().into_iter().collect(),
            _ => Vec::new(),
        };
        let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        let is_fetched = |url: &String| is_web(url) && !is_own(url);
        urls.into_iter().filter(is_fetched).collect()
    }
}

/// Whether a URL leads to the host that asks: no other machine can ask in its place.
fn is_own(url: &str) -> bool {
    let server = crate::sys::http::server(url);
    let address: Option<std::net::IpAddr> = server.trim_matches(['[', ']']).parse().ok();
    server.eq_ignore_ascii_case("localhost") || address.is_some_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(module: &str, arguments: &str) -> Vec<String> {
        let given = serde_yaml::from_str(arguments).unwrap();
        Action::new(module, given).unwrap().urls()
    }

    #[test]
    fn what_a_task_downloads_is_known_before_it_runs() {
        let (a, sums) = ("https://x.example/a.tgz", "https://x.example/a.tgz.sha512");
        let get = format!("{{url: '{a}', dest: /opt/, checksum: 'sha512:{sums}'}}");
        assert_eq!(urls("get_url", &get), [a, sums]);
        for own in [
            "file:///a",
            "http://localhost:80/a",
            "https://127.0.0.1/a",
            "http://[::1]/a",
        ] {
            assert_eq!(
                urls("get_url", &format!("{{url: '{own}', dest: /opt/}}")),
                [""; 0]
            );
        }
        let unpack = format!("{{src: '{a}', dest: /opt, remote_src: true}}");
        assert_eq!(urls("unarchive", &unpack), [a]);
        assert_eq!(urls("unarchive", "{src: a.tgz, dest: /opt}"), [""; 0]);
        assert_eq!(urls("apt", &format!("{{deb: '{a}'}}")), [a]);
        assert_eq!(urls("uri", &format!("{{url: '{a}'}}")), [""; 0]);
        let save = |method: &str| format!("{{url: '{a}', dest: /opt/a, method: {method}}}");
        assert_eq!(urls("uri", &save("get")), [a]);
        assert_eq!(urls("uri", &save("POST")), [""; 0]);
    }
}
