//! The configuration's files, key by key. `config/default.toml` says the same to operators.

mod audit;
mod issuer;
mod limits;
mod reload;
mod store;
mod tickets;
mod tls;
mod tracing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use super::field::{Field, List};
use super::server::ListenAddress;
use super::settings::LogFormat;
use crate::auth::{CertificateName, SecretHash};
use crate::http::Origin;
use crate::server::{ForwardedHeader, TrustedNetwork};
use crate::sts::Endpoint;
use appserver_domain::{ExternalId, GrantName, RoleArn, RoleName};

pub(super) use audit::{RawAudit, RawDurability, RawOnFailure, RawSink};
pub(super) use issuer::{RawClaim, RawClaimRule, RawClaimType, RawIssuer, RawTypedClaim};
pub(super) use limits::{RawFailures, RawLimit, RawSubjectLimit};
pub(super) use reload::RawReload;
pub(super) use store::{RawRedis, RawStore, RawStoreKind};
pub(super) use tickets::RawTickets;
pub(super) use tls::{RawClientCertificates, RawTls};
pub(super) use tracing::RawTracing;

/// The whole configuration.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct RawSettings {
    pub(super) server: RawServer,
    pub(super) admin: RawAdmin,
    pub(super) log: RawLog,
    pub(super) reload: RawReload,
    pub(super) audit: RawAudit,
    pub(super) tracing: RawTracing,
    pub(super) sts: RawSts,
    pub(super) vend: RawVend,
    pub(super) store: RawStore,
    pub(super) tickets: RawTickets,
    pub(super) auth_failure_limit: RawFailures,
    /// RAM roles that grants assume, by a name of the operator's.
    pub(super) roles: BTreeMap<String, RawRole>,
    pub(super) grants: BTreeMap<String, RawGrant>,
    /// Identity providers whose tokens are believed, by a name of the operator's.
    pub(super) issuers: BTreeMap<String, RawIssuer>,
    /// Registered apps, by client id.
    pub(super) clients: BTreeMap<String, RawClient>,
}

/// The public listener.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawServer {
    /// Default 127.0.0.1:8080. Beyond loopback only with TLS or `behind_proxy`.
    pub(super) listen: Field<ListenAddress>,
    /// Default false. Says that someone else ends TLS in front of this listener.
    pub(super) behind_proxy: Field<bool>,
    /// Where callers reach it, such as `https://vend.example.com`. Tickets' URLs begin with it.
    pub(super) public_url: Field<String>,
    /// Default 10000. For one beyond it an idle one without an authenticated caller is closed; without one it is refused.
    pub(super) max_connections: Field<usize>,
    /// Default 1000, 0 for no bound. The same for each address, or /64 of IPv6; not behind a proxy that hides it.
    pub(super) max_connections_per_address: Field<usize>,
    /// Bytes, default 512 MiB. The same for what connections are reckoned to take.
    pub(super) max_connection_memory_bytes: Field<u64>,
    /// Default 4096. Connections beyond it that wait to be accepted are not seen, and their callers try again.
    pub(super) listen_backlog: Field<u32>,
    /// Default 128, of one HTTP/2 connection. A request beyond it waits.
    pub(super) max_streams: Field<u32>,
    /// Milliseconds, default 10000. Then the connection is closed.
    pub(super) header_timeout_ms: Field<u64>,
    /// Milliseconds, default 75000. Then the connection is closed.
    pub(super) idle_timeout_ms: Field<u64>,
    /// Milliseconds, default 5000. The same while nobody has authenticated on the connection.
    pub(super) unauthenticated_idle_timeout_ms: Field<u64>,
    /// Milliseconds, default 15000. Then the answer is 408 or 503.
    pub(super) request_timeout_ms: Field<u64>,
    /// Milliseconds, default 3000. How long SIGTERM only turns `/readyz` before new connections are refused.
    pub(super) lame_duck_ms: Field<u64>,
    /// Milliseconds, default 5000. Then connections are cut.
    pub(super) drain_timeout_ms: Field<u64>,
    pub(super) tls: RawTls,
    /// Networks, default none. Nobody else's word for a caller's address is taken.
    pub(super) trusted_proxies: Field<List<TrustedNetwork>>,
    /// `none` (default), `x-forwarded-for` or `forwarded`.
    pub(super) forwarded_header: Field<ForwardedHeader>,
    /// Default false. Connections begin with a PROXY header; then one without it is closed.
    pub(super) proxy_protocol: Field<bool>,
    /// Web origins, default none. Pages from elsewhere cannot read answers.
    pub(super) cors_origins: Field<List<Origin>>,
}

