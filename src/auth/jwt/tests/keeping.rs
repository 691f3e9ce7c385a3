//! Key rotation and outages of an issuer.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::super::configured_keys::RefreshPolicy;
use super::signing::signer;
use super::site::{Page, Site, StandingTime};
use super::work::{Work, pass, settle};
use super::*;

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_accepted_once_it_is_up() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    site.fail();
    let work = Work::begun(site.issuer()).await;
    let token = signer.token(&site.claims());
    assert_eq!(work.at_once(&token).unwrap_err(), JwtProblem::UnknownKey);
    site.show_keys(&[&signer]);
    pass(&work, 1).await;
    work.fetched(2).await;
    assert!(work.at_once(&token).is_ok());
}

/// A request during the first fetch waits for it.
#[tokio::test]
async fn a_token_before_the_first_keys_waits_for_the_fetch() {
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begin(site.issuer());
    assert!(work.verify(&signer.token(&site.claims())).await.is_ok());
    assert_eq!(site.count("/jwks"), 1);
}

#[tokio::test]
async fn failed_fetches_back_off_and_keep_the_old_keys() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let token = signer.token(&site.claims());
    let begun = Instant::now();
    site.show("/jwks", Page::Text("{}".to_owned()));
    let mut waits = Vec::new();
    for fetches in 2..12 {
        let before = Instant::now();
        while work.fetches() < fetches {
            advance(Duration::from_millis(500)).await;
            if work.live().is_fetching() {
                work.fetched(fetches).await;
            }
        }
        waits.push(before.elapsed().as_secs_f64());
    }
    let longest = [300.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0];
    for (wait, longest) in waits.iter().zip(longest) {
        assert!((longest * 0.8 - 0.5..=longest + 0.5).contains(wait), "{waits:?}");
    }
    assert!(work.at_once(&token).is_ok(), "after {:?}", begun.elapsed());
}

/// Beyond the maximum age no token is valid, not even a cached one, until the issuer is back.
#[tokio::test]
async fn keys_stay_valid_in_an_outage_up_to_their_maximum_age() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let (seen, unseen) = (signer.token(&site.claims()), {
        let mut claims = site.claims();
        claims["sub"] = json!("bob");
        signer.token(&claims)
    });
    assert!(work.at_once(&seen).is_ok());
    site.fail();
    work.clock.advance(TimeDelta::seconds(86_399));
    assert!(work.at_once(&seen).is_ok() && work.at_once(&unseen).is_ok());
    work.clock.advance(TimeDelta::seconds(1));
    for token in [&seen, &unseen] {
        assert_eq!(work.at_once(token).unwrap_err(), JwtProblem::UnknownKey);
    }
    site.show_keys(&[&signer]);
    // The first request afterwards triggers the fetch.
    assert!(work.verify(&seen).await.is_ok() && work.at_once(&unseen).is_ok());
    assert_eq!(work.fetches(), 2);
}

#[tokio::test]
async fn the_first_caller_after_a_rotation_succeeds_and_costs_one_fetch() {
    let _time = StandingTime::begin();
    let (old, new) = (signer(0, "old"), signer(1, "new"));
    let site = Site::with_keys(&[&old]).await;
    let work = Work::begun(site.issuer()).await;
    let (with_old, with_new) = (old.token(&site.claims()), new.token(&site.claims()));
    assert!(work.verify(&with_old).await.is_ok());
    site.show_keys(&[&old, &new]);
    let phones = (0..50).map(|_| work.verify(&with_new));
    let let_in = futures_util::future::join_all(phones).await;
    assert!(let_in.iter().all(Result::is_ok));
    assert!(work.at_once(&with_old).is_ok(), "the issuer still has it");
    assert_eq!(site.count("/jwks"), 2);
}

/// From the next fetch on, tokens that the removed key verified are invalid too.
#[tokio::test]
async fn a_key_that_the_issuer_removes_is_revoked_at_the_next_fetch() {
    let _time = StandingTime::begin();
    let (lost, other) = (signer(0, "lost"), signer(1, "other"));
    let site = Site::with_keys(&[&lost, &other]).await;
    let work = Work::begun(site.issuer()).await;
    let [by_lost, by_other] = [&lost, &other].map(|signer| signer.token(&site.claims()));
    assert!(work.at_once(&by_lost).is_ok() && work.at_once(&by_other).is_ok());
    site.show_keys(&[&other]);
    assert!(work.at_once(&by_lost).is_ok(), "nobody has said so yet");
    pass(&work, 300).await;
    work.fetched(2).await;
    assert_eq!(work.at_once(&by_lost).unwrap_err(), JwtProblem::UnknownKey);
    assert!(work.at_once(&by_other).is_ok());
    // Another key with the same `kid` is a different key.
    site.show_keys(&[&signer(2, "other")]);
    pass(&work, 300).await;
    work.fetched(3).await;
    assert_eq!(work.at_once(&by_other).unwrap_err(), JwtProblem::Signature);
}

