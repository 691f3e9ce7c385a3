//! What a call in flight waits for: the first turn of any client whose callers share it.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::telemetry::{Span, SpanLink};
use appserver_domain::ClientId;

/// A call waits in the budget's queue of the client that started it. If that queue is long, because the client sends many
/// requests, other clients that need the same token must not wait for it: the first caller of each client that joins
/// queues for its own client too, and the call proceeds with whichever turn comes first.
#[derive(Debug)]
pub(super) struct TurnSignal {
    /// The clients in whose queues it waits; empty once it proceeds. Held for a lookup, never across an await.
    queues: Mutex<Vec<ClientId>>,
    turn: Notify,
    /// The request that started the call, if it is traced.
    started_by: Option<SpanLink>,
}

impl TurnSignal {
    /// For a call that waits in the queue of `client`, or in none.
    pub(super) fn of(client: Option<&ClientId>) -> Self {
        Self {
            queues: Mutex::new(client.into_iter().cloned().collect()),
            turn: Notify::new(),
            started_by: Span::current().and_then(|span| span.link_target()),
        }
    }

    /// Links the trace of a caller that joined to the request that started the call.
    pub(super) fn link_trace(&self) {
        if let (Some(span), Some(origin)) = (Span::current(), &self.started_by) {
            span.link(origin);
        }
    }

    /// Adds the queue of `client`; false if the call already waits there, or waits no longer.
    pub(super) fn add_queue_of(&self, client: &ClientId) -> bool {
        let mut queues = self.queues();
        let is_new = !queues.is_empty() && !queues.contains(client);
        if is_new {
            queues.push(client.clone());
        }
        is_new
    }

    /// Lets the call proceed: the turn of another client came.
    pub(super) fn wake(&self) {
        self.turn.notify_one();
    }

    /// Resolves with the turn of another client.
    pub(super) async fn woken(&self) {
        self.turn.notified().await;
    }

    /// The call proceeds: no further turn is needed.
    pub(super) fn close(&self) {
        self.queues().clear();
    }

    fn queues(&self) -> MutexGuard<'_, Vec<ClientId>> {
        self.queues.lock()
    }
}
