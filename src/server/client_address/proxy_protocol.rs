//! The PROXY protocol, versions 1 and 2: a load balancer names the client before the bytes it forwards.

use std::io;
use std::net::SocketAddr;

use memchr::memchr;
use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::telemetry::ProxyProtocolError;

/// The longest header: version 1 has up to 107 bytes, version 2 two addresses and extensions, of which those of cloud
/// providers are the longest with a few hundred bytes.
const MAX_BYTES: usize = 1024;
/// The longest line of version 1, with its line end.
const MAX_LINE: usize = 107;

/// A parsed header.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::server) struct Header {
    pub(in crate::server) length: usize,
    /// `None` where the proxy itself is the client, as in its health checks.
    pub(in crate::server) source: Option<SocketAddr>,
}

/// Reads the header and returns the client's address; it is `proxy` where the proxy itself is the client.
pub(in crate::server) async fn client_address(
    stream: &mut TcpStream,
    proxy: SocketAddr,
    deadline: Instant,
) -> Result<SocketAddr, ProxyProtocolError> {
    let header = tokio::time::timeout_at(deadline, read_header(stream)).await;
    let source = header.map_err(|_| ProxyProtocolError::TimedOut)??;
    Ok(source.unwrap_or(proxy))
}

/// Peeks before it reads, because the bytes after the header belong to HTTP or TLS.
async fn read_header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let closed = |_: io::Error| ProxyProtocolError::Closed;
    let mut bytes = [0; MAX_BYTES];
    let mut read = 0;
    loop {
        let peeked = match stream.peek(&mut bytes[read..]).await.map_err(closed)? {
            0 => return Err(ProxyProtocolError::Closed),
            more => read + more,
        };
        let header = parse(&bytes[..peeked]).ok_or(ProxyProtocolError::Malformed)?;
        let until = header.as_ref().map_or(peeked, |header| header.length);
        stream.read_exact(&mut bytes[read..until]).await.map_err(closed)?;
        read = until;
        match header {
            Some(header) => return Ok(header.source),
            None if read == MAX_BYTES => return Err(ProxyProtocolError::Malformed),
            None => {}
        }
    }
}

/// Parses a header at the start of `bytes`: `Some(None)` if it is incomplete, `None` if it is invalid.
pub(in crate::server) fn parse(bytes: &[u8]) -> Option<Option<Header>> {
    let prefix = v1::PROTOCOL_PREFIX.as_bytes();
    let start = &prefix[..prefix.len().min(bytes.len())];
    if bytes.starts_with(start) {
        let line = &bytes[..bytes.len().min(MAX_LINE)];
        let Some(end) = memchr(b'\n', line) else {
            return (bytes.len() < MAX_LINE).then_some(None);
        };
        // The header is its first line, however many bytes have arrived: `ppp` would read on to the first CR.
        let line = &line[..=end];
        let header = v1::Header::try_from(line).ok()?;
        if !line.ends_with(b"\r\n") || header.header.len() != line.len() {
            return None;
        }
        let source = match header.addresses {
            v1::Addresses::Tcp4(v4) => Some((v4.source_address, v4.source_port).into()),
            v1::Addresses::Tcp6(v6) => Some((v6.source_address, v6.source_port).into()),
            v1::Addresses::Unknown => None,
        };
        return Some(Some(Header { length: header.header.len(), source }));
    }
    match v2::Header::try_from(bytes) {
        Ok(header) => {
            let source = match (header.command, header.addresses) {
                (v2::Command::Local, _) => None,
                (v2::Command::Proxy, v2::Addresses::IPv4(v4)) => {
                    Some((v4.source_address, v4.source_port).into())
                }
                (v2::Command::Proxy, v2::Addresses::IPv6(v6)) => {
                    Some((v6.source_address, v6.source_port).into())
                }
                (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
            };
            Some(Some(Header { length: header.len(), source }))
        }
        Err(v2::ParseError::Incomplete(_) | v2::ParseError::Partial(..)) => Some(None),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [V2, &[0x20 | command, family], &length, payload].concat()
    }

    /// At every incomplete length, and with any bytes after it.
    #[test]
    fn a_header_is_parsed_complete_or_reported_incomplete() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 27], &[1, 0x12, 0x67, 1, 0xbb]].concat();
        let with_more = [&v4[..], &[4, 0, 1, 0]].concat();
        for (header, source) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n".to_vec(), Some("192.0.2.1:4711")),
            (b"PROXY TCP6 2001:db8:: ::1 4711 443\r\n".to_vec(), Some("[2001:db8::]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(1, 0x11, &v4), Some("192.0.2.1:4711")),
            (v2(1, 0x11, &with_more), Some("192.0.2.1:4711")),
            (v2(1, 0x21, &v6), Some("[2001:db8::]:4711")),
            (v2(0, 0x11, &v4), None),
            (v2(0, 0, &[]), None),
            (v2(1, 0x31, &[7; 216]), None),
        ] {
            let source = source.map(|source| source.parse().unwrap());
            let length = header.len();
            for so_far in 1..length {
                assert_eq!(parse(&header[..so_far]), Some(None), "{so_far} bytes of {header:?}");
            }
            for rest in [&b""[..], b"GET / HTTP/1.1\r\n", b"\r\n", b"PROXY UNKNOWN\r\n"] {
                let bytes = [&header, rest].concat();
                assert_eq!(parse(&bytes), Some(Some(Header { length, source })), "{header:?}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_header_are_rejected_at_once() {
        for wrong in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY TCP4 999.0.2.1 198.51.100.1 4711 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 \n".to_vec(),
            b"PROXY UNKNOWN \n".to_vec(),
            b"PROXY UNKNOWN a\n b\r\n".to_vec(),
            format!("PROXY UNKNOWN {}", "x".repeat(100)).into_bytes(),
            v2(1, 0x11, &[1, 2, 3]),
            v2(7, 0x11, &[0; 12]),
            b"\r\n\r\n\0\r\nQUIX\n".to_vec(),
        ] {
            assert_eq!(parse(&wrong), None, "{}", String::from_utf8_lossy(&wrong));
        }
    }
}
