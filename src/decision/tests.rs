use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::outbound::{Egress, body_signature};
use crate::telemetry::Metrics;
use appserver_domain::clock::Clock;

const SECRET: &str = "canary-secret-of-the-decision-hook";
const ALLOWED: &str = r#"{"Allow":true}"#;

/// The operator's server.
#[derive(Debug)]
struct Server {
    received: Mutex<Vec<(String, String)>>,
    status: StatusCode,
    answer: String,
    /// Each answer takes one of these.
    answers: Semaphore,
}

impl Server {
    fn calls(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

async fn answer(State(server): State<Arc<Server>>, headers: HeaderMap, body: String) -> Response {
    let signature = headers["x-appserver-signature"].to_str().unwrap().to_owned();
    server.received.lock().unwrap().push((signature, body));
    server.answers.acquire().await.unwrap().forget();
    (server.status, server.answer.clone()).into_response()
}

async fn serve(status: u16, answer_text: &str, answers: usize) -> (Arc<Server>, String) {
    let server = Arc::new(Server {
        received: Mutex::default(),
        status: StatusCode::from_u16(status).unwrap(),
        answer: answer_text.to_owned(),
        answers: Semaphore::new(answers),
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/decide", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (server, url)
}

fn settings(url: &str) -> HookSettings {
    HookSettings {
        url: url.to_owned().try_into().unwrap(),
        timeout: Duration::from_secs(10),
        on_error: OnError::Deny,
        mode: HookMode::Enforce,
        cache_lifetime: Duration::ZERO,
        headers: BTreeSet::new(),
        grants: BTreeSet::new(),
    }
}

fn hook(settings: HookSettings) -> Arc<DecisionHook> {
    let metrics = Metrics::new().decision.clone();
    let (egress, clock) = (Egress::default(), Clock::system());
    Arc::new(DecisionHook::new(settings, SECRET.into(), &egress, clock, metrics).unwrap())
}

/// Alice's request, attested so.
async fn ask(
    hook: &Arc<DecisionHook>,
    attestation: &str,
    request_id: &str,
) -> Result<HookDecision, DecisionError> {
    let parameters = BTreeMap::from([("album".to_owned(), "2015".to_owned())]);
    let request = HookRequest {
        kind: HookKind::Token,
        client: "photo-app",
        issuer: Some("company"),
        subject: Some("alice"),
        authenticated_by: "Jwt",
        grant: "one-album",
        parameters: &parameters,
        duration_seconds: 3600,
        address: "192.0.2.7",
        headers: BTreeMap::from([("x-app-attest".to_owned(), attestation.to_owned())]),
        object: None,
    };
    hook.decide(&request, request_id).await
}

#[tokio::test]
async fn the_hook_gets_every_member_signed() {
    let (server, url) = serve(200, r#"{"Allow":true,"DurationSeconds":900}"#, 1).await;
    let decision = ask(&hook(settings(&url)), "a\"b", "1").await.unwrap();
    assert_eq!(decision, HookDecision::Allowed(900));
    let (signature, body) = server.received.lock().unwrap()[0].clone();
    insta::assert_snapshot!(body, @r#"{"RequestId":"1","Kind":"token","Client":"photo-app","Issuer":"company","Subject":"alice","AuthenticatedBy":"Jwt","Grant":"one-album","Parameters":{"album":"2015"},"DurationSeconds":3600,"Address":"192.0.2.7","Headers":{"x-app-attest":"a\"b"}}"#);
    let (time, _) = signature.strip_prefix("t=").unwrap().split_once(',').unwrap();
    let time = chrono::DateTime::from_timestamp(time.parse().unwrap(), 0).unwrap();
    assert_eq!(signature, body_signature(&SECRET.into(), time, body.as_bytes()));
}

#[test]
fn a_signed_object_is_named_and_other_members_are_absent() {
    let request = HookRequest {
        kind: HookKind::Url,
        client: "photo-app",
        issuer: None,
        subject: None,
        authenticated_by: "ClientSecret",
        grant: "photo-upload",
        parameters: &BTreeMap::new(),
        duration_seconds: 60,
        address: "::1",
        headers: BTreeMap::new(),
        object: Some(HookObject {
            key: "users/alice/cat.jpg",
            method: Some("PUT"),
            bytes: None,
            content_type: Some("image/jpeg"),
        }),
    };
    let body = String::from_utf8(request.prepare("1").body).unwrap();
    insta::assert_snapshot!(body, @r#"{"RequestId":"1","Kind":"url","Client":"photo-app","AuthenticatedBy":"ClientSecret","Grant":"photo-upload","Parameters":{},"DurationSeconds":60,"Address":"::1","Headers":{},"Key":"users/alice/cat.jpg","Method":"PUT","ContentType":"image/jpeg"}"#);
}

#[tokio::test]
async fn requests_of_the_same_bytes_share_one_call_and_no_other_request_does() {
    let (server, url) = serve(200, ALLOWED, 0).await;
    let hook = hook(settings(&url));
    let asked: Vec<_> = (0..20).map(|i| (i, if i < 15 { "phone-1" } else { "phone-2" })).collect();
    let ids: Vec<_> = asked.iter().map(|(i, phone)| (i.to_string(), *phone)).collect();
    let waiting = join_all(ids.iter().map(|(id, phone)| ask(&hook, phone, id)));
    let answering = async {
        while server.calls() < 2 {
            tokio::task::yield_now().await;
        }
        server.answers.add_permits(20);
    };
    let (decisions, ()) = tokio::join!(waiting, answering);
    assert!(decisions.into_iter().all(|decision| decision.unwrap() == HookDecision::Allowed(3600)));
    assert_eq!(server.calls(), 2);
    // Nothing is remembered without `cache_secs`.
    ask(&hook, "phone-1", "21").await.unwrap();
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn a_cached_decision_serves_the_same_bytes_until_its_end() {
    let (server, url) = serve(200, r#"{"Allow":false,"Reason":"banned"}"#, 100).await;
    let cache_lifetime = Duration::from_mins(1);
    let hook = hook(HookSettings { cache_lifetime, ..settings(&url) });
    for (attestation, calls) in [("phone-1", 1), ("phone-1", 1), ("phone-2", 2), ("phone-1", 2)] {
        let decision = ask(&hook, attestation, "1").await.unwrap();
        assert_eq!(decision, HookDecision::Refused(Some("banned".into())));
        assert_eq!(server.calls(), calls, "{attestation}");
    }
    tokio::time::pause();
    tokio::time::advance(cache_lifetime).await;
    tokio::time::resume();
    ask(&hook, "phone-1", "2").await.unwrap();
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn failures_are_not_cached_and_open_the_breaker() {
    let (server, url) = serve(500, ALLOWED, 100).await;
    let cache_lifetime = Duration::from_mins(1);
    let hook = hook(HookSettings { cache_lifetime, ..settings(&url) });
    for _ in 0..10 {
        let error = ask(&hook, "phone-1", "1").await.unwrap_err();
        assert!(matches!(error, DecisionError::Failed(500)), "{error}");
    }
    let error = ask(&hook, "phone-2", "1").await.unwrap_err();
    assert!(matches!(error, DecisionError::CircuitOpen { .. }), "{error}");
    assert_eq!(server.calls(), 10);
}

#[tokio::test]
async fn a_silent_hook_denies_or_allows_as_configured() {
    // Nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let absent = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (_failing, failing) = serve(503, ALLOWED, 100).await;
    let (_crowded, crowded) = serve(429, ALLOWED, 100).await;
    let (_slow, slow) = serve(200, ALLOWED, 0).await;
    for (url, reason) in [
        (absent, "decision_unreachable"),
        (failing, "decision_failed"),
        (crowded, "decision_failed"),
        (slow, "decision_timed_out"),
    ] {
        let timeout = Duration::from_millis(300);
        let settings = HookSettings { timeout, ..settings(&url) };
        let denied = ask(&hook(settings.clone()), "phone-1", "1").await;
        assert_eq!(denied.unwrap_err().reason(), reason);
        let allowing = hook(HookSettings { on_error: OnError::Allow, ..settings });
        let allowed = ask(&allowing, "phone-1", "1").await;
        assert_eq!(allowed.unwrap(), HookDecision::Allowed(3600), "{reason}");
    }
}

#[tokio::test]
async fn a_wrong_answer_allows_nothing_whatever_is_configured() {
    let huge = format!(r#"{{"Allow":true{}}}"#, " ".repeat(16 << 10));
    for (status, answer, wrong) in [
        (200, "<html>", "it is not an object"),
        (200, r#"{"Allow":true,"DurationSeconds":60}"#, "which is not between 900 and 3600"),
        (200, r#"{"Allow":true,"DurationSeconds":3601}"#, "which is not between 900 and 3600"),
        (200, &huge, "it is longer than 16384 bytes"),
        (201, ALLOWED, "its HTTP status is 201"),
        (302, ALLOWED, "its HTTP status is 302"),
        (403, ALLOWED, "its HTTP status is 403"),
        (404, ALLOWED, "its HTTP status is 404"),
    ] {
        let (server, url) = serve(status, answer, 100).await;
        let hook = hook(HookSettings { on_error: OnError::Allow, ..settings(&url) });
        let error = ask(&hook, "phone-1", "1").await.unwrap_err();
        assert_eq!(error.reason(), "decision_wrong_answer");
        assert!(error.to_string().contains(wrong), "{error}");
        assert_eq!(server.calls(), 1);
    }
}

#[tokio::test]
async fn a_watching_hook_delays_and_changes_nothing() {
    let (server, url) = serve(200, r#"{"Allow":false}"#, 0).await;
    let hook = hook(HookSettings { mode: HookMode::Shadow, ..settings(&url) });
    assert_eq!(ask(&hook, "phone-1", "1").await.unwrap(), HookDecision::Allowed(3600));
    while server.calls() == 0 {
        tokio::task::yield_now().await;
    }
    // Beyond the bound the hook is not asked.
    let rest = u32::try_from(hook.shadow_requests.available_permits()).unwrap();
    let _taken = hook.shadow_requests.acquire_many(rest).await.unwrap();
    assert_eq!(ask(&hook, "phone-2", "2").await.unwrap(), HookDecision::Allowed(3600));
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn calls_at_once_are_bounded() {
    let (server, url) = serve(200, ALLOWED, 100).await;
    let hook = hook(settings(&url));
    let all = u32::try_from(hook.calls.available_permits()).unwrap();
    let taken = hook.calls.acquire_many(all).await.unwrap();
    let error = ask(&hook, "phone-1", "1").await.unwrap_err();
    assert_eq!(error.reason(), "decision_busy");
    drop(taken);
    assert!(ask(&hook, "phone-1", "1").await.is_ok());
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_call_of_the_others() {
    let (server, url) = serve(200, ALLOWED, 0).await;
    let hook = hook(settings(&url));
    let first = tokio::spawn({
        let hook = Arc::clone(&hook);
        async move { ask(&hook, "phone-1", "1").await }
    });
    while server.calls() == 0 {
        tokio::task::yield_now().await;
    }
    let others = async {
        first.abort();
        server.answers.add_permits(1);
    };
    let (decision, ()) = tokio::join!(ask(&hook, "phone-1", "2"), others);
    assert_eq!(decision.unwrap(), HookDecision::Allowed(3600));
    assert_eq!(server.calls(), 1);
}
