//! The emulated OSS over real HTTP, on a port of its own, with a manual clock.

mod access;
mod browser;
mod bucket_policies;
mod callbacks;
mod folder;
mod forms;
mod listings;
mod multipart;
mod new_accounts;
mod objects;
mod signatures;
mod signing;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::percent::encode;
use crate::{Emulator, EmulatorControl, EmulatorSettings, NewAccountRules, Session};
use appserver_domain::clock::Clock;

const START: &str = "2016-01-13T14:02:37Z";
const GRASS: &str = "2015/01/01/grass.jpg";

/// The shipped configuration, and users, roles and buckets that only tests need.
const MORE: &str = r#"
[[accounts.users]]
name = "editor"
id = "1"
keys = [{ id = "editorid", secret = "editorsecret" }]
policies = ["AliyunOSSFullAccess"]

[[accounts.users]]
name = "careful"
id = "2"
keys = [{ id = "carefulid", secret = "carefulsecret" }]
policies = ["AliyunOSSFullAccess", "no-deleting"]

[[accounts.buckets]]
name = "open-bucket"
region = "cn-hangzhou"
acl = "public-read-write"

[accounts.policies]
no-deleting = { json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:List*","Resource":"*"},{"Effect":"Deny","Action":"oss:DeleteObject","Resource":"*"}]}' }

[[accounts]]
id = "55667788"
root_keys = [{ id = "foreignid", secret = "foreignsecret" }]

[[accounts.users]]
name = "foreigner"
id = "3"
keys = [{ id = "foreignuserid", secret = "foreignusersecret" }]
policies = ["AliyunOSSFullAccess"]
"#;

struct Emulated {
    host: String,
    control: EmulatorControl,
    http: reqwest::Client,
    settings: EmulatorSettings,
    _serving: DropGuard,
}

#[derive(Clone, Debug)]
struct SigningKeys {
    id: String,
    secret: String,
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    V1,
    V4,
    /// With its lifetime in seconds.
    V1Url(i64),
    V4Url(i64),
}

/// A request as a client makes it.
#[derive(Clone, Debug)]
struct OssRequest {
    method: &'static str,
    bucket: &'static str,
    key: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    at: DateTime<Utc>,
}

/// A completely read response.
#[derive(Clone, Debug)]
struct OssResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn settings() -> EmulatorSettings {
    let shipped = include_str!("../../../../../config/emulator.toml");
    EmulatorSettings::from_toml(&format!("{shipped}{MORE}")).unwrap()
}

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

impl Emulated {
    async fn start() -> Self {
        Self::backend(None).await
    }

    async fn backend(data: Option<&Path>) -> Self {
        Self::with(NewAccountRules::default(), data).await
    }

    async fn with(rules: NewAccountRules, data: Option<&Path>) -> Self {
        Self::of(settings(), rules, data).await
    }

    async fn of(served: EmulatorSettings, rules: NewAccountRules, data: Option<&Path>) -> Self {
        let addr = "127.0.0.1:0".parse().unwrap();
        let emulator = Emulator::bind(served, addr, Clock::manual(start())).await.unwrap();
        let emulator = emulator.with_new_account_rules(rules);
        let emulator = emulator.with_oss(addr, data).await.unwrap();
        let host = emulator.oss_addr().unwrap().to_string();
        let control = emulator.control();
        let shutdown = CancellationToken::new();
        tokio::spawn(emulator.serve(shutdown.clone()));
        let no_redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(no_redirects).build().unwrap();
        Self { host, control, http, settings: settings(), _serving: shutdown.drop_guard() }
    }

    /// A session of a role for an hour.
    fn session(&self, role: &str, policy: Option<&str>) -> SigningKeys {
        self.session_of("alice", role, policy)
    }

    /// A session of this name.
    fn session_of(&self, name: &str, role: &str, policy: Option<&str>) -> SigningKeys {
        let role_arn = format!("acs:ram::11223344:role/{role}");
        let (access_key_id, access_key_secret) = Session::new_access_key();
        let session = Session {
            access_key_id,
            access_key_secret,
            role_id: self
                .settings
                .ram
                .roles
                .get(&role_arn)
                .map_or_else(String::new, |r| r.id.clone()),
            role_arn,
            session_name: name.to_owned(),
            policy: policy.map(str::to_owned),
            source_identity: None,
            expiration: start() + TimeDelta::hours(1),
        };
        let token = self.settings.token_key().seal(&session).expose_secret().to_owned();
        let secret = session.access_key_secret.expose_secret().to_owned();
        SigningKeys { id: session.access_key_id, secret, token: Some(token) }
    }

    async fn send(&self, request: &OssRequest) -> OssResponse {
        let url = format!("http://{}/{}{}", self.host, request.path(), request.wire_query());
        let mut built = self.http.request(request.method.parse().unwrap(), url);
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        OssResponse::read(built.body(request.body.clone()).send().await.unwrap()).await
    }

    /// As a client that has this host as its endpoint: the path has no bucket.
    async fn send_to(&self, host: &str, request: &OssRequest) -> OssResponse {
        let url = format!("http://{}/{}{}", self.host, encode(&request.key), request.wire_query());
        let mut built =
            self.http.request(request.method.parse().unwrap(), url).header("host", host);
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        OssResponse::read(built.body(request.body.clone()).send().await.unwrap()).await
    }

    /// As the account's own key, which may do everything.
    async fn root(&self, request: OssRequest) -> OssResponse {
        self.send(&request.signed(Scheme::V4, &SigningKeys::root())).await
    }
}

impl SigningKeys {
    fn root() -> Self {
        Self::of("root")
    }

    /// Keys of the configuration are `<name>id` and `<name>secret`.
    fn of(name: &str) -> Self {
        Self { id: format!("{name}id"), secret: format!("{name}secret"), token: None }
    }
}

impl OssRequest {
    fn new(method: &'static str, key: &str) -> Self {
        Self {
            method,
            bucket: "sample-bucket",
            key: key.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            at: start(),
        }
    }

    fn get(key: &str) -> Self {
        Self::new("GET", key)
    }

    fn put(key: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("PUT", key) }
    }

    fn list(query: &[(&'static str, &str)]) -> Self {
        query.iter().fold(Self::get(""), |request, (name, value)| request.query(name, *value))
    }

    fn of(self, bucket: &'static str) -> Self {
        Self { bucket, ..self }
    }

    fn at(self, at: DateTime<Utc>) -> Self {
        Self { at, ..self }
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn path(&self) -> String {
        if self.bucket.is_empty() {
            return String::new();
        }
        format!("{}/{}", self.bucket, encode(&self.key))
    }

    fn wire_query(&self) -> String {
        let pairs: Vec<String> =
            self.query.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

impl OssResponse {
    async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text between the first such tags.
    fn tag(&self, name: &str) -> String {
        let text = self.text();
        let rest = text.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
        let inner = rest.and_then(|rest| rest.split_once(&format!("</{name}>")));
        inner.map_or_else(String::new, |(inner, _)| inner.to_owned())
    }

    /// `403 AccessDenied`
    fn outcome(&self) -> String {
        format!("{} {}", self.status, self.tag("Code")).trim().to_owned()
    }

    /// The decision in the response.
    fn decision(&self) -> serde_json::Value {
        serde_json::from_str(&self.headers["x-emulator-decision"]).unwrap()
    }

    /// The whole response without its varying parts, whose format is checked.
    fn snapshot(&self) -> String {
        let id = &self.headers["x-oss-request-id"];
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert!(self.headers["x-oss-server-time"].parse::<u32>().is_ok());
        let mut lines = vec![self.status.to_string()];
        for (name, value) in &self.headers {
            // The length of a body with the emulator's port varies.
            let names_port = self.text().contains("127.0.0.1:");
            let differs = ["x-oss-request-id", "x-oss-server-time"].contains(&name.as_str())
                || (name == "content-length" && names_port);
            lines.push(format!("{name}: {}", if differs { "…" } else { value }));
        }
        let body = if self.body.is_ascii() || self.headers["content-type"].contains("xml") {
            self.text()
        } else {
            format!("({} bytes)", self.body.len())
        };
        let mut text = format!("{}\n\n{body}", lines.join("\n")).replace(id, "…");
        if let Some((_, rest)) = text.clone().split_once("<HostId>127.0.0.1:")
            && let Some((port, _)) = rest.split_once('<')
        {
            text = text.replace(port, "…");
        }
        text.trim_end().to_owned()
    }
}
