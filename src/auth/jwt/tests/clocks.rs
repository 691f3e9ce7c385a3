//! Cached tokens and keys expire by the wall clock or the monotonic clock, whichever is first.

use std::time::Duration;

use serde_json::json;
use tokio::time::advance;

use super::signing::signer;
use super::site::{Site, StandingTime};
use super::work::Work;
use super::*;

/// Steps of the wall clock and of the monotonic clock, in seconds, by which one of them reaches `secs`.
fn ways(secs: u32) -> [(i64, u64); 4] {
    let (wall, monotonic) = (i64::from(secs), u64::from(secs));
    [(wall, monotonic), (wall, 0), (0, monotonic), (-wall, monotonic)]
}

fn moved(clock: &Clock, wall: i64) -> DateTime<Utc> {
    clock.advance(TimeDelta::seconds(wall));
    clock.now()
}

#[tokio::test(start_paused = true)]
async fn a_verified_token_expires_by_either_clock() {
    // The lifetime of an hour and the leeway of a minute.
    for (passed, expected) in [(3659, None), (3660, Some(JwtProblem::Expired))] {
        for (wall, monotonic) in ways(passed) {
            let clock = Clock::manual(now());
            let issuers = issuers(issuer("https://login.example.com/"));
            // Issued long ago, so that the token is valid after the wall clock is set back.
            let mut claims = good();
            (claims["iat"], claims["nbf"]) = (json!(0), json!(0));
            let token = token(&claims);
            assert!(issuers.verify(&token, clock.now()).is_ok());
            let now = moved(&clock, wall);
            advance(Duration::from_secs(monotonic)).await;
            for _ in 0..2 {
                match (issuers.verify(&token, now), &expected) {
                    (Ok(_), None) => {}
                    (Err(refusal), Some(problem)) => {
                        assert_eq!(refusal, *problem, "{wall} {monotonic}");
                    }
                    (outcome, _) => panic!("{outcome:?} {wall} {monotonic}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn keys_reach_their_maximum_age_by_either_clock() {
    let _time = StandingTime::begin();
    for (wall, monotonic) in ways(86_401) {
        let signer = signer(0, "one");
        let site = Site::with_keys(&[&signer]).await;
        let work = Work::begun(site.issuer()).await;
        let mut claims = site.claims();
        (claims["iat"], claims["nbf"]) = (json!(0), json!(0));
        claims["exp"] = json!(now().timestamp() + 1_000_000);
        let (seen, unseen) = (signer.token(&claims), {
            claims["sub"] = json!("bob");
            signer.token(&claims)
        });
        assert!(work.at_once(&seen).is_ok());
        site.fail();
        moved(&work.clock, wall);
        advance(Duration::from_secs(monotonic)).await;
        for token in [&seen, &unseen] {
            assert_eq!(
                work.at_once(token).unwrap_err(),
                JwtProblem::UnknownKey,
                "{wall} {monotonic}"
            );
        }
    }
}
