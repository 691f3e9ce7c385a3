//! A stream that fails when its peer is too slow, and passes request heads to hyper one at a time.
//!
//! hyper has one time-out for "no request yet" and "an incomplete head". The first may be a minute, because load balancers
//! keep connections open; the second may not. hyper also resets its timer for each request, which costs more than all the
//! work here: this timer is reset when it fires too early.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::super::settings::Timeouts;
use super::chunked::ChunkedCheck;
use super::head_buffer::HeadBuffer;
use super::request_state::{RequestState, UNKNOWN_LENGTH};

/// The size of a read where hyper offers no buffer: on the stack, so a connection keeps none of it.
const SCRATCH: usize = 4096;
/// A head up to this length is part of what every connection is estimated at.
const SHORT_HEAD: usize = 8 * 1024;
/// What a longer head is charged in addition: for this buffer while it arrives, for hyper's after that.
const LONG_HEAD: usize = 32 * 1024;

/// What the stream waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// The rest of a request head. Further bytes do not extend the deadline, so a trickled head ends too.
    Head,
    /// The next request's first byte.
    Request,
    /// The peer to read the answer.
    Write,
}

/// A stream whose reads and writes fail at a time-out.
pub(super) struct TimeoutStream<S> {
    stream: S,
    request: Arc<RequestState>,
    /// The value of `RequestState::changes` at the last poll.
    seen_changes: usize,
    timeouts: Timeouts,
    heads: HeadBuffer,
    /// The check of a body of unknown length; the connection ends after such a body.
    chunked: ChunkedCheck,
    /// Whether a long head was charged to the connection.
    charged: bool,
    /// Whether the next head has begun. That of the first request begins with the connection.
    head_begun: bool,
    /// None while a request is handled.
    wait: Option<Wait>,
    /// When `wait` times out.
    due: Instant,
    /// When hyper's buffers are released, while it waits for the next request.
    rest_due: Option<Instant>,
    /// Whether they are to be released, or have been.
    is_resting: bool,
    /// Fires at `due`, at `rest_due` or earlier; if earlier, it is reset.
    timer: Pin<Box<Sleep>>,
}

impl<S> TimeoutStream<S> {
    /// A new connection: its first request head is due.
    pub(super) fn new(stream: S, request: Arc<RequestState>, timeouts: Timeouts) -> Self {
        // Where two time-outs apply, the shorter one wins.
        let timeouts = Timeouts { header: timeouts.header.min(timeouts.idle), ..timeouts };
        let due = Instant::now() + timeouts.header;
        Self {
            stream,
            request,
            seen_changes: 0,
            timeouts,
            heads: HeadBuffer::default(),
            chunked: ChunkedCheck::default(),
            charged: false,
            head_begun: true,
            wait: Some(Wait::Head),
            due,
            rest_due: None,
            is_resting: false,
            timer: Box::pin(tokio::time::sleep_until(due)),
        }
    }

    /// Whether a request is being handled. Resets the wait if a request has begun or ended since the last call.
    fn is_handling(&mut self) -> bool {
        let changes = self.request.changes();
        if self.seen_changes != changes {
            self.seen_changes = changes;
            self.head_begun = false;
            self.wait = None;
            self.is_resting = false;
        }
        changes % 2 == 1
    }

    /// Whether the end of the stream that hyper has read was the end of its part only.
    pub(super) fn is_resting(&self) -> bool {
        self.is_resting
    }

    fn idle_timeout(&self) -> Duration {
        let Timeouts { idle, unauthenticated_idle, .. } = self.timeouts;
        if self.request.connection().is_unauthenticated_client() {
            unauthenticated_idle.min(idle)
        } else {
            idle
        }
    }

