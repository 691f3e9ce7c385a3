//! Connections of HTTP/2 in memory, for the fuzz target `http2`, and what holds for each request that comes out of them.
//!
//! The target itself is in `app`, because it also has the whole service behind such a connection.

use std::any::Any;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};
use axum::response::Response;
use futures_util::FutureExt;
use hyper::ext::Protocol;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connection_table::OpenConnection;
use super::framing::FramingError;
use super::handler::{ConnectionHandler, Shutdown};
use super::http2;
use super::peer::Peer;
use super::settings::{MAX_HEAD_BYTES, ServerSettings};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// More than the time-outs of a connection and of its last request together.
const ENDED: Duration = Duration::from_mins(5);

/// More than a connection is answered, so that ours never waits for its reader.
const MOST_ANSWERED: usize = 1 << 20;

/// What a client sends, and how.
pub(crate) struct Sent {
    bytes: Vec<u8>,
    /// How many arrive at a time.
    piece: usize,
    /// After how many it pauses.
    pause: usize,
}

impl Sent {
    /// The first byte chooses between bytes as they are and frames, the second how they are divided, the third where the sender pauses.
    ///
    /// A frame is the length of its payload, its type, flags and stream, one byte each, and its payload. So whatever changes in
    /// it, the next frame is one, too. The preface and the settings come before.
    pub(crate) fn of(input: &[u8]) -> Option<Self> {
        let [choice, piece, pause, rest @ ..] = input else { return None };
        let bytes = if choice % 2 == 0 { framed(rest) } else { rest.to_vec() };
        let piece = if *piece == 0 { bytes.len().max(1) } else { usize::from(*piece) };
        Some(Self { bytes, piece, pause: usize::from(*pause) })
    }
}

fn framed(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    while let [length, kind, flags, stream, rest @ ..] = input {
        let length = usize::from(*length).min(rest.len());
        let (payload, after) = rest.split_at(length);
        let length = u8::try_from(length).expect("it is no longer than before");
        bytes.extend([0, 0, length, *kind, *flags, 0, 0, 0, *stream]);
        bytes.extend(payload);
        input = after;
    }
    bytes
}

/// Each request that reaches a handler is one that HTTP/2 admits, its length is that of its body, and an ambiguous host or length
/// is noticed.
pub(crate) async fn check_requests(sent: &Sent) {
    serve(Recorder, sent).await;
}

/// Serves one connection on which this arrives and which the client leaves open. It must end by itself, and its answer consists
/// of frames.
pub(crate) async fn serve<H: ConnectionHandler>(handler: H, sent: &Sent) {
    let panic = Arc::default();
    let (mut client, ours) = duplex(MOST_ANSWERED);
    let none = CancellationToken::new();
    let shutdown = Shutdown { drain: none.clone(), abort: none };
    let serving = tokio::spawn(http2::serve(
        ours,
        Peer::plain(([192, 0, 2, 1], 1024).into()),
        Surfacing { handler, panic: Arc::clone(&panic) },
        ServerSettings::for_tests(),
        shutdown,
        OpenConnection::for_tests(),
    ));
    let mut at = 0;
    for piece in sent.bytes.chunks(sent.piece) {
        if client.write_all(piece).await.is_err() {
            break;
        }
        yield_now().await;
        if (at..at + piece.len()).contains(&sent.pause) {
            sleep(Duration::from_secs(1)).await;
        }
        at += piece.len();
    }
    let mut answered = Vec::new();
    let reading = timeout(ENDED, client.read_to_end(&mut answered)).await;
    let _whole_or_broken_off = reading.expect("the connection does not end");
    serving.await.expect("the connection panicked");
    if let Some(panic) = panic.lock().take() {
        resume_unwind(panic);
    }
    check_frames(&answered);
}

/// Keeps the panic of a handler: each request has a task of its own, whose panic ends nothing else.
#[derive(Clone)]
struct Surfacing<H> {
    handler: H,
    panic: Arc<Mutex<Option<Box<dyn Any + Send>>>>,
}

impl<H: ConnectionHandler> ConnectionHandler for Surfacing<H> {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        let handled = AssertUnwindSafe(self.handler.handle(request, peer)).catch_unwind().await;
        handled.unwrap_or_else(|panic| {
            self.panic.lock().get_or_insert(panic);
            Response::default()
        })
    }

    fn trusts_proxy(&self, proxy: IpAddr) -> bool {
        self.handler.trusts_proxy(proxy)
    }
}

/// Whole frames of the types that a server sends, none of them pushed.
fn check_frames(mut answered: &[u8]) {
    if answered.len() >= MOST_ANSWERED {
        return;
    }
    while let Some([a, b, c, kind, ..]) = answered.get(..9) {
        assert!(matches!(kind, 0 | 1 | 3 | 4 | 6..=9), "a frame of type {kind}");
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        answered = answered.get(9 + length..).expect("a frame is not whole");
    }
    assert!(answered.is_empty(), "a frame has no head");
}

/// Checks requests and answers all of them alike.
#[derive(Clone)]
struct Recorder;

impl ConnectionHandler for Recorder {
    async fn handle(&self, request: Request, _: Arc<Peer>) -> Response {
        let (head, body) = request.into_parts();
        let (uri, headers) = (&head.uri, &head.headers);
        assert_eq!(head.version, Version::HTTP_2, "{head:?}");
        assert!(head.extensions.get::<Protocol>().is_none(), "it is not offered: {head:?}");
        // RFC 9113 §8.2.2.
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
        {
            assert!(!headers.contains_key(name), "{head:?}");
        }
        assert!(headers.get_all(header::TE).iter().all(|te| te == "trailers"), "{head:?}");
        let size =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
        assert!(headers.iter().map(size).sum::<usize>() <= MAX_HEAD_BYTES, "{head:?}");
        let error = head.extensions.get::<FramingError>();
        assert_eq!(error.is_some(), is_ambiguous(uri, headers), "{error:?}: {head:?}");
        let declared = headers.get(header::CONTENT_LENGTH);
        let body = timeout(Duration::from_secs(15), to_bytes(body, 1 << 20)).await;
        if let (None, Some(declared), Ok(Ok(body))) = (error, declared, body) {
            let declared = declared.to_str().ok().and_then(|text| text.parse::<usize>().ok());
            assert_eq!(declared, Some(body.len()), "{head:?}");
        }
        Response::new(Body::from("seen"))
    }

    fn trusts_proxy(&self, _: IpAddr) -> bool {
        false
    }
}

/// Whether two servers could read the host or the length differently.
fn is_ambiguous(uri: &Uri, headers: &HeaderMap) -> bool {
    let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let authority = uri.authority().map(|authority| authority.as_str().to_lowercase());
    let (hosts, lengths) = (all(header::HOST), all(header::CONTENT_LENGTH));
    let is_other = |host: &[u8]| {
        let text = String::from_utf8_lossy(host).to_lowercase();
        text.contains(|c: char| !c.is_ascii_graphic() || ",/@?#\\\"<>".contains(c))
            || authority.as_ref().is_some_and(|authority| *authority != text)
    };
    lengths.len() > 1
        || match hosts[..] {
            [] => authority.is_none(),
            [host] => is_other(host),
            _ => true,
        }
}
