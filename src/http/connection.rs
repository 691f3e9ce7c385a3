//! A connection that ends itself when its peer dawdles: in the middle of something, or between two requests.
//!
//! hyper has one time-out for "no request yet" and "a head that does not end". The first may well be a minute, as
//! balancers keep connections open; the second may not. hyper also sets its timer anew for each request, which costs
//! more than all of what is here: a timer that rings too early is moved then, and not before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Whether a request is being handled, as the service tells the stream under it.
///
/// Counts the changes: odd while a request is handled. A count, because the stream may not be asked to read
/// in the meantime, and must still see that a whole request has passed.
#[derive(Debug)]
pub(crate) struct Phase(AtomicUsize);

impl Phase {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    /// The head is complete; from here on the request's own deadline counts.
    pub(crate) fn handling(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer is made.
    pub(crate) fn idle(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
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
    header_timeout: Duration,
    idle_timeout: Duration,
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
    pub(crate) fn new(
        stream: S,
        phase: Arc<Phase>,
        header_timeout: Duration,
        idle_timeout: Duration,
    ) -> Self {
        // Where two time-outs apply, the shorter one wins.
        let header_timeout = header_timeout.min(idle_timeout);
        let due = Instant::now() + header_timeout;
        let timer = Box::pin(tokio::time::sleep_until(due));
        let (begun, wait) = (true, Some(Wait::Head));
        Self { stream, phase, seen: 0, header_timeout, idle_timeout, begun, wait, due, timer }
    }

    /// Whether a request is being handled; takes note of those that have passed.
    fn is_handled(&mut self) -> bool {
        let phase = self.phase.0.load(Ordering::Relaxed);
        if self.seen != phase {
            self.seen = phase;
            self.begun = false;
            self.wait = None;
        }
        phase % 2 == 1
    }

    /// Ready with an error once the next request has been waited for too long.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.poll_patience(if self.begun { Wait::Head } else { Wait::Request }, cx)
    }

    /// Ready with an error once `wait` has lasted too long; its time starts when the wait is a new one.
    fn poll_patience(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.wait != Some(wait) {
            let patience = match wait {
                Wait::Head => self.header_timeout,
                Wait::Request | Wait::Room => self.idle_timeout,
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
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.is_handled() {
            return read;
        }
        if read.is_ready() {
            self.begun = true;
            return read;
        }
        // While an answer is not read, that is timed already, and nothing more is asked of the peer.
        if self.wait == Some(Wait::Room) {
            return Poll::Pending;
        }
        self.poll_next(cx).map(Err)
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

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn watched(buffer: usize) -> (DuplexStream, Watched<DuplexStream>, Arc<Phase>) {
        let (peer, ours) = duplex(buffer);
        let phase = Phase::new();
        let stream = Watched::new(ours, Arc::clone(&phase), HEAD, IDLE);
        (peer, stream, phase)
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
        while stream.read_u8().await.is_ok() {}
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_request_the_next_heads_time_starts_with_its_first_byte() {
        let (mut peer, mut stream, phase) = watched(64);
        peer.write_u8(b'1').await.unwrap();
        stream.read_u8().await.unwrap();
        // Nothing is read while this request is handled, as hyper may choose.
        phase.handling();
        phase.idle();

        let idle_since = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            peer.write_u8(b'2').await.unwrap();
            std::future::pending::<()>().await;
        });
        stream.read_u8().await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 70));
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_requests_the_idle_time_out_counts_each_time() {
        let (mut peer, mut stream, phase) = watched(64);
        for _ in 0..3 {
            peer.write_u8(b'1').await.unwrap();
            stream.read_u8().await.unwrap();
            phase.handling();
            phase.idle();
            let read = tokio::time::timeout(Duration::from_secs(74), stream.read_u8()).await;
            assert!(read.is_err(), "a connection ended too early");
        }
        let idle_since = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), idle_since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_do_not_lengthen_the_wait_for_an_answer_to_be_read() {
        let (_peer, mut stream, phase) = watched(4);
        phase.handling();
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
        phase.handling();
        let read = tokio::time::timeout(Duration::from_secs(500), stream.read_u8()).await;
        assert!(read.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_its_answer_is_given_up() {
        let (_peer, mut stream, phase) = watched(4);
        phase.handling();
        let started = Instant::now();
        let error = stream.write_all(b"more than four bytes").await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 75));
    }
}
