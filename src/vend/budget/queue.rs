//! The queue for the budget: which call is next.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::oneshot;
use tokio::time::Instant;

use appserver_domain::ClientId;

/// One line for each client, served in turn: every call costs the same, so this is deficit round robin without a
/// carry-over. Within a line the earlier deadline goes first, then the earlier arrival.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lines: HashMap<ClientId, BTreeMap<QueuePosition, oneshot::Sender<()>>>,
    /// Each client that has a line, once.
    turns: VecDeque<ClientId>,
    arrivals: u64,
    len: usize,
}

/// A position in a client's line.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct QueuePosition {
    deadline: Instant,
    number: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of clients with queued calls.
    pub(super) fn clients(&self) -> usize {
        self.turns.len()
    }

    /// The number of calls before a new one: those before it in its own line, and as many turns of each other client.
    pub(super) fn ahead_of(&self, client: &ClientId, deadline: Instant) -> usize {
        let own = self.lines.get(client).map_or(0, |line| {
            // Deadlines mostly arrive in order, so counting the few later ones is cheap.
            let last_equal = QueuePosition { deadline, number: u64::MAX };
            line.len() - line.range(last_equal..).count()
        });
        let others = self.lines.iter().filter(|(other, _)| *other != client);
        own + others.map(|(_, line)| line.len().min(own + 1)).sum::<usize>()
    }

    /// Queues a call; the receiver resolves when its turn comes.
    pub(super) fn join(
        &mut self,
        client: &ClientId,
        deadline: Instant,
    ) -> (QueuePosition, oneshot::Receiver<()>) {
        self.arrivals += 1;
        let position = QueuePosition { deadline, number: self.arrivals };
        let (sender, receiver) = oneshot::channel();
        let line = self.lines.entry(client.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(client.clone());
        }
        line.insert(position, sender);
        self.len += 1;
        (position, receiver)
    }

    /// Removes a call from the queue. After its turn it is no longer there.
    pub(super) fn leave(&mut self, client: &ClientId, position: QueuePosition) {
        let Some(line) = self.lines.get_mut(client) else { return };
        if line.remove(&position).is_some() {
            self.len -= 1;
        }
        if line.is_empty() {
            self.lines.remove(client);
            self.turns.retain(|other| other != client);
        }
    }

    /// Removes the next call and returns the sender of its turn.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<()>> {
        let client = self.turns.pop_front()?;
        let line = self.lines.get_mut(&client)?;
        let (_, sender) = line.pop_first()?;
        self.len -= 1;
        if line.is_empty() {
            self.lines.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        Some(sender)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    /// Queues calls of clients with deadlines, removes some, and returns the order of the turns.
    fn order(arrivals: &[(&str, u64)], gone: &[usize]) -> Vec<usize> {
        let now = Instant::now();
        let mut queue = Queue::default();
        let mut positions: Vec<_> = arrivals
            .iter()
            .map(|(name, secs)| {
                let client = client(name);
                let (position, received) = queue.join(&client, now + Duration::from_secs(*secs));
                (client, position, received)
            })
            .collect();
        for index in gone {
            queue.leave(&positions[*index].0, positions[*index].1);
        }
        let mut order = vec![];
        while let Some(turn) = queue.next() {
            turn.send(()).unwrap();
            let received =
                positions.iter_mut().position(|(_, _, received)| received.try_recv().is_ok());
            order.push(received.unwrap());
        }
        assert!(queue.is_empty() && queue.lines.is_empty() && queue.turns.is_empty());
        order
    }

    #[test]
    fn clients_take_turns_however_many_calls_each_wants() {
        let arrivals = [("aa", 9), ("aa", 9), ("aa", 9), ("bb", 9), ("cc", 9), ("cc", 9)];
        assert_eq!(order(&arrivals, &[]), [0, 3, 4, 1, 5, 2]);
    }

    #[test]
    fn earlier_deadlines_go_first_within_a_client_only() {
        let arrivals = [("aa", 9), ("aa", 3), ("aa", 9), ("aa", 5), ("bb", 99)];
        assert_eq!(order(&arrivals, &[]), [1, 4, 3, 0, 2]);
    }

    #[test]
    fn a_call_that_leaves_the_queue_takes_no_turn() {
        let arrivals = [("aa", 9), ("aa", 9), ("bb", 9), ("cc", 9)];
        assert_eq!(order(&arrivals, &[0, 2]), [1, 3]);
    }

    #[test]
    fn a_new_call_knows_how_many_are_served_before_it() {
        let now = Instant::now();
        let [soon, late] = [1, 9].map(|secs| now + Duration::from_secs(secs));
        let mut queue = Queue::default();
        let mut received = vec![];
        for (name, count) in [("aa", 100), ("bb", 2), ("cc", 1)] {
            received.extend((0..count).map(|_| queue.join(&client(name), late).1));
        }
        let ahead = [
            queue.ahead_of(&client("aa"), late),
            queue.ahead_of(&client("aa"), soon),
            queue.ahead_of(&client("bb"), late),
            queue.ahead_of(&client("dd"), late),
        ];
        assert_eq!(ahead, [103, 2, 6, 3]);
    }
}
