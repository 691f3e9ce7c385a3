//! The sources of the credentials that sign, each through the whole service: emulator, server, token, object. None of these
//! servers has an AccessKey in its configuration or environment.

use std::time::Duration;

use appserver_emulator::{DEMO_ISSUER, Fault, demo_jwt_for, sign};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::oss;
use crate::stage::{START, Setting, Stage, until};

const ACCOUNT: &str = "system:serviceaccount:default:appserver";
const AUDIENCE: &str = "sts.aliyuncs.com";

const ECS: &str = r#"
[sts.identity]
source = "ecs-ram-role"
access_key.source = ""
ecs_ram_role.endpoint = "http://{metadata}"
"#;
const OIDC: &str = r#"
[sts.identity]
source = "oidc"
access_key.source = ""
[sts.identity.oidc]
role_arn = "acs:ram::11223344:role/appserver-pod"
provider_arn = "acs:ram::11223344:oidc-provider/ack-rrsa-demo"
token_file = "{folder}/token"
"#;
const URI: &str = r#"
[sts.identity]
source = "credentials-uri"
access_key.source = ""
credentials_uri.uri = "http://{metadata}/latest/meta-data/ram/security-credentials/appserver-instance"
"#;

/// A token of the service account, valid for an hour.
fn account_token() -> String {
    demo_jwt_for(ACCOUNT, AUDIENCE, START.parse().unwrap())
}

fn setting<'a>(config: &'a str, files: &'a [(&'a str, &'a str)]) -> Setting<'a> {
    Setting { config, files, ..Setting::default() }
}

/// Lets time pass by both clocks: what is due then is done, and the requests that it needs come after.
async fn pass(stage: &Stage, seconds: u32) {
    stage.clock.advance(TimeDelta::seconds(seconds.into()));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds.into())).await;
    tokio::time::resume();
}

