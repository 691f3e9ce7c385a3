//! Reads `X-Forwarded-For` and `Forwarded` from the right: a client may have written what is on the left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::HeaderMap;
use serde::Deserialize;

/// The header in which trusted proxies name the client.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    #[default]
    None,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The client address that each proxy named, the nearest proxy's first. `None` where it is missing or no address.
pub(super) fn from_the_right(
    header: ForwardedHeader,
    headers: &HeaderMap,
) -> impl Iterator<Item = Option<IpAddr>> {
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match header {
        ForwardedHeader::Forwarded => ("forwarded", forwarded_for),
        ForwardedHeader::XForwardedFor | ForwardedHeader::None => ("x-forwarded-for", node),
    };
    // A line that is not text is one unreadable entry, and not an empty line.
    let lines = headers.get_all(name).iter().rev().map(|line| line.to_str().unwrap_or("\0"));
    lines.flat_map(|line| parts_from_the_right(line, ',')).map(read)
}

/// The parts between separators outside of quotes.
///
/// Quotes are paired from the right as well, so that a quote that a client left open cannot hide what a proxy added.
fn parts_from_the_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let mut split = None;
        for (at, c) in text.char_indices().rev() {
            if c == '"' {
                let escapes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
                quoted ^= escapes % 2 == 0;
            } else if c == separator && !quoted {
                split = Some(at);
                break;
            }
        }
        let (before, part) = match split {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        rest = before;
        Some(part.trim())
    })
}

/// The `for` of one element of `Forwarded`, which may have one only.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut named = parts_from_the_right(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim_end().eq_ignore_ascii_case("for").then_some(value.trim_start())
    });
    let value = named.next()?;
    if named.next().is_some() {
        return None;
    }
    // An address needs no escapes, so a value with escapes is invalid.
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address with an optional port; IPv6 in brackets or, in X-Forwarded-For, bare.
fn node(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address = address.parse::<Ipv6Addr>().ok()?;
            (port.is_empty() || port.starts_with(':')).then_some(address.into())?
        }
        None => text.parse().ok().or_else(|| {
            let (address, _port) = text.split_once(':')?;
            address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        })?,
    };
    Some(address.to_canonical())
}
