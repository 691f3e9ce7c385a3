//! Every schedule of a few callers of one key, each of which may leave at each await.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::hash::RandomState;
use std::rc::Rc;
use std::sync::Arc;

use appserver_domain::schedules::{Tasks, every_schedule, step};

use super::*;

const KEY: &str = "key";

type Calls = InFlightCalls<&'static str, usize, (), RandomState>;

/// What a schedule's tasks have in common.
#[derive(Clone, Default)]
struct Shared {
    calls: Arc<Calls>,
    record: Rc<Record>,
}

#[derive(Default)]
struct Record {
    started: Cell<usize>,
    /// The callers that wait for each call.
    waiting: RefCell<Vec<usize>>,
    running: Cell<usize>,
    /// The calls that have ended with a result, and the calls whose tasks were dropped.
    completed: RefCell<Vec<usize>>,
    dropped: RefCell<Vec<usize>>,
}

/// Counts a caller that waits, until it is dropped.
struct Waiting(Rc<Record>, usize);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut()[self.1] -= 1;
    }
}

/// Counts a call that runs, until it has ended.
struct Running(Rc<Record>, usize);

impl Running {
    fn new(record: &Rc<Record>, number: usize) -> Self {
        record.running.set(record.running.get() + 1);
        assert_eq!(record.running.get(), 1, "two calls run for one key");
        Self(Rc::clone(record), number)
    }

    fn end(self) {
        self.0.running.set(self.0.running.get() - 1);
        std::mem::forget(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.dropped.borrow_mut().push(self.1);
    }
}

impl Shared {
    async fn call(self, tasks: Tasks, runs_can_be_dropped: bool) {
        let number = self.record.started.get();
        let Ok(entry) = self.calls.join_or_start(&KEY, || Ok::<_, Infallible>(((), ())));
        let (waiter, number) = match entry {
            Entry::Joined(waiter, _) => (waiter, number - 1),
            Entry::Started(waiter, call, ()) => {
                self.record.started.set(number + 1);
                self.record.waiting.borrow_mut().push(0);
                let running = Running::new(&self.record, number);
                let run = self.clone().run(call, running);
                if runs_can_be_dropped {
                    tasks.spawn_droppable(run);
                } else {
                    tasks.spawn(run);
                }
                (waiter, number)
            }
        };
        self.record.waiting.borrow_mut()[number] += 1;
        let _waiting = Waiting(Rc::clone(&self.record), number);
        match waiter.result().await {
            Some(result) => assert_eq!(result, number, "the result is of another call"),
            None => assert!(self.record.dropped.borrow().contains(&number), "there is no result"),
        }
    }

    async fn run(self, call: InFlightCall<&'static str, usize, (), RandomState>, running: Running) {
        let number = running.1;
        tokio::select! {
            biased;
            () = call.abandoned() => {
                assert_eq!(self.record.waiting.borrow()[number], 0, "an abandoned call has a waiter");
                running.end();
                // Another call may start before this one is dropped.
                step().await;
                drop(call);
            }
            () = step() => {
                running.end();
                call.complete(number);
                self.record.completed.borrow_mut().push(number);
            }
        }
    }

    /// Nothing is left behind.
    fn check(self, stuck: usize) {
        assert_eq!(stuck, 0, "a caller or a call waits for ever");
        assert_eq!(self.record.running.get(), 0);
        assert!(!self.calls.contains(&KEY), "the key of a call that has ended is not free");
    }
}

fn schedules(callers: usize, callers_leave: bool, runs_can_be_dropped: bool) -> usize {
    let set_up = |tasks: &Tasks| {
        let shared = Shared::default();
        for _ in 0..callers {
            let call = shared.clone().call(tasks.clone(), runs_can_be_dropped);
            if callers_leave { tasks.spawn_droppable(call) } else { tasks.spawn(call) }
        }
        shared
    };
    let count = every_schedule(1_000_000, set_up, Shared::check);
    println!("{callers} callers: {count} schedules");
    count
}

#[test]
fn one_call_runs_for_a_key_and_every_caller_gets_its_result_in_every_schedule() {
    assert!(schedules(4, false, false) > 100);
}

#[test]
fn callers_that_leave_at_any_await_take_nothing_from_the_others() {
    assert!(schedules(3, true, false) > 1000);
}

#[test]
fn a_call_whose_task_is_dropped_at_any_await_ends_for_all_its_callers() {
    assert!(schedules(3, false, true) > 100);
    assert!(schedules(2, true, true) > 1000);
}
