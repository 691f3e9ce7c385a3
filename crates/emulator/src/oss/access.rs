//! Access decisions by session policy, identity policy, bucket policy and bucket ACL, in OSS's order.

use serde::{Deserialize, Serialize};

use super::error::Denied;
use crate::ram::{BucketPolicy, Decision, Policy, Principal, Ram, Request};

/// The actions on a bucket's policy itself.
const POLICY_ACTIONS: [&str; 3] =
    ["oss:PutBucketPolicy", "oss:GetBucketPolicy", "oss:DeleteBucketPolicy"];

/// The ACL of a bucket: the access of everyone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acl {
    Private,
    PublicRead,
    PublicReadWrite,
}

/// The owner, policy and ACL of a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketAccess<'a> {
    /// The account that owns the bucket.
    pub(crate) owner: &'a str,
    pub(crate) policy: Option<&'a BucketPolicy>,
    pub(crate) acl: Acl,
}

/// A decision, and the layer that made it.
///
/// It is sent with the answer, for the page that shows how policies work; the real OSS sends less.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessDecision {
    #[serde(rename = "Verdict")]
    outcome: Outcome,
    /// The layer that decided.
    by: Layer,
    action: String,
    resource: String,
    /// The decision of each layer that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_policy: Option<LayerDecision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_policy: Option<LayerDecision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_policy: Option<LayerDecision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_acl: Option<Acl>,
    #[serde(skip)]
    denied: Option<Denied>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Outcome {
    Allowed,
    Denied,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Layer {
    SessionPolicy,
    /// The policies of the role or user.
    IdentityPolicy,
    BucketPolicy,
    BucketAcl,
    /// The account itself, which needs no policy.
    Owner,
}

/// The decision of one layer, and the statement that made it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayerDecision {
    decision: &'static str,
    /// The index among the attached policies, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<usize>,
    /// The index in the policy, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<usize>,
}

/// Decides one request. Without a principal it is anonymous; without a bucket it lists all buckets.
pub(crate) fn decide_access(
    ram: &Ram,
    principal: Option<&Principal>,
    request: &Request<'_>,
    bucket: Option<BucketAccess<'_>>,
) -> AccessDecision {
    let session = session_decision(principal, request);
    let (account, identity) = match principal {
        None => (None, None),
        Some(Principal::Root(account)) => (Some(account.as_str()), None),
        Some(Principal::User(user)) => {
            let decision = ram.decide(&user.account, &user.attached, request);
            (Some(user.account.as_str()), Some(decision))
        }
        Some(Principal::Session(session)) => match ram.role_of(session) {
            Some(role) => {
                let decision = ram.decide(&role.account, &role.attached, request);
                (Some(role.account.as_str()), Some(decision))
            }
            // Sessions of a deleted role are invalid.
            None => (None, Some(Decision::ImplicitlyDenied)),
        },
    };
    // A policy grants access in its own account only.
    let is_own_account = bucket.is_none_or(|bucket| account == Some(bucket.owner));
    let by_bucket = bucket.and_then(|bucket| bucket.policy);
    let by_bucket = by_bucket.map(|policy| policy.decide(principal, request));
    // Or else nobody could take back a policy that denies everything to everyone.
    let is_owner = matches!(principal, Some(Principal::Root(_))) && is_own_account;
    let can_repair = is_owner && POLICY_ACTIONS.contains(&request.action);
    // A bucket policy does not bring back the sessions of a deleted role.
    let is_valid = principal.is_none() || account.is_some();
    let is_public = bucket.is_some_and(|bucket| bucket.acl.is_public_for(request.action));

    let (by, denied) = match (session, identity) {
        (Some(decision), _) if !decision.is_allowed() => {
            (Layer::SessionPolicy, Some(Denied::Policy))
        }
        (_, Some(Decision::ExplicitlyDenied(_))) => (Layer::IdentityPolicy, Some(Denied::Policy)),
        // A Deny of the bucket applies to its owner, too.
        _ if !can_repair && by_bucket.is_some_and(Decision::is_explicitly_denied) => {
            (Layer::BucketPolicy, Some(Denied::BucketPolicy))
        }
        (_, Some(Decision::Allowed(_))) if is_own_account => (Layer::IdentityPolicy, None),
        (_, None) if account.is_some() && is_own_account => (Layer::Owner, None),
        _ if is_valid && by_bucket.is_some_and(Decision::is_allowed) => (Layer::BucketPolicy, None),
        _ if is_public => (Layer::BucketAcl, None),
        _ => match principal {
            None => (Layer::BucketAcl, Some(Denied::Anonymous)),
            Some(Principal::Session(_)) => (Layer::IdentityPolicy, Some(Denied::Policy)),
            Some(Principal::User(_)) => (Layer::IdentityPolicy, Some(Denied::Acl)),
            Some(Principal::Root(_)) => (Layer::BucketAcl, Some(Denied::Acl)),
        },
    };
    AccessDecision {
        outcome: if denied.is_none() { Outcome::Allowed } else { Outcome::Denied },
        by,
        action: request.action.to_owned(),
        resource: request.resource.to_owned(),
        session_policy: session.map(LayerDecision::from),
        identity_policy: identity.map(LayerDecision::from),
        bucket_policy: by_bucket.map(LayerDecision::from),
        bucket_acl: bucket.map(|bucket| bucket.acl),
        denied,
    }
}

impl AccessDecision {
    /// The reason of a denial.
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// Compact JSON in ASCII, for a header.
    pub(crate) fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("texts and numbers are always JSON");
        let escaped = |c: char| {
            if let ' '..='~' = c {
                c.to_string()
            } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }
        };
        json.chars().map(escaped).collect()
    }
}

impl Acl {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
        }
    }

    /// Whether everyone has access. Actions on the bucket itself stay with the owner.
    fn is_public_for(self, action: &str) -> bool {
        let reads = ["oss:GetObject", "oss:ListObjects"];
        let writes =
            ["oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload", "oss:ListParts"];
        match self {
            Self::Private => false,
            Self::PublicRead => reads.contains(&action),
            Self::PublicReadWrite => reads.contains(&action) || writes.contains(&action),
        }
    }
}

impl From<Decision> for LayerDecision {
    fn from(decision: Decision) -> Self {
        let (name, deciding) = match decision {
            Decision::Allowed(deciding) => ("Allowed", Some(deciding)),
            Decision::ExplicitlyDenied(deciding) => ("ExplicitlyDenied", Some(deciding)),
            Decision::ImplicitlyDenied => ("ImplicitlyDenied", None),
        };
        Self {
            decision: name,
            policy: deciding.map(|deciding| deciding.policy),
            statement: deciding.map(|deciding| deciding.statement),
        }
    }
}

/// The decision of the session policy, if there is one.
fn session_decision(principal: Option<&Principal>, request: &Request<'_>) -> Option<Decision> {
    let Some(Principal::Session(session)) = principal else { return None };
    let json = session.policy.as_deref()?;
    // STS accepts only valid policies; an unreadable one denies everything.
    let decision = Policy::parse(json).map(|policy| policy.decide(request));
    Some(decision.unwrap_or(Decision::ImplicitlyDenied))
}
