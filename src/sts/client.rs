//! The STS client: sends signed calls.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, timeout_at};

use super::AssumeRole;
use super::assume_role_with_oidc::AssumeRoleWithOidc;
use super::attempt::{Attempt, SUCCESS};
use super::call::{self, Call, nonce};
use super::caller_identity::{CallerIdentity, GetCallerIdentity};
use super::classify::classify;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::error::{InvalidResponse, StsError};
use super::response_body::ResponseBody;
use super::retry::retrying;
use super::role_session::RoleSession;
use super::rpc;
use super::sts_clock::{self, ImplausibleTime, StsClock};
use crate::outbound::{self, BodyError, Egress};
use crate::telemetry::{Metrics, causes, current_trace_id};
use appserver_domain::clock::{Clock, Moment};
use appserver_domain::{Credentials, SigningCredentials, UpstreamName};

/// The longest response body that is read. STS's have one or two kilobytes; tokens have no documented limit.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Credentials with less than this left sign no more: an attempt takes a while, and clocks differ.
const LAST_USE: Duration = Duration::from_secs(10);

/// The settings of the STS client.
#[derive(Debug)]
pub(crate) struct StsSettings {
    /// For metrics and the log.
    pub(crate) upstream: UpstreamName,
    /// Tried in turn.
    pub(crate) endpoints: Endpoints,
    /// For DNS, connection and TLS of one attempt.
    pub(crate) connect_timeout: Duration,
    /// For one attempt as a whole.
    pub(crate) attempt_timeout: Duration,
    /// The most attempts of a call, the first included.
    pub(crate) max_attempts: NonZeroU32,
}

/// Calls STS with the present credentials. Connections are kept open between calls.
#[derive(Debug)]
pub(crate) struct StsClient {
    http: reqwest::Client,
    egress: Egress,
    settings: StsSettings,
    /// Replaced on rotation; running calls keep theirs. None until a source of temporary ones has answered.
    key: ArcSwapOption<SigningCredentials>,
    clock: StsClock,
    metrics: Arc<Metrics>,
}

