//! Whatever a signed form or URL can do, the caller's own policy allows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::stage::{Answer, Setting, Stage};
use crate::uploads::ask;

/// One session signs for all users of a grant. In `other`, the keys of uploads are not those that the policy gives to the
/// caller, so its check alone keeps users apart.
const CONFIG: &str = r#"
[grants.own]
role = "oss-readwrite"
policy = "{folder}/own.json"
signed_urls = ["GET", "HEAD", "PUT"]
upload = { key = "users/${subject}/${name}", name_pattern = "(?s).*", max_bytes = "1KiB", content_types = ["image/jpeg"] }
oss = { bucket = "sample-bucket", region = "cn-hangzhou", endpoint = "http://{oss}" }

[grants.other]
role = "oss-readwrite"
policy = "{folder}/own.json"
signed_urls = ["GET", "HEAD", "PUT"]
upload = { key = "users/${params.user}/${name}", name_pattern = "(?s).*", max_bytes = "1KiB", content_types = ["image/jpeg"] }
oss = { bucket = "sample-bucket", region = "cn-hangzhou", endpoint = "http://{oss}" }

[grants.other.parameters.user]
kind = "segment"
max_length_bytes = 64

[clients.photo-app]
grants = ["own", "other"]
default_grant = "own"
"#;

const POLICY: &str = r#"{"Version":"1","Statement":[
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/users/${subject}/*"},
    {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/albums/${subject}/*"},
    {"Effect":"Deny","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/users/*/raw/*"}]}"#;

/// A request for a form or a URL.
#[derive(Debug)]
struct Requested {
    caller: &'static str,
    path: &'static str,
    body: Value,
}

fn user() -> impl Strategy<Value = &'static str> {
    select(&["alice", "bob"][..])
}

/// Of a user, of one whose name begins alike, or of nobody.
fn owner() -> impl Strategy<Value = &'static str> {
    select(&["alice", "bob", "alice2", "alic", "ALICE"][..])
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&["cat.jpg", "raw/cat.jpg", "a/b", "a b+é%2F.jpg", "?*", "../bob/cat.jpg", "${filename}"][..])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn requested() -> impl Strategy<Value = Requested> {
    let form =
        (user(), owner(), name(), any::<bool>()).prop_map(|(caller, owner, name, is_own)| {
            let body = if is_own {
                json!({"Grant": "own", "Name": name})
            } else {
                json!({"Grant": "other", "Name": name, "Parameters": {"user": owner}})
            };
            Requested { caller, path: "/v1/uploads", body }
        });
    let methods = select(&["GET", "HEAD", "PUT"][..]);
    let folders = select(&["users", "albums", "2015", "users/alice"][..]);
    let url = (user(), methods, folders, owner(), name()).prop_map(
        |(caller, method, folder, owner, name)| {
            let key = format!("{folder}/{owner}/{name}");
            let body = json!({"Grant": "own", "Method": method, "Key": key});
            Requested { caller, path: "/v1/urls", body }
        },
    );
    prop_oneof![form, url]
}

/// What the holder of a form or URL can do: the action, and the object with its bucket.
fn reach(answer: &Answer) -> (&'static str, String) {
    let answer = &answer.body;
    let Some(fields) = answer.get("Fields") else {
        let url = reqwest::Url::parse(answer["Url"].as_str().unwrap()).unwrap();
        let object = percent_decode_str(url.path()).decode_utf8().unwrap();
        let action = if answer["Method"] == "PUT" { "oss:PutObject" } else { "oss:GetObject" };
        return (action, object[1..].to_owned());
    };
    let policy = STANDARD.decode(fields["policy"].as_str().unwrap()).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    let conditions = policy["conditions"].as_array().unwrap();
    let bucket = conditions.iter().find_map(|one| one["bucket"].as_str()).unwrap();
    let key = conditions.iter().find(|one| one[1] == "$key").unwrap();
    assert_eq!(key[0], "eq", "{policy}");
    ("oss:PutObject", format!("{bucket}/{}", key[2].as_str().unwrap()))
}

/// Whether the caller's own policy allows it, by the same decision as `/v1/explain`.
async fn is_allowed(stage: &Stage, requested: &Requested, action: &str, object: &str) -> bool {
    let mut body = json!({"Action": action, "Resource": format!("acs:oss:*:*:{object}")});
    for member in ["Grant", "Parameters"] {
        if let Some(value) = requested.body.get(member) {
            body[member] = value.clone();
        }
    }
    let explained = ask(stage, requested.caller, "/v1/explain", &body).await;
    assert_eq!(explained.status, 200, "{requested:?} {}", explained.body);
    explained.body["Allowed"].as_bool().unwrap()
}

#[tokio::test]
async fn whatever_a_form_or_url_can_do_the_callers_own_policy_allows() {
    let files = &[("own.json", POLICY)];
    let stage = Stage::set(Setting { config: CONFIG, files, ..Setting::default() }).await;
    let mut runner = TestRunner::default();
    let (mut signed, mut refused) = (0, 0);
    for _ in 0..400 {
        let requested = requested().new_tree(&mut runner).unwrap().current();
        let answer = ask(&stage, requested.caller, requested.path, &requested.body).await;
        match answer.status {
            200 => {
                signed += 1;
                let (action, object) = reach(&answer);
                let allowed = is_allowed(&stage, &requested, action, &object).await;
                assert!(allowed, "{requested:?} was signed: {action} on {object}");
            }
            403 => {
                refused += 1;
                assert_eq!(answer.body["Code"], "Forbidden.Upload", "{requested:?}");
            }
            // A name that makes no key.
            status => assert_eq!(status, 400, "{requested:?} {}", answer.body),
        }
    }
    assert!(signed > 40 && refused > 40, "{signed} signed, {refused} refused");
    assert_eq!(stage.assume_role_calls().len(), 2, "one session for each grant");
    stage.close().await;
}
