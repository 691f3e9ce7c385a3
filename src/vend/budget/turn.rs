//! One call's turn in the budget.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Budget;
use super::queue::QueuePosition;
use appserver_domain::ClientId;

/// The right to one call, now or when its turn comes. Dropping it moves the queue up, and a turn that has come and
/// was not used goes to the next call.
#[derive(Debug)]
pub(in crate::vend) struct Turn(Option<Waiting>);

#[derive(Debug)]
struct Waiting {
    budget: Arc<Budget>,
    client: ClientId,
    position: QueuePosition,
    turn: oneshot::Receiver<()>,
    since: Instant,
}

impl Turn {
    /// A turn that has come already.
    pub(super) fn served() -> Self {
        Self(None)
    }

    pub(super) fn waiting(
        budget: Arc<Budget>,
        client: ClientId,
        position: QueuePosition,
        turn: oneshot::Receiver<()>,
    ) -> Self {
        Self(Some(Waiting { budget, client, position, turn, since: Instant::now() }))
    }

    /// Leaves the queue: the call needs no turn of its own any more.
    pub(in crate::vend) fn release(&mut self) {
        self.0 = None;
    }

    /// Waits for the turn.
    pub(in crate::vend) async fn wait(&mut self) {
        if let Some(waiting) = &mut self.0 {
            // The sender is dropped only after it has sent, or with the process.
            let _ = (&mut waiting.turn).await;
            waiting.budget.metrics.queued(waiting.since.elapsed());
            self.release();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Turns are sent under the same lock, so none comes after this.
        let has_come = {
            let mut state = self.budget.state();
            state.queue.leave(&self.client, self.position);
            self.turn.try_recv().is_ok()
        };
        if has_come {
            self.budget.refund();
        }
    }
}
