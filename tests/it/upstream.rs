//! The errors of STS.

use std::time::Duration;

use appserver_emulator::{EmulatorControl, Fault};
use chrono::TimeDelta;

use crate::stage::{Setting, Stage};

/// A server with short time-outs, so that tests of failures are short.
const IMPATIENT: &str = "[sts]\nmax_attempts = 1\nattempt_timeout_ms = 500\n";

fn status(number: u16) -> appserver_emulator::ErrorStatus {
    number.try_into().unwrap()
}

fn error(code: &str) -> Fault {
    let message = "acs:ram::11223344:role/canary-role is the canary".to_owned();
    Fault::Error { status: status(403), code: code.to_owned(), message }
}

fn other(field: &str, text: &str) -> Fault {
    Fault::OtherText { field: field.to_owned(), text: text.to_owned() }
}

/// The caller's answer for each answer of STS; never an empty or expired token.
#[tokio::test]
async fn every_failure_of_sts_has_its_answer() {
    let stage = Stage::set(Setting { config: IMPATIENT, ..Setting::default() }).await;
    let faults = [
        ("throttled, which comes as HTTP 400", Fault::Throttle { time_left_ms: 30_000 }),
        (
            "an internal error",
            Fault::Error {
                status: status(500),
                code: "InternalError".into(),
                message: String::new(),
            },
        ),
        ("a proxy's page", Fault::Html { status: status(502) }),
        ("no permission", error("NoPermission")),
        ("no such role", error("EntityNotExist.Role")),
        ("a policy that STS does not take", error("InvalidParameter.PolicyGrammar")),
        ("an unknown key", error("InvalidAccessKeyId.NotFound")),
        ("an unknown code", error("Canary.Code")),
        ("cut before the answer", Fault::Cut { mid_body: false }),
        ("cut in the answer", Fault::Cut { mid_body: true }),
        ("half an answer", Fault::Malformed),
        ("empty credentials with HTTP 200", Fault::EmptyCredentials),
        ("no SecurityToken", Fault::MissingField { field: "SecurityToken".into() }),
        ("no Expiration", Fault::MissingField { field: "Expiration".into() }),
        ("a token that is dead on arrival", Fault::ShortLived { seconds: -1 }),
        ("a key that is not temporary", other("AccessKeyId", "LTAI5tCanary")),
        ("another role", other("Arn", "acs:ram::11223344:role/canary/client-003")),
        ("another session", other("AssumedRoleId", "391578752573972854:canary")),
        ("a token for a day", Fault::ShortLived { seconds: 86_400 }),
        ("a flood", Fault::Oversized { bytes: 1 << 20 }),
        ("silence", Fault::Slow { delay_ms: 2_000 }),
    ];
    let mut lines = Vec::new();
    for (what, fault) in faults {
        stage.sts.clear_faults();
        stage.sts.script(fault.always().only("AssumeRole"));
        // Refusals are cached, so each fault has a session of its own.
        let album = what.replace([' ', ',', '\''], "-");
        let answer = stage.get("client-003", &format!("/v1/token?Parameters.album={album}")).await;
        let retry = answer
            .headers
            .get("retry-after")
            .map(|secs| secs.to_str().unwrap().parse::<u64>().unwrap());
        let retry = match retry {
            None => "",
            Some(5..=8) => ", come back in 5 to 8 s",
            Some(30..=45) => ", come back in 30 to 45 s",
            Some(other) => panic!("{what}: Retry-After {other}"),
        };
        lines.push(format!("{what}: {}{retry}", answer.outcome()));
        let body = answer.body.to_string();
        for secret in ["canary", "Canary", "acs:", "NoPermission", "testid"] {
            assert!(!body.contains(secret), "{what}: {body}");
        }
        assert_eq!(answer.body.get("SecurityToken"), None);
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
throttled, which comes as HTTP 400: 503 Upstream.Throttled, come back in 30 to 45 s
an internal error: 503 Upstream.Unavailable, come back in 5 to 8 s
a proxy's page: 503 Upstream.Unavailable, come back in 5 to 8 s
no permission: 502 Upstream.Refused
no such role: 502 Upstream.Refused
a policy that STS does not take: 502 Upstream.Refused
an unknown key: 502 Upstream.Refused
an unknown code: 502 Upstream.Refused
cut before the answer: 503 Upstream.Unavailable, come back in 5 to 8 s
cut in the answer: 503 Upstream.Unavailable, come back in 5 to 8 s
half an answer: 503 Upstream.Unavailable, come back in 5 to 8 s
empty credentials with HTTP 200: 503 Upstream.Unavailable, come back in 5 to 8 s
no SecurityToken: 503 Upstream.Unavailable, come back in 5 to 8 s
no Expiration: 503 Upstream.Unavailable, come back in 5 to 8 s
a token that is dead on arrival: 503 Upstream.Unavailable, come back in 5 to 8 s
a key that is not temporary: 503 Upstream.Unavailable, come back in 5 to 8 s
another role: 503 Upstream.Unavailable, come back in 5 to 8 s
another session: 503 Upstream.Unavailable, come back in 5 to 8 s
a token for a day: 503 Upstream.Unavailable, come back in 5 to 8 s
a flood: 503 Upstream.Unavailable, come back in 5 to 8 s
silence: 503 Upstream.Unavailable, come back in 5 to 8 s
");
    stage.sts.clear_faults();
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    stage.close().await;
}

/// The emulator refuses a nonce that it has seen, so a retry that repeated one would fail.
#[tokio::test]
async fn a_temporary_failure_is_retried_with_a_new_nonce() {
    let stage = Stage::demo().await;
    for (album, fault) in [
        ("2015", Fault::Throttle { time_left_ms: 50 }),
        ("2016", Fault::Html { status: status(503) }),
        ("2017", Fault::Cut { mid_body: false }),
    ] {
        stage.sts.clear_calls();
        stage.sts.script(fault.times(1).only("AssumeRole"));
        let path = format!("/v1/token?Parameters.album={album}");
        assert_eq!(stage.get("client-003", &path).await.outcome(), "200 Success");
        let nonces: std::collections::BTreeSet<_> = stage
            .assume_role_calls()
            .iter()
            .map(|call| call.parameters["SignatureNonce"].clone())
            .collect();
        assert_eq!((nonces.len(), stage.assume_role_calls().len()), (2, 2));
    }
    stage.close().await;
}

/// The token's lifetime is that of STS's answer, not the requested one.
#[tokio::test]
async fn a_shorter_lifetime_than_requested_applies_to_all_dependent_times() {
    let stage = Stage::demo().await;
    stage.sts.script(Fault::ShortLived { seconds: 1200 }.always());
    let answer = stage.get("client-002", "/v1/token").await;
    let issued = answer.time("LastUpdated");
    assert_eq!(answer.time("Expiration") - issued, TimeDelta::seconds(1200));
    let refresh = (answer.time("RefreshAfter") - issued).num_seconds();
    assert!((617..=751).contains(&refresh), "{refresh}");
    stage.close().await;
}

/// STS refuses a clock that is 20 minutes off; it is corrected from STS's Date header and stays corrected. The times in
/// the answer are STS's.
#[tokio::test]
async fn a_skewed_clock_is_corrected_once_by_the_date_of_sts() {
    for seconds in [1200, -1200] {
        let before: fn(&EmulatorControl) = match seconds {
            1200 => |sts| sts.script(Fault::SkewedClock { seconds: 1200 }.always()),
            _ => |sts| sts.script(Fault::SkewedClock { seconds: -1200 }.always()),
        };
        let stage = Stage::set(Setting { before: Some(before), ..Setting::default() }).await;
        for album in ["2015", "2016"] {
            let path = format!("/v1/token?Parameters.album={album}");
            let answer = stage.get("client-003", &path).await;
            assert_eq!(answer.outcome(), "200 Success");
            let sts_now = stage.clock.now() + TimeDelta::seconds(seconds);
            assert_eq!(answer.time("LastUpdated"), sts_now);
            assert_eq!(answer.time("Expiration"), sts_now + TimeDelta::seconds(3600));
        }
        let outcomes: Vec<_> =
            stage.assume_role_calls().into_iter().map(|call| call.outcome).collect();
        assert_eq!(
            outcomes,
            ["Success", "Success"],
            "the start-up check has corrected the clock already"
        );
        stage.close().await;
    }
}

/// Without STS at the start the server is alive, not ready, and vends nothing; it becomes ready once STS is back.
#[tokio::test]
async fn a_server_that_starts_without_sts_waits_for_it() {
    let setting = Setting {
        config: IMPATIENT,
        before: Some(|sts| sts.script(Fault::Cut { mid_body: false }.always())),
        ..Setting::default()
    };
    let stage = Stage::set_unready(setting).await;
    let answer = stage.get("client-002", "/v1/token").await;
    assert_eq!(answer.outcome(), "503 NotReady");
    assert!(answer.headers.contains_key("retry-after"));
    let (ready, why) = stage.admin("/readyz").await;
    assert_eq!((ready, stage.admin("/healthz").await.0), (503, 200), "{why}");
    assert_eq!(stage.assume_role_calls(), []);

    stage.sts.clear_faults();
    tokio::time::timeout(Duration::from_secs(20), stage.ready()).await.expect("it becomes ready");
    assert_eq!(stage.admin("/readyz").await.0, 200);
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    stage.close().await;
}

/// Readiness does not depend on STS's errors.
#[tokio::test]
async fn readiness_does_not_flap_with_sts() {
    let stage = Stage::set(Setting { config: IMPATIENT, ..Setting::default() }).await;
    stage.sts.script(Fault::Html { status: status(503) }.always());
    for _ in 0..3 {
        assert_eq!(
            stage.get("client-002", "/v1/token").await.outcome(),
            "503 Upstream.Unavailable"
        );
        assert_eq!((stage.admin("/healthz").await.0, stage.admin("/readyz").await.0), (200, 200));
    }
    stage.close().await;
}
