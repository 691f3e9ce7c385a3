//! Serves one request to the metadata server: applies faults, checks the metadata token, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::any;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::answer::Answer;
use super::instance::{HttpTokens, Instance};
use super::metadata_tokens::MetadataTokens;
use super::role_credentials::{InstanceSession, RoleCredentials};
use crate::control::{Call, EmulatorControl, Fault};
use crate::gateway::format_time;
use crate::ram::{Request as RamRequest, Role, SharedRam, TokenKey, Trustee};

const TOKEN_PATH: &str = "/latest/api/token";
const ROLE_PATH: &str = "/latest/meta-data/ram/security-credentials";
const TTL_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
/// The service that a role must trust to be the role of an instance.
const ECS: &str = "ecs.aliyuncs.com";

pub(crate) struct Metadata {
    instance: Instance,
    ram: Arc<SharedRam>,
    control: EmulatorControl,
    tokens: MetadataTokens,
    credentials: RoleCredentials,
}

/// What is requested; faults and the log of calls name it so.
#[derive(Clone, Copy)]
enum Operation<'a> {
    CreateToken,
    GetRoleName,
    GetCredentials { role: &'a str },
    Unknown,
}

pub(crate) fn routes(metadata: Metadata) -> Router {
    // Every path and method, so that the log of calls has them all.
    Router::new().fallback(any(answer)).with_state(Arc::new(metadata))
}

async fn answer(State(metadata): State<Arc<Metadata>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let operation = Operation::of(&parts.method, parts.uri.path());
    let control = &metadata.control;
    let request_id = Uuid::new_v4().to_string().to_uppercase();
    let parameters = recorded(&parts.headers);
    let method = parts.method.as_str();
    let call = Call::of_metadata(control.now(), method, operation.name(), parameters, &request_id);
    let pending = control.metadata_calls.arrived(call);
    let faults = &control.metadata_faults;
    let (delay, skew) = faults.on_arrival(operation.name());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let now = control.now() + skew;
    let is_beyond_quota = faults.beyond_quota(operation.name(), control.now()).is_some();
    let fault = if is_beyond_quota { None } else { faults.on_answer(operation.name()) };
    let is_throttled = is_beyond_quota || matches!(fault, Some(Fault::Throttle { .. }));
    let answer = if is_throttled {
        Answer::Refusal(StatusCode::TOO_MANY_REQUESTS)
    } else {
        let life = faults.lifetime(operation.name());
        metadata.answer(operation, &parts.headers, now, life)
    };
    let outcome = fault.as_ref().map(|fault| fault.name().to_owned());
    pending.answered(outcome.unwrap_or_else(|| answer.outcome()));
    answer.into_response(now, fault.as_ref())
}

impl Metadata {
    pub(crate) fn new(
        instance: Instance,
        ram: Arc<SharedRam>,
        token_key: TokenKey,
        control: EmulatorControl,
    ) -> Self {
        let (tokens, credentials) = (MetadataTokens::new(), RoleCredentials::new(token_key));
        Self { instance, ram, control, tokens, credentials }
    }

    /// The statuses 400, 403 and 404 are not all documented: an invalid life of a token is 400, a request through a proxy and an invalid
    /// or missing token are 403, and what does not exist is 404.
    fn answer(
        &self,
        operation: Operation<'_>,
        headers: &HeaderMap,
        now: DateTime<Utc>,
        scripted_life: Option<TimeDelta>,
    ) -> Answer {
        match operation {
            Operation::CreateToken => self.create_token(headers, now),
            Operation::GetRoleName | Operation::GetCredentials { .. }
                if !self.admits(headers, now) =>
            {
                Answer::Refusal(StatusCode::FORBIDDEN)
            }
            Operation::GetRoleName => match self.role() {
                Some(role) => Answer::Text(role.name.clone()),
                None => Answer::Refusal(StatusCode::NOT_FOUND),
            },
            Operation::GetCredentials { role: name } => match self.role() {
                Some(role) if role.name == name => self.document(&role, now, scripted_life),
                Some(_) | None => Answer::Refusal(StatusCode::NOT_FOUND),
            },
            Operation::Unknown => Answer::Refusal(StatusCode::NOT_FOUND),
        }
    }

