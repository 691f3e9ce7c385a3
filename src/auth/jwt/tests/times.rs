//! When a token is good, and whose login has an end.

use proptest::prelude::*;

use super::*;

#[test]
fn a_login_ends_with_its_token_where_the_issuer_is_configured_so() {
    let bound =
        |expire_with_token| Issuer { expire_with_token, ..issuer("https://login.example.com/") };
    let until = |issuer| verify_with(issuer, &good()).unwrap().until();
    let exp = now() + TimeDelta::seconds(3600);
    assert_eq!(until(bound(true)), Some(exp), "to the letter, without leeway");
    assert_eq!(until(bound(false)), None);
}

/// The times of a token, judged without a signature: what is asked here is arithmetic.
fn judged(claims: &Value) -> Result<Caller, JwtRefusal> {
    let text = token(claims);
    let parsed = Parsed::read(text.expose_secret())?;
    let issuer = Issuer { expire_with_token: true, ..issuer("https://login.example.com/") };
    issuer.proven(&parsed, now()).map(|(caller, _)| caller)
}

/// The ends of the calendar, of what JSON holds exactly, and of the integers.
fn seconds() -> impl Strategy<Value = i64> {
    let (first, last) =
        (DateTime::<Utc>::MIN_UTC.timestamp(), DateTime::<Utc>::MAX_UTC.timestamp());
    let edges = [first, last, 0, i64::MIN, i64::MAX, 1 << 53, now().timestamp()];
    prop_oneof![
        any::<i64>(),
        first..=last,
        (proptest::sample::select(edges.to_vec()), -200_i64..200)
            .prop_map(|(edge, by)| edge.saturating_add(by)),
    ]
}

proptest! {
    /// T54: any moment that a token names is judged, and none panics.
    #[test]
    fn every_moment_of_a_token_is_judged_by_the_calendar(secs in seconds()) {
        let at = now().timestamp();
        let in_calendar = DateTime::from_timestamp(secs, 0).is_some();
        for claim in ["nbf", "iat"] {
            let outcome = judged(&changed(claim, json!(secs)));
            prop_assert_eq!(outcome.is_ok(), in_calendar && secs <= at + 60, "{} {:?}", claim, outcome);
        }
        let outcome = judged(&changed("exp", json!(secs)));
        prop_assert_eq!(outcome.is_ok(), in_calendar && secs > at - 60, "exp {:?}", outcome);
        if let Ok(caller) = outcome {
            prop_assert_eq!(caller.until().map(|until| until.timestamp()), Some(secs));
        }
    }

    /// The same with fractions, and numbers that no integer holds.
    #[test]
    fn no_number_for_a_moment_panics(secs in any::<f64>()) {
        for claim in ["nbf", "iat", "exp"] {
            let _ = judged(&changed(claim, json!(secs)));
        }
    }
}

/// The moment that made a server panic: the first of the calendar, of which no leeway can be taken.
#[test]
fn a_token_that_begins_with_the_calendar_is_good() {
    for claim in ["nbf", "iat"] {
        assert!(verify(&changed(claim, json!(-8_334_601_228_800_i64))).is_ok(), "{claim}");
        assert_eq!(
            verify(&changed(claim, json!(-8_334_601_228_801_i64))).unwrap_err(),
            JwtProblem::Lacks(claim)
        );
    }
}
