//! What a day must come to where it is plain without a simulation.

use super::wave::DailyWave;
use super::*;

const ONE_FOR_EACH: GrantMix = GrantMix { user: 1, shared: 0, upload: 0 };
const ONE_FOR_ALL: GrantMix = GrantMix { user: 0, shared: 1, upload: 0 };

fn fleet(users: u64, grants: GrantMix, token_secs: u32, sessions_per_day: f64) -> Fleet {
    Fleet::new(users, grants, token_secs, (sessions_per_day, 10.0), 10.0).unwrap()
}

/// Calls of STS in a day.
fn calls(fleet: &Fleet) -> f64 {
    CapacityPlan::new(fleet, 1_000_000).needed.mean * 86_400.0
}

fn is_about(value: f64, expected: f64) -> bool {
    (value / expected - 1.0).abs() < 0.01
}

#[test]
fn a_wave_has_the_peak_hour_that_was_asked_for() {
    for share in [0.042, 0.05, 0.1, 0.25, 0.5] {
        let wave = DailyWave::with_peak_hour(share);
        let seconds = |from: u32, until: u32| {
            (from..until).map(|at| wave.share_a_second(f64::from(at))).sum::<f64>()
        };
        assert!(is_about(seconds(0, 86_400), 1.0), "{share}");
        assert!(is_about(seconds(41_400, 45_000), share), "{share}");
        let earlier = (0..85_000).map(|from| wave.share_a_second(f64::from(from)));
        assert!(earlier.fold(0.0, f64::max) <= wave.share_a_second(43_200.0), "{share}");
    }
}

/// It is refreshed after four fifths of the half of its life for which it is fresh.
#[test]
fn a_shared_token_costs_one_call_in_24_minutes_however_many_users_it_has() {
    for users in [1_000_000, 10_000_000, 100_000_000] {
        assert!(is_about(calls(&fleet(users, ONE_FOR_ALL, 3600, 4.0)), 60.0), "{users}");
        let upload = GrantMix { user: 0, shared: 0, upload: 1 };
        assert!(is_about(calls(&fleet(users, upload, 3600, 4.0)), 60.0), "{users}");
    }
}

#[test]
fn a_user_who_comes_rarely_costs_one_call_a_session_and_grant() {
    let rare = fleet(1_000_000, ONE_FOR_EACH, 3600, 0.01);
    assert!(calls(&rare) > 10_000.0 && calls(&rare) < 10_500.0, "{}", calls(&rare));
    let two = GrantMix { user: 2, shared: 0, upload: 0 };
    let two = fleet(1_000_000, two, 3600, 0.01);
    assert!(is_about(calls(&two), 2.0 * calls(&rare)));
}

/// Of 60 minutes on average, with tokens of 15 minutes: it asks again after 57 % of a token's life.
#[test]
fn a_long_session_costs_a_call_each_time_that_its_app_asks_again() {
    let long = Fleet::new(1_000_000, ONE_FOR_EACH, 900, (0.01, 60.0), 10.0).unwrap();
    let calls_a_session = 1.0 / (1.0 - (-0.57 * 900.0 / 3600.0_f64).exp());
    let expected = 10_000.0 * calls_a_session;
    assert!((calls(&long) / expected - 1.0).abs() < 0.03, "{} of {expected}", calls(&long));
}

#[test]
fn a_quota_that_suffices_leaves_no_queue_and_needs_no_change() {
    let plan = CapacityPlan::new(&fleet(100_000, ONE_FOR_EACH, 3600, 4.0), 100);
    assert!(plan.needed.peak < plan.budget && plan.remedies.is_empty());
    assert_eq!((plan.queue.callers, plan.queue.wait_secs), (0.0, 0.0));
    assert!(plan.queue.drains);
    assert_eq!(plan.replicas, 2.0);
}

#[test]
fn a_budget_below_what_a_day_needs_leaves_a_queue_that_grows() {
    let plan = CapacityPlan::new(&fleet(10_000_000, ONE_FOR_EACH, 3600, 4.0), 100);
    assert!(!plan.queue.drains && plan.queue.crowded_hours > 23.9, "{:?}", plan.queue);
    assert!(is_about(plan.made.mean, plan.budget), "{:?}", plan.made);
}

#[test]
fn the_changes_are_in_the_order_in_which_to_try_them_and_the_last_one_suffices() {
    let kinds = |grants, token_secs| {
        let plan = CapacityPlan::new(&fleet(10_000_000, grants, token_secs, 4.0), 100);
        let last = plan.remedies.last().unwrap();
        let RemedyKind::Quota { calls_per_second } = last.kind else { panic!("{last:?}") };
        let raised =
            CapacityPlan::new(&fleet(10_000_000, grants, token_secs, 4.0), calls_per_second);
        assert!(last.suffices && raised.remedies.is_empty(), "{raised:?}");
        let lower =
            CapacityPlan::new(&fleet(10_000_000, grants, token_secs, 4.0), calls_per_second - 1);
        assert!(!lower.remedies.is_empty(), "{lower:?}");
        plan.remedies.iter().map(|remedy| remedy.kind).collect::<Vec<_>>()
    };
    let all = kinds(ONE_FOR_EACH, 3600);
    assert_eq!(
        all[..4],
        [
            RemedyKind::ShareGrant,
            RemedyKind::LongerTokens { secs: 43_200 },
            RemedyKind::NoRefreshAhead,
            RemedyKind::UploadGrant,
        ]
    );
    assert_eq!(
        kinds(ONE_FOR_EACH, 43_200)[..2],
        [RemedyKind::ShareGrant, RemedyKind::NoRefreshAhead]
    );
}

#[test]
fn more_sessions_than_a_day_holds_are_refused() {
    let refused = Fleet::new(1, ONE_FOR_EACH, 3600, (100.0, 15.0), 10.0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "--sessions-per-day and --session-minutes: 1500 minutes of sessions do not fit into a user's day of 1440; lower one of them"
    );
}
