//! Answers what an ssh connection asks of its client: is this the host's key, and what ended it.

use super::known_hosts::{Known, Verdict};
use super::settings::Settings;
use crate::transport::Error;
use crate::transport::error::chain;
use crate::transport::stream::Said;
use russh::client::{DisconnectReason, Handler};
use russh::keys::PublicKeyOrCertificate;
use std::sync::{Arc, Mutex, PoisonError};

/// What both sides of a connection's making know of each other.
#[derive(Default)]
pub(super) struct Verdicts {
    pub(super) refused: Option<Error>,
    pub(super) accepted: Option<String>,
}

/// The client's half of one connection.
pub(super) struct Client {
    known: Known,
    settings: Arc<Settings>,
    verdicts: Arc<Mutex<Verdicts>>,
    said: Said,
}

impl Client {
    pub(super) fn new(
        known: Known,
        settings: Arc<Settings>,
        verdicts: Arc<Mutex<Verdicts>>,
        said: Said,
    ) -> Self {
        Self {
            known,
            settings,
            verdicts,
            said,
        }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match self.known.judge(key, &self.settings) {
            Verdict::Trusted => true,
            Verdict::Accepted(warning) => {
                verdicts.accepted = Some(warning);
                true
            }
            Verdict::Refused(error) => {
                verdicts.refused = Some(*error);
                false
            }
        })
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(it) => {
                self.said
                    .end(format!("the host hung up: {}", it.message.trim()));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                let text = match &error {
                    russh::Error::KeepaliveTimeout => "the host no longer answers".to_owned(),
                    russh::Error::IO(error) if is_end(error) => {
                        "the host closed the connection".to_owned()
                    }
                    other => chain(other).join(": "),
                };
                self.said.end(text);
                Err(error)
            }
        }
    }
}

/// Whether the other side has gone, in whichever of its ways.
fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}
