//! Callbacks against a key server and a backend on loopback, with a key of the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callback_rules::tests::rules;
use super::claims::UploadId;
use super::claims::tests::{claims, now};
use super::report::UPLOAD_VARIABLE;
use super::*;
use crate::audit::Audit;
use crate::oss_bucket::OssBucket;
use crate::outbound::Egress;
use crate::seal::SealKey;
use crate::store::Store;
use crate::sts::{Endpoint, GrantSession, StsClient, StsSettings};
use crate::telemetry::Metrics;
use crate::vend::{VendSettings, Vendor, Vendors};
use appserver_domain::clock::Clock;
use appserver_domain::{
    AccessKey, Fingerprint, GrantName, MaxSessionDuration, SigningCredentials, UpstreamName,
    Upstreams,
};
use appserver_policy::GrantSessionPolicy;

const ROUTE: &str = "/v1/oss/callback";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDe68UHmHC8Udhb7LqbIR7Tpgkt\n\
+pvXo9/iLBUOk7neRdehKz1Rr5UOBBAb0lFwoWdrM8rEPYQ+9lLHlB1+5ft0kcZt\n\
w7lp3i6oItwCCjygACbFSUsHSL589MO8mWdFUhUFOGBy7MVuf8QWPNlk+kYYxn6z\n\
Nm8xAODS0Qk9jCPqNQIDAQAB\n\
-----END PUBLIC KEY-----\n";

/// The private key: modulus, private exponent, and its two primes.
const PRIVATE_KEY: [&str; 4] = [
    "deebc5079870bc51d85becba9b211ed3a6092dfa9bd7a3dfe22c150e93b9de45d7a12b3d51af950e04101bd25170a167\
     6b33cac43d843ef652c7941d7ee5fb7491c66dc3b969de2ea822dc020a3ca00026c5494b0748be7cf4c3bc9967455215\
     05386072ecc56e7fc4163cd964fa4618c67eb3366f3100e0d2d1093d8c23ea35",
    "23d752797328050f3fb31fefaccb79725c0ab3cacc4db27a6799e0d4d42999342f84293895ae9e4f7f95bb736846ac9c\
     bd1eb9a62da1daa1ae138a9be77040aa6385ba458426c1a15c8397ed6a548d4c72b80df6e3c648bc2578749e9ec0482c\
     976d84df69ed312a485cc82c77f6af3f5c2caf9c082d0a49730a99794a70c821",
    "f2d2d9e01c652d5f7d7ad02a29558397426801d100fb3e816519eb29a990330fb87348c7c9cda931e3e48282edbd64f5\
     75675c51959524188dc2e93cbe1a30f9",
    "eb04719402f47778295877e26a9c0c21c13ed20f028e995c5f850864058d1bcae1171b3165c3ec17a2bff0954a49a756\
     980e868508d01c47471e7cd062e4ce1d",
];

/// What the key server and the backend do, and what they saw.
#[derive(Debug, Default)]
struct World {
    key_requests: AtomicUsize,
    key_redirects: AtomicUsize,
    forwarded: Mutex<Vec<(String, String)>>,
    /// The statuses of the backend's next answers; then 200.
    statuses: Mutex<Vec<u16>>,
    /// How long the backend takes.
    delay: Mutex<Duration>,
}

struct Stage {
    world: Arc<World>,
    callbacks: Arc<Callbacks>,
    config: Arc<CallbackConfig>,
    /// The same, except that objects are looked at; no credentials can be obtained for it.
    confirming: Arc<CallbackConfig>,
    key_url: String,
    clock: Clock,
    stop: CancellationToken,
}

async fn serve_key(State(world): State<Arc<World>>) -> Response {
    world.key_requests.fetch_add(1, Ordering::Relaxed);
    if world.key_redirects.load(Ordering::Relaxed) > 0 {
        return Redirect::temporary("/elsewhere").into_response();
    }
    PUBLIC_KEY.into_response()
}

