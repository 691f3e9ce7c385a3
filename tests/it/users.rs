//! Users of an app, authenticated by tokens of their identity provider.

use appserver_emulator::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, sign};
use chrono::TimeDelta;
use serde_json::json;

use crate::logs;
use crate::stage::{Answer, Setting, Stage, repository};

async fn get(stage: &Stage, path: &str, jwt: &str) -> Answer {
    stage.send(stage.request("GET", path).bearer_auth(jwt)).await
}

#[tokio::test]
async fn each_user_gets_a_token_for_their_own_prefix_only() {
    let stage = Stage::demo().await;
    for user in ["alice", "bob"] {
        stage.sts.clear_calls();
        let jwt = demo_jwt(user, stage.clock.now());
        let answer = get(&stage, "/v1/token", &jwt).await;
        assert_eq!(answer.outcome(), "200 Success");
        let arn = format!("acs:ram::11223344:role/oss-readwrite/photo-app.{user}");
        assert_eq!(answer.body["AssumedRoleUser"]["Arn"], arn);
        let [call] = stage.assume_role_calls().try_into().unwrap();
        let policy = &call.parameters["Policy"];
        assert!(policy.contains(&format!("sample-bucket/users/{user}/*")), "{policy}");
        let other = if user == "alice" { "bob" } else { "alice" };
        assert!(!policy.contains(other), "{policy}");
    }
    stage.close().await;
}

#[tokio::test]
async fn whoami_shows_the_user_and_how_they_were_proven() {
    let stage = Stage::demo().await;
    let answer = get(&stage, "/v1/whoami", &demo_jwt("alice", stage.clock.now())).await;
    let fields = ["Client", "Issuer", "Subject", "AuthenticatedBy"];
    let fields = fields.map(|field| answer.body[field].clone());
    assert_eq!(fields, ["photo-app", "demo", "alice", "Jwt"]);
    let without = stage.get("client-002", "/v1/whoami").await;
    assert_eq!((without.body.get("Issuer"), without.body.get("Subject")), (None, None));
    stage.close().await;
}

/// A user with many groups has a long token. Every token that fits into a request's head is accepted, in both versions of HTTP.
#[tokio::test]
async fn a_token_that_just_fits_into_the_head_is_accepted() {
    let stage = Stage::demo().await;
    let token = |bytes: usize| {
        let claims = |groups: usize| {
            let exp = stage.clock.now().timestamp() + 600;
            let groups = "g".repeat(groups);
            sign(
                &json!({"iss": DEMO_ISSUER, "aud": DEMO_AUDIENCE, "sub": "alice", "exp": exp, "groups": groups}),
            )
        };
        claims((bytes - claims(0).len()) / 4 * 3)
    };
    for (bytes, expected) in [(1_000, 200), (9_000, 200), (15_500, 200), (17_000, 431)] {
        let request = stage.request("GET", "/v1/whoami").bearer_auth(token(bytes));
        assert_eq!(request.send().await.unwrap().status(), expected, "{bytes}");
    }
    stage.close().await;
}

/// Every invalid token gets the answer of a wrong secret.
#[tokio::test]
async fn an_invalid_token_is_answered_like_a_wrong_secret() {
    let stage = Stage::demo().await;
    let wrong = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    let expected = stage.send(wrong).await.steady();
    let now = stage.clock.now();
    let good = demo_jwt("alice", now);
    let claims = |iss: &str, aud: &str| {
        sign(&json!({"iss": iss, "aud": aud, "sub": "alice", "exp": now.timestamp() + 600}))
    };
    let (signed, _) = good.rsplit_once('.').unwrap();
    for jwt in [
        "no token".to_owned(),
        demo_jwt("alice", now - TimeDelta::hours(2)),
        demo_jwt("alice", now + TimeDelta::hours(2)),
        claims("https://evil.example.com/", DEMO_AUDIENCE),
        claims(DEMO_ISSUER, "another-app"),
        format!("{signed}.{}", "A".repeat(86)),
    ] {
        let refused = get(&stage, "/v1/token", &jwt).await;
        assert_eq!(refused.steady(), expected, "{jwt}");
        assert!(refused.headers.contains_key("www-authenticate"));
    }
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}

/// The log names what the answer does not: the invalid claim, and the token's issuer.
#[tokio::test]
async fn the_log_says_why_a_token_was_refused_and_never_the_token() {
    let stage = Stage::demo().await;
    let exp = stage.clock.now().timestamp() + 600;
    for (iss, aud, said) in [
        (DEMO_ISSUER, "another-app", "issuer `demo`: the token is for another audience: `aud` is"),
        ("https://evil.example.com/", DEMO_AUDIENCE, "`iss` is "),
    ] {
        let start = logs::since(0).len();
        let jwt = sign(&json!({"iss": iss, "aud": aud, "sub": "alice", "exp": exp}));
        assert_eq!(get(&stage, "/v1/token", &jwt).await.outcome(), "401 Unauthenticated");
        let log = logs::since(start);
        let named = if iss == DEMO_ISSUER { aud } else { iss };
        assert!(log.lines().any(|line| line.contains(said) && line.contains(named)), "{log}");
        assert!(!jwt.split('.').any(|part| log.contains(part)), "{log}");
    }
    stage.close().await;
}

