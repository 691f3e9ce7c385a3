//! Callers who wait for STS, counted.

use std::collections::HashMap;

use appserver_domain::ClientId;
use parking_lot::{Mutex, MutexGuard};

/// How many wait at one time. Each holds a request and its connection, so their number has a cap; and no client's
/// callers take more than half of it, so that there is always room for others'.
#[derive(Debug)]
pub(super) struct WaitLimit {
    most: usize,
    /// Held for a lookup, never across an await.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_clients: HashMap<ClientId, usize>,
}

/// One who waits, until it is dropped.
#[derive(Debug)]
pub(super) struct WaitPermit<'a> {
    wait_limit: &'a WaitLimit,
    client: &'a ClientId,
}

impl WaitLimit {
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// Counts one more, if there is room.
    pub(super) fn admit<'a>(&'a self, client: &'a ClientId) -> Option<WaitPermit<'a>> {
        let mut counts = self.counts();
        let own = counts.of_clients.get(client).copied().unwrap_or(0);
        if counts.all >= self.most || own >= self.most.div_ceil(2) {
            return None;
        }
        counts.all += 1;
        counts.of_clients.insert(client.clone(), own + 1);
        Some(WaitPermit { wait_limit: self, client })
    }

    pub(super) fn len(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing in here panics half way through a change.
        self.counts.lock()
    }
}

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        let mut counts = self.wait_limit.counts();
        counts.all -= 1;
        match counts.of_clients.get_mut(self.client) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => {
                counts.of_clients.remove(self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_fills_half_of_the_room_and_others_the_rest() {
        let wait_limit = WaitLimit::new(4);
        let [greedy, modest]: [ClientId; 2] = ["greedy", "modest"].map(|id| id.parse().unwrap());
        let mut inside = vec![];
        let mut admit = |client| match wait_limit.admit(client) {
            Some(permit) => {
                inside.push(permit);
                true
            }
            None => false,
        };
        let admitted = [&greedy, &greedy, &greedy, &modest, &modest, &modest].map(&mut admit);
        assert_eq!(admitted, [true, true, false, true, true, false]);
        inside.clear();
        assert_eq!((wait_limit.len(), wait_limit.counts().of_clients.len()), (0, 0));
    }
}
