//! CORS: which web pages' scripts may read answers. Only origins that are listed, and never with cookies.
//!
//! Not tower-http's layer: it answers the preflight of every origin, where this service answers that of an unlisted one
//! like any other request; and a layer costs each request two boxes.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde::Deserialize;

/// The origins whose pages may read answers. None by default: apps and backends have no origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    origins: Vec<Origin>,
}

/// A web origin, as browsers write it: `https://app.example.com`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Origin(HeaderValue);

/// The text is not an origin as browsers send it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an origin is written as browsers send it: a scheme and a host in lower case, a port only where it is not the \
     scheme's own, and nothing after it, such as `https://app.example.com`; `*` and `null` are not let in"
)]
pub(crate) struct InvalidOrigin;

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(InvalidOrigin)?;
        let own_port = match scheme {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        };
        let written = format!("{scheme}://{authority}");
        let odd = |c: char| c.is_ascii_uppercase() || matches!(c, '*' | '@' | ',');
        let port = authority.port_u16();
        let bare = authority.as_str().ends_with(':') || authority.host().is_empty();
        if written != text || text.contains(odd) || bare || (port.is_some() && port == own_port) {
            return Err(InvalidOrigin);
        }
        HeaderValue::try_from(text).map(Self).map_err(|_| InvalidOrigin)
    }
}

/// Whether the origin of a request may read its answer.
#[derive(Debug)]
pub(crate) enum Sharing {
    /// The service lists no origins, or the route is not shared.
    Off,
    /// There is no origin, or an unlisted one: browsers keep the answer from its scripts.
    Withheld,
    /// The origin may read the answer.
    With(HeaderValue),
}

impl Cors {
    pub(crate) fn new(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self { origins: origins.into_iter().collect() }
    }

    pub(crate) fn sharing(&self, request: &Request) -> Sharing {
        if self.origins.is_empty() || !request.uri().path().starts_with("/v1/") {
            return Sharing::Off;
        }
        let origin = request.headers().get(header::ORIGIN);
        let known = self.origins.iter().find(|Origin(known)| Some(known) == origin);
        known.map_or(Sharing::Withheld, |Origin(known)| Sharing::With(known.clone()))
    }
}

impl Sharing {
    /// The answer to a listed origin's preflight. That of another origin is answered as if it were none.
    ///
    /// `more_headers` are those that pages may send beside the service's own, separated by commas.
    pub(crate) fn preflight(&self, request: &Request, more_headers: &str) -> Option<Response> {
        let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !matches!(self, Self::With(_)) || request.method() != Method::OPTIONS || !is_preflight {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let own = "Authorization, Content-Type, Traceparent, Tracestate";
        let allowed = match more_headers {
            "" => HeaderValue::from_static(own),
            more => HeaderValue::try_from(format!("{own}, {more}"))
                .expect("names of headers and commas are a header value"),
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            // Ten minutes: soon enough for a change of the list, and pages need no preflight for each request.
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// Adds the headers that browsers look for in every answer, errors included.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        let origin = match self {
            Self::Off => return,
            Self::Withheld => None,
            Self::With(origin) => Some(origin),
        };
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy";
            headers
                .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, InvalidOrigin> {
        text.to_owned().try_into()
    }

    #[test]
    fn an_origin_is_what_browsers_send() {
        for sound in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:3000",
            "http://[::1]:3000",
            "capacitor://localhost",
        ] {
            assert!(origin(sound).is_ok(), "{sound}");
        }
        for wrong in [
            "*",
            "null",
            "",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/v1",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://*.example.com",
            "https://user@app.example.com",
            "https://app.example.com?a",
            "https://",
            "https://a,b",
        ] {
            assert_eq!(origin(wrong), Err(InvalidOrigin), "{wrong}");
        }
    }
}
