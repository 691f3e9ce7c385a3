//! Tokens and refusals of other replicas are adopted for their remaining time.

use super::*;
use crate::store::Shared;
use crate::vend::cache::{Key, KeyHashing};

fn key(name: &str) -> Arc<Key> {
    let (session, holder): (_, GrantHolder) = (session(name), holder("app-one"));
    KeyHashing::default().key_of(session.role_session(), &holder).to_key()
}

/// A token of one hour that another replica has held for some time.
fn shared_token(harness: &Harness, left: Duration) -> Option<Shared<Credentials>> {
    Some(Shared { value: harness.sts.mint(session("device").role_session()), left })
}

fn shared_refusal(left: Duration) -> Option<Shared<String>> {
    Some(Shared { value: "NoPermission".to_owned(), left })
}

#[tokio::test(start_paused = true)]
async fn another_replicas_token_is_handed_out_while_it_is_fresh_and_kept_while_it_is_usable() {
    for (left, is_fresh, is_kept) in
        [(3600, true, true), (1800, true, true), (1799, false, true), (300, false, false)]
    {
        let harness = harness();
        let (key, token) = (key("device"), shared_token(&harness, secs(left)));
        let (engine, now) = (&harness.vendor.engine, harness.vendor.engine.cache.now());
        let adopted = engine.replicas.adopt(&key, now, token, None, Duration::ZERO);
        assert_eq!(adopted.is_some_and(|adopted| adopted.is_ok()), is_fresh, "{left} s");
        let kept = engine.cache.peek(&key).map(|token| token.remaining(now));
        assert_eq!(kept, is_kept.then_some(secs(left)), "{left} s");
    }
}

#[tokio::test(start_paused = true)]
async fn another_replicas_refusal_is_cached_for_its_remaining_time_and_a_minute_at_most() {
    for (left, remembered) in [(10, 10), (60, 60), (3600, 60)] {
        let harness = harness();
        let (key, engine) = (key("device"), &harness.vendor.engine);
        let now = || engine.cache.now();
        let refusal = shared_refusal(secs(left));
        let adopted = engine.replicas.adopt(&key, now(), None, refusal, Duration::ZERO);
        assert!(matches!(adopted, Some(Err(VendError::Sts(_)))), "{adopted:?}");
        sleep(secs(remembered).checked_sub(Duration::from_millis(1)).unwrap()).await;
        assert!(engine.cache.negative().get(&key, now()).is_some(), "{left} s");
        sleep(Duration::from_millis(1)).await;
        assert!(engine.cache.negative().get(&key, now()).is_none(), "{left} s");
    }
}

#[tokio::test(start_paused = true)]
async fn another_replicas_refusal_that_has_expired_or_may_not_be_cached_is_ignored() {
    let remembering =
        |for_secs| harness_with(|settings| settings.negative_cache_lifetime = secs(for_secs));
    for (remember_for, left) in [(60, 0), (0, 60)] {
        let harness = remembering(remember_for);
        let refusal = shared_refusal(secs(left));
        let engine = &harness.vendor.engine;
        let now = engine.cache.now();
        let adopted = engine.replicas.adopt(&key("device"), now, None, refusal, Duration::ZERO);
        assert!(adopted.is_none(), "{adopted:?}");
    }
}

/// Its own replica refreshes it by its whole lifetime, this replica by what is left.
#[tokio::test(start_paused = true)]
async fn another_replicas_token_is_refreshed_by_its_remaining_lifetime() {
    let harness = harness();
    let freshness = VendSettings::for_tests().freshness;
    let now = harness.vendor.engine.cache.now();
    let Shared { value, left } = shared_token(&harness, secs(2400)).unwrap();
    let token = Token::of_replica(key("device"), value, now, left);
    // It is fresh for 600 s, and refreshed after 70 to 90 % of them.
    let due = [0.0, 1.0].map(|spread| token.refresh_due(&freshness, spread) - now.monotonic());
    assert_eq!(due.map(|due| due.as_secs_f64().round()), [420.0, 540.0]);
}
