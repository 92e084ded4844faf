//! Turns the parts of a transfer into what a download needs: headers, a file's name, progress.

use crate::sys::Sys;
use crate::sys::http::Response;
use std::io::Read;
use std::time::{Duration, Instant};

/// The last part of a URL's path.
pub(super) fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let name = path
        .split_once('/')
        .and_then(|(_, path)| path.rsplit('/').next());
    match name {
        None | Some("" | "." | "..") => "index.html".into(),
        Some(name) => name.to_owned(),
    }
}

/// The name that the server gives the file: in `Content-Disposition`, else in the URL that answered.
pub(super) fn offered_name(response: &Response) -> Option<String> {
    let named = response.header("content-disposition").and_then(|value| {
        let name = value
            .split(';')
            .find_map(|part| part.trim().strip_prefix("filename="))?;
        let name = name.trim_matches(['"', '\'']);
        // Never a path.
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
    });
    named.or_else(|| Some(file_name(&response.url)))
}

/// Says how far a download is, now and then.
pub(super) struct Watched<'a> {
    pub(super) body: Box<dyn Read>,
    pub(super) sys: &'a Sys,
    pub(super) n_bytes: u64,
    pub(super) total: Option<u64>,
    pub(super) said: Instant,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.body.read(buffer)?;
        self.n_bytes += n as u64;
        if self.said.elapsed() >= Duration::from_secs(1) {
            self.said = Instant::now();
            let megabytes = |n: u64| n / 1_000_000;
            let of = self.total.map(|total| format!(" of {}", megabytes(total)));
            let of = of.unwrap_or_default();
            self.sys
                .progress(&format!("{}{of} MB", megabytes(self.n_bytes)));
        }
        Ok(n)
    }
}
