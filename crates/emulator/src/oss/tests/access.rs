//! Access by role policy, session policy and ACL.

use serde_json::json;

use super::*;

const DAILY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg"}]}"#;
const ALICE: &str = r#"{"Version":"1","Statement":[
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/alice/*"},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}]}"#;

impl Emulated {
    async fn outcome_for(&self, keys: &SigningKeys, request: OssRequest) -> String {
        self.send(&request.signed(Scheme::V4, keys)).await.outcome()
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
        (&daily, OssRequest::get(GRASS), "200"),
        (&daily, OssRequest::get("2015/01/02/morning.jpg"), denied),
        (&daily, OssRequest::get("2015/01/01/notes.txt"), denied),
        // Outside the policy the existence of a key is not revealed.
        (&daily, OssRequest::get("2015/01/02/no-such.jpg"), denied),
        (&daily, OssRequest::get("2015/01/01/no-such.jpg"), "404 NoSuchKey"),
        (&daily, OssRequest::put(GRASS, ""), denied),
        (&daily, OssRequest::list(&[]), denied),
        (&whole_role, OssRequest::get("2015/01/02/morning.jpg"), "200"),
        (&whole_role, OssRequest::put(GRASS, ""), denied),
        (&wider_than_role, OssRequest::get("users/alice/garden.jpg"), "200"),
        (&wider_than_role, OssRequest::put("users/alice/x", ""), denied),
        (&alice, OssRequest::put("users/alice/x", ""), "200"),
        (&alice, OssRequest::put("users/alicex", ""), denied),
        (&alice, OssRequest::get("users/bob/lake.jpg"), denied),
        (&alice, OssRequest::list(&[("prefix", "users/alice/")]), "200"),
        (&alice, OssRequest::list(&[("prefix", "users/alice/2015/")]), "200"),
        (&alice, OssRequest::list(&[("prefix", "users/")]), denied),
        (&alice, OssRequest::list(&[]), denied),
        (&alice, OssRequest::new("DELETE", "users/alice/garden.jpg"), "204"),
    ];
    for (keys, request, expected) in table {
        let text = format!("{} {} {:?}", request.method, request.key, request.query);
        assert_eq!(emulated.outcome_for(keys, request).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_denial_says_which_policy_and_statement_decided() {
    let emulated = Emulated::start().await;
    let daily = emulated.session("oss-readonly", Some(DAILY));
    let response =
        emulated.send(&OssRequest::get("2015/01/02/é.jpg").signed(Scheme::V1, &daily)).await;
    insta::assert_snapshot!(response.snapshot(), @r#"
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
    let decision = |response: &OssResponse| {
        let decision = response.decision();
        (decision["Verdict"].clone(), decision["By"].clone(), decision["IdentityPolicy"].clone())
    };
    let allowed = emulated.send(&OssRequest::get(GRASS).signed(Scheme::V1, &daily)).await;
    let by_role = json!({ "Decision": "Allowed", "Policy": 0, "Statement": 0 });
    assert_eq!(decision(&allowed), (json!("Allowed"), json!("IdentityPolicy"), by_role));
    let careful = SigningKeys::of("careful");
    let denied =
        emulated.send(&OssRequest::new("DELETE", GRASS).signed(Scheme::V1, &careful)).await;
    let by_user = json!({ "Decision": "ExplicitlyDenied", "Policy": 1, "Statement": 1 });
    assert_eq!(decision(&denied), (json!("Denied"), json!("IdentityPolicy"), by_user));
}

#[tokio::test]
async fn keys_of_users_and_accounts_have_their_own_rights() {
    let emulated = Emulated::start().await;
    let table = [
        ("root", OssRequest::put("a", ""), "200"),
        ("editor", OssRequest::put("a", ""), "200"),
        ("careful", OssRequest::put("a", ""), "200"),
        ("careful", OssRequest::new("DELETE", "a"), "403 AccessDenied"),
        // An ACL does not override a Deny.
        ("careful", OssRequest::new("DELETE", "a").of("open-bucket"), "403 AccessDenied"),
        ("intern", OssRequest::new("DELETE", "a").of("open-bucket"), "204"),
        // AppServer's own user can only assume roles.
        ("test", OssRequest::get("a"), "403 AccessDenied"),
        ("intern", OssRequest::get("a"), "403 AccessDenied"),
        ("disabled", OssRequest::get("a"), "403 InvalidAccessKeyId"),
        ("nobody", OssRequest::get("a"), "403 InvalidAccessKeyId"),
        // Policies and keys of another account grant nothing here.
        ("foreign", OssRequest::get("a"), "403 AccessDenied"),
        ("foreignuser", OssRequest::get("a"), "403 AccessDenied"),
        ("foreign", OssRequest::get("welcome.svg").of("sample-public"), "200"),
        ("foreignuser", OssRequest::get("welcome.svg").of("sample-public"), "200"),
        ("intern", OssRequest::get("welcome.svg").of("sample-public"), "200"),
    ];
    for (name, request, expected) in table {
        let text = format!("{name} {} {}", request.method, request.key);
        assert_eq!(emulated.outcome_for(&SigningKeys::of(name), request).await, expected, "{text}");
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
        let requests = [
            OssRequest::get("welcome.svg"),
            OssRequest::list(&[]),
            OssRequest::put("a", "1"),
            OssRequest::put("b", "").header("x-oss-copy-source", format!("/{bucket}/a")),
            OssRequest::new("DELETE", "b"),
            OssRequest::new("POST", "").query("delete", "").body(delete),
            OssRequest::get("").query("acl", ""),
        ];
        for (request, expected) in requests.into_iter().zip(expected) {
            let text = format!("{bucket} {} {} {:?}", request.method, request.key, request.query);
            assert_eq!(
                emulated.send(&request.of(bucket)).await.status.to_string(),
                expected,
                "{text}"
            );
        }
    }
    let response = emulated.send(&OssRequest::get(GRASS)).await;
    insta::assert_snapshot!(response.text().split_once("<RequestId>").unwrap().0, @r#"
<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Anonymous user has no right to access this bucket.</Message>
"#);
}

#[tokio::test]
async fn a_session_policy_also_narrows_public_access() {
    let emulated = Emulated::start().await;
    let daily = emulated.session("oss-readonly", Some(DAILY));
    let request = OssRequest::get("welcome.svg").of("sample-public");
    assert_eq!(emulated.outcome_for(&daily, request.clone()).await, "403 AccessDenied");
    assert_eq!(emulated.send(&request).await.status, 200);
}

#[tokio::test]
async fn one_denied_key_prevents_the_whole_deletion() {
    let emulated = Emulated::start().await;
    let alice = emulated.session("oss-readwrite", Some(ALICE));
    let key = |key: &str| format!("<Object><Key>{key}</Key></Object>");
    let (own, other) = (key("users/alice/garden.jpg"), key("users/bob/lake.jpg"));
    let delete = |keys: &str| {
        OssRequest::new("POST", "").query("delete", "").body(format!("<Delete>{keys}</Delete>"))
    };
    let both = delete(&format!("{own}{other}"));
    assert_eq!(emulated.outcome_for(&alice, both).await, "403 AccessDenied");
    assert_eq!(
        emulated.outcome_for(&alice, OssRequest::get("users/alice/garden.jpg")).await,
        "200"
    );
    assert_eq!(emulated.outcome_for(&alice, delete(&own)).await, "200");
}

#[tokio::test]
async fn a_copy_needs_read_access_to_its_source() {
    let emulated = Emulated::start().await;
    let alice = emulated.session("oss-readwrite", Some(ALICE));
    let copy = |from: &str| {
        let source = format!("/sample-bucket/{from}");
        OssRequest::put("users/alice/copy", "").header("x-oss-copy-source", source)
    };
    assert_eq!(emulated.outcome_for(&alice, copy("users/alice/garden.jpg")).await, "200");
    assert_eq!(emulated.outcome_for(&alice, copy("users/bob/lake.jpg")).await, "403 AccessDenied");
}
