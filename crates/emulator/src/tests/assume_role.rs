//! AssumeRole.

use super::*;

const NOT_AUTHORIZED: &str =
    "You are not authorized to do this action. You should be authorized by RAM.";

fn refused(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}

fn policy_of_bytes(bytes: usize) -> String {
    let policy = |name: &str| NARROW.replace("2015", name);
    let padding = bytes - policy("").len();
    policy(&"x".repeat(padding))
}

#[tokio::test]
async fn a_permitted_and_trusted_user_gets_credentials() {
    let emulated = Emulated::start().await;
    let caller =
        Caller::assume_role().with("DurationSeconds", "900").with("SourceIdentity", "Alice");
    let expected = json!({
        "RequestId": "…",
        "AssumedRoleUser": {
            "Arn": "acs:ram::11223344:role/oss-readonly/client-002",
            "AssumedRoleId": "391578752573972854:client-002",
        },
        "Credentials": {
            "AccessKeyId": "STS.…",
            "AccessKeySecret": "…",
            "SecurityToken": "CAIS…",
            "Expiration": "2016-01-13T14:17:37Z",
        },
        "SourceIdentity": "Alice",
    });
    let answered = without_randomness(emulated.call(&caller).await);
    assert_eq!(answered, Answered { status: 200, body: expected });
}

#[tokio::test]
async fn the_token_holds_the_session() {
    let emulated = Emulated::start().await;
    let Answered { body, .. } = emulated.call(&Caller::assume_role()).await;
    let credentials = &body["Credentials"];
    let token = credentials["SecurityToken"].as_str().unwrap();
    let session = emulated.settings.token_key().open(token, start()).unwrap();
    assert_eq!(session.access_key_id, credentials["AccessKeyId"]);
    assert_eq!(session.role_arn, READ_ONLY);
    assert_eq!(session.session_name, "client-002");
    assert_eq!(session.policy.as_deref(), Some(NARROW));
    assert_eq!(session.source_identity, None);
    assert_eq!(session.expiration, start() + TimeDelta::hours(1));
}

#[tokio::test]
async fn each_parameter_has_its_format() {
    let emulated = Emulated::start().await;
    let duration = "The Min/Max value of DurationSeconds is 15min/1hr.";
    let with = |name: &'static str, value: &str| Caller::assume_role().with(name, value);
    let malformed = |name: &str| {
        let message = format!("The parameter {name} is wrongly formed.");
        refused(400, &format!("InvalidParameter.{name}"), &message)
    };
    let grammar = refused(
        400,
        "InvalidParameter.PolicyGrammar",
        "The parameter Policy has not passed grammar check.",
    );
    let table = [
        (
            Caller::assume_role().without("RoleArn"),
            refused(400, "MissingRoleArn", "RoleArn is mandatory for this action."),
        ),
        (
            Caller::assume_role().without("RoleSessionName"),
            refused(400, "MissingRoleSessionName", "RoleSessionName is mandatory for this action."),
        ),
        (with("RoleArn", "acs:ram::11223344:user/x"), malformed("RoleArn")),
        (with("RoleSessionName", "x"), malformed("RoleSessionName")),
        (with("RoleSessionName", "alice/bob"), malformed("RoleSessionName")),
        (with("RoleSessionName", &"x".repeat(65)), malformed("RoleSessionName")),
        (with("ExternalId", "x"), malformed("ExternalId")),
        (with("SourceIdentity", "acs:alice"), malformed("SourceIdentity")),
        (
            with("DurationSeconds", "899"),
            refused(400, "InvalidParameter.DurationSeconds", duration),
        ),
        (
            with("DurationSeconds", "3601"),
            refused(400, "InvalidParameter.DurationSeconds", duration),
        ),
        (with("DurationSeconds", "1h"), refused(400, "InvalidParameter.DurationSeconds", duration)),
        (with("Policy", "{}"), grammar.clone()),
        (with("Policy", &NARROW.replace("\"1\"", "\"2\"")), grammar.clone()),
        (with("Policy", &NARROW.replace("\"Effect\"", "\"Principal\":\"*\",\"Effect\"")), grammar),
        (
            with("Policy", &policy_of_bytes(2048)),
            refused(
                400,
                "InvalidParameter.PolicySize",
                "The size of Policy must be smaller than 2048 bytes.",
            ),
        ),
    ];
    for (caller, expected) in table {
        assert_eq!(emulated.error(&caller).await, expected);
    }
}

