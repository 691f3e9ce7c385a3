//! May they? Role policy, session policy and bucket ACL, in OSS's order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::Denied;
use crate::ram::{Decision, Policy, Principal, Ram, Request, decide};

/// What a bucket lets everybody do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acl {
    Private,
    PublicRead,
    PublicReadWrite,
}

/// A bucket as far as access to it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarded<'a> {
    /// The account whose bucket it is.
    pub(crate) owner: &'a str,
    pub(crate) acl: Acl,
}

/// What was decided, and by whom.
///
/// It goes out with the answer: the real OSS does not say so much, and a page that shows people how policies work needs it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Verdict {
    verdict: Said,
    /// Who had the last word.
    by: Layer,
    action: String,
    resource: String,
    /// What each layer says for itself; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_policy: Option<Layered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_policy: Option<Layered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_acl: Option<Acl>,
    #[serde(skip)]
    denied: Option<Denied>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Said {
    Allowed,
    Denied,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Layer {
    SessionPolicy,
    /// Of the role, or of the user.
    IdentityPolicy,
    BucketAcl,
    /// The account's own key needs no policy.
    Owner,
}

/// A decision by the statement that made it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layered {
    decision: &'static str,
    /// Among the policies that are attached, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<usize>,
    /// In the policy, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<usize>,
}

/// Decides one request. `None` for the principal is nobody; `None` for the bucket is the list of all buckets.
pub(crate) fn judge(
    ram: &Ram,
    principal: Option<&Principal>,
    request: &Request<'_>,
    bucket: Option<Guarded<'_>>,
) -> Verdict {
    let session = session_decision(principal, request);
    let (account, identity) = match principal {
        None => (None, None),
        Some(Principal::Root(account)) => (Some(account.as_str()), None),
        Some(Principal::User(user)) => {
            (Some(user.account.as_str()), Some(attached(&user.policies, request)))
        }
        Some(Principal::Session(session)) => match ram.roles.get(&session.role_arn) {
            Some(role) => (Some(role.account.as_str()), Some(attached(&role.policies, request))),
            // A role that is gone takes its sessions with it.
            None => (None, Some(Decision::ImplicitlyDenied)),
        },
    };
    // A policy gives rights in its own account only.
    let is_at_home = bucket.is_none_or(|bucket| account == Some(bucket.owner));
    let opened = bucket.is_some_and(|bucket| bucket.acl.opens(request.action));

    let (by, denied) = match (session, identity) {
        (Some(decision), _) if !decision.is_allowed() => {
            (Layer::SessionPolicy, Some(Denied::Policy))
        }
        (_, Some(Decision::ExplicitlyDenied(_))) => (Layer::IdentityPolicy, Some(Denied::Policy)),
        (_, Some(Decision::Allowed(_))) if is_at_home => (Layer::IdentityPolicy, None),
        (_, None) if account.is_some() && is_at_home => (Layer::Owner, None),
        _ if opened => (Layer::BucketAcl, None),
        _ => match principal {
            None => (Layer::BucketAcl, Some(Denied::Anonymous)),
            Some(Principal::Session(_)) => (Layer::IdentityPolicy, Some(Denied::Policy)),
            Some(Principal::User(_)) => (Layer::IdentityPolicy, Some(Denied::Acl)),
            Some(Principal::Root(_)) => (Layer::BucketAcl, Some(Denied::Acl)),
        },
    };
    Verdict {
        verdict: if denied.is_none() { Said::Allowed } else { Said::Denied },
        by,
        action: request.action.to_owned(),
        resource: request.resource.to_owned(),
        session_policy: session.map(Layered::from),
        identity_policy: identity.map(Layered::from),
        bucket_acl: bucket.map(|bucket| bucket.acl),
        denied,
    }
}

impl Verdict {
    /// Why not, if not.
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied.clone()
    }

    /// Compact JSON in ASCII, as a header can carry it.
    pub(crate) fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("texts and numbers are always JSON");
        let escaped = |c: char| match c {
            ' '..='~' => c.to_string(),
            _ => {
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

    /// Whether everybody may do it. What is about the bucket itself stays the owner's.
    fn opens(self, action: &str) -> bool {
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

impl From<Decision> for Layered {
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

/// What the session policy says, if there is a session and it has one.
fn session_decision(principal: Option<&Principal>, request: &Request<'_>) -> Option<Decision> {
    let Some(Principal::Session(session)) = principal else { return None };
    let json = session.policy.as_deref()?;
    // STS let no other in; one that cannot be read lets nothing through.
    let decision = Policy::parse(json).map(|policy| policy.decide(request));
    Some(decision.unwrap_or(Decision::ImplicitlyDenied))
}

fn attached(policies: &[Arc<Policy>], request: &Request<'_>) -> Decision {
    decide(policies.iter().map(Arc::as_ref), request)
}
