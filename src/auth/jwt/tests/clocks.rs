//! T47: what was seen of a token or a key ends by whichever of the machine's clocks says so first.

use std::time::Duration;

use serde_json::json;
use tokio::time::advance;

use super::signing::signer;
use super::site::{Site, StandingTime};
use super::work::Work;
use super::*;

/// By how much the wall clock and the monotonic one move, in seconds, for so many to have passed.
fn ways(secs: u32) -> [(i64, u64); 4] {
    let (wall, monotonic) = (i64::from(secs), u64::from(secs));
    [(wall, monotonic), (wall, 0), (0, monotonic), (-wall, monotonic)]
}

fn moved(clock: &Clock, wall: i64) -> DateTime<Utc> {
    clock.advance(TimeDelta::seconds(wall));
    clock.now()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_verified_ends_by_either_clock_and_is_not_taken_again() {
    // An hour, and the leeway of a minute.
    for (passed, expected) in [(3659, None), (3660, Some(JwtProblem::Expired))] {
        for (wall, monotonic) in ways(passed) {
            let clock = Clock::manual(now());
            let issuers = issuers(issuer("https://login.example.com/"));
            // Of a moment before, so that a wall clock that is set back finds nothing in the future.
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
async fn keys_reach_their_greatest_age_by_either_clock() {
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