/// A user whose subject would widen the policy is refused.
#[tokio::test]
async fn a_users_name_cannot_widen_their_policy() {
    let stage = Stage::demo().await;
    for user in ["*", "alice/../bob", "a/b", "..", "al?ce", "${subject}", "a\"b"] {
        let answer = get(&stage, "/v1/token", &demo_jwt(user, stage.clock.now())).await;
        assert_eq!(answer.outcome(), "403 Forbidden.Grant", "{user}");
    }
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}

/// `config/policies/my-photos.json` with another path for users.
fn photos_of(users: &str) -> String {
    let policy = std::fs::read_to_string(repository("config/policies/my-photos.json")).unwrap();
    policy.replace("users/${subject}", users)
}

/// Other identity providers for the demo's app; they sign with the demo's key.
fn more_issuers() -> String {
    let issuer = |name| {
        format!(
            "[issuers.{name}]\nissuer = \"https://{name}.example.com/\"\nalgorithms = [\"ES256\"]\n\
             jwks_file = \"keys.json\"\naudiences.photos = [\"photo-app\"]\n"
        )
    };
    ["partner", "social"].map(issuer).concat()
}

/// Three issuers have an `alice` each.
#[tokio::test]
async fn users_of_different_issuers_are_different_users() {
    let config =
        "clients.photo-app.grants = [\"my-photos\"]\ngrants.my-photos.policy = \"photos.json\"\n";
    let keys = std::fs::read_to_string(repository("config/demo.jwks.json")).unwrap();
    let plain = photos_of("users/${subject}");
    let files = [("photos.json", plain.as_str()), ("keys.json", keys.as_str())];
    let stage = Stage::set(Setting { config, files: &files, ..Setting::default() }).await;
    let exp = stage.clock.now().timestamp() + 3600;
    let alice = |issuer: &str, aud: &str| {
        sign(&json!({"iss": issuer, "aud": aud, "sub": "alice", "exp": exp}))
    };
    let demo = alice(DEMO_ISSUER, DEMO_AUDIENCE);
    let first = get(&stage, "/v1/token", &demo).await;
    assert_eq!(first.outcome(), "200 Success");

    // Without a change, users of two issuers would be one; the configuration is refused.
    let three = format!("{config}{}", more_issuers());
    stage.write("over.toml", &three);
    let refused = stage.reload().await.unwrap_err();
    let expected = "grants.my-photos.policy: users of the issuers `demo`, `partner`, `social`";
    assert!(refused.contains(expected), "{refused}");
    let partner = alice("https://partner.example.com/", "photos");
    assert_eq!(get(&stage, "/v1/token", &partner).await.outcome(), "401 Unauthenticated");
    let kept = get(&stage, "/v1/token", &demo).await;
    assert_eq!(kept.body["AccessKeyId"], first.body["AccessKeyId"]);

    // With the issuer in the path: the tokens for the old paths are removed, and each user has a path of their own.
    let start = logs::since(0).len();
    stage.write("photos.json", &photos_of("users/${issuer}/${subject}"));
    stage.reload().await.unwrap();
    let log = logs::since(start);
    assert!(
        log.contains("grants.my-photos.policy") && log.contains("stay under the old paths"),
        "{log}"
    );
    assert!(
        log.contains("removed cached tokens: their clients or grants were removed or changed"),
        "{log}"
    );
    stage.sts.clear_calls();
    let social = alice("https://social.example.com/", "photos");
    for (issuer, jwt) in [("demo", &demo), ("partner", &partner), ("social", &social)] {
        let answer = get(&stage, "/v1/token", jwt).await;
        let arn = format!("acs:ram::11223344:role/oss-readwrite/photo-app.{issuer}.alice");
        assert_eq!(answer.body["AssumedRoleUser"]["Arn"], arn);
        assert_ne!(answer.body["AccessKeyId"], first.body["AccessKeyId"]);
        let policy = stage.assume_role_calls().last().unwrap().parameters["Policy"].clone();
        assert!(policy.contains(&format!("sample-bucket/users/{issuer}/alice/*")), "{policy}");
        let whoami = get(&stage, "/v1/whoami", jwt).await;
        assert_eq!(
            (&whoami.body["Issuer"], &whoami.body["Subject"]),
            (&json!(issuer), &json!("alice"))
        );
    }
    assert_eq!(stage.assume_role_calls().len(), 3);

    // Or the operator declares that they are the same users: then they share.
    let declared = ["my-photos", "photo-upload"]
        .map(|name| format!("grants.{name}.shared_subjects = \"one directory feeds all three\"\n"));
    let shared = format!("{config}{}", declared.concat());
    stage.write("over.toml", &format!("{shared}{}", more_issuers()));
    stage.write("photos.json", &plain);
    stage.reload().await.unwrap();
    let answers = [get(&stage, "/v1/token", &demo).await, get(&stage, "/v1/token", &social).await];
    assert_eq!(answers[0].body["AccessKeyId"], answers[1].body["AccessKeyId"]);
    stage.close().await;
}

