//! What the shared budget promises, in every state of its model, and what happens outside its assumptions.

use super::budget_model::{BURST, BudgetModel, CALL};
use super::explorer::{Step, search};

const MOST_STATES: usize = 5_000_000;

/// The most calls within a second that any way of the model leads to.
fn most_calls<const N: usize>(name: &str, model: BudgetModel<N>) -> i64 {
    let mut most = 0;
    let search = search(&model, MOST_STATES, |step: &Step<'_, BudgetModel<N>>| {
        most = most.max(step.after.calls_in_a_second());
        false
    });
    let (states, depth) = (search.states, search.depth);
    println!("{name}: {states} states, depth {depth}, {most} calls");
    most
}

/// A second holds a burst and what the rate adds, and the calls of the time by which calls are late or clocks are ahead.
#[test]
fn no_second_holds_more_calls_than_the_budget() {
    for (latest, earliest) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)] {
        let name = format!("calls up to {latest} ticks late and {earliest} early");
        let two = BudgetModel::<2> { latest, earliest, ..BudgetModel::WITHIN_ASSUMPTIONS };
        assert_eq!(most_calls(&name, two), two.bound(), "two replicas, {name}");
        let three = BudgetModel::<3> { latest, earliest, ..BudgetModel::WITHIN_ASSUMPTIONS };
        assert_eq!(most_calls(&name, three), three.bound(), "three replicas, {name}");
    }
    let throttled = BudgetModel::<2> { is_cut: true, ..BudgetModel::WITHIN_ASSUMPTIONS };
    assert!(most_calls("throttled by STS", throttled) <= throttled.bound());
}

/// Replicas that die with a reservation cost calls and add none, up to the number of waiting replicas that Redis counts.
#[test]
fn lost_reservations_add_no_more_calls_than_replicas_wait() {
    let three = BudgetModel::<3> { loses: true, ..BudgetModel::WITHIN_ASSUMPTIONS };
    let most = most_calls("replicas that lose reservations", three);
    assert!((three.bound()..three.bound() + 3).contains(&most), "{most}");
}

#[test]
fn a_failover_or_a_jump_of_the_clock_adds_a_burst_and_the_calls_of_waiting_replicas_once() {
    for clock_jump in [0, 6] {
        let two = BudgetModel::<2> { accidents: 1, clock_jump, ..BudgetModel::WITHIN_ASSUMPTIONS };
        let most = most_calls(&format!("an accident, the clock jumps by {clock_jump}"), two);
        let limit = two.bound() + BURST / CALL + 2;
        assert!((two.bound() + 1..=limit).contains(&most), "{most} calls, the limit is {limit}");
    }
}
