//! Access by role policy, session policy and ACL.

use serde_json::json;

use super::*;

const DAILY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg"}]}"#;
const ALICE: &str = r#"{"Version":"1","Statement":[
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/alice/*"},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}]}"#;

impl Emulated {
    async fn outcome_for(&self, keys: &Keys, ask: Ask) -> String {
        self.ask(&ask.signed(Scheme::V4, keys)).await.outcome()
    }
}

#[tokio::test]
async fn a_session_is_allowed_what_its_role_and_its_policy_both_allow() {
    let emulated = Emulated::start().await;
    let daily = emulated.session("oss-readonly", Some(DAILY));
    let alice = emulated.session("oss-readwrite", Some(ALICE));
    let whole_role = emulated.session("oss-readonly", None);
    let wider_than_role = emulated.session("oss-readonly", Some(ALICE));
    let denied = "403 AccessDenied";
    let table = [
        (&daily, Ask::get(GRASS), "200"),
        (&daily, Ask::get("2015/01/02/morning.jpg"), denied),
        (&daily, Ask::get("2015/01/01/notes.txt"), denied),
        // Outside the policy the existence of a key is not revealed.
        (&daily, Ask::get("2015/01/02/no-such.jpg"), denied),
        (&daily, Ask::get("2015/01/01/no-such.jpg"), "404 NoSuchKey"),
        (&daily, Ask::put(GRASS, ""), denied),
        (&daily, Ask::list(&[]), denied),
        (&whole_role, Ask::get("2015/01/02/morning.jpg"), "200"),
        (&whole_role, Ask::put(GRASS, ""), denied),
        (&wider_than_role, Ask::get("users/alice/garden.jpg"), "200"),
        (&wider_than_role, Ask::put("users/alice/x", ""), denied),
        (&alice, Ask::put("users/alice/x", ""), "200"),
        (&alice, Ask::put("users/alicex", ""), denied),
        (&alice, Ask::get("users/bob/lake.jpg"), denied),
        (&alice, Ask::list(&[("prefix", "users/alice/")]), "200"),
        (&alice, Ask::list(&[("prefix", "users/alice/2015/")]), "200"),
        (&alice, Ask::list(&[("prefix", "users/")]), denied),
        (&alice, Ask::list(&[]), denied),
        (&alice, Ask::new("DELETE", "users/alice/garden.jpg"), "204"),
    ];
    for (keys, ask, expected) in table {
        let shown = format!("{} {} {:?}", ask.method, ask.key, ask.query);
        assert_eq!(emulated.outcome_for(keys, ask).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_denial_says_which_policy_and_statement_decided() {
    let emulated = Emulated::start().await;
    let daily = emulated.session("oss-readonly", Some(DAILY));
    let told = emulated.ask(&Ask::get("2015/01/02/é.jpg").signed(Scheme::V1, &daily)).await;
    insta::assert_snapshot!(told.shown(), @r#"
403
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Denied","By":"SessionPolicy","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/2015/01/02/\u00e9.jpg","SessionPolicy":{"Decision":"ImplicitlyDenied"},"IdentityPolicy":{"Decision":"Allowed","Policy":0,"Statement":0},"BucketAcl":"private"}
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access denied by authorizer's policy.</Message><RequestId>…</RequestId><HostId>127.0.0.1:…</HostId><EmulatorDecision>{"Verdict":"Denied","By":"SessionPolicy","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/2015/01/02/\u00e9.jpg","SessionPolicy":{"Decision":"ImplicitlyDenied"},"IdentityPolicy":{"Decision":"Allowed","Policy":0,"Statement":0},"BucketAcl":"private"}</EmulatorDecision></Error>
"#);
    let decision = |told: &Told| {
        let decision = told.decision();
        (decision["Verdict"].clone(), decision["By"].clone(), decision["IdentityPolicy"].clone())
    };
    let allowed = emulated.ask(&Ask::get(GRASS).signed(Scheme::V1, &daily)).await;
    let by_role = json!({ "Decision": "Allowed", "Policy": 0, "Statement": 0 });
    assert_eq!(decision(&allowed), (json!("Allowed"), json!("IdentityPolicy"), by_role));
    let careful = Keys::of("careful");
    let denied = emulated.ask(&Ask::new("DELETE", GRASS).signed(Scheme::V1, &careful)).await;
    let by_user = json!({ "Decision": "ExplicitlyDenied", "Policy": 1, "Statement": 1 });
    assert_eq!(decision(&denied), (json!("Denied"), json!("IdentityPolicy"), by_user));
}

#[tokio::test]
async fn keys_of_users_and_accounts_have_their_own_rights() {
    let emulated = Emulated::start().await;
    let table = [
        ("root", Ask::put("a", ""), "200"),
        ("editor", Ask::put("a", ""), "200"),
        ("careful", Ask::put("a", ""), "200"),
        ("careful", Ask::new("DELETE", "a"), "403 AccessDenied"),
        // An ACL does not override a Deny.
        ("careful", Ask::new("DELETE", "a").of("open-bucket"), "403 AccessDenied"),
        ("intern", Ask::new("DELETE", "a").of("open-bucket"), "204"),
        // AppServer's own user can only assume roles.
        ("test", Ask::get("a"), "403 AccessDenied"),
        ("intern", Ask::get("a"), "403 AccessDenied"),
        ("disabled", Ask::get("a"), "403 InvalidAccessKeyId"),
        ("nobody", Ask::get("a"), "403 InvalidAccessKeyId"),
        // Policies and keys of another account grant nothing here.
        ("foreign", Ask::get("a"), "403 AccessDenied"),
        ("foreignuser", Ask::get("a"), "403 AccessDenied"),
        ("foreign", Ask::get("welcome.svg").of("sample-public"), "200"),
        ("foreignuser", Ask::get("welcome.svg").of("sample-public"), "200"),
        ("intern", Ask::get("welcome.svg").of("sample-public"), "200"),
    ];
    for (name, ask, expected) in table {
        let shown = format!("{name} {} {}", ask.method, ask.key);
        assert_eq!(emulated.outcome_for(&Keys::of(name), ask).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn the_acl_decides_unsigned_requests() {
    let emulated = Emulated::start().await;
    let delete = "<Delete><Object><Key>a</Key></Object></Delete>";
    let table = [
        ("sample-bucket", ["403", "403", "403", "403", "403", "403", "403"]),
        ("sample-public", ["200", "200", "403", "403", "403", "403", "403"]),
        ("open-bucket", ["404", "200", "200", "200", "204", "200", "403"]),
    ];
    for (bucket, expected) in table {
        let asks = [
            Ask::get("welcome.svg"),
            Ask::list(&[]),
            Ask::put("a", "1"),
            Ask::put("b", "").header("x-oss-copy-source", format!("/{bucket}/a")),
            Ask::new("DELETE", "b"),
            Ask::new("POST", "").query("delete", "").body(delete),
            Ask::get("").query("acl", ""),
        ];
        for (ask, expected) in asks.into_iter().zip(expected) {
            let shown = format!("{bucket} {} {} {:?}", ask.method, ask.key, ask.query);
            assert_eq!(emulated.ask(&ask.of(bucket)).await.status.to_string(), expected, "{shown}");
        }
    }
    let told = emulated.ask(&Ask::get(GRASS)).await;
    insta::assert_snapshot!(told.text().split_once("<RequestId>").unwrap().0, @r#"
<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Anonymous user has no right to access this bucket.</Message>
"#);
}

#[tokio::test]
async fn a_session_policy_also_narrows_public_access() {
    let emulated = Emulated::start().await;
    let daily = emulated.session("oss-readonly", Some(DAILY));
    let ask = Ask::get("welcome.svg").of("sample-public");
    assert_eq!(emulated.outcome_for(&daily, ask.clone()).await, "403 AccessDenied");
    assert_eq!(emulated.ask(&ask).await.status, 200);
}

#[tokio::test]
async fn one_denied_key_prevents_the_whole_deletion() {
    let emulated = Emulated::start().await;
    let alice = emulated.session("oss-readwrite", Some(ALICE));
    let key = |key: &str| format!("<Object><Key>{key}</Key></Object>");
    let (own, other) = (key("users/alice/garden.jpg"), key("users/bob/lake.jpg"));
    let delete = |keys: &str| {
        Ask::new("POST", "").query("delete", "").body(format!("<Delete>{keys}</Delete>"))
    };
    let both = delete(&format!("{own}{other}"));
    assert_eq!(emulated.outcome_for(&alice, both).await, "403 AccessDenied");
    assert_eq!(emulated.outcome_for(&alice, Ask::get("users/alice/garden.jpg")).await, "200");
    assert_eq!(emulated.outcome_for(&alice, delete(&own)).await, "200");
}

#[tokio::test]
async fn a_copy_needs_read_access_to_its_source() {
    let emulated = Emulated::start().await;
    let alice = emulated.session("oss-readwrite", Some(ALICE));
    let copy = |from: &str| {
        let source = format!("/sample-bucket/{from}");
        Ask::put("users/alice/copy", "").header("x-oss-copy-source", source)
    };
    assert_eq!(emulated.outcome_for(&alice, copy("users/alice/garden.jpg")).await, "200");
    assert_eq!(emulated.outcome_for(&alice, copy("users/bob/lake.jpg")).await, "403 AccessDenied");
}