#[tokio::test]
async fn the_longest_valid_parameters_are_accepted() {
    let emulated = Emulated::start().await;
    let long = "acs:ram::11223344:role/long";
    for caller in [
        Caller::assume_role().with("RoleSessionName", "a@"),
        Caller::assume_role().with("RoleSessionName", "x".repeat(64)),
        Caller::assume_role().with("DurationSeconds", "900"),
        Caller::assume_role().with("DurationSeconds", "3600"),
        Caller::assume_role().with("RoleArn", long).with("DurationSeconds", "43200"),
        Caller::assume_role().with("Policy", policy_of_bytes(2047)),
        Caller::assume_role().without("Policy"),
    ] {
        assert_eq!(emulated.call(&caller).await.status, 200);
    }
}

#[tokio::test]
async fn policies_are_measured_in_bytes() {
    let emulated = Emulated::start().await;
    let policy = policy_of_bytes(2047).replacen('x', "é", 1);
    assert_eq!((policy.chars().count(), policy.len()), (2047, 2048));
    let code = emulated.error(&Caller::assume_role().with("Policy", policy)).await.1;
    assert_eq!(code, "InvalidParameter.PolicySize");
}

#[tokio::test]
async fn a_root_account_assumes_no_role() {
    let emulated = Emulated::start().await;
    let caller = Caller::assume_role().by("rootid", "rootsecret");
    let expected = refused(403, "NoPermission", "Roles may not be assumed by root accounts.");
    assert_eq!(emulated.error(&caller).await, expected);
}

#[tokio::test]
async fn the_callers_own_policies_must_allow_it() {
    let emulated = Emulated::start().await;
    let intern = || Caller::assume_role().by("internid", "internsecret");
    let expected = refused(403, "NoPermission", NOT_AUTHORIZED);
    assert_eq!(emulated.error(&intern()).await, expected);
    // A user without permission cannot find out which roles exist.
    let missing = intern().with("RoleArn", "acs:ram::11223344:role/missing");
    assert_eq!(emulated.error(&missing).await, expected);
}

#[tokio::test]
async fn the_roles_trust_policy_must_allow_it_too() {
    let emulated = Emulated::start().await;
    let not_trusted = "No permission perform sts:AssumeRole on this Role. Maybe you are not authorized to perform \
                       sts:AssumeRole or the specified role does not trust you";
    let expected = refused(403, "NoPermission", not_trusted);
    let bobs = Caller::assume_role().with("RoleArn", "acs:ram::11223344:role/bobs");
    let partner = || Caller::assume_role().with("RoleArn", "acs:ram::11223344:role/partner");
    assert_eq!(emulated.error(&bobs).await, expected);
    assert_eq!(emulated.error(&partner()).await, expected);
    assert_eq!(emulated.error(&partner().with("ExternalId", "contract-8")).await, expected);
    assert_eq!(emulated.call(&partner().with("ExternalId", "contract-7")).await.status, 200);
}

#[tokio::test]
async fn a_missing_role_is_not_found() {
    let emulated = Emulated::start().await;
    let caller = Caller::assume_role().with("RoleArn", "acs:ram::11223344:role/missing");
    let expected = refused(404, "EntityNotExist.Role", "The specified Role not exists.");
    assert_eq!(emulated.error(&caller).await, expected);
}
