//! The limits of a ticket, and the outputs that do not contain it.

use appserver_emulator::demo_jwt;

use super::{HOUR, set, text_of};
use crate::logs;
use crate::stage::{Answer, Stage};

/// Its request is fixed: no other parameter is allowed, and no other route accepts it.
#[tokio::test]
async fn a_ticket_excludes_other_parameters_credentials_and_routes() {
    let stage = Stage::demo().await;
    let wrong = stage.stranger().await;
    let ticket = stage.ticket("client-003", r#"{"Parameters":{"album":"2015"}}"#).await;
    for beside in [
        "Parameters.album=2016",
        "Parameters.album=2015",
        "Grant=one-album",
        "DurationSeconds=3600",
        "Colour=red",
    ] {
        for query in [format!("Ticket={ticket}&{beside}"), format!("{beside}&Ticket={ticket}")] {
            let refused = stage.bare(&format!("/v1/token?{query}")).await;
            assert_eq!(refused.outcome(), "400 MalformedRequest", "{beside}");
            assert!(!refused.body.to_string().contains(&ticket), "{beside}");
        }
    }
    let two = stage.bare(&format!("/v1/token?Ticket={ticket}&Ticket={ticket}")).await;
    assert_eq!(two.steady(), stage.invalid_ticket().await);
    // With another credential, valid or not.
    let path = format!("/v1/token?Ticket={ticket}");
    let jwt = demo_jwt("alice", stage.clock.now());
    let start = logs::since(0).len();
    for several in [
        stage.get("client-003", &path).await,
        stage.send(stage.request("GET", &path).bearer_auth(&jwt)).await,
    ] {
        assert_eq!(several.outcome(), "401 Unauthenticated");
        let message = "The request carries several credentials; send one credential: a ticket, or the `Authorization` header.";
        assert_eq!(several.body["Message"], message);
    }
    assert_eq!(logs::since(start).matches("several credentials: an `Authorization`").count(), 2);
    for request in [
        stage.request("GET", &path).bearer_auth(&ticket),
        stage.request("GET", "/v1/token").bearer_auth(&ticket),
        stage.request("GET", &format!("/v1/whoami?Ticket={ticket}")),
        stage.request("POST", &format!("/v1/token?Ticket={ticket}")),
        stage.request("POST", &format!("/v1/explain?Ticket={ticket}")),
        stage.request("POST", &format!("/v1/tickets?Ticket={ticket}")),
    ] {
        assert_eq!(stage.send(request).await.steady(), wrong);
    }
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn every_changed_truncated_or_invented_ticket_has_one_answer_that_asks_for_a_new_ticket() {
    let stage = Stage::demo().await;
    let wrong = stage.invalid_ticket().await;
    insta::assert_json_snapshot!(wrong, @r#"
{
  "Code": "Unauthenticated",
  "ErrorCode": "Unauthenticated",
  "ErrorMessage": "The ticket is not valid, or no longer valid; get a new ticket from the app's backend.",
  "Message": "The ticket is not valid, or no longer valid; get a new ticket from the app's backend.",
  "RequestId": "<RequestId>",
  "StatusCode": 401
}
"#);
    let ticket = stage.ticket("client-002", "").await;
    let length = ticket.len();
    let flip = |at: usize| {
        let letter = if ticket.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &ticket[..at], &ticket[at + 1..])
    };
    let made_up = [
        String::new(),
        "canary".to_owned(),
        "%00".to_owned(),
        "A".repeat(length),
        "A".repeat(9000),
        ticket[..length - 1].to_owned(),
        ticket[1..].to_owned(),
        format!("{ticket}A"),
        format!("{ticket}="),
        format!("{ticket}%0A"),
        format!("+{ticket}"),
    ];
    for changed in (0..length).step_by(7).map(flip).chain(made_up) {
        let refused = stage.use_ticket(&changed).await;
        assert_eq!(refused.steady(), wrong, "{changed}");
        let on_200 = stage.bare(&format!("/v1/oss-sdk/token?Ticket={changed}")).await;
        assert_eq!((on_200.status, on_200.steady()), (200, wrong.clone()), "{changed}");
    }
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    let mobile = stage.bare(&format!("/v1/oss-sdk/token?Ticket={ticket}")).await;
    assert_eq!(mobile.outcome(), "200 Success");
    stage.close().await;
}

#[tokio::test]
async fn a_tickets_requests_count_for_its_clients_limit() {
    let stage = set("[clients.client-002.limit]\nrequests_per_second = 1\nburst = 3\n").await;
    let ticket = stage.ticket("client-002", "").await;
    for _ in 0..2 {
        assert_eq!(stage.use_ticket(&ticket).await.outcome(), "200 Success");
    }
    assert_eq!(stage.use_ticket(&ticket).await.outcome(), "429 Throttled.Client");
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "429 Throttled.Client");
    stage.close().await;
}

/// `close` searches everything that was logged at TRACE for the ticket itself.
#[tokio::test]
async fn the_log_names_a_ticket_by_its_id_and_why_it_was_refused() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    let made = stage.ask_ticket("client-002", "").await;
    let (ticket, id) = (text_of(&made), made.body["TicketId"].as_str().unwrap().to_owned());
    let request_id = |answer: &Answer| answer.body["RequestId"].as_str().unwrap().to_owned();
    let good = request_id(&stage.use_ticket(&ticket).await);
    let changed = request_id(&stage.use_ticket(&format!("B{}", &ticket[1..])).await);
    stage.clock.advance(HOUR);
    let over = request_id(&stage.use_ticket(&ticket).await);
    let log = logs::since(start);
    let line = |parts: &[&str]| {
        let found = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        found.unwrap_or_else(|| panic!("no line with {parts:?}: {log}")).to_owned()
    };
    line(&[&request_id(&made), &id, "INFO", "made a ticket for `client-002`", "ClientSecret"]);
    line(&[&good, &id, "answered", "daily-photos"]);
    let line_of = line(&[&over, &id, "INFO", "client-002", "the ticket has expired"]);
    assert!(line_of.contains("Unauthenticated"), "{line_of}");
    line(&[&changed, "INFO", "the ticket was changed"]);
    let metrics = stage.admin("/metrics").await.1;
    assert!(metrics.contains(r#"route="/v1/tickets",status="200""#), "{metrics}");
    assert!(!metrics.contains(&ticket) && !metrics.contains(&id));
    stage.close().await;
}
