//! Every schedule of a few callers that wait for turns and leave at any await.

use std::cell::Cell;
use std::rc::Rc;

use appserver_domain::schedules::{Tasks, every_schedule, step};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::vend::budget::{Budget, Turn};

/// A budget of one call a second, and what its callers got.
struct Queued {
    runtime: Rc<Runtime>,
    seconds: Cell<usize>,
    served: Cell<usize>,
    left: Cell<usize>,
}

impl Queued {
    /// One second after the other.
    async fn pass(self: Rc<Self>, seconds: usize) {
        for _ in 0..seconds {
            step().await;
            self.seconds.set(self.seconds.get() + 1);
            self.runtime.block_on(async {
                tokio::time::advance(Duration::from_millis(1001)).await;
                // The task that serves the queue runs.
                tokio::task::yield_now().await;
            });
        }
    }
}

/// A caller with its turn, which is `None` once it is used.
struct Waiting {
    queued: Rc<Queued>,
    turn: Option<Turn>,
}

impl Waiting {
    async fn wait(mut self) {
        if let Some(turn) = &mut self.turn {
            turn.wait().await;
        }
        self.turn = None;
        let served = self.queued.served.get() + 1;
        self.queued.served.set(served);
        assert!(served <= 1 + self.queued.seconds.get(), "a call that was not paid");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.queued.left.set(self.queued.left.get() + 1);
        }
    }
}

/// One turn is there at once and one comes each second: so many callers are served, if so many stay.
#[test]
fn a_turn_of_a_caller_that_leaves_goes_to_the_next_one_in_every_schedule() {
    const CALLERS: [&str; 4] = ["app-one", "app-one", "app-two", "app-one"];
    const SECONDS: usize = 1;
    let set_up = |tasks: &Tasks| {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = Rc::new(runtime.unwrap());
        let _entered = runtime.enter();
        let mut settings = VendSettings::for_tests().budget;
        (settings.per_second, settings.burst) = (1, 1);
        let budget = Budget::new(settings, None, Arc::new(Store::Memory), VendMetrics::new());
        let budget = Arc::new(budget);
        let queued = Rc::new(Queued {
            runtime: Rc::clone(&runtime),
            seconds: Cell::default(),
            served: Cell::default(),
            left: Cell::default(),
        });
        for (index, client) in CALLERS.into_iter().enumerate() {
            let deadline = Instant::now() + secs(15);
            let turn = budget.enter(&client.parse().unwrap(), deadline).unwrap();
            let waiting = Waiting { queued: Rc::clone(&queued), turn: Some(turn) }.wait();
            // The first one does not wait.
            if index == 0 { tasks.spawn(waiting) } else { tasks.spawn_droppable(waiting) }
        }
        // The task that serves the queue reaches its first pause.
        runtime.block_on(tokio::task::yield_now());
        tasks.spawn(Rc::clone(&queued).pass(SECONDS));
        queued
    };
    let count = every_schedule(1_000_000, set_up, |queued, stuck| {
        let (served, left) = (queued.served.get(), queued.left.get());
        let stay = CALLERS.len() - left;
        assert_eq!(served, stay.min(1 + SECONDS), "{left} left, {stuck} wait");
        assert_eq!(served + left + stuck, CALLERS.len());
    });
    println!("{count} schedules");
    assert!(count > 1000, "{count}");
}