/// The admin listener.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAdmin {
    /// Default 127.0.0.1:9090.
    pub(super) listen: Field<ListenAddress>,
}

/// The log on standard error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLog {
    /// `json` (default) or `pretty`.
    pub(super) format: Field<LogFormat>,
    /// Default `info`. A level, or directives of tracing's `EnvFilter`.
    pub(super) filter: Field<String>,
}

/// The Security Token Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSts {
    /// Tried in turn. Default: the region's endpoint, or `https://sts.aliyuncs.com`.
    pub(super) endpoints: Field<List<Endpoint>>,
    /// Such as `cn-hangzhou`. Not together with `endpoints`.
    pub(super) region: Field<String>,
    /// Default false. The region's endpoint inside the VPC.
    pub(super) vpc: Field<bool>,
    /// Milliseconds, default 2000. Then the next endpoint is tried.
    pub(super) connect_timeout_ms: Field<u64>,
    /// Milliseconds, default 5000. Then the attempt counts as failed.
    pub(super) attempt_timeout_ms: Field<u64>,
    /// Default 4. Then the caller gets 503.
    pub(super) max_attempts: Field<NonZeroU32>,
    pub(super) access_key: RawAccessKey,
}

/// Keeping tokens and spending STS's quota.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawVend {
    /// Default 100000. Beyond it tokens that are asked for least are dropped.
    pub(super) max_cached_tokens: Field<usize>,
    /// Seconds, default 0: half of the token's life. With less left a new token is fetched.
    pub(super) min_remaining_secs: Field<u64>,
    /// Seconds, default 300. With less left a token is not even handed out while STS fails.
    pub(super) stale_remaining_secs: Field<u64>,
    /// Seconds, 0 to 60, default 60. Then STS is asked again.
    pub(super) negative_cache_secs: Field<u64>,
    /// Milliseconds, default 15000. Then who waits for the call gets its last error.
    pub(super) call_timeout_ms: Field<u64>,
    /// Default 10000. A caller beyond it is answered 503.
    pub(super) max_waiting: Field<usize>,
    pub(super) budget: RawBudget,
    pub(super) breaker: RawBreaker,
}

/// The share of STS's quota that may be spent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawBudget {
    /// Default 90. Callers beyond it wait, or are answered 503 if they would wait in vain.
    pub(super) calls_per_second: Field<u32>,
    /// Default 10. So many calls may be made at once after a pause.
    pub(super) burst: Field<u32>,
    /// Percent, default 20. Refreshing ahead waits beyond it.
    pub(super) refresh_percent: Field<u32>,
}

/// When STS counts as gone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawBreaker {
    /// Default 10. So many attempts in a row without an answer, and none is made for a while.
    pub(super) failures: Field<u32>,
    /// Milliseconds, default 5000. Then one call tries again.
    pub(super) open_ms: Field<u64>,
}

/// Where the RAM user's AccessKey comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAccessKey {
    /// `environment` (default), `files` or `demo`.
    pub(super) source: Field<RawSource>,
    /// For `files`: holds the AccessKey id. White space at its end is trimmed.
    pub(super) id_file: Field<PathBuf>,
    /// For `files`: holds the AccessKey secret. White space at its end is trimmed.
    pub(super) secret_file: Field<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum RawSource {
    Environment,
    Files,
    Demo,
}

