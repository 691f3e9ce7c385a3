//! The emulated OSS over real HTTP, on a port of its own, with a clock that stands still.

mod access;
mod browser;
mod folder;
mod forms;
mod listings;
mod multipart;
mod objects;
mod signatures;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Digest;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::emulator::signature::encode;
use crate::emulator::{Emulator, EmulatorSettings, Handle, Session};

const START: &str = "2016-01-13T14:02:37Z";
const GRASS: &str = "2015/01/01/grass.jpg";

/// The shipped world, and some users, roles and buckets that only tests need.
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
    handle: Handle,
    http: reqwest::Client,
    settings: EmulatorSettings,
    _serving: DropGuard,
}

#[derive(Clone, Debug)]
struct Keys {
    id: String,
    secret: String,
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    V1,
    V4,
    /// With the seconds that it lives.
    V1Url(i64),
    V4Url(i64),
}

/// A request as a client would make it.
#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    bucket: &'static str,
    key: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    at: DateTime<Utc>,
}

/// An answer with all of it read.
#[derive(Clone, Debug)]
struct Told {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// The signed headers as both versions write them, sorted by name.
fn lines(headers: &[(&'static str, String)], is_signed: impl Fn(&str) -> bool) -> String {
    let mut signed: Vec<_> = headers.iter().filter(|(name, _)| is_signed(name)).collect();
    signed.sort();
    signed.into_iter().map(|(name, value)| format!("{name}:{value}\n")).collect()
}

fn settings() -> EmulatorSettings {
    let shipped = include_str!("../../../../config/emulator.toml");
    EmulatorSettings::from_toml(&format!("{shipped}{MORE}")).unwrap()
}

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

impl Emulated {
    async fn start() -> Self {
        Self::keeping(None).await
    }

    async fn keeping(data: Option<&Path>) -> Self {
        let addr = "127.0.0.1:0".parse().unwrap();
        let emulator = Emulator::bind(settings(), addr, Clock::manual(start())).await.unwrap();
        let emulator = emulator.with_oss(addr, data).await.unwrap();
        let host = emulator.oss_addr().unwrap().to_string();
        let handle = emulator.handle();
        let shutdown = CancellationToken::new();
        tokio::spawn(emulator.serve(shutdown.clone()));
        let no_redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(no_redirects).build().unwrap();
        Self { host, handle, http, settings: settings(), _serving: shutdown.drop_guard() }
    }

    /// A session of a role for an hour.
    fn session(&self, role: &str, policy: Option<&str>) -> Keys {
        let (access_key_id, access_key_secret) = Session::new_access_key();
        let session = Session {
            access_key_id,
            access_key_secret,
            role_arn: format!("acs:ram::11223344:role/{role}"),
            session_name: "alice".to_owned(),
            policy: policy.map(str::to_owned),
            source_identity: None,
            expiration: start() + TimeDelta::hours(1),
        };
        let token = self.settings.token_key().seal(&session).expose_secret().to_owned();
        let secret = session.access_key_secret.expose_secret().to_owned();
        Keys { id: session.access_key_id, secret, token: Some(token) }
    }

    async fn ask(&self, ask: &Ask) -> Told {
        let url = format!("http://{}/{}{}", self.host, ask.path(), ask.wire_query());
        let mut request = self.http.request(ask.method.parse().unwrap(), url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        Told::read(request.body(ask.body.clone()).send().await.unwrap()).await
    }

    /// As the account's own key, which may do everything.
    async fn root(&self, ask: Ask) -> Told {
        self.ask(&ask.signed(Scheme::V4, &Keys::root())).await
    }
}

impl Keys {
    fn root() -> Self {
        Self::of("root")
    }

    /// Keys of the configuration are `<name>id` and `<name>secret`.
    fn of(name: &str) -> Self {
        Self { id: format!("{name}id"), secret: format!("{name}secret"), token: None }
    }
}

impl Ask {
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
        query.iter().fold(Self::get(""), |ask, (name, value)| ask.query(name, *value))
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

    /// Signs as the documentation says, with code of its own.
    fn signed(self, scheme: Scheme, keys: &Keys) -> Self {
        match scheme {
            Scheme::V1 => self.signed_v1(keys),
            Scheme::V1Url(life) => self.signed_v1_url(keys, life),
            Scheme::V4 => self.signed_v4(keys),
            Scheme::V4Url(life) => self.signed_v4_url(keys, life),
        }
    }

    fn signed_v1(mut self, keys: &Keys) -> Self {
        let date = self.at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        self = self.header("x-oss-date", date.as_str());
        if let Some(token) = &keys.token {
            self = self.header("x-oss-security-token", token);
        }
        let signature = self.v1_signature(&date, keys);
        self.header("authorization", format!("OSS {}:{signature}", keys.id))
    }

    fn signed_v1_url(mut self, keys: &Keys, life: i64) -> Self {
        let expires = (self.at.timestamp() + life).to_string();
        if let Some(token) = &keys.token {
            self = self.query("security-token", token);
        }
        let signature = self.v1_signature(&expires, keys);
        self.query("OSSAccessKeyId", keys.id.as_str())
            .query("Expires", expires)
            .query("Signature", signature)
    }

    fn v1_signature(&self, time: &str, keys: &Keys) -> String {
        let signed =
            ["acl", "uploads", "uploadId", "partNumber", "delete", "bucketInfo", "location"];
        let also = ["security-token", "continuation-token", "response-content-type", "objectMeta"];
        let mut resources: Vec<String> = self
            .query
            .iter()
            .filter(|(name, _)| signed.contains(name) || also.contains(name))
            .map(
                |(name, value)| {
                    if value.is_empty() { (*name).to_owned() } else { format!("{name}={value}") }
                },
            )
            .collect();
        resources.sort();
        let question = if resources.is_empty() { "" } else { "?" };
        let lines = lines(&self.headers, |n| n.starts_with("x-oss-"));
        let text = format!(
            "{}\n{}\n{}\n{time}\n{}/{}/{}{question}{}",
            self.method,
            self.said("content-md5"),
            self.said("content-type"),
            lines,
            self.bucket,
            self.key,
            resources.join("&"),
        );
        let mac = Hmac::<sha1::Sha1>::new_from_slice(keys.secret.as_bytes()).unwrap();
        STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
    }

    fn signed_v4(mut self, keys: &Keys) -> Self {
        let time = self.v4_time();
        self = self.header("x-oss-date", time).header("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
        if let Some(token) = &keys.token {
            self = self.header("x-oss-security-token", token);
        }
        let credential = format!("{}/{}", keys.id, self.v4_scope());
        let signature = self.v4_signature(keys);
        let authorization =
            format!("OSS4-HMAC-SHA256 Credential={credential},Signature={signature}");
        self.header("authorization", authorization)
    }

    fn signed_v4_url(mut self, keys: &Keys, life: i64) -> Self {
        let credential = format!("{}/{}", keys.id, self.v4_scope());
        let time = self.v4_time();
        self = self
            .query("x-oss-signature-version", "OSS4-HMAC-SHA256")
            .query("x-oss-credential", credential)
            .query("x-oss-date", time)
            .query("x-oss-expires", life.to_string());
        if let Some(token) = &keys.token {
            self = self.query("x-oss-security-token", token);
        }
        let signature = self.v4_signature(keys);
        self.query("x-oss-signature", signature)
    }

    fn v4_time(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn v4_scope(&self) -> String {
        format!("{}/cn-hangzhou/oss/aliyun_v4_request", self.at.format("%Y%m%d"))
    }

    fn v4_signature(&self, keys: &Keys) -> String {
        let mut pairs: Vec<String> = self
            .query
            .iter()
            .map(
                |(n, v)| {
                    if v.is_empty() { encode(n) } else { format!("{}={}", encode(n), encode(v)) }
                },
            )
            .collect();
        pairs.sort();
        let lines = lines(&self.headers, |n| {
            n.starts_with("x-oss-") || ["content-type", "content-md5"].contains(&n)
        });
        let key = encode(&self.key).replace("%2F", "/");
        let canonical = format!(
            "{}\n/{}/{key}\n{}\n{}\n\nUNSIGNED-PAYLOAD",
            self.method,
            self.bucket,
            pairs.join("&"),
            lines,
        );
        let hash = hex::encode(sha2::Sha256::digest(canonical));
        let scope = self.v4_scope();
        let text = format!("OSS4-HMAC-SHA256\n{}\n{scope}\n{hash}", self.v4_time());
        let hmac = |key: &[u8], text: &str| {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        };
        let first = format!("aliyun_v4{}", keys.secret).into_bytes();
        let signing_key = scope.split('/').fold(first, |key, part| hmac(&key, part));
        hex::encode(hmac(&signing_key, &text))
    }

    fn said(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| *other == name);
        found.map_or("", |(_, value)| value.as_str())
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

impl Told {
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

    /// What stands between the first such tags.
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

    /// The decision that came with the answer.
    fn decision(&self) -> serde_json::Value {
        serde_json::from_str(&self.headers["x-emulator-decision"]).unwrap()
    }

    /// The whole answer, with what differs at each run left out after a look at its form.
    fn shown(&self) -> String {
        let id = &self.headers["x-oss-request-id"];
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert!(self.headers["x-oss-server-time"].parse::<u32>().is_ok());
        let mut lines = vec![self.status.to_string()];
        for (name, value) in &self.headers {
            // A body that names the emulator's port is as long as that is.
            let names_port = self.text().contains("127.0.0.1:");
            let is_plain = !["x-oss-request-id", "x-oss-server-time"].contains(&name.as_str())
                && !(name == "content-length" && names_port);
            lines.push(format!("{name}: {}", if is_plain { value } else { "…" }));
        }
        let body = if self.body.is_ascii() || self.headers["content-type"].contains("xml") {
            self.text()
        } else {
            format!("({} bytes)", self.body.len())
        };
        let mut shown = format!("{}\n\n{body}", lines.join("\n")).replace(id, "…");
        if let Some((_, rest)) = shown.clone().split_once("<HostId>127.0.0.1:")
            && let Some((port, _)) = rest.split_once('<')
        {
            shown = shown.replace(port, "…");
        }
        shown.trim_end().to_owned()
    }
}
