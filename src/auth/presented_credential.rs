//! The credential that a request presents.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::CertificateNames;

/// A parsed credential that is not verified yet.
#[derive(Debug)]
pub(crate) enum PresentedCredential {
    /// `Authorization: Basic`, with the client as the user name.
    Secret {
        client: String,
        secret: SecretString,
    },
    /// `Authorization: Bearer`: a JWT, if it is a token that we accept.
    Jwt(SecretString),
    /// No header, but a client certificate that the handshake has verified.
    Certificate(Arc<CertificateNames>),
    /// An authentication scheme that is not supported.
    Other,
    /// A header that is not valid in its scheme, or several credentials.
    Malformed,
    Nothing,
}

impl PresentedCredential {
    /// The client that the credential names, registered or not.
    pub(crate) fn named_client(&self) -> Option<&str> {
        match self {
            Self::Secret { client, .. } => Some(client),
            Self::Jwt(_) | Self::Certificate(_) | Self::Other | Self::Malformed | Self::Nothing => {
                None
            }
        }
    }

    /// Reads the value of an `Authorization` header (RFC 7617 for `Basic`, RFC 6750 for `Bearer`).
    pub(crate) fn from_authorization(value: &[u8]) -> Self {
        let space = value.iter().position(|&b| b == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(space);
        if scheme.eq_ignore_ascii_case(b"bearer") {
            let token = std::str::from_utf8(rest.trim_ascii());
            return token.map_or(Self::Malformed, |token| Self::Jwt(token.into()));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            // A value that is not text has no scheme.
            let is_text = std::str::from_utf8(value).is_ok();
            return if is_text { Self::Other } else { Self::Malformed };
        }
        let pair = STANDARD.decode(rest.trim_ascii()).ok();
        let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(mut pair) = pair else { return Self::Malformed };
        let Some(colon) = pair.find(':') else { return Self::Malformed };
        let secret = pair[colon + 1..].into();
        pair.truncate(colon);
        Self::Secret { client: pair, secret }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn basic_credentials_are_split_at_the_first_colon() {
        // RFC 7617 §2: "Aladdin" and "open sesame".
        for header in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
        {
            let presented = PresentedCredential::from_authorization(header.as_bytes());
            assert_eq!(presented.named_client(), Some("Aladdin"));
            let PresentedCredential::Secret { client, secret } = presented else {
                panic!("{header} was not read");
            };
            assert_eq!((client.as_str(), secret.expose_secret()), ("Aladdin", "open sesame"));
        }
    }

    #[test]
    fn malformed_and_unsupported_headers_are_distinguished() {
        for malformed in ["Basic", "Basic ", "Basic ???", "Basic QWxhZGRpbg==", "Basic //79"] {
            let presented = PresentedCredential::from_authorization(malformed.as_bytes());
            assert!(matches!(presented, PresentedCredential::Malformed), "{malformed}");
            assert_eq!(presented.named_client(), None);
        }
        assert!(matches!(
            PresentedCredential::from_authorization(b"\xff\xfe"),
            PresentedCredential::Malformed
        ));
        assert!(matches!(
            PresentedCredential::from_authorization(b"Digest x"),
            PresentedCredential::Other
        ));
    }

    #[test]
    fn a_bearer_token_is_the_text_after_the_scheme() {
        for header in ["Bearer a.b.c", "bearer  a.b.c "] {
            let PresentedCredential::Jwt(token) =
                PresentedCredential::from_authorization(header.as_bytes())
            else {
                panic!("{header} was not read");
            };
            assert_eq!(token.expose_secret(), "a.b.c");
        }
    }
}
