//! Fuzz targets of the connection: PROXY headers, forwarded addresses, and all that HTTP/1 reads.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client_address::proxy_protocol::parse;
use super::connection_table::OpenConnection;
use super::framing::{FramingError, Scan, scan};
use super::handler::{ConnectionHandler, Shutdown};
use super::peer::Peer;
use super::settings::ServerSettings;
use super::{ForwardedHeader, TrustedNetwork, TrustedProxies, http1};

thread_local! {
    /// Its clock is virtual: a time-out costs no time.
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("the system gives us a runtime");
}

/// A PROXY header is the same however many bytes follow it, and each beginning of it is incomplete.
pub(crate) fn proxy_header(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(1024)];
    let Some(Some(header)) = parse(bytes) else { return };
    assert!(header.length <= bytes.len(), "the header is longer than what was received");
    let whole = &bytes[..header.length];
    assert_eq!(parse(whole).as_ref(), Some(&Some(header)), "it depends on what follows");
    for length in (0..whole.len()).step_by(1 + whole.len() / 128) {
        assert_eq!(parse(&whole[..length]), Some(None), "{length} bytes of it are complete");
    }
}

/// What a client writes before the entries of the trusted proxies never changes the address that these name.
///
/// The first byte chooses the header, each further line is one line of it.
pub(crate) fn client_address(bytes: &[u8]) {
    let [choice, lines @ ..] = bytes else { return };
    let (header, name) = match choice % 3 {
        0 => (ForwardedHeader::XForwardedFor, "x-forwarded-for"),
        1 => (ForwardedHeader::Forwarded, "forwarded"),
        _ => (ForwardedHeader::None, "x-forwarded-for"),
    };
    let trusted = ["10.0.0.0/8", "fd00::/8"]
        .map(|text| TrustedNetwork::try_from(text.to_owned()).expect("it is a network"));
    let proxies = TrustedProxies::new(trusted, header);
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let client = IpAddr::from([192, 0, 2, 1]);
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(32) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }

    let found = proxies.client_address(proxy, &headers);
    assert_eq!(found, found.to_canonical(), "an address in two forms would have two limits");
    assert_eq!(proxies.client_address(client, &headers), client, "the peer is not trusted");
    if header == ForwardedHeader::None {
        assert_eq!(found, proxy, "no header is configured");
        return;
    }
    let entry = |address: Ipv4Addr| match header {
        ForwardedHeader::Forwarded => format!("for={address}"),
        ForwardedHeader::XForwardedFor | ForwardedHeader::None => address.to_string(),
    };
    // The proxy appends what it sees, to the last line or in one of its own.
    let seen = Ipv4Addr::new(198, 51, 100, 7);
    let own_line = HeaderValue::from_str(&entry(seen)).expect("it is text");
    let mut with_line = headers.clone();
    with_line.append(HeaderName::from_static(name), own_line);
    assert_eq!(proxies.client_address(proxy, &with_line), IpAddr::V4(seen), "a line of its own");
    let mut values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let Some(last) = values.pop() else { return };
    // A line that is not text is no list to which a proxy could append.
    if !HeaderValue::from_bytes(last).is_ok_and(|last| last.to_str().is_ok()) {
        return;
    }
    let appended = [last, b", ", entry(seen).as_bytes()].concat();
    let appended = HeaderValue::from_bytes(&appended).expect("it was one before");
    headers.clear();
    headers.append(HeaderName::from_static(name), appended);
    assert_eq!(proxies.client_address(proxy, &headers), IpAddr::V4(seen), "appended to a line");
}

/// The requests of a connection are the same however its bytes arrive, no request follows an ambiguous one, and hyper reads of
/// each head what the check of the framing admits.
///
/// The first byte chooses how the bytes are divided, the second where the sender pauses.
pub(crate) fn http1(bytes: &[u8]) {
    let [size, pause, sent @ ..] = bytes else { return };
    let whole = requests(sent, &[sent.len()], None);
    let pieces = [usize::from(*size) % 61 + 1];
    let pause = usize::from(*pause).min(sent.len());
    assert_eq!(whole, requests(sent, &pieces, None), "in pieces of {} bytes", pieces[0]);
    assert_eq!(whole, requests(sent, &[pause.max(1), sent.len()], Some(pause)), "with a pause");
    check_scan(sent);
    for (number, request) in whole.iter().enumerate() {
        request.check(number + 1 == whole.len());
    }
}

