//! The reason of a failed handshake, as a metric label.

use std::io;

use rustls::Error;

use crate::telemetry::HandshakeFailure;

pub(super) fn reason(error: &io::Error) -> HandshakeFailure {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        return HandshakeFailure::Closed;
    };
    match error {
        Error::NoCertificatesPresented => HandshakeFailure::NoCertificate,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
            HandshakeFailure::BadCertificate
        }
        Error::AlertReceived(_) => HandshakeFailure::Refused,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => HandshakeFailure::Incompatible,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::InvalidEncryptedClientHello(_)
        | Error::DecryptError
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => HandshakeFailure::Malformed,
        // The enum is non-exhaustive; the remaining errors are internal to the server.
        _ => HandshakeFailure::Internal,
    }
}
