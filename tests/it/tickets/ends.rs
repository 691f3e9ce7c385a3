//! The end of tickets.

use appserver_emulator::sign;
use chrono::TimeDelta;
use serde_json::json;

use super::{set, text_of};
use crate::stage::{Setting, Stage, repository};

/// Everyone with the URL gets tokens, any number of times: that is its purpose, and why it ends soon.
#[tokio::test]
async fn a_ticket_is_valid_until_it_expires() {
    let stage = Stage::demo().await;
    let wrong = stage.invalid_ticket().await;
    let ticket = stage.ticket("client-002", r#"{"ExpiresInSeconds":5400}"#).await;
    for _ in 0..3 {
        assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    }
    stage.clock.advance(TimeDelta::seconds(5399));
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    stage.clock.advance(TimeDelta::seconds(1));
    let over = stage.use_ticket(&ticket).await;
    assert_eq!(over.steady(), wrong);
    assert!(over.headers.contains_key("www-authenticate"));
    // STS's tokens live for at least a quarter of an hour, so a token may outlive its ticket.
    let made = stage.ask_ticket("client-001", r#"{"ExpiresInSeconds":60}"#).await;
    let token = stage.use_ticket(&text_of(&made)).await;
    assert_eq!(token.time("Expiration") - made.time("ExpiresAt"), TimeDelta::minutes(59));
    stage.close().await;
}

/// Each of these ends a ticket at once. (Two services with the demo's key represent one service before and after the change.)
#[tokio::test]
async fn a_ticket_ends_with_its_client_its_grant_and_each_part_of_the_grant() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    let write = |bucket: &str| {
        let text =
            std::fs::read_to_string(repository("config/policies/daily-photos.json")).unwrap();
        std::fs::write(&policy, text.replace("sample-bucket", bucket)).unwrap();
    };
    write("sample-bucket");
    let with =
        |more: &str| format!("{more}\n[grants.daily-photos]\npolicy = \"{}\"\n", policy.display());
    let before = set(&with("")).await;
    let ticket = before.ticket("client-002", "").await;
    assert_eq!(before.use_ticket(&ticket).await.outcome(), "200 Success");

    let wrong = before.invalid_ticket().await;
    before.close().await;
    let grant = |line: &str| format!("{}{line}\n", with(""));
    for (what, config) in [
        ("the role", grant("role = \"oss-readwrite\"")),
        (
            "the role's ARN",
            with("[roles.oss-readonly]\narn = \"acs:ram::11223344:role/oss-readwrite\""),
        ),
        ("the longest duration", grant("max_duration_secs = 1800\ndefault_duration_secs = 1800")),
        ("the shortest duration", grant("min_duration_secs = 901")),
        ("the default duration", grant("default_duration_secs = 3599")),
        ("the session's name", grant("session_name = \"x-${client}\"")),
        ("the external id", grant("external_id = \"other\"")),
        ("whose it is", with("[clients.client-002]\ngrants = [\"read-all\"]")),
    ] {
        let after = set(&config).await;
        assert_eq!(after.use_ticket(&ticket).await.steady(), wrong, "{what}");
        assert_eq!(after.assume_role_calls(), [], "{what}");
        after.close().await;
    }
    let disabled = set(&with("[clients.client-002]\nenabled = false")).await;
    assert_eq!(disabled.use_ticket(&ticket).await.outcome(), "403 Forbidden.ClientDisabled");
    disabled.close().await;
    // Unrelated changes do not affect it.
    let other = set(&with("[clients.client-002]\ngrants = [\"daily-photos\", \"read-all\"]")).await;
    assert_eq!(other.use_ticket(&ticket).await.outcome(), "200 Success");
    other.close().await;
    // The policy's text, in the same file.
    write("sample-public");
    let after = set(&with("")).await;
    assert_eq!(after.use_ticket(&ticket).await.steady(), wrong);
    after.close().await;
}

#[tokio::test]
async fn a_ticket_of_a_removed_client_is_not_valid() {
    let registered = set("[clients.guest-app]\ngrants = [\"daily-photos\"]\nsecret_sha256 = [\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]\n").await;
    let request = registered.request("POST", "/v1/tickets").basic_auth("guest-app", Some("abc"));
    let ticket = text_of(&registered.send(request).await);
    assert_eq!(registered.use_ticket(&ticket).await.outcome(), "200 Success");
    registered.close().await;
    let without = Stage::demo().await;
    assert_eq!(without.use_ticket(&ticket).await.steady(), without.invalid_ticket().await);
    without.close().await;
}

#[tokio::test]
async fn a_previous_ticket_key_decrypts_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, letter) in [("first", "A"), ("second", "I")] {
        std::fs::write(path(name), format!("{}=\n", letter.repeat(43))).unwrap();
    }
    let key = |name: &str| format!("[tickets]\nkey_file = \"{}\"\n", path(name));
    let first = set(&key("first")).await;
    let ticket = first.ticket("client-002", "").await;
    assert_eq!(first.use_ticket(&ticket).await.outcome(), "200 Success");

    let both = format!("{}previous_key_file = \"{}\"\n", key("second"), path("first"));
    let both = set(&both).await;
    assert_eq!(both.use_ticket(&ticket).await.outcome(), "200 Success");
    let newer = both.ticket("client-002", "").await;

    let second = set(&key("second")).await;
    assert_eq!(second.use_ticket(&newer).await.outcome(), "200 Success");
    let wrong = second.invalid_ticket().await;
    assert_eq!(second.use_ticket(&ticket).await.steady(), wrong);
    assert_eq!(first.use_ticket(&newer).await.steady(), wrong);
    // A service of the demo has a key of its own.
    let demo = Stage::demo().await;
    assert_eq!(demo.use_ticket(&newer).await.steady(), wrong);
    for stage in [first, both, second, demo] {
        stage.close().await;
    }
}