/// The TLS client cannot be set up, as in a container without CA certificates.
#[derive(Debug, thiserror::Error)]
#[error("the system's certificates cannot be used to verify STS")]
pub(crate) struct TlsProblem(#[source] reqwest::Error);

impl StsClient {
    /// Makes a client without connecting. Fails if an endpoint needs TLS and the system has no CA certificates.
    pub(crate) fn new(
        settings: StsSettings,
        egress: Egress,
        key: Option<SigningCredentials>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TlsProblem> {
        let http = http(&egress, settings.connect_timeout, settings.endpoints.any_encrypted())?;
        let (key, clock) = (ArcSwapOption::from_pointee(key), StsClock::new(clock));
        Ok(Self { http, egress, settings, key, clock, metrics })
    }

    /// The identity of credentials, those in use or their successors. Needs no permission.
    pub(crate) async fn caller_identity(
        &self,
        key: &SigningCredentials,
        deadline: Instant,
    ) -> Result<CallerIdentity, StsError> {
        self.call(&GetCallerIdentity, Some(key), deadline).await
    }

    /// The credentials of a role for an OIDC token, which takes the place of a signature.
    pub(crate) async fn assume_role_with_oidc(
        &self,
        role: &AssumeRoleWithOidc<'_>,
        deadline: Instant,
    ) -> Result<SigningCredentials, StsError> {
        self.call(role, None, deadline).await
    }

    /// Signs with these credentials from now on.
    pub(crate) fn sign_with(&self, key: SigningCredentials) {
        self.key.store(Some(Arc::new(key)));
    }

    /// The present moment, as far as the time in the headers of a response just now can tell it: this machine's clock may be
    /// wrong.
    pub(crate) fn time_of(&self, headers: &HeaderMap) -> DateTime<Utc> {
        self.clock.moment_of(sts_clock::date_header(headers))
    }

    /// Whether these are the credentials that sign.
    pub(crate) fn signs_with(&self, key: &SigningCredentials) -> bool {
        self.key.load().as_ref().is_some_and(|present| **present == *key)
    }

    async fn call<C: Call>(
        &self,
        call: &C,
        key: Option<&SigningCredentials>,
        deadline: Instant,
    ) -> Result<C::Output, StsError> {
        let attempt = |number| self.observed_attempt(call, key, number, deadline);
        retrying(deadline, self.settings.max_attempts, attempt).await
    }

    /// One attempt with its time-out, metrics, fail-over and clock adjustment.
    async fn observed_attempt<C: Call>(
        &self,
        call: &C,
        key: Option<&SigningCredentials>,
        number: u32,
        deadline: Instant,
    ) -> Result<C::Output, StsError> {
        let in_use = self.settings.endpoints.in_use();
        let (endpoint, upstream) = (in_use.endpoint, &self.settings.upstream);
        let measured = Attempt::begin(C::ACTION, endpoint, number, upstream, &self.metrics);
        let until = deadline.min(Instant::now() + self.settings.attempt_timeout);
        let outcome = timeout_at(until, self.attempt(call, key, endpoint)).await;
        let outcome = outcome.unwrap_or(Err(StsError::TimedOut));
        let kind = outcome.as_ref().map_or_else(StsError::kind, |_| SUCCESS);
        measured.end(kind);
        outcome.map_err(|error| {
            tracing::warn!(
                upstream.name = upstream.name_unless_default(),
                sts.action = C::ACTION,
                sts.endpoint = endpoint.authority(),
                sts.attempt = number,
                error.kind = kind,
                sts.request_id = error.request_id(),
                trace.id = current_trace_id(),
                error.cause = causes(&error),
                "an attempt at STS failed: {error}",
            );
            if error.should_fail_over() {
                self.settings.endpoints.fail_over(in_use);
            }
            self.adjust_clock(error)
        })
    }

    async fn attempt<C: Call>(
        &self,
        call: &C,
        key: Option<&SigningCredentials>,
        at: &Endpoint,
    ) -> Result<C::Output, StsError> {
        let moment = self.clock.moment();
        if key.is_some_and(|key| !can_sign(key, moment)) {
            return Err(StsError::NoCredentials);
        }
        let parameters = call::request(call, key, nonce(), self.clock.now());
        let signed = match key {
            Some(key) => rpc::sign("POST", parameters, key.secret()),
            None => rpc::unsigned(parameters),
        };
        let request = self.http.post(at.url().clone()).body(signed.form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut response = request.send().await.map_err(|error| {
            self.egress.proxy_error(error).map_or_else(StsError::from, StsError::Proxy)
        })?;

        let body = read(&mut response).await?;
        let answer = ResponseBody::parse(&body);
        let status = response.status();
        if !status.is_success() {
            let (headers, answer) = (response.headers(), answer.ok());
            return Err(classify(status, headers, answer.as_ref(), &signed.string_to_sign));
        }
        let answer = answer.map_err(invalid_response)?;
        let now = self.clock.moment_of(sts_clock::date_header(response.headers()));
        call.read(&answer, now).map_err(|problem| StsError::InvalidResponse {
            problem,
            request_id: answer.request_id(),
        })
    }

    /// Adjusts the clock to the error's time. Removes an implausible time from the error: a retry would be refused
    /// like this attempt.
    fn adjust_clock(&self, error: StsError) -> StsError {
        let StsError::ClockSkewed { sts_time: Some(theirs), request_id } = error else {
            return error;
        };
        let sts_time = match self.clock.adjust(theirs) {
            Ok(offset) => {
                tracing::warn!(
                    clock.offset_secs = offset.num_seconds(),
                    "this machine's clock is wrong; signing with STS's time",
                );
                Some(theirs)
            }
            Err(ImplausibleTime { offset }) => {
                tracing::error!(
                    clock.offset_secs = offset.num_seconds(),
                    "the clocks of STS and this machine differ by more than a day, which is not \
                     corrected; no credentials until this machine's clock is set",
                );
                None
            }
        };
        StsError::ClockSkewed { sts_time, request_id }
    }
}

impl AssumeRole for StsClient {
    async fn assume_role(
        &self,
        session: &RoleSession,
        attempt: u32,
        deadline: Instant,
    ) -> Result<Credentials, StsError> {
        let key = self.key.load_full().ok_or(StsError::NoCredentials)?;
        self.observed_attempt(session, Some(&key), attempt, deadline).await
    }

    fn can_sign(&self) -> bool {
        self.key.load().as_ref().is_some_and(|key| can_sign(key, self.clock.moment()))
    }
}

/// Whether the credentials will still be valid when a request that they sign arrives.
fn can_sign(key: &SigningCredentials, now: Moment) -> bool {
    key.left(now).is_none_or(|left| left > LAST_USE)
}

/// The HTTP client of calls and probes.
pub(super) fn http(
    egress: &Egress,
    connect_timeout: Duration,
    verifies_tls: bool,
) -> Result<reqwest::Client, TlsProblem> {
    egress.client(verifies_tls).connect_timeout(connect_timeout).build().map_err(TlsProblem)
}

/// The whole body, up to the limit.
pub(super) async fn read(response: &mut Response) -> Result<Vec<u8>, StsError> {
    outbound::read_body(response, LONGEST_ANSWER).await.map_err(|error| match error {
        BodyError::TooLong(limit) => invalid_response(InvalidResponse::TooLong(limit)),
        BodyError::Broken(error) => error.into(),
    })
}

/// An error of a response without a request id.
fn invalid_response(problem: InvalidResponse) -> StsError {
    StsError::InvalidResponse { problem, request_id: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::process::Command;
    use std::sync::Mutex;

    use chrono::TimeDelta;
    use serde_json::{Value, json};
    use tracing::level_filters::LevelFilter;
    use uuid::Uuid;

    use super::*;
    use crate::sts::caller_identity::IdentityKind;
    use crate::sts::role_session::tests::{a_session, an_answer};
    use crate::sts::scripted::{Form, Reply, Scripted};

    const NOW: &str = "2016-01-13T14:02:37Z";

    fn ok(body: &Value) -> Reply {
        Reply::Answer("HTTP/1.1 200 OK".into(), body.to_string())
    }

    fn error(status: u16, code: &str) -> Reply {
        let body = json!({"Code": code, "Message": "canary-message", "RequestId": "1-A"});
        Reply::Answer(format!("HTTP/1.1 {status} X"), body.to_string())
    }

    fn clock() -> Clock {
        Clock::manual(NOW.parse().unwrap())
    }

    fn key() -> SigningCredentials {
        let key = appserver_domain::AccessKey::new("testid", "canary-key-secret".into()).unwrap();
        SigningCredentials::of_key(key, None)
    }

    fn client_of(endpoints: Vec<Endpoint>, clock: Clock) -> StsClient {
        let settings = StsSettings {
            upstream: UpstreamName::default(),
            endpoints: endpoints.try_into().unwrap(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(5),
            max_attempts: NonZeroU32::new(3).unwrap(),
        };
        let metrics = Arc::new(Metrics::new());
        StsClient::new(settings, Egress::default(), Some(key()), clock, metrics).unwrap()
    }

    fn client(server: &Scripted) -> StsClient {
        client_of(vec![server.endpoint()], clock())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn nonces(forms: &[Form]) -> BTreeSet<&str> {
        forms.iter().map(|form| form["SignatureNonce"].as_str()).collect()
    }

    /// The number of attempts of the action with this outcome.
    fn counted(client: &StsClient, action: &str, outcome: &str) -> Option<String> {
        let count = format!(
            "appserver_sts_call_duration_seconds_count{{action=\"{action}\",outcome=\"{outcome}\"}} "
        );
        let text = client.metrics.encoded();
        text.lines().find_map(|line| Some(line.strip_prefix(&count)?.to_owned()))
    }

    #[tokio::test]
    async fn a_session_is_sent_as_a_form_and_credentials_are_returned() {
        let server = Scripted::start(|_, _| ok(&an_answer())).await;
        let client = client(&server);
        let credentials = client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        assert_eq!(credentials.access_key_id(), "STS.L4aBSCSJVMuKg5U1");

        let seen = server.seen();
        let head = &seen.heads[0];
        assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
        let agent = concat!("user-agent: appserver/", env!("CARGO_PKG_VERSION"), "\r\n");
        assert!(head.contains(agent), "{head}");

        let session = a_session();
        let nonce = seen.forms[0]["SignatureNonce"].clone();
        let key = key();
        let expected = call::request(&session, Some(&key), nonce, clock().now());
        assert_eq!(seen.bodies, [rpc::sign("POST", expected, key.secret()).form]);
        assert_eq!(counted(&client, "AssumeRole", "success").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn caller_identity_is_requested_and_parsed() {
        let arn = "acs:ram::11223344:user/appserver";
        let body = json!({"IdentityType": "RAMUser", "AccountId": "11223344", "Arn": arn});
        let server = Scripted::start(move |_, _| ok(&body)).await;
        let client = client(&server);
        let expected = CallerIdentity {
            kind: IdentityKind::RamUser,
            account: "11223344".parse().unwrap(),
            arn: arn.into(),
        };
        assert_eq!(client.caller_identity(&key(), soon()).await.unwrap(), expected);
        assert_eq!(counted(&client, "GetCallerIdentity", "success").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn calls_share_a_connection() {
        let server = Scripted::start(|_, _| ok(&an_answer())).await;
        let client = client(&server);
        for _ in 0..5 {
            client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        }
        let seen = server.seen();
        assert_eq!((seen.connections, seen.forms.len()), (1, 5));
    }

    #[tokio::test]
    async fn a_retry_has_a_new_nonce_and_a_new_timestamp() {
        let clock = clock();
        let moving = clock.clone();
        let server = Scripted::start(move |number, _| {
            moving.advance(TimeDelta::seconds(1));
            if number < 2 { error(503, "ServiceUnavailable") } else { ok(&an_answer()) }
        })
        .await;
        let client = client_of(vec![server.endpoint()], clock);
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();

        let forms = server.seen().forms;
        let timestamps: Vec<&str> = forms.iter().map(|form| form["Timestamp"].as_str()).collect();
        let expected = ["2016-01-13T14:02:37Z", "2016-01-13T14:02:38Z", "2016-01-13T14:02:39Z"];
        assert_eq!((nonces(&forms).len(), timestamps.as_slice()), (3, &expected[..]));
        let signatures: BTreeSet<&str> =
            forms.iter().map(|form| form["Signature"].as_str()).collect();
        assert_eq!(signatures.len(), 3);
        assert_eq!(counted(&client, "AssumeRole", "unavailable").as_deref(), Some("2"));
    }

    #[test]
    fn a_million_nonces_are_all_distinct() {
        let mut nonces: Vec<u128> =
            (0..1_000_000).map(|_| nonce().parse::<Uuid>().unwrap().as_u128()).collect();
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 1_000_000);
    }

    #[tokio::test]
    async fn throttling_by_http_400_is_retried_after_its_wait() {
        let server = Scripted::start(|number, _| match number {
            0 => {
                let head = "HTTP/1.1 400 Bad Request\r\n\
                            x-ratelimit-user: Limit:1,Remain:0,TimeLeft:20,Reset:1";
                let body = r#"{"Code":"Throttling.User","RequestId":"1-A"}"#;
                Reply::Answer(head.into(), body.into())
            }
            _ => ok(&an_answer()),
        })
        .await;
        let client = client(&server);
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        assert_eq!(counted(&client, "AssumeRole", "throttled").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn a_refusal_costs_one_call() {
        let server = Scripted::start(|_, _| error(403, "NoPermission")).await;
        let refused = client(&server).call(&a_session(), Some(&key()), soon()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.request_id()), ("no_permission", Some("1-A")));
        assert_eq!(server.seen().forms.len(), 1);
    }

    #[tokio::test]
    async fn empty_or_expired_credentials_with_http_200_are_an_error() {
        for (place, bad) in [("/Credentials/SecurityToken", ""), ("/Credentials/Expiration", NOW)] {
            let mut answer = an_answer();
            *answer.pointer_mut(place).unwrap() = bad.into();
            let server = Scripted::start(move |_, _| ok(&answer)).await;
            let client = client(&server);
            let refused = client.call(&a_session(), Some(&key()), soon()).await.unwrap_err();
            assert_eq!((refused.kind(), refused.is_transient()), ("invalid_response", true));
            assert_eq!(counted(&client, "AssumeRole", "invalid_response").as_deref(), Some("2"));
        }
    }

    /// An STS that accepts timestamps within 15 minutes of its clock, as the real one does.
    fn checking_timestamps(true_time: DateTime<Utc>) -> impl Fn(usize, &Form) -> Reply {
        move |_, form| {
            let sent: DateTime<Utc> = form["Timestamp"].parse().unwrap();
            if (sent - true_time).abs() <= TimeDelta::minutes(15) {
                return ok(&an_answer());
            }
            let body = r#"{"Code":"InvalidTimeStamp.Expired","RequestId":"1-A"}"#;
            Reply::Answer(dated("400 X", true_time), body.into())
        }
    }

    #[tokio::test]
    async fn a_clock_twenty_minutes_off_costs_one_call_and_is_corrected() {
        for skew in [TimeDelta::minutes(20), TimeDelta::minutes(-20)] {
            let true_time = clock().now();
            let server = Scripted::start(checking_timestamps(true_time)).await;
            let client = client_of(vec![server.endpoint()], Clock::manual(true_time + skew));
            let credentials = client.call(&a_session(), Some(&key()), soon()).await.unwrap();
            assert_eq!(credentials.issued_at(), true_time);
            client.call(&a_session(), Some(&key()), soon()).await.unwrap();
            let forms = server.seen().forms;
            assert_eq!((forms.len(), nonces(&forms).len()), (3, 3));
            assert_eq!(counted(&client, "AssumeRole", "clock_skewed").as_deref(), Some("1"));
        }
    }

    /// The head of a response with a `Date`.
    fn dated(status: &str, date: DateTime<Utc>) -> String {
        format!("HTTP/1.1 {status}\r\nDate: {}", date.format("%a, %d %b %Y %H:%M:%S GMT"))
    }

    #[tokio::test]
    async fn a_small_local_clock_error_does_not_change_a_tokens_issue_time() {
        for skew in [880, -880].map(TimeDelta::seconds) {
            let true_time = clock().now();
            let mut answer = an_answer();
            // Shorter than requested, so that the issue time does not follow from the expiration.
            answer["Credentials"]["Expiration"] = "2016-01-13T14:32:37Z".into();
            let server = Scripted::start(move |_, _| {
                Reply::Answer(dated("200 OK", true_time), answer.to_string())
            });
            let server = server.await;
            let client = client_of(vec![server.endpoint()], Clock::manual(true_time + skew));
            let credentials = client.call(&a_session(), Some(&key()), soon()).await.unwrap();
            assert_eq!(credentials.issued_at(), true_time, "ours is off by {skew}");
        }
    }

    #[tokio::test]
    async fn without_a_plausible_date_the_local_clock_gives_the_issue_time() {
        for date in ["X-None: 1", "Date: today", "Date: Thu, 01 Jan 1970 00:00:00 GMT"] {
            let head = format!("HTTP/1.1 200 OK\r\n{date}");
            let server =
                Scripted::start(move |_, _| Reply::Answer(head.clone(), an_answer().to_string()));
            let client = client(&server.await);
            let credentials = client.call(&a_session(), Some(&key()), soon()).await.unwrap();
            assert_eq!(credentials.issued_at(), clock().now(), "{date}");
        }
    }

    #[tokio::test]
    async fn a_clock_days_off_is_not_corrected_and_costs_one_call() {
        let log = Log::default();
        let _captured = log.captured();
        let true_time = clock().now();
        let server = Scripted::start(checking_timestamps(true_time)).await;
        let wrong = Clock::manual(true_time - TimeDelta::days(2));
        let client = client_of(vec![server.endpoint()], wrong);
        for calls in [1, 2] {
            let refused = client.call(&a_session(), Some(&key()), soon()).await.unwrap_err();
            assert_eq!((refused.kind(), server.seen().forms.len()), ("clock_skewed", calls));
        }
        let logged = log.text();
        let loud = |line: &str| line.contains("ERROR") && line.contains("more than a day");
        assert_eq!(logged.lines().filter(|line| loud(line)).count(), 2, "{logged}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let elsewhere = Scripted::start(|_, _| ok(&an_answer())).await;
        let location = elsewhere.endpoint().url().to_string();
        for status in [301, 302, 307, 308] {
            let head = format!("HTTP/1.1 {status} X\r\nLocation: {location}");
            let server =
                Scripted::start(move |_, _| Reply::Answer(head.clone(), String::new())).await;
            let refused =
                client(&server).call(&a_session(), Some(&key()), soon()).await.unwrap_err();
            assert_eq!(refused.kind(), "invalid_response");
        }
        assert_eq!(elsewhere.seen().connections, 0);
    }

    #[tokio::test]
    async fn a_response_beyond_the_size_limit_is_an_error() {
        for (longer, kind) in [(0, "success"), (1, "invalid_response")] {
            let mut answer = an_answer();
            answer["Padding"] = "".into();
            let padding = LONGEST_ANSWER - answer.to_string().len() + longer;
            answer["Padding"] = "x".repeat(padding).into();
            let server = Scripted::start(move |_, _| ok(&answer)).await;
            let outcome = client(&server).call(&a_session(), Some(&key()), soon()).await;
            assert_eq!(outcome.map_or_else(|e| e.kind(), |_| "success"), kind);
        }
    }

    #[tokio::test]
    async fn a_truncated_response_is_retried() {
        let server =
            Scripted::start(|number, _| if number == 0 { Reply::Cut } else { ok(&an_answer()) });
        let server = server.await;
        let client = client(&server);
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        assert_eq!(counted(&client, "AssumeRole", "unreachable").as_deref(), Some("1"));
        assert_eq!(nonces(&server.seen().forms).len(), 2);
    }

    #[tokio::test]
    async fn an_attempt_without_a_response_times_out_and_is_retried() {
        let server =
            Scripted::start(|number, _| if number == 0 { Reply::Hang } else { ok(&an_answer()) });
        let server = server.await;
        let mut client = client(&server);
        client.settings.attempt_timeout = Duration::from_millis(100);
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        assert_eq!(counted(&client, "AssumeRole", "timed_out").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn the_callers_deadline_ends_an_attempt() {
        let server = Scripted::start(|_, _| Reply::Hang).await;
        let deadline = Instant::now() + Duration::from_millis(100);
        let late = client(&server).call(&a_session(), Some(&key()), deadline).await.unwrap_err();
        assert_eq!(late.kind(), "timed_out");
        let over = deadline.elapsed();
        assert!(over < Duration::from_secs(2), "{over:?} after the deadline");
        assert_eq!(server.seen().forms.len(), 1);
    }

    #[tokio::test]
    async fn an_attempt_whose_caller_disconnects_is_counted_and_logged() {
        let log = Log::default();
        let _captured = log.captured();
        let server = Scripted::start(|_, _| Reply::Hang).await;
        let client = client(&server);
        let session = a_session();
        let has_arrived = async {
            while server.seen().forms.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let key = key();
        tokio::select! {
            answered = client.call(&session, Some(&key), soon()) => panic!("{answered:?}"),
            () = has_arrived => {}
        }
        assert_eq!(counted(&client, "AssumeRole", "abandoned").as_deref(), Some("1"));
        let logged = log.text();
        let line = logged.lines().find(|line| line.contains("an attempt at STS was abandoned"));
        assert!(line.is_some_and(|line| line.contains("DEBUG")), "{logged}");
    }

    #[tokio::test]
    async fn a_failing_endpoint_is_replaced_by_the_next_for_later_calls() {
        let first = Scripted::start(|_, _| error(503, "ServiceUnavailable")).await;
        let second = Scripted::start(|_, _| ok(&an_answer())).await;
        let client = client_of(vec![first.endpoint(), second.endpoint()], clock());
        for _ in 0..2 {
            client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        }
        assert_eq!((first.seen().forms.len(), second.seen().forms.len()), (1, 2));
    }

    #[tokio::test]
    async fn an_unreachable_endpoint_is_replaced_by_the_next() {
        let second = Scripted::start(|_, _| ok(&an_answer())).await;
        let client = client_of(vec![unreachable_endpoint(), second.endpoint()], clock());
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        assert_eq!(counted(&client, "AssumeRole", "unreachable").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn a_throttled_account_is_throttled_at_every_endpoint() {
        let first = Scripted::start(|_, _| error(400, "Throttling.User")).await;
        let second = Scripted::start(|_, _| ok(&an_answer())).await;
        let mut client = client_of(vec![first.endpoint(), second.endpoint()], clock());
        client.settings.max_attempts = NonZeroU32::MIN;
        for _ in 0..2 {
            client.call(&a_session(), Some(&key()), soon()).await.unwrap_err();
        }
        assert_eq!(second.seen().connections, 0);
    }

    /// An address without a listener.
    fn unreachable_endpoint() -> Endpoint {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Endpoint::try_from(format!("http://127.0.0.1:{port}")).unwrap()
    }

    /// Runs another test in a child process, because the environment belongs to the process.
    fn passes_with(environment: impl IntoIterator<Item = (&'static str, String)>) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sts::client::tests::calls_share_a_connection"])
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .envs(environment)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && told.contains("1 passed"), "{told}");
    }

    #[test]
    fn proxy_environment_variables_are_ignored() {
        let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
        passes_with(names.map(|name| (name, unreachable_endpoint().url().to_string())));
    }

    #[test]
    fn a_loopback_endpoint_needs_no_certificates() {
        let names = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
        passes_with(names.map(|name| (name, "/dev/null".to_owned())));
    }

    /// Captures the log until it is dropped.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn captured(&self) -> tracing::subscriber::DefaultGuard {
            let log = self.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(LevelFilter::TRACE)
                .with_ansi(false)
                .with_writer(move || log.clone());
            tracing::subscriber::set_default(subscriber.finish())
        }
    }

    fn temporary(left_secs: i64) -> SigningCredentials {
        let (now, moment) = (clock().now(), clock().moment());
        let end = now + TimeDelta::seconds(left_secs);
        let (secret, token) = ("canary-secret".into(), "canary-token".into());
        SigningCredentials::temporary("STS.1", secret, token, end, now, moment).unwrap()
    }

    #[tokio::test]
    async fn temporary_credentials_sign_until_ten_seconds_before_their_end() {
        let server = Scripted::start(|_, _| ok(&an_answer())).await;
        let client = client(&server);
        client.sign_with(temporary(60));
        assert!(client.can_sign());
        client.assume_role(&a_session(), 1, soon()).await.unwrap();
        assert_eq!(server.seen().forms[0]["SecurityToken"], "canary-token");
        client.sign_with(temporary(10));
        assert!(!client.can_sign());
        let error = client.assume_role(&a_session(), 1, soon()).await.unwrap_err();
        assert!(matches!(error, StsError::NoCredentials), "{error:?}");
        let error = client.caller_identity(&temporary(5), soon()).await.unwrap_err();
        assert!(matches!(error, StsError::NoCredentials), "{error:?}");
        assert_eq!(server.seen().forms.len(), 1, "nothing else was sent");
    }

    /// Until the source of temporary credentials has answered.
    #[tokio::test]
    async fn without_credentials_nothing_is_sent() {
        let server = Scripted::start(|_, _| ok(&an_answer())).await;
        let mut client = client(&server);
        client.key = ArcSwapOption::empty();
        assert!(!client.can_sign());
        let error = client.assume_role(&a_session(), 1, soon()).await.unwrap_err();
        assert!(matches!(error, StsError::NoCredentials), "{error:?}");
        assert_eq!(server.seen().connections, 0);
    }

    /// STS's response to a request that was signed with another secret.
    fn echoing(form: &Form) -> Reply {
        let signed_ones = form.iter().filter(|(name, _)| *name != "Signature");
        let parameters =
            signed_ones.map(|(name, value)| (name.as_str(), value.as_str().into())).collect();
        let theirs = rpc::sign("POST", parameters, &"other".into()).string_to_sign;
        let message = format!(
            "Specified signature is not matched with our calculation. \
             server string to sign is:{theirs}"
        );
        let body = json!({"Code": "SignatureDoesNotMatch", "Message": message, "RequestId": "1-A"});
        Reply::Answer("HTTP/1.1 400 X".into(), body.to_string())
    }

    #[tokio::test]
    async fn nothing_secret_is_logged_or_told_by_an_error() {
        let log = Log::default();
        let _captured = log.captured();
        let server = Scripted::start(move |number, form| match number {
            0 => ok(&an_answer()),
            1 => ok(&json!({"Credentials": "canary-issued-secret", "RequestId": "canary message"})),
            2 => error(500, "canary-code"),
            3 => Reply::Cut,
            _ => echoing(form),
        })
        .await;
        let client = client(&server);
        let mut told = format!("{client:?}");
        client.call(&a_session(), Some(&key()), soon()).await.unwrap();
        for kind in ["unreachable", "wrong_secret"] {
            let error = client.call(&a_session(), Some(&key()), soon()).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            told.push_str(&format!("{error} {error:?} {:?}", causes(&error)));
        }

        let logged = log.text();
        assert!(
            logged.contains("an attempt at STS failed") && logged.contains("TRACE"),
            "{logged}"
        );
        let signatures = server.seen().forms.into_iter().map(|form| form["Signature"].clone());
        let secret = ["canary", "sample-bucket", "POST&"].map(str::to_owned);
        for secret in secret.into_iter().chain(signatures) {
            assert!(!logged.contains(&secret), "{secret} in the log:\n{logged}");
            assert!(!told.contains(&secret), "{secret} in {told}");
        }
    }
}
