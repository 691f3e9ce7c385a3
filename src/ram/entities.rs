//! What RAM and IMS report about an account. Parsing is strict: a missing field is an error, never an empty text.

use secrecy::SecretString;
use serde_json::Value;

use super::error::InvalidAnswer;
use appserver_domain::{AccessKey, AccessKeyId, AccountId};

/// Who an AccessKey belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AdminIdentity {
    pub(crate) account: AccountId,
    /// Such as `acs:ram::11223344:user/admin`.
    pub(crate) arn: String,
}

/// A role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Role {
    pub(crate) arn: String,
    /// JSON, as it was written.
    pub(crate) trust: String,
    pub(crate) max_session_secs: u64,
}

/// Whether a policy is Alibaba's or the account's own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum PolicyKind {
    System,
    Custom,
}

/// A policy that is attached to a user or a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AttachedPolicy {
    pub(crate) name: String,
    pub(crate) kind: PolicyKind,
}

/// An AccessKey of a user, without its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyEntry {
    pub(crate) id: AccessKeyId,
    pub(crate) is_active: bool,
    /// As RAM wrote it: `2016-01-13T14:02:37Z`.
    pub(crate) created: String,
}

/// An AccessKey that was just made: RAM shows its secret once.
#[derive(Debug)]
pub(crate) struct NewAccessKey(pub(crate) AccessKey);

/// An OIDC provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
}

type Parsed<T> = Result<T, InvalidAnswer>;

/// The text in a member, which is not empty.
fn text<'a>(of: &'a Value, name: &'static str) -> Parsed<&'a str> {
    let text = of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or(InvalidAnswer::Lacks(name))
}

fn member<'a>(of: &'a Value, name: &'static str) -> Parsed<&'a Value> {
    of.get(name).ok_or(InvalidAnswer::Lacks(name))
}

/// The list in `{outer: {inner: […]}}`.
fn list<'a>(of: &'a Value, outer: &'static str, inner: &'static str) -> Parsed<&'a Vec<Value>> {
    member(member(of, outer)?, inner)?.as_array().ok_or(InvalidAnswer::Lacks(inner))
}

impl AdminIdentity {
    pub(super) fn read(answer: &Value) -> Parsed<Self> {
        let account = text(answer, "AccountId")?.parse();
        let account = account.map_err(|_| InvalidAnswer::Lacks("AccountId"))?;
        Ok(Self { account, arn: text(answer, "Arn")?.into() })
    }
}

impl Role {
    pub(super) fn read(answer: &Value) -> Parsed<Self> {
        const MAX: &str = "MaxSessionDuration";
        let role = member(answer, "Role")?;
        let max_session_secs = member(role, MAX)?.as_u64().ok_or(InvalidAnswer::Lacks(MAX))?;
        let trust = text(role, "AssumeRolePolicyDocument")?.into();
        Ok(Self { arn: text(role, "Arn")?.into(), trust, max_session_secs })
    }
}

impl PolicyKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Custom => "Custom",
        }
    }
}

impl AttachedPolicy {
    pub(super) fn list(answer: &Value) -> Parsed<Vec<Self>> {
        let one = |policy: &Value| {
            let kind = match text(policy, "PolicyType")? {
                "System" => PolicyKind::System,
                "Custom" => PolicyKind::Custom,
                _ => return Err(InvalidAnswer::Lacks("PolicyType")),
            };
            Ok(Self { name: text(policy, "PolicyName")?.into(), kind })
        };
        list(answer, "Policies", "Policy")?.iter().map(one).collect()
    }
}

/// The document of a policy's default version.
pub(super) fn policy_document(answer: &Value) -> Parsed<String> {
    Ok(text(member(answer, "DefaultPolicyVersion")?, "PolicyDocument")?.into())
}

impl KeyEntry {
    pub(super) fn list(answer: &Value) -> Parsed<Vec<Self>> {
        const ID: &str = "AccessKeyId";
        let one = |key: &Value| {
            let id = text(key, ID)?.parse().map_err(|_| InvalidAnswer::Lacks(ID))?;
            let is_active = text(key, "Status")?.eq_ignore_ascii_case("Active");
            Ok(Self { id, is_active, created: text(key, "CreateDate")?.into() })
        };
        list(answer, "AccessKeys", "AccessKey")?.iter().map(one).collect()
    }
}

impl NewAccessKey {
    pub(super) fn read(answer: &Value) -> Parsed<Self> {
        let key = member(answer, "AccessKey")?;
        let secret = SecretString::from(text(key, "AccessKeySecret")?);
        let key = AccessKey::new(text(key, "AccessKeyId")?, secret);
        key.map(Self).map_err(|_| InvalidAnswer::Lacks("AccessKeyId"))
    }
}

/// The network policy of an AccessKey: `None` if it never had one, or one without statements.
pub(super) fn network_policy(answer: &Value) -> Parsed<Option<Value>> {
    const POLICY: &str = "AccessKeyPolicy";
    let policy: Value = match text(answer, POLICY) {
        Ok(written) => serde_json::from_str(written).map_err(|_| InvalidAnswer::Lacks(POLICY))?,
        Err(_) => return Ok(None),
    };
    let statements = policy.get("Statements").and_then(Value::as_array);
    Ok(statements.is_some_and(|statements| !statements.is_empty()).then_some(policy))
}

impl Provider {
    pub(super) fn read(answer: &Value) -> Parsed<Self> {
        const IDS: &str = "ClientIds";
        let provider = member(answer, "OIDCProvider")?;
        // One text with commas; a list is read as well.
        let audiences = match member(provider, IDS)? {
            Value::String(ids) => ids.split(',').map(|id| id.trim().to_owned()).collect(),
            Value::Array(ids) => {
                let texts = ids.iter().map(|id| id.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or(InvalidAnswer::Lacks(IDS))?
            }
            _ => return Err(InvalidAnswer::Lacks(IDS)),
        };
        Ok(Self { issuer: text(provider, "IssuerUrl")?.into(), audiences })
    }
}
