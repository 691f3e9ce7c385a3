//! What ends a ticket.

use chrono::TimeDelta;

use super::{set, text_of};
use crate::stage::{Stage, repository};

/// Whoever has the URL has the token, as often as they like: that is its point, and why it ends soon.
#[tokio::test]
async fn a_ticket_works_until_it_expires_and_not_longer() {
    let stage = Stage::demo().await;
    let wrong = stage.stranger().await;
    let ticket = stage.ticket("client-002", r#"{"ExpiresInSeconds":5400}"#).await;
    for _ in 0..3 {
        assert_eq!(stage.redeem(&ticket).await.outcome(), "200 Success");
    }
    stage.clock.advance(TimeDelta::seconds(5399));
    assert_eq!(stage.redeem(&ticket).await.outcome(), "200 Success");
    stage.clock.advance(TimeDelta::seconds(1));
    let over = stage.redeem(&ticket).await;
    assert_eq!(over.steady(), wrong);
    assert!(over.headers.contains_key("www-authenticate"));
    // STS's tokens live a quarter of an hour at the least, so a token may outlive the ticket that it was had with.
    let made = stage.ask_ticket("client-001", r#"{"ExpiresInSeconds":60}"#).await;
    let token = stage.redeem(&text_of(&made)).await;
    assert_eq!(token.time("Expiration") - made.time("ExpiresAt"), TimeDelta::minutes(59));
    stage.close().await;
}

/// T27: each of these ends a ticket at once. (Two services with the demo's key stand for one before and after.)
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
    assert_eq!(before.redeem(&ticket).await.outcome(), "200 Success");

    let wrong = before.stranger().await;
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
        assert_eq!(after.redeem(&ticket).await.steady(), wrong, "{what}");
        assert_eq!(after.assume_role_calls(), [], "{what}");
        after.close().await;
    }
    let disabled = set(&with("[clients.client-002]\nenabled = false")).await;
    assert_eq!(disabled.redeem(&ticket).await.outcome(), "403 Forbidden.ClientDisabled");
    disabled.close().await;
    // What has nothing to do with it leaves it as it is.
    let other = set(&with("[clients.client-002]\ngrants = [\"daily-photos\", \"read-all\"]")).await;
    assert_eq!(other.redeem(&ticket).await.outcome(), "200 Success");
    other.close().await;
    // The policy's text, in the same file.
    write("sample-public");
    let after = set(&with("")).await;
    assert_eq!(after.redeem(&ticket).await.steady(), wrong);
    after.close().await;
}

#[tokio::test]
async fn a_ticket_of_a_client_that_is_gone_is_no_credential() {
    let registered = set("[clients.guest-app]\ngrants = [\"daily-photos\"]\nsecret_sha256 = [\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]\n").await;
    let asked = registered.request("POST", "/v1/tickets").basic_auth("guest-app", Some("abc"));
    let ticket = text_of(&registered.send(asked).await);
    assert_eq!(registered.redeem(&ticket).await.outcome(), "200 Success");
    registered.close().await;
    let without = Stage::demo().await;
    assert_eq!(without.redeem(&ticket).await.steady(), without.stranger().await);
    without.close().await;
}

#[tokio::test]
async fn a_rotated_key_opens_until_it_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, letter) in [("first", "A"), ("second", "I")] {
        std::fs::write(path(name), format!("{}=\n", letter.repeat(43))).unwrap();
    }
    let key = |name: &str| format!("[tickets]\nkey_file = \"{}\"\n", path(name));
    let first = set(&key("first")).await;
    let ticket = first.ticket("client-002", "").await;
    assert_eq!(first.redeem(&ticket).await.outcome(), "200 Success");

    let both = format!("{}previous_key_file = \"{}\"\n", key("second"), path("first"));
    let both = set(&both).await;
    assert_eq!(both.redeem(&ticket).await.outcome(), "200 Success");
    let newer = both.ticket("client-002", "").await;

    let second = set(&key("second")).await;
    assert_eq!(second.redeem(&newer).await.outcome(), "200 Success");
    let wrong = second.stranger().await;
    assert_eq!(second.redeem(&ticket).await.steady(), wrong);
    assert_eq!(first.redeem(&newer).await.steady(), wrong);
    // A service of the demo has a key of its own.
    let demo = Stage::demo().await;
    assert_eq!(demo.redeem(&newer).await.steady(), wrong);
    for stage in [first, both, second, demo] {
        stage.close().await;
    }
}
