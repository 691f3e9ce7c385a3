//! `[vend]`, and what is sound and will still disappoint.

use super::*;

#[test]
fn every_bound_of_vending_is_kept_and_told() {
    let wrong = r#"
        [sts]
        max_attempts = 0
        [vend]
        max_keys = 0
        min_remaining_secs = 32401
        stale_remaining_secs = 59
        remember_refusals_secs = 61
        flight_timeout_ms = 99
        max_waiting = 1
        budget.calls_per_second = 0
        budget.burst = 0
        budget.refresh_percent = 51
        breaker.failures = 0
        breaker.open_ms = 99
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
sts.max_attempts: invalid value: integer `0`, expected a nonzero u32
vend.breaker.failures: 0 is not between 1 and 1000 attempts
vend.breaker.open_ms: 99 is not between 100 and 60000 milliseconds
vend.budget.burst: 0 is not between 1 and 1000 calls
vend.budget.calls_per_second: 0 is not between 1 and 10000 calls
vend.budget.refresh_percent: 51 is not between 0 and 50 percent
vend.flight_timeout_ms: 99 is not between 100 and 600000 milliseconds
vend.max_keys: 0 is not between 1 and 10000000 tokens
vend.max_waiting: 1 is not between 2 and 1000000 callers
vend.min_remaining_secs: 32401 is not between 0 and 32400 seconds
vend.remember_refusals_secs: 61 is not between 0 and 60 seconds
vend.stale_remaining_secs: 59 is not between 60 and 3600 seconds
");
}

#[test]
fn numbers_of_vending_arrive_where_they_belong() {
    let text = "[vend]\nmin_remaining_secs = 2400\nmax_keys = 7\n[vend.budget]\nrefresh_percent = 50\n\
                [sts]\nmax_attempts = 3\n";
    let vend = loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap().vend;
    assert_eq!(vend.freshness.min_remaining.map(|least| least.as_secs()), Some(2400));
    assert_eq!((vend.max_keys, vend.max_attempts.get()), (7, 3));
    assert_eq!((vend.budget.per_second, vend.budget.refresh_share), (90, 0.5));
    let vend = loaded(SOUND, &[], Mode::Production).unwrap().vend;
    assert_eq!(vend.freshness.min_remaining, None);
}

/// T12.
#[test]
fn tokens_that_sdks_would_throw_away_at_once_are_noted_with_the_sdks_names() {
    let advice = |variables: &[(&str, &str)]| {
        let settings = loaded(SOUND, variables, Mode::Production).unwrap();
        let lines = settings.advice.iter().map(|note| format!("{}: {}", note.path, note.message));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(advice(&[]), "");
    let secs = "APPSERVER__GRANTS__ALBUM__DEFAULT_DURATION_SECS";
    assert_eq!(advice(&[(secs, "1802")]), "");
    let short = advice(&[(secs, "1800")]);
    insta::assert_snapshot!(short, @"grants.album.default_duration_secs: tokens of 1800 s are handed out with as little as 900 s left; the Java, Python and Node credentials SDKs (with 900 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them");
    let mobile = advice(&[("APPSERVER__VEND__MIN_REMAINING_SECS", "300")]);
    insta::assert_snapshot!(mobile, @"grants.album.default_duration_secs: tokens of 3600 s are handed out with as little as 300 s left; the Java, Python and Node credentials SDKs (with 900 s left) and the Android and iOS OSS SDKs (with 300 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them");
}

#[test]
fn what_a_grants_policy_will_not_do_as_meant_is_told_with_the_statement_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject",
        "Resource":"acs:oss:*:*:sample-bucket/uploads/*"}]}"#;
    std::fs::write(folder.path().join("uploads.json"), policy).unwrap();
    let toml = r#"
        [roles.oss]
        arn = "acs:ram::11223344:role/oss"
        [grants.uploads]
        role = "oss"
        policy = "uploads.json"
        [grants.uploads.parameters.album]
        kind = "segment"
        [clients.phone]
        grants = ["uploads"]
        secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
    "#;
    let file = folder.path().join("app.toml");
    std::fs::write(&file, toml).unwrap();
    let settings = load(&[file], &Environment::new(), Mode::Production).unwrap();
    let beside = format!("{}/", folder.path().display());
    let lines = settings
        .advice
        .iter()
        .map(|Problem { path, message }| format!("{path}: {}", message.replace(&beside, "")));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
grants.uploads.policy: uploads.json: Statement[0].Action: large files go up in parts, and without `oss:AbortMultipartUpload` and `oss:ListParts` their upload can be neither resumed nor given up; perhaps {"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"acs:oss:*:*:sample-bucket/uploads/*"}
grants.uploads.parameters.album: every request must bring it, and no text of the grant uses it: take it out, or use `${params.…}`
"#);
}
