//! What the lease promises, in every state of its model, and what happens outside its assumptions.

use super::explorer::{Step, search};
use super::lease_model::{Action, LeaseModel, Replica};
use super::lease_script::{LEASE, Outcome, Request};

/// Of the outcomes the one that changes nothing but the lease.
const LEASE_ONLY: &[Outcome] = &[Outcome::NotShared];
const MOST_STATES: usize = 20_000_000;

/// What no fault breaks: a lease pays for one replica's call, ends by itself, and only its holder extends or releases it.
fn breaks_a_lease<const N: usize>(step: &Step<'_, LeaseModel<N>>) -> bool {
    let Step { before, action, after } = step;
    let mut leases: Vec<_> = after.replicas.iter().filter_map(Replica::lease).collect();
    let callers = leases.len();
    leases.sort_unstable();
    leases.dedup();
    let is_accident = matches!(action, Action::FailOver | Action::JumpForward(_));
    let request = LeaseModel::request(before, *action);
    let is_wrong = match (before.redis.lease, after.redis.lease) {
        (_, Some((_, left))) if left > LEASE => true,
        (_, _) if is_accident => false,
        (Some((held, left)), Some((kept, later))) if held == kept => {
            later > left && request != Some(Request::Renew(held))
        }
        // One lease never replaces another.
        (Some(_), Some(_)) => true,
        // Released by its holder, or it has ended.
        (Some((held, left)), None) => {
            let is_released = matches!(request, Some(Request::Complete(id, _)) if id == held);
            let has_ended = left == 1 && matches!(action, Action::Tick(_));
            !(is_released || has_ended)
        }
        (None, Some((taken, _))) => request != Some(Request::Take(taken)),
        (None, None) => false,
    };
    leases.len() < callers || is_wrong
}

/// A second call beside another one, or a call for what the replicas have already.
fn is_needless<const N: usize>(step: &Step<'_, LeaseModel<N>>) -> bool {
    let calls = step.after.replicas.iter().filter(|replica| replica.calls_sts()).count();
    let has_result = step.after.redis.token > 0 || step.after.redis.refusal > 0;
    calls > 1 || has_result && step.after.replicas.iter().any(|r| r.lease().is_some())
}

fn find<const N: usize>(
    name: &str,
    model: LeaseModel<N>,
    is_goal: impl Fn(&Step<'_, LeaseModel<N>>) -> bool,
) -> Option<Vec<Action>> {
    let search = search(&model, MOST_STATES, is_goal);
    println!("{name}: {} states, depth {}", search.states, search.depth);
    search.found
}

/// A replica may be stopped for a tick between two renewals: for less than two thirds of the lease without two time limits.
#[test]
fn one_replica_calls_sts_at_a_time_and_only_for_what_none_has() {
    for longest_stop in [0, 1] {
        let model = LeaseModel::<2> { longest_stop, ..LeaseModel::WITHIN_ASSUMPTIONS };
        let name = format!("two replicas that stop for {longest_stop} ticks");
        assert_eq!(find(&name, model, |step| breaks_a_lease(step) || is_needless(step)), None);
    }
    let model = LeaseModel::<3> { outcomes: LEASE_ONLY, ..LeaseModel::WITHIN_ASSUMPTIONS };
    let found = find("three replicas", model, |step| breaks_a_lease(step) || is_needless(step));
    assert_eq!(found, None);
}

#[test]
fn no_fault_gives_one_lease_to_two_replicas_or_keeps_it_from_ending() {
    let quiet = LeaseModel::<2> { outcomes: LEASE_ONLY, ..LeaseModel::WITHIN_ASSUMPTIONS };
    let faults = [
        ("a replica that is stopped", LeaseModel { longest_stop: LEASE, ..quiet }),
        ("a slow Redis", LeaseModel { is_slow: true, ..quiet }),
        ("a clock that jumps", LeaseModel { clock_jump: LEASE, ..quiet }),
    ];
    for (name, model) in faults {
        assert_eq!(find(name, model, breaks_a_lease), None, "{name}");
    }
}

/// The assumptions of the first test are needed, each of them.
#[test]
fn outside_the_assumptions_two_replicas_call_sts_at_the_same_time() {
    let quiet = LeaseModel::<2> { outcomes: LEASE_ONLY, ..LeaseModel::WITHIN_ASSUMPTIONS };
    let faults = [
        ("a stop for two ticks", LeaseModel { longest_stop: 2, ..quiet }),
        ("a slow Redis", LeaseModel { is_slow: true, ..quiet }),
        ("a failover that loses the lease", LeaseModel { fails_over: true, ..quiet }),
        ("a clock set forward by a lease", LeaseModel { clock_jump: LEASE, ..quiet }),
    ];
    for (name, model) in faults {
        let way = find(name, model, is_needless);
        println!("{way:?}");
        assert!(way.is_some(), "{name}");
    }
}

#[test]
#[ignore = "takes a minute without optimisation"]
fn the_promises_of_the_lease_hold_in_larger_models() {
    let three = LeaseModel::<3> { longest_stop: 1, ..LeaseModel::WITHIN_ASSUMPTIONS };
    let name = "three replicas that stop for a tick, with all outcomes";
    assert_eq!(find(name, three, |step| breaks_a_lease(step) || is_needless(step)), None);
    let all = LeaseModel::<2>::WITHIN_ASSUMPTIONS;
    let quiet = LeaseModel { outcomes: LEASE_ONLY, ..all };
    let failover = LeaseModel { fails_over: true, ..quiet };
    assert_eq!(find("a failover", failover, breaks_a_lease), None);
    let faults = LeaseModel { is_slow: true, longest_stop: 2, clock_jump: LEASE, ..quiet };
    assert_eq!(find("all faults but a failover", faults, breaks_a_lease), None);
    let slow = LeaseModel { is_slow: true, ..all };
    assert_eq!(find("a slow Redis, with all outcomes", slow, breaks_a_lease), None);
}
