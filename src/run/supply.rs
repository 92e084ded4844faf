//! Turns an agent's wish for a piece of what a task fetches into that piece, from the controller's cache.

use super::links::Incoming;
use crate::artifacts::Fetching;
use crate::proto::{FromAgent, Seq, ToAgent};
use crate::value::HostName;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Bytes of a piece: large enough that waiting for the next one costs little, small enough that a cancellation behind
/// it is not late.
const PIECE: u64 = 2 << 20;

/// What an agent asks for.
pub(super) struct Wanted {
    pub seq: Seq,
    pub url: String,
    pub from: u64,
}

/// Sends the piece when it is there; says meanwhile how far the download is.
pub(super) fn send(
    wanted: Wanted,
    fetching: &Fetching,
    host: &HostName,
    to_agent: &UnboundedSender<ToAgent>,
    incoming: &UnboundedSender<Incoming>,
) {
    let (fetching, host) = (fetching.clone(), Arc::clone(host));
    let (to_agent, incoming) = (to_agent.clone(), incoming.clone());
    // A thread of its own: the end of a run does not wait for a download.
    std::thread::spawn(move || {
        let Wanted { seq, url, from } = wanted;
        let progress = |text: &str| {
            let message = FromAgent::Progress {
                seq,
                text: text.to_owned(),
            };
            let host = Arc::clone(&host);
            let _ = incoming.send(Incoming::Message { host, message });
        };
        let piece = fetching.piece(&url, from, PIECE, &progress);
        let piece = piece.map(ByteBuf::from).map_err(|error| error.to_string());
        let _ = to_agent.send(ToAgent::Supply { seq, piece });
    });
}