/// Subjects as identity providers issue them, in paths and in sessions' names.
#[tokio::test]
async fn any_subject_has_a_path_if_the_grant_encodes_or_hashes_it() {
    let config = "grants.my-photos.policy = \"photos.json\"\n";
    let files = [("photos.json", photos_of("users/${subject.encoded}"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let stage = Stage::set(Setting { config, files: &files, ..Setting::default() }).await;
    let path = async |user: &str| {
        let answer = get(&stage, "/v1/token", &demo_jwt(user, stage.clock.now())).await;
        assert_eq!(answer.outcome(), "200 Success", "{user}");
        let call = stage.assume_role_calls().last().unwrap().clone();
        let policy: serde_json::Value = serde_json::from_str(&call.parameters["Policy"]).unwrap();
        let resource = policy["Statement"][0]["Resource"].as_str().unwrap().to_owned();
        (
            resource.replace("acs:oss:*:*:sample-bucket/users/", ""),
            call.parameters["RoleSessionName"].clone(),
        )
    };
    let (auth0, name) = path("auth0|5f7c8ec7c33c6c004bbafe82").await;
    assert_eq!(auth0, "auth0~7c5f7c8ec7c33c6c004bbafe82/*");
    assert!(name.starts_with("hash-") && name.len() == 45, "{name}");
    assert_eq!(path("f:1f3c:alice").await.0, "f~3a1f3c~3aalice/*");
    assert_eq!(path("alice").await, ("alice/*".to_owned(), "photo-app.alice".to_owned()));
    assert_eq!(path("..").await.0, "~2e~2e/*");
    stage.write("photos.json", &photos_of("users/${subject.hash}"));
    stage.reload().await.unwrap();
    let hash = "798d0aca41603cf047e54115fdca738e3cc26eca9d06cec69687ad509d286965";
    assert_eq!(path("auth0|5f7c8ec7c33c6c004bbafe82").await.0, format!("{hash}/*"));
    stage.close().await;
}

/// A ticket that was made before is no way around it either.
#[tokio::test]
async fn a_grant_with_upload_rules_vends_no_token_and_no_ticket_unless_it_says_so() {
    let stage = Stage::demo().await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let post = async |path: &str, body: String| {
        let request = stage.request("POST", path).bearer_auth(&jwt);
        stage.send(request.header("Content-Type", "application/json").body(body)).await
    };
    let ticket = post("/v1/tickets", "{}".to_owned()).await;
    assert_eq!(ticket.outcome(), "200 Success");
    let url = ticket.body["Url"].as_str().unwrap();
    let redeemed = url[url.find("/v1/").unwrap()..].to_owned();
    let upload = "[grants.my-photos.upload]\nkey = \"users/${subject}/${name}\"\nmax_bytes = \"10MiB\"\n\
                  content_types = [\"image/jpeg\"]\n";
    stage.write("over.toml", upload);
    stage.reload().await.unwrap();
    let refusal = "The grant vends no token; it signs uploads: `POST /v1/uploads`.";
    for answer in [
        get(&stage, "/v1/token", &jwt).await,
        post("/v1/token", "{}".to_owned()).await,
        post("/v1/tickets", "{}".to_owned()).await,
        stage.send(stage.request("GET", &redeemed)).await,
    ] {
        assert_eq!(answer.outcome(), "403 Forbidden.Grant");
        assert_eq!(answer.body["ErrorMessage"], refusal);
    }
    assert!(stage.assume_role_calls().is_empty());
    let question = json!({
        "Action": "oss:PutObject",
        "Resource": "acs:oss:*:*:sample-bucket/users/alice/cat.jpg",
    });
    let explained = post("/v1/explain", question.to_string()).await;
    assert_eq!(
        (explained.outcome(), &explained.body["Allowed"]),
        ("200 Success".to_owned(), &json!(true))
    );

    stage.write("over.toml", &format!("{upload}also_tokens = true\n"));
    stage.reload().await.unwrap();
    assert_eq!(get(&stage, "/v1/token", &jwt).await.outcome(), "200 Success");
    assert_eq!(stage.send(stage.request("GET", &redeemed)).await.outcome(), "200 Success");
    stage.close().await;
}