    fn create_token(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Answer {
        if self.instance.http_tokens == HttpTokens::Unsupported {
            return Answer::Refusal(StatusCode::NOT_FOUND);
        }
        if headers.contains_key("x-forwarded-for") {
            return Answer::Refusal(StatusCode::FORBIDDEN);
        }
        let life = headers.get(TTL_HEADER).and_then(|life| life.to_str().ok());
        match self.tokens.issue(life, now) {
            Some(token) => Answer::Text(token),
            None => Answer::Refusal(StatusCode::BAD_REQUEST),
        }
    }

    /// Whether the request has the token that it needs. A token that is sent must be valid even where none is needed.
    fn admits(&self, headers: &HeaderMap, now: DateTime<Utc>) -> bool {
        match (self.instance.http_tokens, headers.get(TOKEN_HEADER)) {
            (HttpTokens::Unsupported, _) | (HttpTokens::Optional, None) => true,
            (HttpTokens::Required, None) => false,
            (HttpTokens::Optional | HttpTokens::Required, Some(token)) => {
                token.to_str().is_ok_and(|token| self.tokens.is_valid(token, now))
            }
        }
    }

    /// The instance's role, if it exists.
    fn role(&self) -> Option<Arc<Role>> {
        self.ram.load().roles.get(self.instance.role_arn.as_deref()?).cloned()
    }

    /// The document with the role's credentials; without them if the role does not trust ECS.
    fn document(
        &self,
        role: &Role,
        now: DateTime<Utc>,
        scripted_life: Option<TimeDelta>,
    ) -> Answer {
        let arn = role.arn();
        let request = RamRequest::new("sts:AssumeRole", &arn);
        let document = if role.trust.parsed().decide(Trustee::Service(ECS), &request).is_allowed() {
            let InstanceSession { session, security_token, last_updated } =
                self.credentials.at(now, role, scripted_life);
            json!({
                "AccessKeyId": session.access_key_id,
                "AccessKeySecret": session.access_key_secret.expose_secret(),
                "Expiration": format_time(session.expiration),
                "SecurityToken": security_token.expose_secret(),
                "LastUpdated": format_time(last_updated),
                "Code": "Success",
            })
        } else {
            // Every client refuses a `Code` other than `Success`; the words for failures are not documented.
            json!({ "LastUpdated": format_time(now), "Code": "Failed" })
        };
        match document {
            serde_json::Value::Object(document) => Answer::Document(document),
            _ => unreachable!("both are objects"),
        }
    }
}

impl<'a> Operation<'a> {
    fn of(method: &Method, path: &'a str) -> Self {
        let below_roles = path.strip_prefix(ROLE_PATH);
        match (method, path, below_roles) {
            (&Method::PUT, TOKEN_PATH, _) => Self::CreateToken,
            (&Method::GET, _, Some("" | "/")) => Self::GetRoleName,
            (&Method::GET, _, Some(role)) => match role.strip_prefix('/') {
                Some(role) => Self::GetCredentials { role },
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CreateToken => "CreateToken",
            Self::GetRoleName => "GetRoleName",
            Self::GetCredentials { .. } => "GetCredentials",
            Self::Unknown => "Unknown",
        }
    }
}

/// What the log of calls keeps of the headers: no token.
fn recorded(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &str| Some(headers.get(name)?.to_str().unwrap_or_default().to_owned());
    let recorded = [
        ("TtlSeconds", text(TTL_HEADER)),
        ("HasToken", headers.contains_key(TOKEN_HEADER).then(|| "true".to_owned())),
        ("ForwardedFor", text("x-forwarded-for")),
    ];
    recorded.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
