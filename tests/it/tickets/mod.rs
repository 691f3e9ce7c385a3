//! Tickets: URLs for SDKs that cannot send a header.

mod ends;
mod guarded;

use appserver_emulator::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, sign};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::stage::{Answer, Setting, Stage, repository, secret};

impl Stage {
    /// `POST /v1/tickets` as a demo client.
    async fn ask_ticket(&self, client: &str, body: &str) -> Answer {
        let request = self.request("POST", "/v1/tickets").basic_auth(client, Some(secret(client)));
        self.send(request.header("Content-Type", "application/json").body(body.to_owned())).await
    }

    /// A ticket of a demo client.
    async fn ticket(&self, client: &str, body: &str) -> String {
        text_of(&self.ask_ticket(client, body).await)
    }

    /// A ticket of a user.
    async fn users_ticket(&self, user: &str) -> String {
        let jwt = demo_jwt(user, self.clock.now());
        text_of(&self.send(self.request("POST", "/v1/tickets").bearer_auth(jwt)).await)
    }

    async fn use_ticket(&self, ticket: &str) -> Answer {
        self.bare(&format!("/v1/token?Ticket={ticket}")).await
    }

    /// Requests a ticket's URL as an SDK does.
    async fn bare(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// The answer to every ticket that is not valid.
    async fn invalid_ticket(&self) -> Value {
        self.use_ticket("invented").await.steady()
    }

    /// The answer to a wrong secret.
    async fn stranger(&self) -> Value {
        let wrong = self.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
        self.send(wrong).await.steady()
    }
}

fn text_of(made: &Answer) -> String {
    let (_, ticket) = made.body["Url"].as_str().expect("a ticket").split_once("?Ticket=").unwrap();
    ticket.to_owned()
}

async fn set(config: &str) -> Stage {
    Stage::set(Setting { config, ..Setting::default() }).await
}

const HOUR: TimeDelta = TimeDelta::hours(1);

#[tokio::test]
async fn a_get_of_a_tickets_url_returns_a_token() {
    let stage = Stage::demo().await;
    let body = r#"{"Parameters":{"album":"2015"},"DurationSeconds":1800}"#;
    let made = stage.ask_ticket("client-003", body).await;
    let ticket = text_of(&made);
    let mut steady = made.steady();
    for (field, route) in [("Url", "/v1/token"), ("OssSdkUrl", "/v1/oss-sdk/token")] {
        assert_eq!(made.body[field], stage.url(&format!("{route}?Ticket={ticket}")));
        steady[field] = "<url>".into();
    }
    let id = steady["TicketId"].as_str().unwrap().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    steady["TicketId"] = "<id>".into();
    insta::assert_snapshot!(steady, @r#"{"Code":"Success","ExpiresAt":"2016-01-13T15:02:37Z","Grant":"one-album","OssSdkUrl":"<url>","RequestId":"<RequestId>","StatusCode":200,"TicketId":"<id>","Url":"<url>"}"#);
    assert_eq!(made.headers["cache-control"], "no-store");
    assert_eq!(stage.assume_role_calls(), [], "a ticket is no token");

    let by_ticket = stage.use_ticket(&ticket).await;
    let request = "/v1/token?Parameters.album=2015&DurationSeconds=1800";
    let by_secret = stage.get("client-003", request).await;
    assert_eq!(by_ticket.steady(), by_secret.steady());
    assert_eq!(by_ticket.body["AccessKeyId"], by_secret.body["AccessKeyId"], "it is shared");
    assert_eq!(stage.assume_role_calls().len(), 1);
    stage.close().await;
}

#[tokio::test]
async fn a_users_ticket_allows_only_their_own_photos_and_outlives_their_login() {
    let stage = Stage::demo().await;
    for user in ["alice", "bob"] {
        let ticket = stage.users_ticket(user).await;
        stage.sts.clear_calls();
        let answer = stage.use_ticket(&ticket).await;
        let arn = format!("acs:ram::11223344:role/oss-readwrite/photo-app.{user}");
        assert_eq!(answer.body["AssumedRoleUser"]["Arn"], arn);
        let [call] = stage.assume_role_calls().try_into().unwrap();
        let policy = &call.parameters["Policy"];
        assert!(policy.contains(&format!("sample-bucket/users/{user}/*")), "{policy}");
        let other = if user == "alice" { "bob" } else { "alice" };
        assert!(!policy.contains(other), "{policy}");
    }
    let jwt = demo_jwt("alice", stage.clock.now());
    let day = stage.request("POST", "/v1/tickets").bearer_auth(&jwt);
    let day = day.header("Content-Type", "application/json").body(r#"{"ExpiresInSeconds":86400}"#);
    let ticket = text_of(&stage.send(day).await);
    stage.clock.advance(HOUR * 23);
    let again = stage.request("GET", "/v1/token").bearer_auth(&jwt);
    assert_eq!(stage.send(again).await.outcome(), "401 Unauthenticated");
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    stage.close().await;
}

/// Errors are reported when the ticket is made, and not to the app.
#[tokio::test]
async fn a_ticket_is_refused_like_a_token() {
    let stage = set("[tickets]\nmax_lifetime_secs = 7200\n").await;
    let long = json!({"Parameters": {"album": "2015"}, "Policy": "x".repeat(9000)}).to_string();
    for (client, body, code) in [
        ("client-002", r#"{"Grant":"read-all"}"#, "403 Forbidden.Grant"),
        ("client-004", "{}", "400 InvalidParameter.Grant"),
        ("photo-app", "{}", "403 Forbidden.Grant"),
        ("client-003", "{}", "400 InvalidParameter.Parameters.album"),
        ("client-003", r#"{"Parameters":{"album":"*"}}"#, "400 InvalidParameter.Parameters.album"),
        ("client-002", r#"{"DurationSeconds":899}"#, "400 InvalidParameter.DurationSeconds"),
        ("client-002", r#"{"DurationSeconds":0}"#, "400 InvalidParameter.DurationSeconds"),
        ("client-002", r#"{"ExpiresInSeconds":59}"#, "400 InvalidParameter.ExpiresInSeconds"),
        ("client-002", r#"{"ExpiresInSeconds":7201}"#, "400 InvalidParameter.ExpiresInSeconds"),
        ("client-002", r#"{"ExpiresInSeconds":"60"}"#, "400 InvalidParameter.ExpiresInSeconds"),
        ("client-002", r#"{"ExpiresInSeconds":null}"#, "400 InvalidParameter.ExpiresInSeconds"),
        ("client-002", r#"{"Policy":null}"#, "400 InvalidParameter.Policy"),
        ("client-002", r#"{"ExpiresIn":60}"#, "400 InvalidParameter.ExpiresIn"),
        ("client-003", &long, "400 InvalidParameter.Policy"),
        ("client-002", "[]", "400 MalformedRequest"),
    ] {
        assert_eq!(stage.ask_ticket(client, body).await.outcome(), code, "{client} {body}");
    }
    let too_wide = r#"{"Policy":{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"*"}]}}"#;
    assert_eq!(stage.ask_ticket("client-002", too_wide).await.outcome(), "403 Forbidden.Policy");
    let lives = [r#"{"ExpiresInSeconds":60}"#, "{}", r#"{"ExpiresInSeconds":7200}"#, ""];
    let mut ends = Vec::new();
    for body in lives {
        let made = stage.ask_ticket("client-002", body).await;
        ends.push((made.time("ExpiresAt") - stage.clock.now()).num_seconds());
    }
    assert_eq!(ends, [60, 3600, 7200, 3600]);
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn a_ticket_includes_the_callers_own_policy() {
    let stage = Stage::demo().await;
    let body = r#"{"Policy":{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],"Resource":"acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg"}]}}"#;
    let ticket = stage.ticket("client-002", body).await;
    let [by_ticket, by_secret] =
        [stage.use_ticket(&ticket).await, stage.post("client-002", body).await];
    assert_eq!(by_ticket.outcome(), "200 Success");
    assert_eq!(by_ticket.body["AccessKeyId"], by_secret.body["AccessKeyId"]);
    let [call] = stage.assume_role_calls().try_into().unwrap();
    let policy = &call.parameters["Policy"];
    assert!(policy.contains("grass.jpg") && !policy.contains("*.jpg"), "{policy}");
    // The longest possible ticket makes a URL that every proxy accepts.
    let resources: Vec<_> =
        (10..51).map(|n| format!("acs:oss:*:*:sample-bucket/2015/01/01/{n}.jpg")).collect();
    let long = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": resources}]});
    assert!((1900..2047).contains(&long.to_string().len()), "{}", long.to_string().len());
    let made = stage.ask_ticket("client-002", &json!({"Policy": long}).to_string()).await;
    assert!(made.body["OssSdkUrl"].as_str().unwrap().len() < 4096);
    assert_eq!(stage.use_ticket(&text_of(&made)).await.outcome(), "200 Success");
    stage.close().await;
}

#[tokio::test]
async fn the_day_in_a_policy_is_the_day_of_use() {
    let stage = set(&format!(
        "[grants.today]\nrole = \"oss-readonly\"\npolicy = \"{}\"\n[clients.client-002]\ngrants = [\"today\"]\n",
        repository("config/policies/todays-photos.json").display()
    ))
    .await;
    let ticket = stage.ticket("client-002", r#"{"ExpiresInSeconds":86400}"#).await;
    for day in ["2016/01/13", "2016/01/14"] {
        stage.sts.clear_calls();
        assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
        let [call] = stage.assume_role_calls().try_into().unwrap();
        assert!(call.parameters["Policy"].contains(day), "{day}");
        stage.clock.advance(HOUR * 12);
    }
    stage.close().await;
}

/// Claims that the grant does not use are not in the URL.
#[tokio::test]
async fn a_ticket_carries_the_claims_that_its_grant_uses_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("tenant.json");
    let text = std::fs::read_to_string(repository("config/policies/my-photos.json")).unwrap();
    std::fs::write(&policy, text.replace("${subject}", "${claims.tenant}")).unwrap();
    let stage = set(&format!(
        "[issuers.demo.claims]\ntenant = \"org\"\nnote = \"note\"\n[clients.photo-app]\ngrants = [\"tenants\"]\n\
         default_grant = \"tenants\"\n\
         [grants.tenants]\nrole = \"oss-readwrite\"\nclaims.tenant.kind = \"segment\"\nclaims.note.kind = \"segment\"\n\
         policy = \"{}\"\n",
        policy.display()
    ))
    .await;
    let exp = stage.clock.now().timestamp() + 600;
    let mut lengths = Vec::new();
    for note in [1, 1000] {
        let note = "x".repeat(note);
        let claims = json!({"iss": DEMO_ISSUER, "aud": DEMO_AUDIENCE, "sub": "alice", "org": "acme", "note": note, "exp": exp});
        let request = stage.request("POST", "/v1/tickets").bearer_auth(sign(&claims));
        let ticket = text_of(&stage.send(request).await);
        assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
        lengths.push(ticket.len());
    }
    assert_eq!(lengths[0], lengths[1]);
    let [call] = stage.assume_role_calls().try_into().unwrap();
    assert!(call.parameters["Policy"].contains("users/acme/*"), "{}", call.parameters["Policy"]);
    stage.close().await;
}
