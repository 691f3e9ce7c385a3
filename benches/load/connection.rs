//! One keep-alive connection that never blocks, and sends one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A connection; `sent` is when its request was sent, while an answer is due.
pub(crate) struct Connection {
    stream: Stream,
    received: Vec<u8>,
    sent: Option<Instant>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One answer, and how long it took.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// From the request's first byte sent to the answer's last byte read, in nanoseconds.
    pub(crate) nanos: u64,
    /// Head and body as received.
    pub(crate) bytes: Vec<u8>,
}

impl Connection {
    /// Opens a connection; waits for the kernel, and with TLS for the handshake.
    pub(crate) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Self {
        let mut socket = TcpStream::connect(address).expect("the server listens");
        socket.set_nodelay(true).expect("a TCP socket");
        let tls = tls.map(|config| {
            let name = ServerName::try_from("localhost").expect("a name of DNS");
            let mut tls = ClientConnection::new(config.clone(), name).expect("a valid name");
            while tls.is_handshaking() {
                tls.complete_io(&mut socket).expect("the server speaks TLS");
            }
            tls
        });
        socket.set_nonblocking(true).expect("a TCP socket");
        let stream = match tls {
            None => Stream::Plain(socket),
            Some(tls) => Stream::Tls(Box::new(StreamOwned::new(tls, socket))),
        };
        Self { stream, received: Vec::with_capacity(4096), sent: None }
    }

    /// Whether an answer is due.
    pub(crate) fn waits(&self) -> bool {
        self.sent.is_some()
    }

    /// Sends a whole request. It fits into the kernel's buffer of an idle connection.
    pub(crate) fn send(&mut self, request: &[u8], now: Instant) {
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request),
            Stream::Tls(stream) => stream.write_all(request),
        };
        written.expect("a request fits into an empty buffer");
        self.sent = Some(now);
    }

    /// The answer, once it is complete.
    pub(crate) fn poll(&mut self) -> Option<Answer> {
        let sent = self.sent?;
        let mut chunk = [0; 4096];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(0) => panic!("the server closed the connection before it answered"),
            Ok(read) => self.received.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("an answer cannot be read: {error}"),
        }
        let head = self.received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let whole = head + content_length(&self.received[..head]);
        if self.received.len() < whole {
            return None;
        }
        let nanos = u64::try_from(sent.elapsed().as_nanos()).expect("runs end within centuries");
        self.sent = None;
        let bytes = self.received.split_off(0);
        let status = std::str::from_utf8(&bytes[9..12]).ok().and_then(|digits| digits.parse().ok());
        Some(Answer { status: status.expect("HTTP/1.1 and a status"), nanos, bytes })
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let is_name = |part: &[u8]| part.eq_ignore_ascii_case(NAME);
    let at = head.windows(NAME.len()).position(is_name).expect("a body has a length");
    let digits = head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