async fn take_report(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let delay = *world.delay.lock();
    tokio::time::sleep(delay).await;
    let signature = headers["x-appserver-signature"].to_str().unwrap().to_owned();
    world.forwarded.lock().push((signature, body));
    let status = world.statuses.lock().pop().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), r#"{"Saved":true}"#).into_response()
}

impl Stage {
    async fn new() -> Self {
        let world = Arc::new(World::default());
        let routes = Router::new()
            .route("/key.pem", get(serve_key))
            .route("/elsewhere", get(serve_key))
            .route("/uploads", post(take_report))
            .with_state(Arc::clone(&world));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let key_url = format!("http://{address}/key.pem");
        let clock = Clock::manual(now());
        let metrics = Arc::new(Metrics::new());
        let forward = format!("http://{address}/uploads").try_into().unwrap();
        let rules = CallbackRules { forward, confirm: false, ..rules() };
        let oss = OssBucket::new(
            "sample-bucket".parse().unwrap(),
            "cn-hangzhou".to_owned().try_into().unwrap(),
            None,
            false,
        );
        let grant: GrantName = "photo-upload".parse().unwrap();
        let policy = GrantSessionPolicy::reading(&"sample-bucket".parse().unwrap(), "*").unwrap();
        let confirmation = Confirmation {
            upstream: UpstreamName::default(),
            fingerprint: Fingerprint::of([]),
            session: GrantSession::new(
                "acs:ram::11223344:role/oss-readonly".to_owned().try_into().unwrap(),
                &grant,
                policy,
                MaxSessionDuration::DEFAULT.admit(3600).unwrap(),
                None,
            ),
            oss: oss.unwrap(),
        };
        let config = |confirm| {
            let callback = GrantCallback {
                rules: CallbackRules { confirm, ..rules.clone() },
                secret: "canary-secret".into(),
                confirmation: confirmation.clone(),
                longest_form: TimeDelta::minutes(15),
            };
            let config = CallbackConfig::new(
                ClaimsSeal::new(&[SealKey::for_tests(1)]),
                "http://127.0.0.1:8080/prefix",
                ROUTE,
                KeySource::try_from(key_url.clone()).unwrap(),
                [(grant.clone(), callback)].into(),
                &Egress::default(),
                None,
            );
            Arc::new(config.unwrap())
        };
        let (config, confirming) = (config(false), config(true));
        let callbacks = Callbacks::new(
            Some(Arc::clone(&config)),
            &Arc::new(Store::Memory),
            vendors(&metrics),
            Audit::off(),
            clock.clone(),
            metrics.callbacks.clone(),
        );
        let (callbacks, stop) = (Arc::new(callbacks), CancellationToken::new());
        tokio::spawn(Arc::clone(&callbacks).run(stop.clone()));
        Self { world, callbacks, config, confirming, key_url, clock, stop }
    }

    /// The body that OSS sends for the form of these claims.
    fn body(&self, claims: &UploadClaims) -> String {
        let fields = self.config.form_fields(claims).unwrap();
        let upload = &fields.iter().find(|(name, _)| name == UPLOAD_VARIABLE).unwrap().1;
        let key = claims.key.replace('/', "%2F");
        let bucket = &claims.bucket;
        let vars: String =
            claims.vars.iter().map(|(name, value)| format!("&x:{name}={value}")).collect();
        format!(
            "bucket={bucket}&object={key}&etag=9A0364B9&size=1024&mimeType=image%2Fjpeg&imageInfo.height=480&x:upload={upload}{vars}"
        )
    }

    async fn send(&self, body: &str) -> Result<String, CallbackError> {
        self.send_signed(body, &signature(&format!("/prefix{ROUTE}\n{body}"))).await
    }

    async fn send_signed(&self, body: &str, signature: &str) -> Result<String, CallbackError> {
        self.send_to(&self.config, body, signature).await
    }

