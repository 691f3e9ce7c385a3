//! How much memory objects may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of all objects and parts together: enough for tests and demos, and no danger to the machine.
const MOST_BYTES: u64 = 1 << 30;

/// What an object or a part takes besides its bytes, or somewhat more: else empty ones would be without end.
const OVERHEAD_BYTES: u64 = 1 << 10;

/// The memory for objects; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    left: Arc<AtomicU64>,
}

/// Some of the room, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Room,
    bytes: u64,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { left: Arc::new(AtomicU64::new(MOST_BYTES)) }
    }

    /// What an empty object takes; nothing if there is no room even for that.
    pub(crate) fn begin(&self) -> Option<Taken> {
        let mut taken = Taken { room: self.clone(), bytes: 0 };
        taken.grow(OVERHEAD_BYTES).then_some(taken)
    }
}

impl Taken {
    /// Takes more; `false` if there is not so much left.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self.room.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room_again() {
        let room = Room::new();
        let mut first = room.begin().unwrap();
        let mut second = room.begin().unwrap();
        let rest = MOST_BYTES - 2 * OVERHEAD_BYTES;
        assert!(first.grow(rest - 1) && second.grow(1) && !second.grow(1));
        assert!(room.begin().is_none());
        drop(first);
        assert!(second.grow(MOST_BYTES - OVERHEAD_BYTES - 1) && !second.grow(1));
    }
}
