//! The queue between requests and the writer, in many thousands of schedules of a few threads.
//!
//! The queue's own source is compiled here once more, with the locks of a scheduler that decides at each of them who runs
//! next. Only short waits may end by themselves, so a wake-up that is lost is a deadlock, which the scheduler reports.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};
use tokio::time::Instant;

use super::super::line;
use queue::{Lines, Queue};

#[expect(clippy::duplicate_mod, reason = "it is the same source with other locks")]
#[expect(dead_code, reason = "the schedules have no reports, and other tests look at lines")]
#[path = "../queue.rs"]
mod queue;

/// The locks of `parking_lot`, as far as the queue uses them.
mod locks {
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    use shuttle::rand::{Rng, thread_rng};
    use shuttle::sync;

    #[derive(Debug, Default)]
    pub(super) struct Mutex<T>(sync::Mutex<T>);

    pub(super) struct MutexGuard<'a, T> {
        /// `None` while another one may have the lock.
        held: Option<sync::MutexGuard<'a, T>>,
        mutex: &'a Mutex<T>,
    }

    #[derive(Debug)]
    pub(super) struct Condvar(sync::Condvar);

    impl<T> Mutex<T> {
        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard { held: Some(self.0.lock().unwrap()), mutex: self }
        }
    }

    impl<T> MutexGuard<'_, T> {
        pub(super) fn unlocked(guard: &mut Self, run: impl FnOnce()) {
            guard.held = None;
            run();
            shuttle::thread::yield_now();
            guard.held = Some(guard.mutex.0.lock().unwrap());
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.held.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.held.as_mut().unwrap()
        }
    }

    impl Condvar {
        pub(super) fn new() -> Self {
            Self(sync::Condvar::new())
        }

        pub(super) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(super) fn notify_all(&self) {
            self.0.notify_all();
        }

        /// A short wait may end at any time. Nothing relies on the end of a long one.
        pub(super) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, most: Duration) {
            self.is_woken(guard, most);
        }

        pub(super) fn wait_while_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            mut goes_on: impl FnMut(&mut T) -> bool,
            most: Duration,
        ) {
            while goes_on(guard) && self.is_woken(guard, most) {}
        }

        fn is_woken<T>(&self, guard: &mut MutexGuard<'_, T>, most: Duration) -> bool {
            if most < Duration::from_secs(1) {
                MutexGuard::unlocked(guard, || {});
                return thread_rng().gen_bool(0.5);
            }
            let held = guard.held.take().unwrap();
            guard.held = Some(self.0.wait(held).unwrap());
            true
        }
    }
}

/// What the writer has written, in order.
type Written = Arc<Mutex<Vec<String>>>;

/// So many of each kind. With 20,000 it takes a minute or two.
const SCHEDULES: usize = 1_000;

/// In schedules that are drawn at random, and in those that let one thread run for long.
fn in_schedules(test: impl Fn() + Clone + Send + Sync + 'static) {
    let schedulers: [Box<dyn Scheduler + Send>; 2] = [
        Box::new(RandomScheduler::new_from_seed(1, SCHEDULES)),
        Box::new(PctScheduler::new_from_seed(1, 3, SCHEDULES)),
    ];
    for scheduler in schedulers {
        assert_eq!(Runner::new(scheduler, Config::default()).run(test.clone()), SCHEDULES);
    }
}

/// As the audit's thread does it, with a sink that fails now and then. Whether it went on to the end.
fn write(queue: &Queue, written: &Written) -> bool {
    let (mut lines, later) = (Lines::default(), Instant::now() + Duration::from_hours(1));
    while queue.take(&mut lines, later).is_some() {
        for number in 0..lines.granted() {
            while thread_rng().gen_bool(0.2) {
                queue.notify_failure();
                queue.pause(Duration::from_millis(1));
                if queue.should_stop() {
                    return false;
                }
            }
            let line = String::from_utf8(lines.granted_line(number).0.to_vec()).unwrap();
            written.lock().unwrap().push(line);
            queue.written(1);
        }
        queue.complete_batch();
        let refused = std::str::from_utf8(&lines.refused).unwrap().lines();
        written.lock().unwrap().extend(refused.map(|line| format!("{line}\n")));
        queue.written(lines.refused_lines);
    }
    true
}