    async fn send_to(
        &self,
        config: &Arc<CallbackConfig>,
        body: &str,
        signature: &str,
    ) -> Result<String, CallbackError> {
        let key_url = STANDARD.encode(&self.key_url);
        let received = ReceivedCallback {
            request_id: "6894B13B-6D71-4EF5-88FA-F32781734A7F",
            authorization: Some(signature.as_bytes()),
            key_url: Some(key_url.as_bytes()),
            query: None,
            body: body.to_owned().into(),
            received_at: Instant::now(),
        };
        self.callbacks.receive(config, received, |_| ()).await
    }

    fn forwarded(&self) -> usize {
        self.world.forwarded.lock().len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Vendors whose STS is never called.
fn vendors(metrics: &Arc<Metrics>) -> Arc<Vendors<StsClient>> {
    let settings = StsSettings {
        upstream: UpstreamName::default(),
        endpoints: Endpoint::try_from("http://127.0.0.1:1".to_owned()).unwrap().into(),
        connect_timeout: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(1),
        max_attempts: std::num::NonZeroU32::MIN,
    };
    let key = AccessKey::new("testid", "testsecret".into()).unwrap();
    let key = SigningCredentials::of_key(key, None);
    let (clock, egress) = (Clock::system(), Egress::default());
    let sts = StsClient::new(settings, egress, Some(key), clock, Arc::clone(metrics)).unwrap();
    let store = Arc::new(Store::Memory);
    let vendor =
        Vendor::only(sts, store, VendSettings::for_tests(), &metrics.vend, Clock::system());
    Arc::new(Vendors::new(Upstreams::new(Arc::new(vendor), []), metrics.vend.clone()))
}

/// OSS's signature with the key of the test.
fn signature(text: &str) -> String {
    let number = |hex: &str| BoxedUint::from_be_slice_vartime(&hex::decode(hex).unwrap());
    let [modulus, exponent, one, other] = PRIVATE_KEY.map(number);
    let key = PrivateKey::from_components(
        modulus,
        BoxedUint::from(65_537_u32),
        exponent,
        vec![one, other],
    )
    .unwrap();
    let hash: [u8; 16] = Md5::digest(text).into();
    STANDARD.encode(key.sign(Pkcs1v15Sign::new::<Md5>(), &hash).unwrap())
}

fn fresh_claims() -> UploadClaims {
    let vars = [("from", "photo-app/2015"), ("user", "alice")];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    UploadClaims { id: UploadId::fresh(), vars: vars.into(), ..claims() }
}

fn refusal(ended: Result<String, CallbackError>) -> String {
    match ended.unwrap_err() {
        CallbackError::Refused(refusal) => refusal.to_string(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_report_is_forwarded_once_and_its_replays_get_the_first_answer() {
    let stage = Stage::new().await;
    let body = stage.body(&fresh_claims());
    let (one, other) = tokio::join!(stage.send(&body), stage.send(&body));
    let third = stage.send(&body).await;
    for answer in [one, other, third] {
        assert_eq!(answer.unwrap(), r#"{"Saved":true}"#);
    }
    // Another report of the same upload is a replay, too: what it says beside the claims does not count.
    let changed = body.replace("etag=9A0364B9", "etag=OTHER");
    assert_eq!(stage.send(&changed).await.unwrap(), r#"{"Saved":true}"#);
    assert_eq!(stage.forwarded(), 1);
    assert_eq!(stage.world.key_requests.load(Ordering::Relaxed), 1);
    let forwarded = stage.world.forwarded.lock();
    let (signature, body) = &forwarded[0];
    assert!(signature.starts_with("t=1452693757,v1="), "{signature}");
    assert!(body.contains(r#""Subject":"alice""#), "{body}");
}

#[tokio::test]
async fn what_is_not_signed_by_oss_or_not_about_this_upload_is_refused_and_nothing_is_forwarded() {
    let stage = Stage::new().await;
    let claims = fresh_claims();
    let body = stage.body(&claims);
    let signed = signature(&format!("/prefix{ROUTE}\n{body}"));
    let unsealed = body.replace("x:upload=", "x:upload=A");
    let of_other_grant =
        stage.body(&UploadClaims { grant: "photo-upload".parse().unwrap(), ..fresh_claims() });
    // Of a grant without a callback the service makes no such claims; a removed one has them.
    let removed = UploadClaims { grant: "removed".parse().unwrap(), ..fresh_claims() };
    let removed_upload = ClaimsSeal::new(&[SealKey::for_tests(1)]).seal(&removed).unwrap();
    let upload = body.split("x:upload=").nth(1).unwrap().split('&').next().unwrap();
    let of_removed = body.replace(upload, &removed_upload);
    let mut seen = vec![
        refusal(stage.send_signed(&body, "").await),
        refusal(stage.send_signed(&of_other_grant, &signed).await),
        refusal(stage.send_signed(&body, &signature(&format!("{ROUTE}\n{body}"))).await),
        refusal(stage.send("bucket=sample-bucket").await),
        refusal(stage.send(&unsealed).await),
        refusal(stage.send(&of_removed).await),
    ];
    for (from, to) in [
        ("sample-bucket", "other-bucket"),
        ("alice%2Fcat", "bob%2Fcat"),
        ("size=1024", "size=99999999"),
        ("image%2Fjpeg", "text%2Fhtml"),
        ("x:user=alice", "x:user=bob"),
        ("imageInfo.height", "imageInfo.format"),
        ("height=480", "height=%00"),
    ] {
        seen.push(refusal(stage.send(&body.replace(from, to)).await));
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    its signature is not that of OSS
    its signature is not that of OSS
    its signature is not that of OSS
    its body is not what the service requested: it has no `object`
    its `x:upload` is not valid: it was not sealed by this service, or by a key that is no longer configured
    the grant `removed` has no callback now
    it contradicts its `x:upload`: the report names another bucket than the upload's form
    it contradicts its `x:upload`: the report names another key than the upload's form
    it contradicts its `x:upload`: the object is larger than the form allows
    it contradicts its `x:upload`: the object's type is not the form's
    it contradicts its `x:upload`: a variable is not the form's
    it contradicts its `x:upload`: it has a member that the form does not request
    its body is not what the service requested: a name in it is empty, or a name or value has control characters
    ");
    assert_eq!(stage.forwarded(), 0);
    // None of them has used the upload up.
    assert_eq!(stage.send(&body).await.unwrap(), r#"{"Saved":true}"#);
    stage.clock.advance(TimeDelta::minutes(16));
    assert_eq!(
        refusal(stage.send(&body).await),
        "its `x:upload` is not valid: the form of the upload has expired"
    );
}

#[tokio::test]
async fn another_key_url_is_never_requested_and_a_redirect_is_not_followed() {
    let stage = Stage::new().await;
    let body = stage.body(&fresh_claims());
    let signed = signature(&format!("/prefix{ROUTE}\n{body}"));
    for other in [stage.key_url.replace("key.pem", "elsewhere"), "http://127.0.0.1:1/".to_owned()] {
        let key_url = STANDARD.encode(other);
        let received = ReceivedCallback {
            request_id: "id",
            authorization: Some(signed.as_bytes()),
            key_url: Some(key_url.as_bytes()),
            query: None,
            body: body.clone().into(),
            received_at: Instant::now(),
        };
        let ended = stage.callbacks.receive(&stage.config, received, |_| ()).await;
        let refused = refusal(ended);
        assert!(refused.contains("it is not the URL of a key of OSS"), "{refused}");
    }
    assert_eq!(stage.world.key_requests.load(Ordering::Relaxed), 0);
    stage.world.key_redirects.store(1, Ordering::Relaxed);
    for _ in 0..3 {
        let ended = stage.send(&body).await;
        assert!(matches!(ended, Err(CallbackError::KeyUnavailable(_))), "{ended:?}");
    }
    // Neither followed nor asked again at once.
    assert_eq!(stage.world.key_requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_report_that_the_backend_does_not_take_is_kept_and_delivered_again() {
    let stage = Stage::new().await;
    *stage.world.statuses.lock() = vec![302, 500];
    let body = stage.body(&fresh_claims());
    for _ in 0..2 {
        let ended = stage.send(&body).await;
        let Err(CallbackError::NotForwarded(obstacle, true)) = ended else { panic!("{ended:?}") };
        assert_eq!(obstacle, Obstacle::BackendFailed);
    }
    assert_eq!(stage.forwarded(), 1);
    let limit = Instant::now() + Duration::from_secs(30);
    while stage.forwarded() < 3 && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Twice not taken, then delivered and not sent again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let forwarded = stage.world.forwarded.lock();
    assert_eq!(forwarded.len(), 3);
    assert!(forwarded.iter().all(|(_, body)| *body == forwarded[0].1));
}

#[tokio::test]
async fn a_slow_backend_is_waited_for_until_the_deadline_although_oss_hangs_up() {
    let stage = Stage::new().await;
    *stage.world.delay.lock() = Duration::from_millis(500);
    let body = stage.body(&fresh_claims());
    let hung_up = tokio::time::timeout(Duration::from_millis(200), stage.send(&body)).await;
    assert!(hung_up.is_err());
    // The first report goes on, and a replay waits for its answer.
    assert_eq!(stage.send(&body).await.unwrap(), r#"{"Saved":true}"#);
    assert_eq!(stage.forwarded(), 1);
    *stage.world.delay.lock() = Duration::from_secs(20);
    let began = Instant::now();
    let ended = stage.send(&stage.body(&fresh_claims())).await;
    let Err(CallbackError::NotForwarded(obstacle, true)) = ended else { panic!("{ended:?}") };
    assert_eq!(obstacle, Obstacle::TimedOut);
    let took = began.elapsed();
    assert!((3.0..4.5).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn a_report_that_cannot_be_confirmed_now_is_kept_and_leaves_room_for_others() {
    let stage = Stage::new().await;
    stage.callbacks.replace(Some(Arc::clone(&stage.confirming)));
    let body = stage.body(&fresh_claims());
    let forged = body.replace("etag=9A0364B9", "etag=OTHER");
    for body in [&forged, &forged, &body] {
        let signed = signature(&format!("/prefix{ROUTE}\n{body}"));
        let ended = stage.send_to(&stage.confirming, body, &signed).await;
        let Err(CallbackError::NotForwarded(Obstacle::Unconfirmed, true)) = ended else {
            panic!("{ended:?}")
        };
    }
    // What is kept of the upload is one report.
    assert_eq!(stage.callbacks.deliveries.kept_in_memory(), 1);
    assert_eq!(stage.send(&body).await.unwrap(), r#"{"Saved":true}"#);
    // What was kept is not forwarded, too.
    stage.callbacks.replace(Some(Arc::clone(&stage.config)));
    let limit = Instant::now() + Duration::from_secs(30);
    while stage.callbacks.deliveries.kept_in_memory() > 0 && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stage.forwarded(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_reports_in_progress_although_oss_hung_up() {
    let stage = Stage::new().await;
    *stage.world.delay.lock() = Duration::from_millis(800);
    let stopping = CancellationToken::new();
    let run = tokio::spawn(Arc::clone(&stage.callbacks).run(stopping.clone()));
    let body = stage.body(&fresh_claims());
    let hung_up = tokio::time::timeout(Duration::from_millis(200), stage.send(&body)).await;
    assert!(hung_up.is_err());
    stopping.cancel();
    run.await.unwrap();
    assert_eq!(stage.forwarded(), 1);
}
