//! A connection that ends itself when its peer dawdles: in the middle of something, or between two requests. What it
//! has sent reaches hyper head by head.
//!
//! hyper has one time-out for "no request yet" and "a head that does not end". The first may well be a minute, as
//! balancers keep connections open; the second may not. hyper also sets its timer anew for each request, which costs
//! more than all of what is here: a timer that rings too early is moved then, and not before.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::chunked::ChunkedCheck;
use super::connection_table::OpenConnection;
use super::framing::FramingError;
use super::heads::Heads;

/// Read at once where hyper gives no room: on the stack, so a connection keeps nothing of it.
const SCRATCH: usize = 4096;
/// A head up to this length fits what every connection is reckoned at.
const SHORT_HEAD: usize = 8 * 1024;
/// What a longer one takes more: here while it comes, and in hyper's buffer from then on.
const LONG_HEAD: usize = 32 * 1024;
/// Of a body whose length is not known before its end.
const UNKNOWN: u64 = u64::MAX;

/// Whether a request is being handled, as the service tells the stream under it.
///
/// Counts the changes: odd while a request is handled. A count, because the stream may not be asked to read
/// in the meantime, and must still see that a whole request has passed.
#[derive(Debug)]
pub(crate) struct Phase {
    changes: AtomicUsize,
    /// Bytes of the request's body that have not been read.
    body_left: AtomicU64,
    /// What is wrong with the head that was read last. Never contended: one task has both ends.
    error: Mutex<Option<FramingError>>,
    connection: Arc<OpenConnection>,
}

impl Phase {
    pub(super) fn new(connection: Arc<OpenConnection>) -> Arc<Self> {
        Arc::new(Self {
            changes: AtomicUsize::new(0),
            body_left: AtomicU64::new(0),
            error: Mutex::default(),
            connection,
        })
    }

    /// The head is complete; from here on the request's own deadline counts. Its body has so many bytes, if that is
    /// known. Answers what is wrong with the head.
    pub(super) fn handling(&self, body: Option<u64>) -> Option<FramingError> {
        self.connection.begin();
        self.body_left.store(body.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.error().take()
    }

    /// The answer is made.
    pub(super) fn idle(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.connection.end();
    }

    fn error(&self) -> MutexGuard<'_, Option<FramingError>> {
        self.error.lock()
    }

    fn body_left(&self) -> u64 {
        self.body_left.load(Ordering::Relaxed)
    }

    fn body_passed(&self, bytes: usize) {
        let left = self.body_left();
        if left != UNKNOWN {
            self.body_left.store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
        }
    }
}

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a head, from its first byte; of the first request, from the connection's.
    pub(super) header: Duration,
    /// Between two requests, and for an answer to be read.
    pub(super) idle: Duration,
    /// The same while nobody has proven themselves, where that can be told.
    pub(super) stranger: Duration,
}

/// What the peer is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// The rest of a request's head. It is not granted anew with each byte: a trickle ends too.
    Head,
    /// The next request's first byte.
    Request,
    /// Room to write an answer.
    Room,
}

/// A stream whose reads and writes fail once the peer has been waited for too long.
pub(crate) struct Watched<S> {
    stream: S,
    phase: Arc<Phase>,
    seen: usize,
    patience: Patience,
    heads: Heads,
    /// Of the one body whose length is not known: the connection ends after it.
    chunked: ChunkedCheck,
    /// A long head came, and was reckoned.
    charged: bool,
    /// Whether the next request's head has begun; the first one's has, once the connection stands.
    begun: bool,
    /// What is waited for now; nothing while a request is handled.
    wait: Option<Wait>,
    /// When that has lasted too long.
    due: Instant,
    /// Rings when it is due, or before: then it is set anew.
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    /// A stream that was just accepted: its first request's head is due.
    pub(super) fn new(stream: S, phase: Arc<Phase>, patience: Patience) -> Self {
        // Where two time-outs apply, the shorter one wins.
        let patience = Patience { header: patience.header.min(patience.idle), ..patience };
        let due = Instant::now() + patience.header;
        Self {
            stream,
            phase,
            seen: 0,
            patience,
            heads: Heads::default(),
            chunked: ChunkedCheck::default(),
            charged: false,
            begun: true,
            wait: Some(Wait::Head),
            due,
            timer: Box::pin(tokio::time::sleep_until(due)),
        }
    }

