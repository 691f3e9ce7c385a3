use std::time::Duration;

use tokio::time::Instant;

use super::super::queue::{Lines, MAX_BEYOND_FOR_GRANTS, Queue};

fn push(queue: &Queue, line: &str) -> bool {
    queue.push(line, &mut None).is_some()
}

fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn taken(queue: &Queue) -> (Vec<u8>, Vec<u8>) {
    let mut lines = Lines::default();
    queue.take(&mut lines, later()).unwrap();
    (lines.granted, lines.refused)
}

#[test]
fn refusals_leave_the_last_quarter_to_tokens() {
    let queue = Queue::new(8, false);
    let refused = (0..8).filter(|_| queue.push_refused("{}\n")).count();
    let granted = (0..8).filter(|_| push(&queue, "{}\n")).count();
    assert_eq!((refused, granted, queue.len()), (6, 2, 8));
}

#[test]
fn changed_grants_find_space_in_a_full_queue_and_not_without_bound() {
    let queue = Queue::new(2, false);
    assert!(push(&queue, "a\n") && push(&queue, "b\n") && !push(&queue, "c\n"));
    let grants = (0..2 * MAX_BEYOND_FOR_GRANTS).filter(|_| queue.push_grant("{}\n")).count();
    assert_eq!(grants, MAX_BEYOND_FOR_GRANTS);
    assert!(queue.push_retraction("d\n"));
}

#[test]
fn lines_taken_and_not_written_still_take_up_space() {
    let queue = Queue::new(2, false);
    assert!(push(&queue, "a\n") && push(&queue, "b\n"));
    assert_eq!(taken(&queue).0, b"a\nb\n");
    assert!(!push(&queue, "c\n"));
    queue.written(1);
    assert!(push(&queue, "c\n") && !push(&queue, "d\n"));
}

#[test]
fn a_closed_queue_returns_its_lines_and_accepts_no_more() {
    let (queue, mut lines) = (Queue::new(3, false), Lines::default());
    push(&queue, "a\n");
    queue.push_refused("b\n");
    queue.count();
    queue.close();
    assert!(!push(&queue, "c\n") && !queue.push_refused("d\n"));
    assert_eq!(queue.take(&mut lines, later()), Some(true), "with the last counted refusals");
    assert_eq!((&lines.granted[..], &lines.refused[..]), (&b"a\n"[..], &b"b\n"[..]));
    queue.written(2);
    assert_eq!(queue.take(&mut lines, later()), None);
}

#[test]
fn a_queue_without_lines_returns_at_the_deadline() {
    let (queue, mut lines) = (Queue::new(3, false), Lines::default());
    let deadline = Instant::now() + Duration::from_millis(20);
    assert_eq!(queue.take(&mut lines, deadline), Some(false));
    assert!(Instant::now() >= deadline && lines.len() == 0);
    push(&queue, "a\n");
    assert_eq!(queue.take(&mut lines, deadline), Some(false), "lines come first");
    assert_eq!(lines.granted(), 1);
}

#[test]
fn a_batch_is_written_when_the_writer_completes_it_and_later_lines_are_not() {
    let queue = Queue::new(8, true);
    let first = queue.push("a\n", &mut None).unwrap();
    taken(&queue);
    let second = queue.push("b\n", &mut None).unwrap();
    assert!(!first.is_written());
    queue.complete_batch();
    assert!(first.is_written() && !second.is_written());
    taken(&queue);
    queue.complete_batch();
    assert!(second.is_written());
}
