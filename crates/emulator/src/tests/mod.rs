//! The emulator over real HTTP, on a port of its own, with a manual clock.

mod acs3;
mod assume_role;
mod assume_role_with_oidc;
mod caller_identity;
mod control;
mod faults;
mod gateway;
mod metadata;
mod ram;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::gateway::{Params, sign};
use super::percent::encode;
use super::{Emulator, EmulatorControl, EmulatorSettings};
use appserver_domain::clock::Clock;

const START: &str = "2016-01-13T14:02:37Z";
const READ_ONLY: &str = "acs:ram::11223344:role/oss-readonly";
const NARROW: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/*"}]}"#;

/// The shipped configuration, and roles that only tests need.
const MORE_ROLES: &str = r#"
[[accounts.roles]]
name = "partner"
id = "1"
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:root"]},"Condition":{"StringEquals":{"sts:ExternalId":"contract-7"}}}]}'

[[accounts.roles]]
name = "bobs"
id = "2"
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:user/bob"]}}]}'

[[accounts.roles]]
name = "long"
id = "3"
max_session_duration_secs = 43200
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:root"]}}]}'

[[accounts.roles]]
name = "deputy"
id = "4"
policies = ["AliyunSTSAssumeRoleAccess"]
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:root"]}}]}'

[[accounts.roles]]
name = "deputys"
id = "5"
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:role/deputy"]}}]}'
"#;

struct Emulated {
    url: String,
    ram_url: String,
    metadata_url: String,
    control: EmulatorControl,
    clock: Clock,
    http: reqwest::Client,
    settings: EmulatorSettings,
    _serving: DropGuard,
}

#[derive(Debug, PartialEq)]
struct Answered {
    status: u16,
    body: Value,
}

/// How a client sends its parameters.
#[derive(Clone, Copy)]
enum Placement {
    Query,
    Form,
    /// Common parameters in the query, the action's own in the form.
    Both,
}

/// A call as a client makes it; each one has a new nonce.
#[derive(Clone)]
struct Caller<'a> {
    method: &'a str,
    secret: &'a str,
    placement: Placement,
    params: Vec<(&'a str, String)>,
}

impl Emulated {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With another line in `[metadata]`, in place of the shipped one if it names the same key.
    async fn start_with(metadata: &str) -> Self {
        let shipped = include_str!("../../../../config/emulator.toml");
        let key = metadata.split(' ').next().unwrap_or_default();
        let kept = shipped.lines().filter(|line| key.is_empty() || !line.starts_with(key));
        let text = kept.collect::<Vec<_>>().join("\n");
        let text = text.replacen("[metadata]", &format!("[metadata]\n{metadata}"), 1);
        let text = format!("{text}{MORE_ROLES}");
        let settings = || EmulatorSettings::from_toml(&text).unwrap();
        let clock = Clock::manual(START.parse().unwrap());
        let addr = "127.0.0.1:0".parse().unwrap();
        let emulator = Emulator::bind(settings(), addr, clock.clone()).await.unwrap();
        let emulator = emulator.with_ram(addr, None).await.unwrap();
        let emulator = emulator.with_metadata(addr).await.unwrap();
        let url = format!("http://{}", emulator.sts_addr());
        let ram_url = format!("http://{}", emulator.ram_addr().unwrap());
        let metadata_url = format!("http://{}", emulator.metadata_addr().unwrap());
        let control = emulator.control();
        let shutdown = CancellationToken::new();
        tokio::spawn(emulator.serve(shutdown.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let settings = settings();
        Self {
            url,
            ram_url,
            metadata_url,
            control,
            clock,
            http,
            settings,
            _serving: shutdown.drop_guard(),
        }
    }

    fn request(&self, caller: &Caller<'_>) -> reqwest::RequestBuilder {
        self.request_to(&self.url, caller)
    }

    fn request_to(&self, url: &str, caller: &Caller<'_>) -> reqwest::RequestBuilder {
        let signed = caller.signed();
        let common = ["Action", "Version", "AccessKeyId", "Format", "Timestamp", "SecurityToken"];
        let in_query = |name: &str| match caller.placement {
            Placement::Query => true,
            Placement::Form => false,
            Placement::Both => name.starts_with("Signature") || common.contains(&name),
        };
        let encoded = |wanted: bool| {
            let pairs: Vec<String> = signed
                .iter()
                .filter(|(name, _)| in_query(name) == wanted)
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            pairs.join("&")
        };
        let url = format!("{url}/?{}", encoded(true));
        let request = self.http.request(caller.method.parse().unwrap(), url);
        match caller.placement {
            Placement::Query => request,
            Placement::Form | Placement::Both => request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded(false)),
        }
    }

    async fn call(&self, caller: &Caller<'_>) -> Answered {
        answered(self.request(caller).send().await.unwrap()).await
    }

    /// Waits until the recorded calls have these outcomes.
    async fn outcomes(&self, expected: &[&str]) {
        let outcomes = || self.control.calls().into_iter().map(|call| call.outcome);
        let reached = async {
            while !outcomes().eq(expected.iter().copied()) {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(10), reached).await;
        assert!(waited.is_ok(), "{:?}", self.control.calls());
    }

    /// The error of a call that must fail.
    async fn error(&self, caller: &Caller<'_>) -> (u16, String, String) {
        let Answered { status, body } = self.call(caller).await;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status, text("Code"), text("Message"))
    }
}

async fn answered(response: reqwest::Response) -> Answered {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    Answered { status, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
}

impl<'a> Caller<'a> {
    fn new(action: &'a str) -> Self {
        let nonce = uuid::Uuid::new_v4().to_string();
        let params = [
            ("Action", action),
            ("Version", "2015-04-01"),
            ("Format", "JSON"),
            ("AccessKeyId", "testid"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", &nonce),
            ("Timestamp", START),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        Self {
            method: "POST",
            secret: "testsecret",
            placement: Placement::Form,
            params: params.into(),
        }
    }

    fn assume_role() -> Self {
        Self::new("AssumeRole")
            .with("RoleArn", READ_ONLY)
            .with("RoleSessionName", "client-002")
            .with("Policy", NARROW)
    }

    fn with(self, name: &'a str, value: impl Into<String>) -> Self {
        let mut changed = self.without(name);
        changed.params.push((name, value.into()));
        changed
    }

    fn without(mut self, name: &str) -> Self {
        self.params.retain(|(other, _)| *other != name);
        self
    }

    fn by(self, id: &str, secret: &'a str) -> Self {
        Self { secret, ..self.with("AccessKeyId", id) }
    }

    fn at(self, time: DateTime<Utc>) -> Self {
        self.with("Timestamp", time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    fn signed(&self) -> Vec<(&str, String)> {
        let mut signed: Vec<_> = self.params.iter().map(|(n, v)| (*n, v.clone())).collect();
        if !signed.iter().any(|(name, _)| *name == "Signature") {
            signed.push(("Signature", sign(self.method, &self.as_params(), self.secret)));
        }
        signed
    }

    fn as_params(&self) -> Params {
        let pairs: Vec<String> = self
            .params
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        Params::read(Some(&pairs.join("&")), None, b"").unwrap()
    }
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

/// The answer with random parts replaced, after checking their format.
fn without_randomness(mut answered: Answered) -> Answered {
    let id = answered.body["RequestId"].as_str().unwrap_or_default();
    assert!(uuid::Uuid::parse_str(id).is_ok() && id == id.to_uppercase(), "{id}");
    answered.body["RequestId"] = json!("…");
    if let Some(credentials) = answered.body.get_mut("Credentials") {
        for (name, beginning) in
            [("AccessKeyId", "STS."), ("AccessKeySecret", ""), ("SecurityToken", "CAIS")]
        {
            let text = credentials[name].as_str().unwrap_or_default();
            assert!(text.starts_with(beginning) && text.len() > 20, "{name}: {text}");
            credentials[name] = json!(format!("{beginning}…"));
        }
    }
    answered
}