/// SHA-256 of `client-002-demo-secret`, and of `abc`.
const DEMO_SECRET: &str = "cffdc2eddbb60842fb2edc562fada63d48e4f4d5b73b627d0f7939845f9190ed";
const NEW_SECRET: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn a_ticket_ends_when_the_secret_that_it_was_made_with_is_rotated_out() {
    let secrets = |hashes: &[&str]| format!("[clients.client-002]\nsecret_sha256 = {hashes:?}\n");
    let stage = set(&secrets(&[DEMO_SECRET])).await;
    let of_old = stage.ticket("client-002", "").await;
    let others = stage.ticket("client-001", "").await;

    // While both secrets are valid, so are the tickets of both.
    stage.write("over.toml", &secrets(&[NEW_SECRET, DEMO_SECRET]));
    stage.reload().await.unwrap();
    let request = stage.request("POST", "/v1/tickets").basic_auth("client-002", Some("abc"));
    let of_new = text_of(&stage.send(request).await);
    for ticket in [&of_old, &of_new] {
        assert_eq!(stage.use_ticket(ticket).await.outcome(), "200 Success");
    }

    stage.write("over.toml", &secrets(&[NEW_SECRET]));
    stage.reload().await.unwrap();
    assert_eq!(stage.use_ticket(&of_old).await.steady(), stage.invalid_ticket().await);
    for ticket in [&of_new, &others] {
        assert_eq!(stage.use_ticket(ticket).await.outcome(), "200 Success");
    }
    stage.close().await;
}

/// An ordinary rotation of an issuer's keys is no change of the issuer.
#[tokio::test]
async fn a_users_ticket_ends_with_its_issuer_but_not_with_the_issuers_key() {
    let app = format!(
        "[clients.guest-app]\ngrants = [\"daily-photos\"]\nsecret_sha256 = [\"{NEW_SECRET}\"]\n"
    );
    let own = "[issuers.own]\nissuer = \"https://own.example.com/\"\nalgorithms = [\"ES256\"]\n\
               jwks_file = \"own.json\"\naudiences.guests = [\"guest-app\"]\n";
    let config = format!("{app}{own}");
    let keys = std::fs::read_to_string(repository("config/demo.jwks.json")).unwrap();
    let files = [("own.json", keys.as_str())];
    let stage = Stage::set(Setting { config: &config, files: &files, ..Setting::default() }).await;
    let exp = stage.clock.now().timestamp() + 3600;
    let jwt = sign(
        &json!({"iss": "https://own.example.com/", "aud": "guests", "sub": "alice", "exp": exp}),
    );
    let made = stage.send(stage.request("POST", "/v1/tickets").bearer_auth(&jwt)).await;
    let ticket = text_of(&made);
    let by_secret = stage.request("POST", "/v1/tickets").basic_auth("guest-app", Some("abc"));
    let by_secret = text_of(&stage.send(by_secret).await);

    stage.write("own.json", &keys.replace("\"demo\"", "\"next\""));
    stage.reload().await.unwrap();
    let get = stage.send(stage.request("GET", "/v1/token").bearer_auth(&jwt)).await;
    assert_eq!(get.outcome(), "401 Unauthenticated", "its key is gone");
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");

    for (what, after) in [
        ("changed", config.replace("audiences", "leeway_secs = 59\naudiences")),
        ("renamed", config.replace("issuers.own", "issuers.other")),
        ("removed", app.clone()),
    ] {
        stage.write("over.toml", &after);
        stage.reload().await.unwrap();
        assert_eq!(
            stage.use_ticket(&ticket).await.steady(),
            stage.invalid_ticket().await,
            "{what}"
        );
        assert_eq!(stage.use_ticket(&by_secret).await.outcome(), "200 Success", "{what}");
    }
    // Restored, it is the same issuer.
    stage.write("over.toml", &config);
    stage.reload().await.unwrap();
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    stage.close().await;
}