fn is_written(written: &Written, line: &str) -> bool {
    written.lock().unwrap().iter().any(|one| one == line)
}

/// A request: returns once its line is written, or at its first wait if it hangs up. Whether its line was accepted.
async fn request(queue: Arc<Queue>, written: Written, line: String) {
    let batch = loop {
        let freed = queue.space_freed();
        if let Some(batch) = queue.push(&line, &mut None) {
            break batch;
        }
        freed.await;
    };
    loop {
        let changed = batch.changed();
        if batch.is_written() {
            break;
        }
        changed.await;
    }
    assert!(is_written(&written, &line), "{line} was said to be written");
}

fn poll_once(request: impl Future) -> Poll<()> {
    pin!(request).poll(&mut Context::from_waker(Waker::noop())).map(drop)
}

#[test]
fn each_request_returns_once_its_line_is_written_and_never_before() {
    in_schedules(|| {
        let (queue, written) =
            (Arc::new(Queue::new(thread_rng().gen_range(2..8), true)), Written::default());
        let writer = thread::spawn({
            let (queue, written) = (Arc::clone(&queue), Arc::clone(&written));
            move || write(&queue, &written)
        });
        let request =
            |line: &str| request(Arc::clone(&queue), Arc::clone(&written), line.to_owned());
        let waiting: Vec<_> = ["a\n", "b\n", "c\n"]
            .map(|line| {
                let request = request(line);
                thread::spawn(move || block_on(request))
            })
            .into();
        let gone = request("gone\n");
        let leaves = thread::spawn(move || poll_once(gone));
        let others = thread::spawn({
            let queue = Arc::clone(&queue);
            move || (queue.push_refused("refused\n"), queue.push_retraction("retracted\n"))
        });
        for one in waiting {
            one.join().unwrap();
        }
        let _at_once = leaves.join().unwrap();
        let (is_refused_kept, is_retracted) = others.join().unwrap();
        // The others' lines, too, without anything that follows them.
        block_on(async {
            loop {
                let freed = queue.space_freed();
                if queue.len() == 0 {
                    break;
                }
                freed.await;
            }
        });
        queue.close();
        assert!(writer.join().unwrap(), "nothing is left to write");
        let mut written = std::mem::take(&mut *written.lock().unwrap());
        written.sort_unstable();
        written.retain(|line| line != "gone\n");
        let mut expected = vec!["a\n", "b\n", "c\n"];
        expected.extend(is_refused_kept.then_some("refused\n"));
        expected.extend(is_retracted.then_some("retracted\n"));
        assert_eq!((written, queue.len()), (expected.into_iter().map(str::to_owned).collect(), 0));
    });
}

#[test]
fn what_was_accepted_before_the_queue_closes_is_written_and_nothing_is_written_twice() {
    in_schedules(|| {
        let (queue, written) =
            (Arc::new(Queue::new(3, thread_rng().gen_bool(0.5))), Written::default());
        let pushes = ["a\n", "b\n", "c\n"].map(|line| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(line, &mut None).map(|_| line))
        });
        let writer = thread::spawn({
            let (queue, written) = (Arc::clone(&queue), Arc::clone(&written));
            move || write(&queue, &written)
        });
        let closes = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.close()
        });
        let accepted = pushes.map(|push| push.join().unwrap());
        closes.join().unwrap();
        assert!(writer.join().unwrap(), "nothing is left to write");
        let mut written = std::mem::take(&mut *written.lock().unwrap());
        written.sort_unstable();
        let accepted: Vec<_> = accepted.into_iter().flatten().map(str::to_owned).collect();
        assert_eq!((written, queue.len()), (accepted, 0));
    });
}
