//! The state of the current request, shared by the service that handles it and the stream below hyper.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::super::connection_table::OpenConnection;
use super::super::framing::FramingError;

/// The length of a body that is not known before its end.
pub(super) const UNKNOWN_LENGTH: u64 = u64::MAX;

/// Whether a request is being handled, and what is left of its body.
#[derive(Debug)]
pub(super) struct RequestState {
    /// Odd while a request is handled. A count instead of a flag: the stream may not be polled between two requests, and
    /// must still detect that one has ended.
    changes: AtomicUsize,
    /// Bytes of the request's body that have not been read.
    body_left: AtomicU64,
    /// The error of the last head. Never contended: one task has both ends.
    error: Mutex<Option<FramingError>>,
    connection: Arc<OpenConnection>,
}

impl RequestState {
    pub(super) fn new(connection: Arc<OpenConnection>) -> Arc<Self> {
        Arc::new(Self {
            changes: AtomicUsize::new(0),
            body_left: AtomicU64::new(0),
            error: Mutex::default(),
            connection,
        })
    }

    /// The head is complete: the request's own deadline replaces the stream's. `body` is its length in bytes, if known.
    /// Returns the error of the head.
    pub(super) fn begin_request(&self, body: Option<u64>) -> Option<FramingError> {
        self.connection.begin();
        self.body_left.store(body.unwrap_or(UNKNOWN_LENGTH), Ordering::Relaxed);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.error.lock().take()
    }

    /// The response is ready.
    pub(super) fn end_request(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.connection.end();
    }

    pub(super) fn connection(&self) -> &OpenConnection {
        &self.connection
    }

    pub(super) fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    pub(super) fn set_error(&self, error: FramingError) {
        *self.error.lock() = Some(error);
    }

    pub(super) fn body_left(&self) -> u64 {
        self.body_left.load(Ordering::Relaxed)
    }

    pub(super) fn body_was_read(&self, bytes: usize) {
        let left = self.body_left();
        if left != UNKNOWN_LENGTH {
            self.body_left.store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
        }
    }
}
