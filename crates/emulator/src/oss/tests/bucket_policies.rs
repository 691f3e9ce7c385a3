//! Bucket policies.

use super::forms::{Form, LATER};
use super::*;

/// A statement about the bucket and its objects.
fn statement(effect: &str, principal: &str) -> String {
    format!(
        r#"{{"Effect":"{effect}","Action":["oss:*"],"Principal":["{principal}"],"Resource":["acs:oss:*:11223344:sample-bucket","acs:oss:*:11223344:sample-bucket/*"]}}"#
    )
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"1","Statement":[{}]}}"#, statements.join(","))
}

fn session_arn(session: &str) -> String {
    format!("arn:sts::11223344:assumed-role/oss-readwrite/{session}")
}

impl Emulated {
    async fn put_policy(&self, statements: &[String]) {
        let request = OssRequest::put("", policy(statements)).query("policy", "");
        assert_eq!(self.root(request).await.outcome(), "200");
    }

    /// Whether a header's signature, a signed URL and a form of these keys have access.
    async fn accesses(&self, keys: &SigningKeys) -> [bool; 3] {
        let header = OssRequest::get(GRASS).signed(Scheme::V4, keys);
        let url = OssRequest::get(GRASS).signed(Scheme::V4Url(60), keys);
        let form = Form::new("forms/a").signed_v4(keys, LATER, "").request();
        let mut accesses = [false; 3];
        for (access, request) in accesses.iter_mut().zip([header, url, form]) {
            let response = self.send(&request).await;
            *access = response.status < 300;
            let refusal = response.outcome();
            assert!(*access || refusal == "403 AccessDenied", "{refusal}");
        }
        accesses
    }
}

#[tokio::test]
async fn a_denied_session_has_no_access_by_any_signature_and_its_neighbours_have() {
    let emulated = Emulated::start().await;
    let alice = emulated.session_of("photo-app.alice", "oss-readwrite", None);
    let neighbours = [
        emulated.session_of("photo-app.bob", "oss-readwrite", None),
        emulated.session_of("photo-app.alice2", "oss-readwrite", None),
        emulated.session_of("photo-app.Alice", "oss-readwrite", None),
        SigningKeys::root(),
        SigningKeys::of("editor"),
    ];
    assert_eq!(emulated.accesses(&alice).await, [true; 3]);
    emulated.put_policy(&[statement("Deny", &session_arn("photo-app.alice"))]).await;
    assert_eq!(emulated.accesses(&alice).await, [false; 3]);
    let request = OssRequest::get("").query("policy", "").signed(Scheme::V4, &alice);
    assert_eq!(emulated.send(&request).await.outcome(), "403 AccessDenied");
    for neighbour in &neighbours {
        assert_eq!(emulated.accesses(neighbour).await, [true; 3], "{neighbour:?}");
    }
    // The session keeps what it may do in other buckets.
    let elsewhere = OssRequest::get("welcome.svg").of("sample-public").signed(Scheme::V4, &alice);
    assert_eq!(emulated.send(&elsewhere).await.outcome(), "200");

    emulated.put_policy(&[statement("Deny", &session_arn("*"))]).await;
    assert_eq!(emulated.accesses(&neighbours[0]).await, [false; 3]);
    let other_role = emulated.session_of("photo-app.alice", "oss-readonly", None);
    assert_eq!(emulated.accesses(&other_role).await, [true, true, false]);

    let removed = emulated.root(OssRequest::new("DELETE", "").query("policy", "")).await;
    assert_eq!(removed.outcome(), "204");
    assert_eq!(emulated.accesses(&alice).await, [true; 3]);
}

