//! Issuers whose keys are fetched by URL, end to end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use appserver_emulator::sign;
use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stage::{Setting, Stage, repository, until};

/// An identity provider that counts how often it is asked for its keys.
struct Provider {
    origin: String,
    keys: Arc<Mutex<Value>>,
    key_requests: Arc<AtomicUsize>,
}

/// The demo's public key, which `sign` signs for.
fn demo_keys() -> Value {
    let file = std::fs::read_to_string(repository("config/demo.jwks.json")).unwrap();
    serde_json::from_str(&file).unwrap()
}

/// The same under another name: a key that no token of `sign` names.
fn other_keys() -> Value {
    let mut keys = demo_keys();
    keys["keys"][0]["kid"] = json!("other");
    keys
}

/// The demo's app has users of the demo's issuer, too.
const SHARED: &str = "grants.my-photos.shared_subjects = \"each test asks as one of them only\"\n\
                      grants.photo-upload.shared_subjects = \"each test asks as one of them only\"\n";

impl Provider {
    async fn open(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let description = json!({"issuer": origin, "jwks_uri": format!("{origin}/jwks")});
        let keys = Arc::new(Mutex::new(keys));
        let key_requests = Arc::<AtomicUsize>::default();
        let (served, count) = (Arc::clone(&keys), Arc::clone(&key_requests));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || description.to_string()))
            .route(
                "/jwks",
                get(async move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    served.lock().unwrap().to_string()
                }),
            );
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { origin, keys, key_requests }
    }

    /// The configuration by which a stage trusts it.
    fn config(&self, more: &str) -> String {
        format!(
            "{SHARED}[issuers.fetched]\nissuer = \"{}\"\ndiscovery = true\nalgorithms = [\"ES256\"]\n{more}\n\
             audiences.photos = [\"photo-app\"]\n",
            self.origin
        )
    }

    async fn stage(&self, more: &str) -> Stage {
        Stage::set(Setting { config: &self.config(more), ..Setting::default() }).await
    }

    fn token(&self, stage: &Stage, life_secs: i64) -> String {
        let exp = stage.clock.now().timestamp() + life_secs;
        sign(&json!({"iss": self.origin, "aud": "photos", "sub": "alice", "exp": exp}))
    }

    fn key_requests(&self) -> usize {
        self.key_requests.load(Ordering::Relaxed)
    }
}

async fn outcome(stage: &Stage, jwt: &str) -> String {
    stage.send(stage.request("GET", "/v1/token").bearer_auth(jwt)).await.outcome()
}

/// The first user after a rotation is authenticated; the flood of tokens with unknown keys after it costs no fetch, and each is
/// refused as any other credential is.
#[tokio::test]
async fn a_new_key_is_fetched_for_the_first_token_that_names_it_and_once() {
    let provider = Provider::open(other_keys()).await;
    let stage = provider.stage("").await;
    let jwt = provider.token(&stage, 3600);
    // Callers wait for the first keys; a metric shows when they are fetched.
    let fetched = "jwks_keys{issuer=\"fetched\"} 1";
    until("the keys are there", async || stage.admin("/metrics").await.1.contains(fetched)).await;
    *provider.keys.lock().unwrap() = demo_keys();
    let outcomes = join_all((0..20).map(|_| outcome(&stage, &jwt))).await;
    assert_eq!(outcomes, ["200 Success"; 20]);
    assert_eq!(provider.key_requests(), 2);

    *provider.keys.lock().unwrap() = other_keys();
    let unknown = jwt.replace(jwt.split('.').next().unwrap(), UNKNOWN_KEY);
    let outcomes = join_all((0..20).map(|_| outcome(&stage, &unknown))).await;
    assert_eq!(outcomes, ["401 Unauthenticated"; 20]);
    assert_eq!((provider.key_requests(), outcome(&stage, &jwt).await.as_str()), (2, "200 Success"));
    let wrong = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    let expected = stage.send(wrong).await.steady();
    let refused = stage.send(stage.request("GET", "/v1/token").bearer_auth(&unknown)).await;
    assert_eq!(refused.steady(), expected);
    stage.close().await;
}

/// `{"alg":"ES256","kid":"made-up"}`
const UNKNOWN_KEY: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im1hZGUtdXAifQ";

#[tokio::test]
async fn a_server_starts_and_is_ready_while_an_issuer_is_down() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = format!(
        "{SHARED}[issuers.gone]\nissuer = \"http://{closed}\"\ndiscovery = true\nalgorithms = [\"ES256\"]\n\
         audiences.photos = [\"photo-app\"]\n"
    );
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    assert_eq!(stage.admin("/readyz").await.0, 200);
    let exp = stage.clock.now().timestamp() + 3600;
    let jwt = sign(
        &json!({"iss": format!("http://{closed}"), "aud": "photos", "sub": "alice", "exp": exp}),
    );
    assert_eq!(outcome(&stage, &jwt).await, "401 Unauthenticated");
    // Other callers are served as before.
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    stage.close().await;
}

/// Credentials end with the login where its issuer is configured so, and a login with too little time left gets an error that says what to do.
#[tokio::test]
async fn credentials_expire_with_their_login() {
    let provider = Provider::open(demo_keys()).await;
    let stage = provider.stage("expire_with_token = true").await;
    let get = async |life_secs: i64| {
        let jwt = provider.token(&stage, life_secs);
        stage.send(stage.request("GET", "/v1/token").bearer_auth(jwt)).await
    };
    let mut lives = Vec::new();
    for life_secs in [86_400, 3600, 2000, 915] {
        let answer = get(life_secs).await;
        lives.push((answer.time("Expiration") - answer.time("LastUpdated")).num_seconds());
    }
    assert_eq!(lives, [3600, 3300, 1800, 900]);
    insta::assert_json_snapshot!(get(900).await.steady(), @r#"
    {
      "Code": "Forbidden.Grant",
      "ErrorCode": "Forbidden.Grant",
      "ErrorMessage": "The login ends too soon: credentials end with it and last 900 seconds at least. Renew the login first.",
      "Message": "The login ends too soon: credentials end with it and last 900 seconds at least. Renew the login first.",
      "RequestId": "<RequestId>",
      "StatusCode": 403
    }
    "#);
    assert_eq!(stage.assume_role_calls().len(), 4);
    stage.close().await;

    let stage = provider.stage("").await;
    let jwt = provider.token(&stage, 60);
    let answer = stage.send(stage.request("GET", "/v1/token").bearer_auth(jwt)).await;
    let life = answer.time("Expiration") - answer.time("LastUpdated");
    assert_eq!(life.num_seconds(), 3600, "by default credentials may outlive their login");
    stage.close().await;
}
