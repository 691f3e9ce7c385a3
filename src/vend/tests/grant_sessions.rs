//! Sessions of grants, whose credentials sign for all callers.

use secrecy::ExposeSecret;

use super::*;
use crate::sts::InlinePolicy;
use crate::vend::cache::KeyHashing;

/// One hour for all uploads of a grant.
fn grant_session() -> GrantSession {
    GrantSession::new(
        "acs:ram::11223344:role/oss-readonly".to_owned().try_into().unwrap(),
        &"photo-upload".parse().unwrap(),
        grant_policy_for("2015/*"),
        MaxSessionDuration::DEFAULT.admit(3600).unwrap(),
        None,
    )
}

impl Harness {
    async fn sign(&self, client: &str) -> Result<GrantCredentials, VendError> {
        let deadline = Instant::now() + secs(15);
        self.vendor.grant_credentials(&holder(client), &grant_session(), deadline).await
    }
}

/// How long what is signed now can be valid.
fn left(credentials: &GrantCredentials) -> TimeDelta {
    credentials.expires_at() - credentials.now()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_users_who_upload_at_once_cost_one_sts_call() {
    let harness = harness();
    let users: Vec<_> = (0..10_000)
        .map(|n| {
            let harness = harness.clone();
            let client = ["app-one", "app-two", "app-three"][n % 3];
            tokio::spawn(async move { harness.sign(client).await })
        })
        .collect();
    for user in users {
        let credentials = user.await.unwrap().unwrap();
        assert_eq!(credentials.access_key_id(), "STS.1");
        assert_eq!(left(&credentials), HOUR - TimeDelta::from_std(LATENCY).unwrap());
    }
    assert_eq!(harness.sts.names(), ["grant@photo-upload"]);
}

const HOUR: TimeDelta = TimeDelta::hours(1);

/// A session is used for the first half of its life, so that what is signed last can be valid for the other half.
#[tokio::test(start_paused = true)]
async fn ten_thousand_users_a_day_cost_one_sts_call_per_half_of_a_sessions_life() {
    const USERS: u32 = 10_000;
    // A freshness that would be too short to sign with changes nothing.
    for min_remaining in [None, Some(secs(60))] {
        let harness = harness_with(|settings| settings.freshness.min_remaining = min_remaining);
        harness.sign("app-one").await.unwrap();
        for n in 0..USERS {
            let begun = Instant::now();
            let credentials = harness.sign("app-one").await.unwrap();
            assert_eq!(begun.elapsed(), Duration::ZERO, "user {n} waits for no call");
            assert_eq!(credentials.source(), TokenSource::Cached);
            assert!(left(&credentials) >= HOUR / 2, "{}", left(&credentials));
            sleep(secs(86_400) / USERS).await;
        }
        // Renewed ahead, at 70 to 90 % of that half.
        let calls = harness.sts.calls();
        assert!((86_400 / 1800..=86_400 / 1260 + 2).contains(&calls), "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_and_a_grant_share_no_credentials_even_if_sts_sees_no_difference() {
    let harness = harness();
    let of_grant = grant_session();
    let like_it = of_grant.role_session().clone();
    let like_it = CallerSession::new(
        like_it.role,
        like_it.name,
        policy_for("2015/*"),
        like_it.duration,
        None,
        None,
    );
    let (ours, theirs) = (of_grant.role_session(), like_it.role_session());
    assert_eq!(ours.policy.as_str(), theirs.policy.as_str());
    assert_eq!(
        RoleSession { policy: InlinePolicy::Caller(policy_for("2015/*")), ..ours.clone() },
        *theirs
    );
    // Nor do they by the names by which replicas share.
    let (hashing, holder) = (KeyHashing::default(), holder("app-one"));
    let [ours, theirs] = [ours, theirs].map(|session| hashing.key_of(session, &holder).to_key());
    assert_ne!(ours.parts(), theirs.parts());
    for _ in 0..2 {
        assert_eq!(harness.sign("app-one").await.unwrap().access_key_id(), "STS.1");
        let vended = harness.vend_within("app-one", &like_it, secs(15)).await.unwrap();
        assert_eq!(vended.id(), "STS.2");
    }
}

#[tokio::test(start_paused = true)]
async fn while_sts_fails_a_grants_session_signs_for_as_long_as_it_lives() {
    let harness = harness();
    harness.sign("app-one").await.unwrap();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    sleep(secs(3000)).await;
    let credentials = harness.sign("app-one").await.unwrap();
    assert_eq!((credentials.access_key_id(), credentials.source()), ("STS.1", TokenSource::Stale));
    // The waiting time is part of its age, too.
    assert!(left(&credentials) <= TimeDelta::seconds(600), "{}", left(&credentials));
    sleep(secs(300)).await;
    assert!(harness.sign("app-one").await.is_err());
}

/// What is signed has the date of the session plus its age. OSS refuses a date of the future, and by the wall clock alone
/// nobody can tell whether it was set or the machine was suspended.
#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_where_the_two_clocks_disagree_on_its_age() {
    let harness = harness();
    harness.sign("app-one").await.unwrap();
    for (ahead, expected) in
        [(0, "STS.1"), (60, "STS.1"), (1, "STS.2"), (0, "STS.2"), (-3600, "STS.2")]
    {
        harness.clock.advance(TimeDelta::seconds(ahead));
        let credentials = harness.sign("app-one").await.unwrap();
        assert_eq!(credentials.access_key_id(), expected, "{ahead}");
        assert!(left(&credentials) >= HOUR - TimeDelta::seconds(62), "{}", left(&credentials));
    }
}

#[tokio::test(start_paused = true)]
async fn the_credentials_that_sign_print_no_secret() {
    let credentials = harness().sign("app-one").await.unwrap();
    assert_eq!(credentials.signing_secret().expose_secret(), "canary-secret");
    assert_eq!(credentials.security_token().expose_secret(), "canary-token");
    let text = format!("{credentials:?}");
    assert!(text.contains("STS.1") && !text.contains("canary"), "{text}");
}
