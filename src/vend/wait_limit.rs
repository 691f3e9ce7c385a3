//! The limit on callers that wait for STS.

use std::collections::HashMap;

use appserver_domain::ClientId;
use parking_lot::{Mutex, MutexGuard};

/// Counts the waiting callers. Each holds a request and its connection, so their number is limited; one client's callers
/// may take at most half, so that others can always wait.
#[derive(Debug)]
pub(super) struct WaitLimit {
    limit: usize,
    /// Held for a lookup, never across an await.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_clients: HashMap<ClientId, usize>,
}

/// One waiting caller, counted until this is dropped.
#[derive(Debug)]
pub(super) struct WaitPermit<'a> {
    wait_limit: &'a WaitLimit,
    client: &'a ClientId,
}

impl WaitLimit {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// Counts one more caller, unless a limit is reached.
    pub(super) fn admit<'a>(&'a self, client: &'a ClientId) -> Option<WaitPermit<'a>> {
        let mut counts = self.counts();
        let own = counts.of_clients.get(client).copied().unwrap_or(0);
        if counts.all >= self.limit || own >= self.limit.div_ceil(2) {
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
    fn one_client_may_take_half_of_the_limit_and_others_the_rest() {
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
