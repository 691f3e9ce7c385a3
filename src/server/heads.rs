//! What a connection has sent and hyper has not been given: hyper gets whole heads, each by itself.
//!
//! hyper makes room of 8 KiB before the first byte of a head and of up to 32 for a long one, and keeps it as long as the
//! connection. Here an unfinished head takes what has come of it. And since hyper never has more than one head at a time,
//! each is seen as it was sent, which is what [`framing`](super::framing) needs.

use tokio::io::ReadBuf;

use super::accept::MAX_HEAD_BYTES;
use super::framing::{FramingError, Scan, scan};

#[derive(Debug, Default)]
pub(super) struct Heads {
    ahead: Vec<u8>,
    /// So much of it may be given away.
    released: usize,
    /// It may be complete, and was not looked at since.
    news: bool,
}

impl Heads {
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Whether no more should be read before some of it is given away.
    pub(super) fn is_full(&self) -> bool {
        self.ahead.len() >= MAX_HEAD_BYTES
    }

    /// The memory that it takes.
    pub(super) fn capacity(&self) -> usize {
        self.ahead.capacity()
    }

    pub(super) fn is_released(&self) -> bool {
        self.released > 0
    }

    /// Whether there is something that was not looked at.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // A head ends in a line's end, and is known to be none by its first byte.
        self.news |= self.is_empty() || bytes.contains(&b'\n');
        self.ahead.extend_from_slice(bytes);
        self.news |= self.is_full();
    }

    /// Releases a head if there is a whole one, or something that will never be one: hyper refuses that.
    pub(super) fn look(&mut self) -> Option<FramingError> {
        if self.is_released() || !std::mem::take(&mut self.news) {
            return None;
        }
        match scan(&self.ahead) {
            Scan::Complete { length, error } => {
                self.released = length;
                error
            }
            Scan::Incomplete if !self.is_full() => None,
            Scan::Incomplete | Scan::Unreadable => {
                self.released = self.ahead.len();
                None
            }
        }
    }

    /// What came directly into hyper's buffer after `before`: left there if it is one whole head, kept here if not.
    pub(super) fn sort(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Option<FramingError> {
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
                self.news = self.is_full();
                buf.set_filled(before);
                None
            }
        }
    }

    /// Gives away what was released, or as much of it as there is room for.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) {
        self.released -= self.give_at_most(buf, self.released);
    }

    /// Gives away so much whatever it is; answers how much that was.
    pub(super) fn give_at_most(&mut self, buf: &mut ReadBuf<'_>, most: usize) -> usize {
        let given = most.min(self.ahead.len()).min(buf.remaining());
        buf.put_slice(&self.ahead[..given]);
        self.ahead.drain(..given);
        // The next head begins small again.
        self.ahead.shrink_to_fit();
        self.news |= !self.is_empty();
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn given(heads: &mut Heads) -> Vec<u8> {
        let mut room = [0; 64];
        let mut buf = ReadBuf::new(&mut room);
        heads.give(&mut buf);
        buf.filled().to_vec()
    }

    #[test]
    fn heads_are_given_one_by_one_however_they_came() {
        for size in 1..=2 * HEAD.len() {
            let mut heads = Heads::default();
            let mut told = Vec::new();
            for piece in [HEAD, HEAD].concat().chunks(size) {
                heads.push(piece);
                heads.look();
                while heads.is_released() {
                    told.push(given(&mut heads));
                    heads.look();
                }
            }
            assert_eq!(told, [HEAD, HEAD], "in pieces of {size}");
            assert_eq!(heads.capacity(), 0);
        }
    }

    #[test]
    fn what_came_into_the_parsers_buffer_stays_there_if_it_is_one_head() {
        let sort = |bytes: &[u8]| {
            let (mut room, mut heads) = ([0; 128], Heads::default());
            let mut buf = ReadBuf::new(&mut room);
            buf.put_slice(bytes);
            let error = heads.sort(&mut buf, 0);
            (buf.filled().to_vec(), heads.ahead, error)
        };
        assert_eq!(sort(HEAD), (HEAD.to_vec(), vec![], None));
        assert_eq!(sort(&[HEAD, b"{}"].concat()), (HEAD.to_vec(), b"{}".to_vec(), None));
        assert_eq!(sort(b"GET / HT"), (vec![], b"GET / HT".to_vec(), None));
        assert_eq!(sort(b"\x16\x03"), (b"\x16\x03".to_vec(), vec![], None));
        let error = Some(FramingError::NoHost);
        assert_eq!(sort(b"GET / HTTP/1.1\r\n\r\n").2, error);
    }

    #[test]
    fn an_unfinished_head_takes_what_has_come_of_it_and_ends_at_its_bound() {
        let mut heads = Heads::default();
        heads.push(b"GET / HTTP/1.1\r\nX: ");
        assert!(heads.capacity() < 64);
        while !heads.is_released() {
            heads.push(&[b'x'; 100]);
            heads.look();
            assert!(heads.capacity() <= 2 * MAX_HEAD_BYTES);
        }
        assert!((MAX_HEAD_BYTES..MAX_HEAD_BYTES + 100).contains(&heads.released));
    }
}
