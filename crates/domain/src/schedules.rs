//! Runs a few tasks in every order, and drops those that may be dropped at each of their awaits.
//!
//! A schedule is a list of choices: which task runs next, up to its next await. All schedules are run, each from the start,
//! so what they share must be made anew for each. Only what happens between two awaits is in one piece: races of threads
//! within it are not found.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The tasks of one schedule. Tasks may spawn others.
#[derive(Clone, Default)]
pub struct Tasks(Rc<RefCell<Vec<Task>>>);

struct Task {
    /// `None` while it runs, and once it has ended or was dropped.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Woken>,
    can_be_dropped: bool,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Run(usize),
    Drop(usize),
    /// Nothing runs any more.
    End,
}

impl Tasks {
    /// Adds a task that runs to its end.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.add(Box::pin(future), false);
    }

    /// Adds a task that may be dropped at each await.
    pub fn spawn_droppable(&self, future: impl Future<Output = ()> + 'static) {
        self.add(Box::pin(future), true);
    }

    fn add(&self, future: Pin<Box<dyn Future<Output = ()>>>, can_be_dropped: bool) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.0.borrow_mut().push(Task { future: Some(future), woken, can_be_dropped });
    }

    fn choices(&self) -> Vec<Choice> {
        let tasks = self.0.borrow();
        let present = || tasks.iter().enumerate().filter(|(_, task)| task.future.is_some());
        let runs = present().filter(|(_, task)| task.woken.0.load(Ordering::Relaxed));
        let mut choices: Vec<_> = runs.map(|(index, _)| Choice::Run(index)).collect();
        if choices.is_empty() {
            choices.push(Choice::End);
        }
        let drops = present().filter(|(_, task)| task.can_be_dropped);
        choices.extend(drops.map(|(index, _)| Choice::Drop(index)));
        choices
    }

    fn take(&self, index: usize) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
        self.0.borrow_mut()[index].future.take()
    }

    fn run(&self, index: usize) {
        let Some(mut future) = self.take(index) else { return };
        let woken = Arc::clone(&self.0.borrow()[index].woken);
        woken.0.store(false, Ordering::Relaxed);
        // Not borrowed meanwhile: the task may spawn others.
        let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(woken)));
        if polled.is_pending() {
            self.0.borrow_mut()[index].future = Some(future);
        }
    }

    /// The number of tasks that wait for something that nothing brings any more.
    fn stuck(&self) -> usize {
        self.0.borrow().iter().filter(|task| task.future.is_some()).count()
    }
}

/// Lets the other tasks run.
pub async fn step() {
    let mut is_first = true;
    poll_fn(|context| {
        if !std::mem::take(&mut is_first) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs every schedule of the tasks that `set_up` spawns; `check` gets what `set_up` returned and the number of tasks that
/// still wait when nothing runs any more. Returns the number of schedules.
///
/// # Panics
/// If there are more than `most`: a search that ends early proves nothing.
pub fn every_schedule<T>(
    most: usize,
    set_up: impl Fn(&Tasks) -> T,
    check: impl Fn(T, usize),
) -> usize {
    // Of each choice the index that is chosen, and the number of alternatives.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for number in 1.. {
        assert!(number <= most, "there are more than {most} schedules");
        let tasks = Tasks::default();
        let made = set_up(&tasks);
        for depth in 0.. {
            let choices = tasks.choices();
            if depth == path.len() {
                path.push((0, choices.len()));
            }
            match choices[path[depth].0] {
                Choice::Run(index) => tasks.run(index),
                Choice::Drop(index) => drop(tasks.take(index)),
                Choice::End => break,
            }
        }
        check(made, tasks.stuck());
        // Tasks hold the list that they are in.
        let rest = std::mem::take(&mut *tasks.0.borrow_mut());
        drop(rest);
        while path.pop_if(|(chosen, alternatives)| *chosen + 1 == *alternatives).is_some() {}
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return number,
        }
    }
    unreachable!("the loop ends by a return or by the assertion")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Two tasks of two parts each have six orders, and both values of a lost update.
    #[test]
    fn every_order_is_run() {
        let sums = RefCell::new(std::collections::BTreeSet::new());
        let schedules = every_schedule(
            100,
            |tasks| {
                let sum = Rc::new(Cell::new(0));
                for _ in 0..2 {
                    let sum = Rc::clone(&sum);
                    tasks.spawn(async move {
                        let read = sum.get();
                        step().await;
                        sum.set(read + 1);
                    });
                }
                sum
            },
            |sum, stuck| {
                assert_eq!(stuck, 0);
                sums.borrow_mut().insert(sum.get());
            },
        );
        assert_eq!((schedules, sums.into_inner()), (6, [1, 2].into()));
    }

    #[test]
    fn a_droppable_task_is_dropped_at_each_await_and_a_task_that_waits_for_nothing_is_stuck() {
        let ends = RefCell::new(Vec::new());
        let schedules = every_schedule(
            100,
            |tasks| {
                let parts = Rc::new(Cell::new(0));
                let count = Rc::clone(&parts);
                tasks.spawn_droppable(async move {
                    for part in 1..3 {
                        count.set(part);
                        step().await;
                    }
                    std::future::pending::<()>().await;
                });
                parts
            },
            |parts, stuck| ends.borrow_mut().push((parts.get(), stuck)),
        );
        // Never dropped; then at the last await, and before each part.
        let expected = [(2, 1), (2, 0), (2, 0), (1, 0), (0, 0)];
        assert_eq!((schedules, ends.into_inner().as_slice()), (5, &expected[..]));
    }
}
