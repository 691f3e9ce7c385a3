//! Why a handshake failed, for the metrics.

use std::io;

use rustls::Error;

use crate::telemetry::HandshakeFailure;

pub(super) fn of(error: &io::Error) -> HandshakeFailure {
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
        // rustls may add to its errors; these are about its own surroundings.
        _ => HandshakeFailure::Internal,
    }
}
