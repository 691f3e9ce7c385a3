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
        let RemedyKind::Quota(Quota { calls_per_second, accounts: 1 }) = last.kind else {
            panic!("{last:?}")
        };
        let suffices = |quota| plan.needed.peak <= Quota::of_one_account(quota).budget();
        assert!(last.suffices && suffices(calls_per_second), "{last:?}");
        assert!(!suffices(calls_per_second - 1), "{last:?}");
        plan.remedies.iter().map(|remedy| remedy.kind).collect::<Vec<_>>()
    };
    let all = kinds(ONE_FOR_EACH, 3600);
    assert_eq!(
        all[..4],
        [
            RemedyKind::ShareGrant { of: 1 },
            RemedyKind::LongerTokens { secs: 43_200 },
            RemedyKind::NoRefreshAhead,
            RemedyKind::UploadGrant { of: 1 },
        ]
    );
    assert_eq!(
        kinds(GrantMix { user: 2, ..ONE_FOR_EACH }, 43_200)[..3],
        [
            RemedyKind::ShareGrant { of: 2 },
            RemedyKind::MergeGrants { of: 2 },
            RemedyKind::NoRefreshAhead,
        ]
    );
}

#[test]
fn a_change_has_the_calls_and_the_memory_of_a_plan_with_it() {
    let million = fleet(1_000_000, GrantMix { user: 2, ..ONE_FOR_EACH }, 3600, 4.0);
    let plan = CapacityPlan::new(&million, 100);
    let planned = |fleet: &Fleet, quota| {
        let quota = Quota::of_one_account(quota);
        let plan = CapacityPlan::without_remedies(fleet, quota);
        let CapacityPlan { needed, memory, redis_tokens, .. } = plan;
        (needed.peak, memory.bytes, redis_tokens)
    };
    for remedy in &plan.remedies {
        let with = |grants| planned(&million.with_grants(grants), 100);
        let expected = match remedy.kind {
            RemedyKind::ShareGrant { .. } => with(GrantMix { user: 1, shared: 1, upload: 0 }),
            RemedyKind::MergeGrants { .. } => with(ONE_FOR_EACH),
            RemedyKind::LongerTokens { secs } => planned(&million.with_token_secs(secs), 100),
            RemedyKind::NoRefreshAhead => planned(&million.with_refresh_percent(0), 100),
            RemedyKind::UploadGrant { .. } => with(GrantMix { user: 1, shared: 0, upload: 1 }),
            RemedyKind::Quota(quota) => planned(&million, quota.calls_per_second),
        };
        let has = (remedy.needed.peak, remedy.memory.bytes, remedy.redis_tokens);
        assert_eq!(has, expected, "{remedy:?}");
    }
    let bytes = |kind: RemedyKind| {
        plan.remedies.iter().find(|remedy| remedy.kind == kind).unwrap().memory.bytes
    };
    let longer = bytes(RemedyKind::LongerTokens { secs: 43_200 });
    assert!(longer > 5.0 * plan.memory.bytes, "{longer}");
}

#[test]
fn a_quota_beyond_one_budget_is_divided_over_accounts() {
    for (calls, calls_per_second, accounts) in [
        (0.1, 2, 1),
        (90.0, 100, 1),
        (90.1, 102, 1),
        (10_000.0, Quota::MAX, 1),
        (10_000.1, 5_557, 2),
        (11_532.0, 6_407, 2),
        (1e9, Quota::MAX, 100_000),
    ] {
        let quota = Quota::allowing(calls);
        assert_eq!(quota, Quota { calls_per_second, accounts }, "{calls}");
        assert!(quota.budget() >= calls && quota.budget_of_account() <= 10_000, "{calls}");
    }
    assert_eq!(Quota::of_one_account(100).budget(), 90.0);
    assert_eq!(Quota::of_one_account(1).budget(), 1.0);
}

#[test]
fn a_replica_needs_memory_for_a_full_cache_which_keeps_expired_tokens() {
    let bytes = |tokens, keys, accounts| ReplicaMemory::new(tokens, keys, accounts).bytes;
    assert_eq!(bytes(6.0, 2.0, 1), BYTES_OF_PROCESS + 6.0 * BYTES_PER_TOKEN);
    assert_eq!(bytes(6.0, 1e6, 1), BYTES_OF_PROCESS + 1e5 * BYTES_PER_TOKEN);
    assert_eq!(bytes(2e5, 1e6, 1), BYTES_OF_PROCESS + 2e5 * BYTES_PER_TOKEN);
    let huge = ReplicaMemory::new(3e7, 1e9, 2);
    assert_eq!(huge.bytes, BYTES_OF_PROCESS + 2e7 * BYTES_PER_TOKEN);
    assert!(!huge.holds_all() && ReplicaMemory::new(1.5e7, 1e9, 2).holds_all());
}

#[test]
fn more_sessions_than_a_day_holds_are_refused() {
    let refused = Fleet::new(1, ONE_FOR_EACH, 3600, (100.0, 15.0), 10.0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "--sessions-per-day and --session-minutes: 1500 minutes of sessions do not fit into a user's day of 1440; lower one of them"
    );
}