    /// Ready with an error when the next request is overdue.
    fn poll_next_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.head_begun |= !self.heads.is_empty();
        self.poll_timeout(if self.head_begun { Wait::Head } else { Wait::Request }, cx)
    }

    /// Ready with an error when `wait` has timed out; the time-out starts when the wait changes.
    fn poll_timeout(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.wait != Some(wait) {
            let timeout = match wait {
                Wait::Head => self.timeouts.header,
                Wait::Request | Wait::Write => self.idle_timeout(),
            };
            let now = Instant::now();
            self.wait = Some(wait);
            self.due = now + timeout;
            self.rest_due = (wait == Wait::Request).then(|| now + self.timeouts.rest);
        }
        loop {
            let next = self.rest_due.map_or(self.due, |rest_due| rest_due.min(self.due));
            if self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(cx));
            let fired = self.timer.deadline();
            if fired >= self.due {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            if fired >= next {
                (self.rest_due, self.is_resting) = (None, true);
                // hyper has to read once more, to find the end.
                cx.waker().wake_by_ref();
            }
            self.timer.as_mut().reset(next);
        }
    }

    /// Charges a long head to the connection; fails at the memory limit.
    fn charge_long_head(&mut self) -> io::Result<()> {
        if !self.charged && self.heads.capacity() > SHORT_HEAD {
            let charged = self.request.connection().charge(LONG_HEAD);
            charged.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            self.charged = true;
        }
        Ok(())
    }

    fn release_next_head(&mut self) {
        if let Some(error) = self.heads.release_next() {
            self.request.set_error(error);
        }
    }
}

impl<S: AsyncRead + Unpin> TimeoutStream<S> {
    /// Waits for the next complete head, while hyper has nothing allocated. `false`: the peer sends none.
    pub(super) async fn has_head(&mut self) -> bool {
        self.is_resting = false;
        let head = std::future::poll_fn(|cx| self.poll_head(cx, None)).await;
        head.is_ok() && self.heads.is_released()
    }

