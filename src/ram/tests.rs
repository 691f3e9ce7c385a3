//! The client against a scripted RAM.

use std::time::Duration;

use tokio::time::Instant;

use super::scripted_account::{ACCOUNT, Contents, Interruption, NOW, ScriptedAccount};
use super::*;
use crate::sts::scripted::{Reply, Scripted};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;
use appserver_domain::{AccessKey, SigningCredentials};

async fn account(interruption: Option<Interruption>) -> ScriptedAccount {
    ScriptedAccount::start(Contents::default(), interruption).await
}

fn client_of(server: &Scripted) -> RamClient {
    let endpoint = || server.endpoint();
    let settings = RamSettings {
        ram: endpoint(),
        ims: endpoint(),
        sts: endpoint(),
        account: ACCOUNT.parse().unwrap(),
    };
    let key = AccessKey { id: "adminid".parse().unwrap(), secret: "canary-admin-secret".into() };
    RamClient::new(
        settings,
        SigningCredentials::of_key(key, None),
        Default::default(),
        Clock::manual(NOW.parse().unwrap()),
    )
    .unwrap()
}

#[tokio::test]
async fn a_call_is_a_signed_form_with_the_version_of_its_service_and_the_security_token() {
    let account = account(None).await;
    let client = account.client();
    client.has_user("appserver").await.unwrap();
    client.network_policy("appserver", "LTAI1").await.unwrap();
    client.identity().await.unwrap();
    let forms = account.forms();
    let versions: Vec<_> = forms.iter().map(|form| form["Version"].as_str()).collect();
    assert_eq!(versions, ["2015-05-01", "2019-08-15", "2015-04-01"]);
    for form in &forms {
        let fixed = ["AccessKeyId", "Format", "SecurityToken", "SignatureMethod", "Timestamp"];
        let values = fixed.map(|name| form[name].as_str());
        assert_eq!(values, ["adminid", "JSON", "canary-admin-token", "HMAC-SHA1", NOW]);
        assert!(form.contains_key("Signature"));
    }
    assert_eq!(forms[1]["UserPrincipalName"], "appserver@11223344.onaliyun.com");
    assert_eq!(forms[1]["UserAccessKeyId"], "LTAI1");
}

#[tokio::test]
async fn what_does_not_exist_is_no_error() {
    let account = account(None).await;
    let client = account.client();
    assert!(!client.has_user("appserver").await.unwrap());
    assert_eq!(client.role("oss-readonly").await.unwrap(), None);
    assert_eq!(client.policy(PolicyKind::Custom, "p").await.unwrap(), None);
    assert_eq!(client.provider("p").await.unwrap(), None);
    assert_eq!(client.network_policy("appserver", "LTAI1").await.unwrap(), None);
}

/// A repeated creation could make a second AccessKey, or be refused because of the first.
#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_not_repeated_and_a_read_is() {
    let account = account(Some(Interruption::LoseAnswer(0))).await;
    let lost = account.client().create_user("appserver", "c").await.unwrap_err();
    assert!(lost.may_be_done(), "{lost:?}");
    assert_eq!(account.actions(), ["CreateUser"]);
    assert!(account.client().has_user("appserver").await.unwrap());

    let account = self::account(Some(Interruption::LoseAnswer(0))).await;
    assert!(!account.client().has_user("appserver").await.unwrap());
    assert_eq!(account.actions(), ["GetUser", "GetUser"]);
}

#[tokio::test]
async fn a_creation_that_was_throttled_is_repeated() {
    let account = account(Some(Interruption::Refuse(0, 400, "Throttling.User"))).await;
    account.client().create_user("appserver", "c").await.unwrap();
    assert_eq!(account.actions(), ["CreateUser", "CreateUser"]);
}

#[tokio::test]
async fn a_policy_that_is_attached_already_is_a_success() {
    let account = account(None).await;
    let client = account.client();
    for _ in 0..2 {
        client.attach("p", AttachmentTarget::User("appserver")).await.unwrap();
    }
    assert_eq!(account.contents().attached.len(), 1);
}