/// A head ends at the same byte whatever follows it, and not before.
fn check_scan(bytes: &[u8]) {
    let Scan::Complete { length, error } = scan(bytes) else { return };
    assert_eq!(scan(&bytes[..length]), Scan::Complete { length, error }, "without what follows");
    for shorter in (1..length).step_by(1 + length / 64) {
        assert_eq!(scan(&bytes[..shorter]), Scan::Incomplete, "{shorter} bytes of it");
    }
}

/// What the handler saw of a request.
#[derive(Debug, Eq, PartialEq)]
struct SeenRequest {
    line: String,
    version: Version,
    headers: HeaderMap,
    error: Option<FramingError>,
    /// `None` if it broke off or never ended.
    body: Option<Vec<u8>>,
}

impl SeenRequest {
    fn check(&self, is_last: bool) {
        let count = |name| self.headers.get_all(name).iter().count();
        let is_chunked = count(header::TRANSFER_ENCODING) > 0;
        if self.error.is_some() || is_chunked || self.body.is_none() {
            assert!(is_last, "a request follows one of uncertain length: {self:?}");
        }
        if self.error.is_some() {
            return;
        }
        let hosts = count(header::HOST);
        assert!(hosts == 1 || (hosts == 0 && self.version == Version::HTTP_10), "{self:?}");
        let lengths = count(header::CONTENT_LENGTH);
        assert!(lengths + usize::from(is_chunked) <= 1, "two lengths: {self:?}");
        for encoding in self.headers.get_all(header::TRANSFER_ENCODING) {
            assert!(encoding.as_bytes().eq_ignore_ascii_case(b"chunked"), "{self:?}");
        }
        let declared = self.headers.get(header::CONTENT_LENGTH);
        if let (Some(declared), Some(body)) = (declared, &self.body) {
            let declared = declared.to_str().ok().and_then(|text| text.parse::<usize>().ok());
            assert_eq!(declared, Some(body.len()), "{self:?}");
        }
    }
}

/// Records requests and answers all of them alike.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<SeenRequest>>>);

impl ConnectionHandler for Recorder {
    async fn handle(&self, request: Request, _: Arc<Peer>) -> Response {
        let (head, body) = request.into_parts();
        let line = format!("{} {}", head.method, head.uri);
        let error = head.extensions.get::<FramingError>().copied();
        let (version, headers) = (head.version, head.headers);
        let body = timeout(Duration::from_secs(15), to_bytes(body, 1 << 20)).await;
        let body = body.ok().and_then(Result::ok).map(Vec::from);
        self.0.lock().push(SeenRequest { line, version, headers, error, body });
        Response::new(Body::from("seen"))
    }

    fn trusts_proxy(&self, _: IpAddr) -> bool {
        false
    }
}

/// The requests of a connection on which these bytes arrive in pieces of the sizes, of which the last repeats. After `pause`
/// bytes the sender waits for longer than the connection keeps its buffers.
fn requests(sent: &[u8], sizes: &[usize], pause: Option<usize>) -> Vec<SeenRequest> {
    let recorder = Recorder::default();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (mut client, ours) = duplex(1 << 20);
            let none = CancellationToken::new();
            let shutdown = Shutdown { drain: none.clone(), abort: none };
            let serving = http1::serve(
                ours,
                Peer::plain(([192, 0, 2, 1], 1024).into()),
                recorder.clone(),
                ServerSettings::for_tests(),
                shutdown,
                OpenConnection::for_tests(),
            );
            let serving = tokio::spawn(serving);
            let (mut rest, mut at, mut sizes) = (sent, 0, sizes.iter().copied());
            let mut size = sent.len();
            while !rest.is_empty() {
                size = sizes.next().unwrap_or(size).clamp(1, rest.len());
                let (piece, after) = rest.split_at(size);
                if client.write_all(piece).await.is_err() {
                    break;
                }
                (rest, at) = (after, at + size);
                yield_now().await;
                yield_now().await;
                if pause == Some(at) {
                    sleep(Duration::from_millis(600)).await;
                }
            }
            // Open until a time-out ends it: an end of the stream could come before or after an answer.
            let mut answers = Vec::new();
            let _ = client.read_to_end(&mut answers).await;
            serving.await.expect("the connection panicked");
        });
    });
    std::mem::take(&mut recorder.0.lock())
}