    /// Whether a request is being handled; takes note of those that have passed.
    fn is_handled(&mut self) -> bool {
        let changes = self.phase.changes.load(Ordering::Relaxed);
        if self.seen != changes {
            self.seen = changes;
            self.begun = false;
            self.wait = None;
        }
        changes % 2 == 1
    }

    fn idle_patience(&self) -> Duration {
        let Patience { idle, stranger, .. } = self.patience;
        if self.phase.connection.is_a_strangers() { stranger.min(idle) } else { idle }
    }

    /// Ready with an error once the next request has been waited for too long.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.begun |= !self.heads.is_empty();
        self.poll_patience(if self.begun { Wait::Head } else { Wait::Request }, cx)
    }

    /// Ready with an error once `wait` has lasted too long; its time starts when the wait is a new one.
    fn poll_patience(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.wait != Some(wait) {
            let patience = match wait {
                Wait::Head => self.patience.header,
                Wait::Request | Wait::Room => self.idle_patience(),
            };
            self.wait = Some(wait);
            self.due = Instant::now() + patience;
        }
        loop {
            if self.timer.deadline() > self.due {
                self.timer.as_mut().reset(self.due);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= self.due {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(self.due);
        }
    }

    /// What a peer has sent that nobody gives away yet may not grow for nothing.
    fn charge(&mut self) -> io::Result<()> {
        if !self.charged && self.heads.capacity() > SHORT_HEAD {
            let charged = self.phase.connection.charge(LONG_HEAD);
            charged.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            self.charged = true;
        }
        Ok(())
    }

    fn look(&mut self) {
        if let Some(error) = self.heads.look() {
            *self.phase.error() = Some(error);
        }
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Waits for the first whole head; none comes after `false`. Until then nothing of HTTP's needs any room.
    pub(super) async fn has_first_head(&mut self) -> bool {
        let head = std::future::poll_fn(|cx| self.poll_head(cx, None)).await;
        head.is_ok() && self.heads.is_released()
    }

    /// Reads until there is a whole head, the end of the stream, or something that is no HTTP.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: Option<&mut ReadBuf<'_>>,
    ) -> Poll<io::Result<()>> {
        loop {
            self.look();
            if self.heads.is_released() {
                if let Some(buf) = buf {
                    self.heads.give(buf);
                }
                return Poll::Ready(Ok(()));
            }
            let read = match &mut buf {
                // Most heads come whole: those need no copy.
                Some(buf) if self.heads.is_empty() => {
                    let before = buf.filled().len();
                    let read = Pin::new(&mut self.stream).poll_read(cx, buf);
                    if read.is_ready() {
                        let came = buf.filled().len() > before;
                        let error = came.then(|| self.heads.sort(buf, before)).flatten();
                        if error.is_some() {
                            *self.phase.error() = error;
                        }
                        if !came || buf.filled().len() > before {
                            self.begun = true;
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
                // While an answer is not read, that is timed already, and nothing more is asked of the peer.
                Poll::Pending if self.wait == Some(Wait::Room) => return Poll::Pending,
                Poll::Pending => return self.poll_next(cx).map(Err),
            }
            self.begun = true;
            self.charge()?;
        }
    }

    /// Reads what belongs to the request that is handled, and notices who hangs up.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = usize::try_from(self.phase.body_left()).unwrap_or(usize::MAX);
        let before = buf.filled().len();
        if left > 0 && !self.heads.is_empty() {
            let given = self.heads.give_at_most(buf, left);
            self.phase.body_passed(given);
            return Poll::Ready(self.check_chunks(buf, before));
        }
        loop {
            // Who sends requests without waiting for answers is not read ahead for ever.
            if left == 0 && self.heads.is_full() {
                return Poll::Pending;
            }
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending if self.is_handled() => return Poll::Pending,
                Poll::Pending => {
                    self.begun = true;
                    return self.poll_next(cx).map(Err);
                }
            }
            let came = buf.filled().len() - before;
            let own = came.min(left);
            if came > own {
                self.heads.push(&buf.filled()[before + own..]);
                buf.set_filled(before + own);
                self.charge()?;
            }
            if own > 0 || came == 0 {
                self.phase.body_passed(own);
                return Poll::Ready(self.check_chunks(buf, before));
            }
        }
    }

    /// Gives nothing of a chunked body to hyper once its framing is wrong.
    fn check_chunks(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        if self.phase.body_left() != UNKNOWN {
            return Ok(());
        }
        self.chunked.check(&buf.filled()[before..]).map_err(|error| {
            buf.set_filled(before);
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_handled() || self.phase.body_left() > 0 {
            self.poll_body(cx, buf)
        } else {
            self.poll_head(cx, Some(buf))
        }
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn patiently<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(done) => {
                if self.wait == Some(Wait::Room) {
                    self.wait = None;
                }
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_patience(Wait::Room, cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.patiently(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.patiently(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        let flushed = self.patiently(cx, flushed);
        // Once an answer is out, hyper waits for the socket and reads no more until it has something.
        if matches!(flushed, Poll::Ready(Ok(()))) && !self.is_handled() && self.wait.is_none() {
            // The next request may be here already.
            if self.heads.has_news() {
                cx.waker().wake_by_ref();
            }
            return match self.poll_next(cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => flushed,
            };
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patiently(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::server::connection_table::{Bounds, ConnectionTable};
    use crate::telemetry::Connections;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        stranger: Duration::from_secs(5),
    };
    const HEAD: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

    fn watched(buffer: usize) -> (DuplexStream, Watched<DuplexStream>, Arc<Phase>) {
        let (peer, ours) = duplex(buffer);
        let phase = Phase::new(OpenConnection::alone());
        let stream = Watched::new(ours, Arc::clone(&phase), PATIENCE);
        (peer, stream, phase)
    }

    fn table(per_address: Option<usize>, memory: usize) -> ConnectionTable {
        ConnectionTable::new(Bounds { per_address, memory }, Connections::default())
    }

    /// A request without a body, whole.
    async fn request(peer: &mut DuplexStream, stream: &mut Watched<DuplexStream>, phase: &Phase) {
        peer.write_all(HEAD).await.unwrap();
        assert_eq!(read(stream, HEAD.len()).await, HEAD);
        // Nothing is read while this request is handled, as hyper may choose.
        phase.handling(Some(0));
        phase.idle();
    }

    async fn read(stream: &mut Watched<DuplexStream>, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        stream.read_exact(&mut read).await.unwrap();
        read
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_ends_with_the_header_time_out() {
        let (_peer, mut stream, _) = watched(64);
        let started = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickled_head_ends_with_the_header_time_out_too() {
        let (mut peer, mut stream, _) = watched(64);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if peer.write_u8(b'x').await.is_err() {
                    break;
                }
            }
        });
        let started = Instant::now();
        assert!(!stream.has_first_head().await);
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_request_the_next_heads_time_starts_with_its_first_byte() {
        let (mut peer, mut stream, phase) = watched(64);
        request(&mut peer, &mut stream, &phase).await;
        let idle_since = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            peer.write_u8(b'G').await.unwrap();
            std::future::pending::<()>().await;
        });
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 70));
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_requests_the_idle_time_out_counts_each_time() {
        let (mut peer, mut stream, phase) = watched(64);
        for _ in 0..3 {
            request(&mut peer, &mut stream, &phase).await;
            let read = tokio::time::timeout(Duration::from_secs(74), stream.read_u8()).await;
            assert!(read.is_err(), "a connection ended too early");
        }
        let idle_since = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_strangers_connection_is_idle_for_less_long_until_somebody_proves_themselves() {
        let table = table(Some(10), 1 << 20);
        let entry = table.open(0).unwrap();
        entry.join([192, 0, 2, 1].into()).unwrap();
        let (mut peer, ours) = duplex(64);
        let phase = Phase::new(Arc::clone(entry.connection()));
        let mut stream = Watched::new(ours, Arc::clone(&phase), PATIENCE);
        let mut idle = Vec::new();
        for proven in [false, true] {
            if proven {
                entry.connection().authenticated();
            }
            request(&mut peer, &mut stream, &phase).await;
            let idle_since = Instant::now();
            let error = stream.read_u8().await.unwrap_err();
            idle.push((error.kind(), idle_since.elapsed().as_secs()));
        }
        assert_eq!(idle, [(io::ErrorKind::TimedOut, 5), (io::ErrorKind::TimedOut, 75)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_early_is_kept_and_read_as_what_it_is() {
        let (mut peer, mut stream, phase) = watched(256);
        let bodies = b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\nGET ";
        peer.write_all(bodies).await.unwrap();
        assert!(stream.has_first_head().await);
        let post = &bodies[..bodies.len() - 3 - HEAD.len() - 4];
        assert_eq!(read(&mut stream, post.len()).await, post);
        assert_eq!(phase.handling(Some(3)), None);
        let mut room = [0; 100];
        assert_eq!(stream.read(&mut room).await.unwrap(), 3);
        assert_eq!(&room[..3], b"abc");
        // Nothing of the next request belongs to this one.
        assert!(tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await.is_err());
        phase.idle();
        assert_eq!(stream.read(&mut room).await.unwrap(), HEAD.len());
        assert_eq!(&room[..HEAD.len()], HEAD);
        phase.handling(Some(0));
        drop(peer);
        assert_eq!(stream.read(&mut room).await.unwrap(), 0, "who hangs up is noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_a_head_is_told_with_its_request_and_not_with_the_next() {
        let (mut peer, mut stream, phase) = watched(256);
        let told = async |stream: &mut Watched<DuplexStream>| {
            let mut room = [0; 100];
            assert!(stream.read(&mut room).await.unwrap() > 0);
            let told = phase.handling(Some(0));
            phase.idle();
            told
        };
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        peer.write_all(HEAD).await.unwrap();
        assert_eq!(told(&mut stream).await, Some(FramingError::NoHost));
        assert_eq!(told(&mut stream).await, None);
        peer.write_all(b"GET / HTTP/1.0\n\n").await.unwrap();
        assert_eq!(told(&mut stream).await, Some(FramingError::BareLineFeed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_head_needs_room_and_ends_its_connection_if_there_is_none() {
        let table = table(None, LONG_HEAD);
        let entries = [0, 1].map(|memory| table.open(memory).unwrap());
        entries[1].connection().begin();
        let mut outcomes = Vec::new();
        for end in ["\r\n\r\n", "x"] {
            let (mut peer, ours) = duplex(64 << 10);
            let phase = Phase::new(Arc::clone(entries[0].connection()));
            let mut stream = Watched::new(ours, phase, PATIENCE);
            let length = if end == "x" { 9_000 } else { 4_000 };
            let head = format!("GET / HTTP/1.0\r\nX: {}{end}", "x".repeat(length));
            peer.write_all(head.as_bytes()).await.unwrap();
            outcomes.push(stream.read(&mut [0; 8192]).await.map_err(|error| error.kind()));
        }
        assert!(outcomes[0].is_ok());
        assert_eq!(outcomes[1], Err(io::ErrorKind::OutOfMemory));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_do_not_lengthen_the_wait_for_an_answer_to_be_read() {
        let (_peer, mut stream, phase) = watched(4);
        phase.handling(Some(0));
        phase.idle();
        let started = Instant::now();
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        // hyper reads while it writes, to notice who hangs up.
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
    async fn while_a_request_is_handled_nothing_is_timed_here() {
        let (_peer, mut stream, phase) = watched(64);
        phase.handling(None);
        let read = tokio::time::timeout(Duration::from_secs(500), stream.read_u8()).await;
        assert!(read.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_its_answer_is_given_up() {
        let (_peer, mut stream, phase) = watched(4);
        phase.handling(Some(0));
        let started = Instant::now();
        let error = stream.write_all(b"more than four bytes").await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 75));
    }
}