    /// Reads until there is a complete head, the end of the stream, or bytes that are no HTTP.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: Option<&mut ReadBuf<'_>>,
    ) -> Poll<io::Result<()>> {
        loop {
            self.release_next_head();
            if self.heads.is_released() {
                if let Some(buf) = buf {
                    self.heads.move_released(buf);
                }
                return Poll::Ready(Ok(()));
            }
            let read = match &mut buf {
                // Most heads arrive complete: no copy is needed.
                Some(buf) if self.heads.is_empty() => {
                    let before = buf.filled().len();
                    let read = Pin::new(&mut self.stream).poll_read(cx, buf);
                    if read.is_ready() {
                        let received = buf.filled().len() > before;
                        let error = received.then(|| self.heads.take_excess(buf, before)).flatten();
                        if let Some(error) = error {
                            self.request.set_error(error);
                        }
                        if !received || buf.filled().len() > before {
                            self.head_begun = true;
                            return read;
                        }
                    }
                    read
                }
                _ => {
                    let mut scratch = [MaybeUninit::uninit(); SCRATCH];
                    let mut scratch = ReadBuf::uninit(&mut scratch);
                    let read = Pin::new(&mut self.stream).poll_read(cx, &mut scratch);
                    if read.is_ready() && scratch.filled().is_empty() {
                        return read;
                    }
                    self.heads.push(scratch.filled());
                    read
                }
            };
            match read {
                Poll::Ready(read) => read?,
                // The time-out of the unread answer runs already; the peer need not send anything meanwhile.
                Poll::Pending if self.wait == Some(Wait::Write) => return Poll::Pending,
                Poll::Pending => {
                    return match self.poll_next_request(cx) {
                        Poll::Ready(error) => Poll::Ready(Err(error)),
                        // hyper ends here, and the connection does not.
                        Poll::Pending if self.is_resting && buf.is_some() => Poll::Ready(Ok(())),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
            self.head_begun = true;
            self.charge_long_head()?;
        }
    }

    /// Reads the body of the current request, and detects that the peer has disconnected.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = usize::try_from(self.request.body_left()).unwrap_or(usize::MAX);
        let before = buf.filled().len();
        if left > 0 && !self.heads.is_empty() {
            let moved = self.heads.move_bytes(buf, left);
            self.request.body_was_read(moved);
            return Poll::Ready(self.check_chunks(buf, before));
        }
        loop {
            // A client that pipelines requests is not read ahead without limit.
            if left == 0 && self.heads.is_full() {
                return Poll::Pending;
            }
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending if self.is_handling() => return Poll::Pending,
                Poll::Pending => {
                    self.head_begun = true;
                    return self.poll_next_request(cx).map(Err);
                }
            }
            let received = buf.filled().len() - before;
            let body = received.min(left);
            if received > body {
                self.heads.push(&buf.filled()[before + body..]);
                buf.set_filled(before + body);
                self.charge_long_head()?;
            }
            if body > 0 || received == 0 {
                self.request.body_was_read(body);
                return Poll::Ready(self.check_chunks(buf, before));
            }
        }
    }

    /// Fails, and passes nothing more to hyper, if the framing of a chunked body is invalid.
    fn check_chunks(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        if self.request.body_left() != UNKNOWN_LENGTH {
            return Ok(());
        }
        self.chunked.check(&buf.filled()[before..]).map_err(|error| {
            buf.set_filled(before);
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_handling() || self.request.body_left() > 0 {
            self.poll_body(cx, buf)
        } else {
            self.poll_head(cx, Some(buf))
        }
    }
}

impl<S: AsyncWrite + Unpin> TimeoutStream<S> {
    fn or_timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(done) => {
                if self.wait == Some(Wait::Write) {
                    self.wait = None;
                }
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_timeout(Wait::Write, cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimeoutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.or_timeout(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.or_timeout(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        let flushed = self.or_timeout(cx, flushed);
        // After an answer is sent, hyper does not read until the socket is readable.
        if matches!(flushed, Poll::Ready(Ok(()))) && !self.is_handling() && self.wait.is_none() {
            // The next request may be in the buffer already.
            if self.heads.needs_scan() {
                cx.waker().wake_by_ref();
            }
            return match self.poll_next_request(cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => flushed,
            };
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_timeout(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::server::connection_table::{ConnectionTable, Limits, OpenConnection};
    use crate::server::framing::FramingError;
    use crate::telemetry::Connections;

    const HEAD: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

    fn stream(buffer: usize) -> (DuplexStream, TimeoutStream<DuplexStream>, Arc<RequestState>) {
        let (peer, ours) = duplex(buffer);
        let state = RequestState::new(OpenConnection::for_tests());
        let stream = TimeoutStream::new(ours, Arc::clone(&state), Timeouts::TEST);
        (peer, stream, state)
    }

    fn table(per_address: Option<usize>, memory: usize) -> ConnectionTable {
        ConnectionTable::new(Limits { per_address, memory }, Connections::default())
    }

    /// A complete request without a body.
    async fn request(
        peer: &mut DuplexStream,
        stream: &mut TimeoutStream<DuplexStream>,
        state: &RequestState,
    ) {
        peer.write_all(HEAD).await.unwrap();
        assert_eq!(read(stream, HEAD.len()).await, HEAD);
        // hyper may choose not to read while it handles the request.
        state.begin_request(Some(0));
        state.end_request();
    }

    async fn read(stream: &mut TimeoutStream<DuplexStream>, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        stream.read_exact(&mut read).await.unwrap();
        read
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_at_the_header_time_out() {
        let (_peer, mut stream, _) = stream(64);
        let started = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickled_head_ends_at_the_header_time_out_too() {
        let (mut peer, mut stream, _) = stream(64);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if peer.write_u8(b'x').await.is_err() {
                    break;
                }
            }
        });
        let started = Instant::now();
        assert!(!stream.has_head().await);
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_request_the_header_time_out_starts_with_the_first_byte_of_the_next() {
        let (mut peer, mut stream, state) = stream(64);
        request(&mut peer, &mut stream, &state).await;
        let idle_since = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_mins(1)).await;
            peer.write_u8(b'G').await.unwrap();
            std::future::pending::<()>().await;
        });
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 70));
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_restarts_the_idle_time_out() {
        let (mut peer, mut stream, state) = stream(64);
        for _ in 0..3 {
            request(&mut peer, &mut stream, &state).await;
            let read = tokio::time::timeout(Duration::from_secs(74), stream.read_u8()).await;
            assert!(read.is_err(), "a connection ended too early");
        }
        let idle_since = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_time_out_is_shorter_until_a_caller_authenticates() {
        let table = table(Some(10), 1 << 20);
        let entry = table.open(0).unwrap();
        entry.count_for_address([192, 0, 2, 1].into()).unwrap();
        let (mut peer, ours) = duplex(64);
        let state = RequestState::new(Arc::clone(entry.connection()));
        let mut stream = TimeoutStream::new(ours, Arc::clone(&state), Timeouts::TEST);
        let mut idle = Vec::new();
        for authenticated in [false, true] {
            if authenticated {
                entry.connection().mark_authenticated();
            }
            request(&mut peer, &mut stream, &state).await;
            let idle_since = Instant::now();
            let error = stream.read_u8().await.unwrap_err();
            idle.push((error.kind(), idle_since.elapsed().as_secs()));
        }
        assert_eq!(idle, [(io::ErrorKind::TimedOut, 5), (io::ErrorKind::TimedOut, 75)]);
    }

    #[tokio::test(start_paused = true)]
    async fn pipelined_requests_and_their_bodies_are_read_separately() {
        let (mut peer, mut stream, state) = stream(256);
        let bodies = b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\nGET ";
        peer.write_all(bodies).await.unwrap();
        assert!(stream.has_head().await);
        let post = &bodies[..bodies.len() - 3 - HEAD.len() - 4];
        assert_eq!(read(&mut stream, post.len()).await, post);
        assert_eq!(state.begin_request(Some(3)), None);
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
        // The next request is not part of this body.
        assert!(tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await.is_err());
        state.end_request();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), HEAD.len());
        assert_eq!(&buffer[..HEAD.len()], HEAD);
        state.begin_request(Some(0));
        drop(peer);
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 0, "the disconnect is not detected");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_a_head_belongs_to_its_own_request() {
        let (mut peer, mut stream, state) = stream(256);
        let error = async |stream: &mut TimeoutStream<DuplexStream>| {
            let mut buffer = [0; 100];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            let error = state.begin_request(Some(0));
            state.end_request();
            error
        };
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        peer.write_all(HEAD).await.unwrap();
        assert_eq!(error(&mut stream).await, Some(FramingError::NoHost));
        assert_eq!(error(&mut stream).await, None);
        peer.write_all(b"GET / HTTP/1.0\n\n").await.unwrap();
        assert_eq!(error(&mut stream).await, Some(FramingError::BareLineFeed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_head_ends_its_connection_at_the_memory_limit() {
        let table = table(None, LONG_HEAD);
        let entries = [0, 1].map(|memory| table.open(memory).unwrap());
        entries[1].connection().begin();
        let mut outcomes = Vec::new();
        for end in ["\r\n\r\n", "x"] {
            let (mut peer, ours) = duplex(64 << 10);
            let state = RequestState::new(Arc::clone(entries[0].connection()));
            let mut stream = TimeoutStream::new(ours, state, Timeouts::TEST);
            let length = if end == "x" { 9_000 } else { 4_000 };
            let head = format!("GET / HTTP/1.0\r\nX: {}{end}", "x".repeat(length));
            peer.write_all(head.as_bytes()).await.unwrap();
            outcomes.push(stream.read(&mut [0; 8192]).await.map_err(|error| error.kind()));
        }
        assert!(outcomes[0].is_ok());
        assert_eq!(outcomes[1], Err(io::ErrorKind::OutOfMemory));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_do_not_extend_the_time_out_for_an_unread_answer() {
        let (_peer, mut stream, state) = stream(4);
        state.begin_request(Some(0));
        state.end_request();
        let started = Instant::now();
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        // hyper reads while it writes, to detect a disconnect.
        let both = async {
            tokio::select! {
                biased;
                read = reading.read_u8() => read.map(drop),
                written = writing.write_all(b"more than four bytes") => written,
            }
        };
        assert_eq!(both.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 75);
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_request_is_handled_no_time_out_runs() {
        let (_peer, mut stream, state) = stream(64);
        state.begin_request(None);
        let read = tokio::time::timeout(Duration::from_secs(500), stream.read_u8()).await;
        assert!(read.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_its_answer_times_out() {
        let (_peer, mut stream, state) = stream(4);
        state.begin_request(Some(0));
        let started = Instant::now();
        let error = stream.write_all(b"more than four bytes").await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 75));
    }
}