/// Lets time pass in steps no longer than the shortest pause between two renewals. The requests of each step have real time: they
/// must not run into their time-outs when the next one begins.
async fn pass_in_steps(stage: &Stage, seconds: u32) {
    for _ in 0..seconds.div_ceil(30) {
        pass(stage, 30).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets time pass until a condition holds, for half an hour at most. (`until` cannot: its time limit would pass, too.)
async fn pass_until(stage: &Stage, what: &str, come: impl AsyncFn() -> bool) {
    for _ in 0..60 {
        if come().await {
            return;
        }
        pass_in_steps(stage, 30).await;
    }
    panic!("not within half an hour of virtual time: {what}");
}

/// A token that is not cached: no two calls have the same duration.
async fn new_token(stage: &Stage, number: u32) -> String {
    let path = format!("/v1/token?DurationSeconds={}", 900 + number);
    stage.get("client-002", &path).await.outcome()
}

async fn readiness(stage: &Stage) -> (u16, String) {
    let (status, body) = stage.admin("/readyz").await;
    (status, body.trim().to_owned())
}

async fn is_ready(stage: &Stage) -> bool {
    readiness(stage).await.0 == 200
}

/// The value of a sample of the metrics; 0 if there is none.
async fn metric(stage: &Stage, sample: &str) -> f64 {
    let (_, metrics) = stage.admin("/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

async fn renewals(stage: &Stage, outcome: &str) -> f64 {
    let name = "appserver_upstream_identity_renewals_total";
    metric(stage, &format!("{name}{{outcome=\"{outcome}\"}}")).await
}

/// The AccessKey ids that signed calls to STS, each once.
fn signers(stage: &Stage) -> Vec<String> {
    let calls = stage.sts.calls();
    let mut ids: Vec<_> =
        calls.iter().filter_map(|call| call.parameters.get("AccessKeyId").cloned()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test]
async fn each_source_vends_tokens_that_read_their_objects_without_an_access_key() {
    let token = account_token();
    for config in [ECS, OIDC, URI] {
        let stage = Stage::set(setting(config, &[("token", &token)])).await;
        let vended = stage.get("client-002", "/v1/token").await;
        let outcomes = [
            vended.outcome(),
            oss::read(&stage, &vended, "2015/01/01/grass.jpg").await,
            oss::read(&stage, &vended, "users/bob/lake.jpg").await,
        ];
        assert_eq!(outcomes, ["200 Success", "200", "403 AccessDenied"], "{config}");
        let signers = signers(&stage);
        assert!(signers.len() == 1 && signers[0].starts_with("STS."), "{config}: {signers:?}");
        stage.close().await;
    }
}

#[tokio::test]
async fn the_metadata_server_is_asked_with_a_metadata_token_that_is_new_for_each_renewal() {
    let stage = Stage::set(Setting {
        emulator: &[(r#"http_tokens = "optional""#, r#"http_tokens = "required""#)],
        ..setting(ECS, &[])
    })
    .await;
    let calls = stage.sts.metadata_calls();
    let calls: Vec<_> = calls
        .iter()
        .map(|call| (call.action.as_str(), call.parameters.contains_key("HasToken")))
        .collect();
    let expected = [("CreateToken", false), ("GetRoleName", true), ("GetCredentials", true)];
    assert_eq!(calls, expected);
    pass(&stage, 4 * 3600 + 60).await;
    until("the next renewal", async || stage.sts.metadata_calls().len() == 6).await;
    assert_eq!(stage.sts.metadata_calls()[3].action, "CreateToken");
    stage.close().await;
}

#[tokio::test]
async fn a_metadata_server_with_version_1_only_is_refused_unless_that_is_configured() {
    let version_1 = [(r#"http_tokens = "optional""#, r#"http_tokens = "unsupported""#)];
    let refused = Stage::set_unready(Setting { emulator: &version_1, ..setting(ECS, &[]) }).await;
    until("the first renewal has failed", async || renewals(&refused, "failed").await >= 1.0).await;
    assert_eq!(readiness(&refused).await.0, 503);
    assert_eq!(new_token(&refused, 0).await, "503 NotReady");
    let only_tokens = refused.sts.metadata_calls().iter().all(|call| call.action == "CreateToken");
    assert!(only_tokens, "{:?}", refused.sts.metadata_calls());
    refused.close().await;

    let config = format!("{ECS}ecs_ram_role.imds_v1 = true\n");
    let admitted = Stage::set(Setting { emulator: &version_1, ..setting(&config, &[]) }).await;
    assert_eq!(new_token(&admitted, 0).await, "200 Success");
    admitted.close().await;
}

/// The outage covers the time at which the metadata server begins to hand out new credentials.
#[tokio::test]
async fn twenty_minutes_without_the_metadata_server_are_not_noticed() {
    let stage = Stage::set(setting(ECS, &[])).await;
    pass(&stage, 5 * 3600 + 20 * 60).await;
    let before = renewals(&stage, "failed").await;
    stage.sts.script_metadata(Fault::Cut { mid_body: false }.always());
    for minute in 0..20 {
        pass_in_steps(&stage, 60).await;
        assert_eq!(new_token(&stage, minute).await, "200 Success", "minute {minute}");
        assert_eq!(readiness(&stage).await.0, 200, "minute {minute}");
    }
    assert!(renewals(&stage, "failed").await >= before + 10.0);
    stage.sts.clear_metadata_faults();
    let renewed = renewals(&stage, "renewed").await;
    pass_until(&stage, "new credentials", async || renewals(&stage, "renewed").await > renewed)
        .await;
    // After the end of the first ones.
    pass_in_steps(&stage, 30 * 60).await;
    assert_eq!(new_token(&stage, 20).await, "200 Success");
    assert_eq!(signers(&stage).len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn without_valid_credentials_the_service_is_not_ready_and_recovers_by_itself() {
    let stage = Stage::set(setting(ECS, &[])).await;
    stage.sts.script_metadata(Fault::Html { status: 500.try_into().unwrap() }.always());
    pass(&stage, 6 * 3600 - 60).await;
    assert_eq!(
        (readiness(&stage).await.0, new_token(&stage, 0).await),
        (200, "200 Success".into())
    );
    pass_in_steps(&stage, 90).await;
    let (status, reason) = readiness(&stage).await;
    assert!(status == 503 && reason.contains("UpstreamIdentity"), "{status} {reason}");
    assert_eq!(new_token(&stage, 1).await, "503 UpstreamIdentity");
    assert_eq!(signers(&stage).len(), 1, "expired credentials sign nothing");
    stage.sts.clear_metadata_faults();
    pass_until(&stage, "it is ready again", async || is_ready(&stage).await).await;
    assert_eq!(new_token(&stage, 2).await, "200 Success");
    stage.close().await;
}

#[tokio::test]
async fn each_unusable_answer_of_the_metadata_server_keeps_the_service_unready() {
    let status = |status: u16| status.try_into().unwrap();
    let text = |field: &str, text: &str| Fault::OtherText {
        field: field.to_owned(),
        text: text.to_owned(),
    };
    let missing = |field: &str| Fault::MissingField { field: field.to_owned() };
    let faults = [
        text("Code", "Failed"),
        missing("Code"),
        missing("Expiration"),
        text("Expiration", "soon"),
        Fault::ShortLived { seconds: -60 },
        Fault::EmptyCredentials,
        Fault::Malformed,
        Fault::Cut { mid_body: true },
        Fault::Html { status: status(403) },
        Fault::Html { status: status(500) },
        Fault::Throttle { time_left_ms: 1000 },
        Fault::Oversized { bytes: 1 << 20 },
    ];
    let before = |control: &appserver_emulator::EmulatorControl| {
        let fault = Fault::OtherText { field: "Code".to_owned(), text: "Failed".to_owned() };
        control.script_metadata(fault.always());
    };
    let stage = Stage::set_unready(Setting { before: Some(before), ..setting(ECS, &[]) }).await;
    for fault in faults {
        stage.sts.clear_metadata_faults();
        stage.sts.script_metadata(fault.clone().always().only("GetCredentials"));
        let failed = renewals(&stage, "failed").await;
        pass_until(&stage, "the next renewals have failed", async || {
            renewals(&stage, "failed").await >= failed + 2.0
        })
        .await;
        assert!(!is_ready(&stage).await, "{fault:?}");
    }
    assert_eq!(signers(&stage), Vec::<String>::new());
    stage.sts.clear_metadata_faults();
    pass_until(&stage, "it is ready", async || is_ready(&stage).await).await;
    assert_eq!(new_token(&stage, 0).await, "200 Success");
    stage.close().await;
}

/// The token that was there at the start expires before the first renewal.
#[tokio::test]
async fn the_token_file_is_read_at_each_renewal_and_a_late_swap_is_not_noticed() {
    let start: chrono::DateTime<Utc> = START.parse().unwrap();
    let until_after = |minutes: i64| {
        sign(&json!({
            "iss": DEMO_ISSUER,
            "aud": AUDIENCE,
            "sub": ACCOUNT,
            "iat": start.timestamp(),
            "exp": (start + TimeDelta::minutes(minutes)).timestamp(),
        }))
    };
    let stage = Stage::set(setting(OIDC, &[("token", &until_after(10))])).await;
    pass(&stage, 45 * 60).await;
    until("a renewal with the old token has failed", async || {
        renewals(&stage, "failed").await >= 1.0
    })
    .await;
    assert_eq!(
        (readiness(&stage).await.0, new_token(&stage, 0).await),
        (200, "200 Success".into())
    );
    let outcomes = stage.sts.totals()["AssumeRoleWithOIDC"].clone();
    assert!(outcomes["AuthenticationFail.OIDCToken.Expired"] >= 1, "{outcomes:?}");

    stage.write("token", &format!("{}\n", until_after(600)));
    pass_until(&stage, "a renewal with the new token", async || {
        renewals(&stage, "renewed").await >= 2.0
    })
    .await;
    pass_in_steps(&stage, 20 * 60).await;
    assert_eq!(
        (readiness(&stage).await.0, new_token(&stage, 1).await),
        (200, "200 Success".into())
    );
    assert_eq!(signers(&stage).len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn a_token_that_the_trust_policy_does_not_accept_is_retried_until_it_is_replaced() {
    let other =
        demo_jwt_for("system:serviceaccount:default:other", AUDIENCE, START.parse().unwrap());
    let stage = Stage::set_unready(setting(OIDC, &[("token", &other)])).await;
    until("the first renewal has failed", async || renewals(&stage, "failed").await >= 1.0).await;
    assert!(!is_ready(&stage).await);
    stage.write("token", &account_token());
    pass_until(&stage, "it is ready", async || is_ready(&stage).await).await;
    assert_eq!(new_token(&stage, 0).await, "200 Success");
    stage.close().await;
}
