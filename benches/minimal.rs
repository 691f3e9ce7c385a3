//! The minimal vendor of the load run: what one would write by hand in an evening, by the usual crates.
//!
//! It checks one client's secret, keeps tokens, makes one call to STS for all callers of a missing one, and answers with
//! the members that the service's answers have. It has no audit, no limits, no budget, no metrics and no retries. None of
//! the service's code is in it.
#![expect(clippy::print_stdout, reason = "the load run reads the address")]
#![expect(clippy::disallowed_methods, reason = "a hand-written vendor asks the system's clock")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Parser;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A token is fetched anew with less than this left.
const MARGIN: TimeDelta = TimeDelta::minutes(30);

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
    /// The address of STS
    #[arg(long)]
    sts: reqwest::Url,
    #[arg(long)]
    key_id: String,
    #[arg(long)]
    key_secret: String,
    #[arg(long)]
    role: String,
    /// The client's id
    #[arg(long)]
    client: String,
    /// SHA-256 of the client's secret, in hexadecimal
    #[arg(long)]
    secret_sha256: String,
    /// The file of the session policy; `${params.album}` in it is the request's album
    #[arg(long)]
    policy: PathBuf,
}

struct App {
    args: Args,
    secret_hash: Vec<u8>,
    policy: String,
    http: reqwest::Client,
    /// By session policy; the callers of a missing token wait for the first one's call.
    tokens: Mutex<HashMap<String, Arc<OnceCell<Token>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StsAnswer {
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    access_key_secret: String,
    security_token: String,
    expiration: DateTime<Utc>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    arn: String,
    assumed_role_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Token {
    #[serde(flatten)]
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
    last_updated: String,
    refresh_after: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TokenAnswer<'a> {
    status_code: u16,
    code: &'a str,
    request_id: String,
    grant: &'a str,
    #[serde(flatten)]
    token: &'a Token,
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default, rename = "Parameters.album")]
    album: String,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let policy = std::fs::read_to_string(&args.policy).expect("the policy can be read");
    let policy: serde_json::Value = serde_json::from_str(&policy).expect("the policy is JSON");
    let app = App {
        secret_hash: hex::decode(&args.secret_sha256).expect("the hash is hexadecimal"),
        policy: policy.to_string(),
        http: reqwest::Client::new(),
        tokens: Mutex::default(),
        args,
    };
    let listener = TcpListener::bind(app.args.listen).await.expect("the address is free");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    let router = Router::new().route("/v1/token", get(token)).with_state(Arc::new(app));
    axum::serve(listener, router).await.expect("it serves until it is ended");
}

async fn token(
    State(app): State<Arc<App>>,
    Query(query): Query<TokenQuery>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    if !app.is_client(&headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    if !query.album.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let policy = app.policy.replace("${params.album}", &query.album);
    let cell = app.cell(&policy);
    let token = cell.get_or_try_init(|| app.assume_role(&policy)).await.map_err(|error| {
        println!("AssumeRole failed: {error}");
        StatusCode::BAD_GATEWAY
    })?;
    let answer = TokenAnswer {
        status_code: 200,
        code: "Success",
        request_id: Uuid::new_v4().to_string(),
        grant: "one-album",
        token,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

impl App {
    fn is_client(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let encoded = header.and_then(|header| header.strip_prefix("Basic "));
        let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        let Some(text) = decoded.and_then(|decoded| String::from_utf8(decoded).ok()) else {
            return false;
        };
        text.split_once(':').is_some_and(|(id, secret)| {
            let is_same = Sha256::digest(secret).as_slice().ct_eq(&self.secret_hash);
            id == self.args.client && bool::from(is_same)
        })
    }

    fn cell(&self, policy: &str) -> Arc<OnceCell<Token>> {
        let mut tokens = self.tokens.lock();
        if let Some(cell) = tokens.get(policy) {
            let left = cell.get().map(|token| token.credentials.expiration - Utc::now());
            if left.is_none_or(|left| left > MARGIN) {
                return cell.clone();
            }
        }
        tokens.entry(policy.to_owned()).insert_entry(Arc::default()).get().clone()
    }

    async fn assume_role(&self, policy: &str) -> Result<Token, reqwest::Error> {
        let now = Utc::now();
        let nonce = Uuid::new_v4().to_string();
        let timestamp = written(now);
        let parameters = BTreeMap::from([
            ("AccessKeyId", self.args.key_id.as_str()),
            ("Action", "AssumeRole"),
            ("DurationSeconds", "3600"),
            ("Format", "JSON"),
            ("Policy", policy),
            ("RoleArn", &self.args.role),
            ("RoleSessionName", &self.args.client),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", &nonce),
            ("SignatureVersion", "1.0"),
            ("Timestamp", &timestamp),
            ("Version", "2015-04-01"),
        ]);
        let form: Vec<_> = parameters
            .into_iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)))
            .collect();
        let form = form.join("&");
        let to_sign = format!("POST&%2F&{}", utf8_percent_encode(&form, ENCODED));
        let mut mac = Hmac::<Sha1>::new_from_slice(format!("{}&", self.args.key_secret).as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(to_sign.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let form = format!("{form}&Signature={}", utf8_percent_encode(&signature, ENCODED));
        let request = self.http.post(self.args.sts.clone()).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = request.send().await?.error_for_status()?.bytes().await?;
        let answer: StsAnswer = serde_json::from_slice(&body).expect("STS answers as documented");
        let StsAnswer { credentials, assumed_role_user } = answer;
        let refresh_after = written(credentials.expiration - MARGIN);
        Ok(Token { credentials, assumed_role_user, last_updated: written(now), refresh_after })
    }
}

fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
