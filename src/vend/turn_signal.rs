//! What a flight waits for before it calls STS: the turn of any client that wants it.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::telemetry::{Span, SpanLink};
use appserver_domain::ClientId;

/// A flight waits in the line of the client that started it. If that line is long, because the client is greedy,
/// others who need the same token must not wait for it: the first of each client that joins takes a place in its
/// own line too, and the flight goes with whichever turn comes first.
#[derive(Debug)]
pub(super) struct TurnSignal {
    /// Whose lines it waits in; empty once it has gone. Held for a look, never across an await.
    lines: Mutex<Vec<ClientId>>,
    turn: Notify,
    /// The request that started the flight, where that is traced.
    started_by: Option<SpanLink>,
}

impl TurnSignal {
    /// Of a flight that waits in the line of `client`, or in none.
    pub(super) fn of(client: Option<&ClientId>) -> Self {
        Self {
            lines: Mutex::new(client.into_iter().cloned().collect()),
            turn: Notify::new(),
            started_by: Span::current().and_then(|trace| trace.link_target()),
        }
    }

    /// Notes who waits for another's flight, so that its trace leads to what it waited for.
    pub(super) fn link_trace(&self) {
        if let (Some(trace), Some(origin)) = (Span::current(), &self.started_by) {
            trace.link(origin);
        }
    }

    /// Whether the flight still waits, and not yet in the line of `client`; from now on it counts as waiting there.
    pub(super) fn add_queue_of(&self, client: &ClientId) -> bool {
        let mut lines = self.lines();
        let wants = !lines.is_empty() && !lines.contains(client);
        if wants {
            lines.push(client.clone());
        }
        wants
    }

    /// Another client's turn has come.
    pub(super) fn wake(&self) {
        self.turn.notify_one();
    }

    /// Comes with the turn of another client.
    pub(super) async fn woken(&self) {
        self.turn.notified().await;
    }

    /// The flight is gone; no turn helps it any more.
    pub(super) fn done(&self) {
        self.lines().clear();
    }

    fn lines(&self) -> MutexGuard<'_, Vec<ClientId>> {
        // Every change is a single step, so a panic elsewhere has left nothing half done.
        self.lines.lock()
    }
}
