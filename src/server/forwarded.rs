//! `X-Forwarded-For` and `Forwarded`, read from the right: what stands on the left, callers may have written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::HeaderMap;

use super::proxies::ForwardedHeader;

/// For whom each proxy has called, the last one first. None where it is not said, or is no address.
pub(super) fn from_the_right(
    header: ForwardedHeader,
    headers: &HeaderMap,
) -> impl Iterator<Item = Option<IpAddr>> {
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match header {
        ForwardedHeader::Forwarded => ("forwarded", forwarded_for),
        ForwardedHeader::XForwardedFor | ForwardedHeader::None => ("x-forwarded-for", node),
    };
    // A line that is no text has nothing that can be read, not nothing in it.
    let lines = headers.get_all(name).iter().rev().map(|line| line.to_str().unwrap_or("\0"));
    lines.flat_map(|line| parts_from_the_right(line, ',')).map(read)
}

/// The parts between separators that stand outside of quotes.
///
/// Quotes are paired from the right as well, so that one that a caller left open cannot swallow what a proxy added.
fn parts_from_the_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let mut parted = None;
        for (at, c) in text.char_indices().rev() {
            if c == '"' {
                let escapes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
                quoted ^= escapes % 2 == 0;
            } else if c == separator && !quoted {
                parted = Some(at);
                break;
            }
        }
        let (before, part) = match parted {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        rest = before;
        Some(part.trim())
    })
}

/// The `for` of one element of `Forwarded`. An element has at most one.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut named = parts_from_the_right(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim_end().eq_ignore_ascii_case("for").then_some(value.trim_start())
    });
    let value = named.next()?;
    if named.next().is_some() {
        return None;
    }
    // No escape is needed in an address, so one that has any is not read.
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with a port or without; IPv6 in brackets or, as X-Forwarded-For has it, bare.
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
