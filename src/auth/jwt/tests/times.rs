//! The validity of tokens, and logins that end.

use proptest::prelude::*;

use super::*;

#[test]
fn a_login_ends_with_its_token_if_so_configured() {
    let bound =
        |expire_with_token| Issuer { expire_with_token, ..issuer("https://login.example.com/") };
    let until = |issuer| verify_with(issuer, &good()).unwrap().until();
    let exp = now() + TimeDelta::seconds(3600);
    assert_eq!(until(bound(true)), Some(exp), "to the letter, without leeway");
    assert_eq!(until(bound(false)), None);
}

/// Checks the times of a token without its signature.
fn judged(claims: &Value) -> Result<Caller, JwtRefusal> {
    let text = token(claims);
    let parsed = Parsed::read(text.expose_secret())?;
    let issuer = Issuer { expire_with_token: true, ..issuer("https://login.example.com/") };
    issuer.proven(&parsed, now()).map(|(caller, _)| caller)
}

/// The bounds of the calendar, of exact numbers in JSON, and of the integers.
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
    /// No time in a token panics.
    #[test]
    fn any_time_in_a_token_is_checked_without_overflow(secs in seconds()) {
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

    /// The same with fractions, and with numbers beyond the integers.
    #[test]
    fn no_number_as_a_time_panics(secs in any::<f64>()) {
        for claim in ["nbf", "iat", "exp"] {
            let _ = judged(&changed(claim, json!(secs)));
        }
    }
}

/// The first time of the calendar, from which no leeway can be subtracted, once panicked.
#[test]
fn a_token_valid_from_the_first_representable_time_is_accepted() {
    for claim in ["nbf", "iat"] {
        assert!(verify(&changed(claim, json!(-8_334_601_228_800_i64))).is_ok(), "{claim}");
        assert_eq!(
            verify(&changed(claim, json!(-8_334_601_228_801_i64))).unwrap_err(),
            JwtProblem::Lacks(claim)
        );
    }
}