#[tokio::test]
async fn a_deny_wins_over_every_allow_and_an_allow_lets_in_whom_it_names() {
    let emulated = Emulated::start().await;
    let get = || OssRequest::get(GRASS);
    let denied = "403 AccessDenied";
    // UIDs of the users `editor`, `foreigner`; and of the account `55667788`.
    let table = [
        (vec![statement("Deny", "1")], "editor", denied),
        (vec![statement("Allow", "1"), statement("Deny", "*")], "editor", denied),
        (vec![statement("Deny", "11223344")], "editor", "200"),
        (vec![statement("Deny", "2")], "editor", "200"),
        (vec![statement("Allow", "3")], "foreignuser", "200"),
        (vec![statement("Allow", "4")], "foreignuser", denied),
        (vec![statement("Allow", "55667788")], "foreign", "200"),
        (vec![statement("Allow", "55667788")], "foreignuser", denied),
        (vec![statement("Allow", "*")], "intern", "200"),
    ];
    for (statements, name, expected) in table {
        emulated.put_policy(&statements).await;
        let response = emulated.send(&get().signed(Scheme::V4, &SigningKeys::of(name))).await;
        assert_eq!(response.outcome(), expected, "{name} {statements:?}");
    }
    // The last policy lets in everyone, but adds nothing to a session policy.
    assert_eq!(emulated.send(&get()).await.outcome(), "200");
    let nothing = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/other/*"}]}"#;
    let narrow = emulated.session("oss-readonly", Some(nothing));
    assert_eq!(emulated.send(&get().signed(Scheme::V4, &narrow)).await.outcome(), denied);
    // Nor does it bring back the sessions of a role that no longer exists.
    let deleted = emulated.session("no-such-role", None);
    assert_eq!(emulated.send(&get().signed(Scheme::V4, &deleted)).await.outcome(), denied);
}

#[tokio::test]
async fn a_denial_by_the_bucket_policy_names_it() {
    let emulated = Emulated::start().await;
    emulated.put_policy(&[statement("Deny", "9"), statement("Deny", "1")]).await;
    let editor = SigningKeys::of("editor");
    let response = emulated.send(&OssRequest::get(GRASS).signed(Scheme::V4, &editor)).await;
    insta::assert_snapshot!(response.headers["x-emulator-decision"], @r#"{"Verdict":"Denied","By":"BucketPolicy","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/2015/01/01/grass.jpg","IdentityPolicy":{"Decision":"Allowed","Policy":0,"Statement":0},"BucketPolicy":{"Decision":"ExplicitlyDenied","Policy":0,"Statement":1},"BucketAcl":"private"}"#);
    assert_eq!(response.tag("Message"), "Access denied by bucket policy.");
}

#[tokio::test]
async fn a_policy_is_answered_as_it_was_put_and_an_invalid_one_changes_nothing() {
    let emulated = Emulated::start().await;
    let get = || OssRequest::get("").query("policy", "");
    let put = |body: String| OssRequest::put("", body).query("policy", "");
    let absent = emulated.root(get()).await;
    assert_eq!(
        (absent.outcome(), absent.tag("Message")),
        ("404 NoSuchBucketPolicy".to_owned(), "The bucket policy does not exist.".to_owned())
    );
    let text = policy(&[statement("Deny", "9")]).replace("],", "],\n  ");
    assert_eq!(emulated.root(put(text.clone())).await.outcome(), "200");
    let got = emulated.root(get()).await;
    assert_eq!(
        (got.text(), got.headers["content-type"].as_str()),
        (text.clone(), "application/json")
    );
    let long = |spaces: usize| {
        let text = policy(&[statement("Deny", "9")]);
        format!("{text}{}", " ".repeat(spaces - text.len()))
    };
    let principal = "The bucket policy is invalid: statement 0: `Principal` of a bucket policy is a list of `*`, UIDs and `arn:sts::&lt;account&gt;:assumed-role/&lt;role&gt;/&lt;session&gt;`, whose only wildcard is the session `*`.";
    let not_json = "The bucket policy is invalid: not the JSON of a policy: ";
    let table = [
        (
            policy(&[]),
            "400 InvalidPolicyDocument",
            "The bucket policy is invalid: `Statement` is empty.",
        ),
        (policy(&[statement("Deny", "alice")]), "400 InvalidPolicyDocument", principal),
        (text.replace("\"1\"", "1"), "400 InvalidPolicyDocument", not_json),
        (String::new(), "400 InvalidPolicyDocument", not_json),
        (
            long((16 << 10) + 1),
            "400 EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed object size.",
        ),
    ];
    for (body, expected, message) in table {
        let response = emulated.root(put(body)).await;
        assert_eq!(response.outcome(), expected, "{message}");
        assert!(response.tag("Message").starts_with(message), "{}", response.tag("Message"));
    }
    assert_eq!(emulated.root(get()).await.text(), text);
    assert_eq!(emulated.root(put(long(16 << 10))).await.outcome(), "200");
    for _ in 0..2 {
        let delete = OssRequest::new("DELETE", "").query("policy", "");
        assert_eq!(emulated.root(delete).await.outcome(), "204");
    }
    assert_eq!(emulated.root(get()).await.outcome(), "404 NoSuchBucketPolicy");
}

#[tokio::test]
async fn a_policy_is_read_and_changed_only_with_its_own_permissions() {
    let emulated = Emulated::start().await;
    let requests = || {
        [
            OssRequest::put("", policy(&[statement("Deny", "9")])).query("policy", ""),
            OssRequest::get("").query("policy", ""),
            OssRequest::new("DELETE", "").query("policy", ""),
        ]
    };
    let session = |action: &str| {
        let policy = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"acs:oss:*:*:sample-bucket"}}]}}"#
        );
        emulated.session("oss-readwrite", Some(&policy))
    };
    let table = [
        ("oss:PutBucketPolicy", ["200", "403 AccessDenied", "403 AccessDenied"]),
        ("oss:GetBucketPolicy", ["403 AccessDenied", "200", "403 AccessDenied"]),
        ("oss:DeleteBucketPolicy", ["403 AccessDenied", "403 AccessDenied", "204"]),
        ("oss:GetObject", ["403 AccessDenied"; 3]),
    ];
    for (action, expected) in table {
        let keys = session(action);
        for (request, expected) in requests().into_iter().zip(expected) {
            let response = emulated.send(&request.signed(Scheme::V4, &keys)).await;
            assert_eq!(response.outcome(), expected, "{action}");
        }
    }
}
