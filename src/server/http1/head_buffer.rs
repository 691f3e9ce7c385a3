//! Received bytes that hyper has not read yet: hyper reads complete heads, one at a time.
//!
//! hyper allocates 8 KiB before the first byte of a head and up to 32 KiB for a long one, and keeps them as long as the
//! connection. Here an incomplete head takes its own length. And because hyper has one head at a time,
//! [`framing`](super::super::framing) checks each head as it was sent.

use tokio::io::ReadBuf;

use super::super::framing::{FramingError, Scan, scan};
use super::super::settings::MAX_HEAD_BYTES;

#[derive(Debug, Default)]
pub(super) struct HeadBuffer {
    bytes: Vec<u8>,
    /// How many of `bytes` hyper may read.
    released: usize,
    /// Whether bytes arrived that may complete a head.
    needs_scan: bool,
}

impl HeadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether hyper has to read some of it before more is received.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= MAX_HEAD_BYTES
    }

    /// The memory in use.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn is_released(&self) -> bool {
        self.released > 0
    }

    pub(super) fn needs_scan(&self) -> bool {
        self.needs_scan
    }

    pub(super) fn push(&mut self, received: &[u8]) {
        // The first byte tells whether it is HTTP, and a line feed may complete a head.
        self.needs_scan |= self.is_empty() || received.contains(&b'\n');
        self.bytes.extend_from_slice(received);
        self.needs_scan |= self.is_full();
    }

    /// Releases a complete head, or bytes that are no HTTP, which hyper rejects. Returns the error of the head.
    pub(super) fn release_next(&mut self) -> Option<FramingError> {
        if self.is_released() || !std::mem::take(&mut self.needs_scan) {
            return None;
        }
        match scan(&self.bytes) {
            Scan::Complete { length, error } => {
                self.released = length;
                error
            }
            Scan::Incomplete if !self.is_full() => None,
            Scan::Incomplete | Scan::Unreadable => {
                self.released = self.bytes.len();
                None
            }
        }
    }

    /// Checks bytes that were received into hyper's own buffer, from `before` on. One complete head stays there; what is
    /// incomplete, or follows the head, moves here.
    pub(super) fn take_excess(
        &mut self,
        buf: &mut ReadBuf<'_>,
        before: usize,
    ) -> Option<FramingError> {
        let new = &buf.filled()[before..];
        match scan(new) {
            Scan::Unreadable => None,
            Scan::Complete { length, error } => {
                if length < new.len() {
                    self.push(&new[length..]);
                    buf.set_filled(before + length);
                }
                error
            }
            Scan::Incomplete => {
                self.push(new);
                self.needs_scan = self.is_full();
                buf.set_filled(before);
                None
            }
        }
    }

    /// Moves released bytes to `buf`, as far as they fit.
    pub(super) fn move_released(&mut self, buf: &mut ReadBuf<'_>) {
        self.released -= self.move_bytes(buf, self.released);
    }

    /// Moves up to `limit` bytes to `buf`, released or not; returns how many.
    pub(super) fn move_bytes(&mut self, buf: &mut ReadBuf<'_>, limit: usize) -> usize {
        let moved = limit.min(self.bytes.len()).min(buf.remaining());
        buf.put_slice(&self.bytes[..moved]);
        self.bytes.drain(..moved);
        // The next head starts with no memory.
        self.bytes.shrink_to_fit();
        self.needs_scan |= !self.is_empty();
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn moved(heads: &mut HeadBuffer) -> Vec<u8> {
        let mut buffer = [0; 64];
        let mut buf = ReadBuf::new(&mut buffer);
        heads.move_released(&mut buf);
        buf.filled().to_vec()
    }

    #[test]
    fn hyper_reads_heads_one_at_a_time_however_they_arrive() {
        for size in 1..=2 * HEAD.len() {
            let mut heads = HeadBuffer::default();
            let mut read = Vec::new();
            for piece in [HEAD, HEAD].concat().chunks(size) {
                heads.push(piece);
                heads.release_next();
                while heads.is_released() {
                    read.push(moved(&mut heads));
                    heads.release_next();
                }
            }
            assert_eq!(read, [HEAD, HEAD], "in pieces of {size}");
            assert_eq!(heads.capacity(), 0);
        }
    }

    #[test]
    fn one_complete_head_stays_in_hypers_buffer() {
        let received = |bytes: &[u8]| {
            let (mut buffer, mut heads) = ([0; 128], HeadBuffer::default());
            let mut buf = ReadBuf::new(&mut buffer);
            buf.put_slice(bytes);
            let error = heads.take_excess(&mut buf, 0);
            (buf.filled().to_vec(), heads.bytes, error)
        };
        assert_eq!(received(HEAD), (HEAD.to_vec(), vec![], None));
        assert_eq!(received(&[HEAD, b"{}"].concat()), (HEAD.to_vec(), b"{}".to_vec(), None));
        assert_eq!(received(b"GET / HT"), (vec![], b"GET / HT".to_vec(), None));
        assert_eq!(received(b"\x16\x03"), (b"\x16\x03".to_vec(), vec![], None));
        let error = Some(FramingError::NoHost);
        assert_eq!(received(b"GET / HTTP/1.1\r\n\r\n").2, error);
    }

    #[test]
    fn an_incomplete_head_takes_its_own_length_up_to_the_limit() {
        let mut heads = HeadBuffer::default();
        heads.push(b"GET / HTTP/1.1\r\nX: ");
        assert!(heads.capacity() < 64);
        while !heads.is_released() {
            heads.push(&[b'x'; 100]);
            heads.release_next();
            assert!(heads.capacity() <= 2 * MAX_HEAD_BYTES);
        }
        assert!((MAX_HEAD_BYTES..MAX_HEAD_BYTES + 100).contains(&heads.released));
    }
}