/// Each documented code, with the message for the operator.
#[tokio::test]
async fn each_refusal_names_its_code_and_the_way_out() {
    for (status, code, told) in [
        (403, "NoPermission", "allow `ram:CreateRole` on `acs:ram:*:11223344:role/oss-readonly`"),
        (403, "Inactive", "activate it"),
        (409, "EntityAlreadyExists.Role", "it exists already (EntityAlreadyExists.Role)"),
        (404, "EntityNotExist", "it does not exist (EntityNotExist)"),
        (404, "EntityNotExist.User", "it does not exist (EntityNotExist.User)"),
        (409, "LimitExceeded.Role", "as many roles as RAM admits (LimitExceeded.Role); delete one"),
        (
            409,
            "LimitExceeded.User.AccessKey",
            "two by default (LimitExceeded.User.AccessKey); delete one",
        ),
        (409, "LimitExceeded.Role.Policy", "detach one"),
        (409, "LimitExceeded.Policy.Version", "delete an old one"),
        (400, "InvalidParameter.PolicyDocument.Length", "fewer or shorter grants"),
        (400, "InvalidParameter.RoleName.InvalidChars", "use a name or value that RAM admits"),
        (400, "MalformedPolicyDocument", "users and roles that exist"),
        (404, "InvalidAccessKeyId.NotFound", "set ALIBABA_CLOUD_ACCESS_KEY_ID"),
        (400, "InvalidAccessKeyId.Inactive", "is disabled"),
        (403, "InvalidAccessKeyId.NetworkNotAllowed", "run the command from an address of it"),
        (403, "InvalidAccessKeyId.Novelty", "is not accepted (InvalidAccessKeyId.Novelty)"),
        (400, "SignatureDoesNotMatch", "set ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        (403, "InvalidSecurityToken.Expired", "obtain a new one for ALIBABA_CLOUD_SECURITY_TOKEN"),
        (400, "InvalidTimeStamp.Expired", "set this machine's clock"),
        (400, "Novelty", "it is refused (Novelty)"),
    ] {
        let account = account(Some(Interruption::Refuse(0, status, code))).await;
        let error =
            account.client().create_role("oss-readonly", "{}", 3600, "d").await.unwrap_err();
        let message = with_causes(&error);
        assert!(message.starts_with("CreateRole for role/oss-readonly failed: "), "{message}");
        assert!(message.contains(told), "{message}");
        assert!(!error.may_be_done(), "{code}");
        for shown in [message, format!("{error:?}")] {
            assert!(!shown.contains("canary"), "{shown}");
        }
        assert_eq!(account.actions(), ["CreateRole"], "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_of_ram_is_an_error() {
    for (head, body, told) in [
        ("HTTP/1.1 200 OK", "<html>canary".to_owned(), "it is not JSON"),
        ("HTTP/1.1 200 OK", "{}".to_owned(), "it has no valid `Role`"),
        ("HTTP/1.1 302 Found", "{}".to_owned(), "HTTP status 302"),
        ("HTTP/1.1 200 OK", "x".repeat(1024 * 1024 + 1), "longer than 1048576 bytes"),
    ] {
        let server = Scripted::start(move |_, _| Reply::Answer(head.into(), body.clone())).await;
        let error = client_of(&server).role("oss-readonly").await.unwrap_err();
        let message = with_causes(&error);
        assert!(message.contains(told) && !message.contains("canary"), "{message}");
    }
}

/// A person waits for the command.
#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_ends_the_call_within_20_seconds_and_is_named() {
    let server = Scripted::start(|_, _| Reply::Hang).await;
    let began = Instant::now();
    let error = with_causes(&client_of(&server).role("oss-readonly").await.unwrap_err());
    assert!(began.elapsed() <= Duration::from_secs(20), "{:?}", began.elapsed());
    let told = format!("RAM at {} did not answer in time", server.endpoint().authority());
    assert!(error.contains(&told), "{error}");
    assert_eq!(server.seen().forms.len(), 2);
}

#[tokio::test]
async fn secrets_are_in_no_debug_text() {
    let account = account(None).await;
    let client = account.client();
    let key = client.create_access_key("appserver").await.unwrap();
    let shown = format!("{client:?} {key:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