/// The first token of the new key triggers a fetch, and a flood of forged signatures afterwards costs one fetch a minute.
#[tokio::test]
async fn a_key_replaced_under_the_same_kid_is_fetched_for_its_first_token() {
    let _time = StandingTime::begin();
    let (old, new) = (signer(0, "one"), signer(1, "one"));
    let site = Site::with_keys(&[&old]).await;
    let work = Work::begun(site.issuer()).await;
    let (with_old, with_new) = (old.token(&site.claims()), new.token(&site.claims()));
    assert!(work.verify(&with_old).await.is_ok());
    site.show_keys(&[&new]);
    let phones = (0..50).map(|_| work.verify(&with_new));
    let let_in = futures_util::future::join_all(phones).await;
    assert!(let_in.iter().all(Result::is_ok));
    assert_eq!(work.verify(&with_old).await.unwrap_err(), JwtProblem::Signature);
    let forger = signer(2, "one");
    let mut counts = Vec::new();
    for secs in [0, 1, 58, 1, 59, 1] {
        pass(&work, secs).await;
        for n in 0..200 {
            let mut claims = site.claims();
            claims["jti"] = json!(n);
            let refusal = work.verify(&forger.token(&claims)).await.unwrap_err();
            assert_eq!(refusal, JwtProblem::Signature);
        }
        counts.push(site.count("/jwks"));
    }
    assert_eq!(counts, [2, 2, 2, 3, 3, 4], "the first was in turn");
    assert!(work.at_once(&with_new).is_ok());
}

/// Any number of made-up `kid`s costs one fetch a minute together.
#[tokio::test]
async fn a_flood_of_unknown_keys_costs_the_issuer_one_fetch_a_minute() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let flood = async |count: usize| {
        let tokens: Vec<_> = (0..count)
            .map(|n| {
                let header = Header { kid: Some(format!("made-up-{n}")), ..signer.header() };
                signer.token_with(&header, &site.claims())
            })
            .collect();
        let outcomes =
            futures_util::future::join_all(tokens.iter().map(|token| work.verify(token))).await;
        assert!(
            outcomes.iter().all(|outcome| *outcome.as_ref().unwrap_err() == JwtProblem::UnknownKey)
        );
    };
    let mut counts = Vec::new();
    for secs in [0, 1, 58, 1, 59, 1] {
        pass(&work, secs).await;
        flood(200).await;
        flood(200).await;
        counts.push(site.count("/jwks"));
    }
    assert_eq!(counts, [2, 2, 2, 3, 3, 4], "the first was in turn");
    assert!(work.at_once(&signer.token(&site.claims())).is_ok());
}

/// A request with an unknown key does not wait for a slow issuer.
#[tokio::test]
async fn an_unknown_key_delays_a_request_by_at_most_two_seconds() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    site.show("/jwks", Page::Stalls(String::new()));
    let header = Header { kid: Some("new".to_owned()), ..signer.header() };
    let token = signer.token_with(&header, &site.claims());
    let started = Instant::now();
    let mut first = Box::pin(work.verify(&token));
    tokio::select! {
        outcome = &mut first => panic!("{outcome:?} too soon"),
        () = async { site.asked(2).await; advance(Duration::from_millis(1_900)).await } => {}
    }
    let refused = tokio::join!(first, advance(Duration::from_millis(200))).0;
    assert_eq!(refused.unwrap_err(), JwtProblem::UnknownKey);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// A token that no key could make valid triggers no fetch.
#[tokio::test]
async fn a_token_with_a_fault_other_than_its_key_costs_no_fetch() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let claims = site.claims();
    let unknown = Header { kid: Some("new".to_owned()), ..signer.header() };
    let other_alg = Header { alg: Algorithm::HS256, ..unknown.clone() };
    let logout = Header { typ: Some("logout+jwt".to_owned()), ..unknown.clone() };
    let mut of_nobody = claims.clone();
    of_nobody["iss"] = json!("https://evil.example.com/");
    let long = format!("{}{}", "x".repeat(LONGEST_TOKEN), signer.token(&claims).expose_secret());
    for (token, problem) in [
        (signer.token_with(&unknown, &of_nobody), JwtProblem::UnknownIssuer),
        (signed(&other_alg, &claims, SECRET), JwtProblem::Algorithm),
        (signer.token_with(&logout, &claims), JwtProblem::Type),
        (long.into(), JwtProblem::Malformed),
    ] {
        assert_eq!(work.verify(&token).await.unwrap_err(), problem);
    }
    settle().await;
    assert_eq!((site.count("/jwks"), work.fetches()), (1, 1));
}

#[tokio::test]
async fn fetches_are_counted_and_keys_have_an_age() {
    let _time = StandingTime::begin();
    let site = Site::with_keys(&[&signer(0, "one"), &signer(1, "two")]).await;
    let issuer = site.issuer();
    let ConfiguredKeys::Fetched(from, _) = issuer.keys else { panic!("it is fetched") };
    let refresh_policy =
        RefreshPolicy { refresh: Duration::from_mins(1), max_age: Duration::from_mins(5) };
    let work = Work::begun(Issuer {
        keys: ConfiguredKeys::Fetched(from, refresh_policy),
        ..site.issuer()
    })
    .await;
    site.fail();
    pass(&work, 60).await;
    work.fetched(2).await;
    pass(&work, 0).await;
    let shown = work.metrics.encoded();
    for line in [
        r#"jwks_fetches_total{issuer="company",outcome="success"} 1"#,
        r#"jwks_fetches_total{issuer="company",outcome="status"} 1"#,
        r#"jwks_keys{issuer="company"} 2"#,
        r#"jwks_age_seconds{issuer="company"} 60"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} not in\n{shown}");
    }
    let metrics = work.metrics.clone();
    drop(work);
    settle().await;
    assert!(!metrics.encoded().contains("jwks_keys{"), "it is gone");
}