impl TryFrom<String> for RawSource {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "environment" => Ok(Self::Environment),
            "files" => Ok(Self::Files),
            "demo" => Ok(Self::Demo),
            _ => Err("it must be `environment`, `files` or, in `appserver dev`, `demo`"),
        }
    }
}

/// A RAM role.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRole {
    /// Required.
    pub(super) arn: Field<RoleArn>,
    /// Seconds, 3600 to 43200, default 3600. The role's own MaxSessionDuration in RAM.
    pub(super) max_session_duration_secs: Field<u32>,
    /// Default false. The role belongs to another account than the AccessKey.
    pub(super) cross_account: Field<bool>,
}

/// A named entitlement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawGrant {
    /// Required. A key of `roles`.
    pub(super) role: Field<RoleName>,
    /// Required. The file of the policy template, from this file's folder.
    pub(super) policy: Field<PathBuf>,
    /// Default `${client}`, `${client}.${subject}` where the policy uses the subject, and `${client}.${issuer}.${subject}` where
    /// it uses the issuer, too.
    pub(super) session_name: Field<String>,
    /// Seconds, default 900. Shorter asked durations are refused.
    pub(super) min_duration_secs: Field<u32>,
    /// Seconds, default 3600. What callers get who do not ask.
    pub(super) default_duration_secs: Field<u32>,
    /// Seconds, default: the role's maximum. Longer asked durations are refused.
    pub(super) max_duration_secs: Field<u32>,
    /// Sent to STS where the role's trust policy asks for one.
    pub(super) external_id: Field<ExternalId>,
    /// A template as `session_name`; ActionTrail keeps it for the session's whole life.
    pub(super) source_identity: Field<String>,
    /// Default false. Lets in a policy that allows everything, with a reason.
    pub(super) allow_broad: Field<bool>,
    /// Why; required with `allow_broad`.
    pub(super) allow_broad_reason: Field<String>,
    /// Why users of different issuers with one subject or claim are one user here. Without it such a grant is refused.
    pub(super) shared_subjects: Field<String>,
    /// Bytes, 1 to 256, default 128, of a subject as it is written. Longer subjects are refused by policies that use them.
    pub(super) subject_max_length_bytes: Field<usize>,
    /// What callers must say, by name.
    pub(super) parameters: BTreeMap<String, RawValueRule>,
    /// What the credential must prove, by claim.
    pub(super) claims: BTreeMap<String, RawValueRule>,
}

/// What may stand for a placeholder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawValueRule {
    /// Required: `segment`, `path` or `enum`.
    pub(super) kind: Field<RawKind>,
    /// An anchored regular expression on the whole value.
    pub(super) pattern: Field<String>,
    /// Bytes, 1 to 1023, default 64. Longer values are refused.
    pub(super) max_length_bytes: Field<usize>,
    /// For `enum`: the values.
    pub(super) values: Field<List<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum RawKind {
    Segment,
    Path,
    Enum,
}

impl TryFrom<String> for RawKind {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "segment" => Ok(Self::Segment),
            "path" => Ok(Self::Path),
            "enum" => Ok(Self::Enum),
            _ => Err("it must be `segment`, `path` or `enum`"),
        }
    }
}

/// A registered app.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawClient {
    /// Keys of `grants`.
    pub(super) grants: Field<List<GrantName>>,
    /// SHA-256 of the client's secret: none, one, or two while it is rotated.
    pub(super) secret_sha256: Field<List<SecretHash>>,
    /// Names in the client's certificates, default none. No two clients may have one in common.
    pub(super) certificates: Field<List<CertificateName>>,
    /// Default true. A disabled client is answered 403.
    pub(super) enabled: Field<bool>,
    /// Default none.
    pub(super) limit: Option<RawLimit>,
    /// Default none. For each user that a token proves.
    pub(super) subject_limit: Option<RawSubjectLimit>,
}
