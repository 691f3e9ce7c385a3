//! Decides whether a grant's own session may sign one request for a caller.

use crate::document::tree::{Document, Effect, Statement};
use crate::evaluate::decision::Relevance;
use crate::evaluate::request::Request;
use crate::session::grant_session_policy::GrantSessionPolicy;
use crate::session::session_policy::SessionPolicy;

impl GrantSessionPolicy {
    /// Whether the caller's policy, too, allows the request whenever this one does.
    ///
    /// OSS decides a signed request by this policy alone, and it covers the objects of all callers of the grant. Conditions
    /// depend on the request that OSS gets and stay open where both policies have the same: OSS will check them. Any other
    /// difference is decided against the caller.
    pub fn signs_for(&self, caller: &SessionPolicy, request: &Request) -> bool {
        let [own, caller] = [self.as_str(), caller.as_str()].map(|json| {
            Document::plain(json).expect("a session policy is written by us").canonicalize()
        });
        let [own, caller] = [&own, &caller].map(|policy| Concerned::of(policy, request));
        // A denial of the caller that this policy has as well is checked by OSS.
        let is_kept = |denial: &&Statement<String>| {
            !denial.condition.is_empty() && has_condition_of(&own.denials, denial)
        };
        if !caller.denials.iter().all(is_kept) || caller.allowances.is_empty() {
            return false;
        }
        let is_unconditional = |one: &&Statement<String>| one.condition.is_empty();
        caller.allowances.iter().any(is_unconditional)
            || own.allowances.iter().all(|own| has_condition_of(&caller.allowances, own))
    }
}

/// The statements of a policy that concern a request, whatever their conditions.
struct Concerned<'a> {
    allowances: Vec<&'a Statement<String>>,
    denials: Vec<&'a Statement<String>>,
}

impl<'a> Concerned<'a> {
    fn of(policy: &'a Document<String>, request: &Request) -> Self {
        let concerns = |statement: &&Statement<String>| match statement.relevance(request) {
            Relevance::Applies | Relevance::Unmet { .. } => true,
            Relevance::OtherActions | Relevance::OtherResources => false,
        };
        let (allowances, denials) = policy
            .statements
            .iter()
            .filter(concerns)
            .partition(|statement| statement.effect == Effect::Allow);
        Self { allowances, denials }
    }
}

fn has_condition_of(statements: &[&Statement<String>], other: &Statement<String>) -> bool {
    statements.iter().any(|statement| statement.condition == other.condition)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::session::grant_session_policy::ObjectActions;
    use crate::union::tests::{grant, policy};

    const KEY: &str = "users/alice/cat.jpg";

    /// What a grant's session signs for a caller with this policy.
    fn signs(template: &[Value], caller: &[Value]) -> bool {
        let own = grant(&policy(template)).unwrap().grant_session_policy(ObjectActions::Put);
        let resource = format!("acs:oss:*:*:bucket/{KEY}");
        let request = Request::new("oss:PutObject", &resource, BTreeMap::new()).unwrap();
        own.unwrap().signs_for(&SessionPolicy::for_tests(&policy(caller)), &request)
    }

    fn statement(effect: &str, keys: &str, condition: Option<Value>) -> Value {
        let resource = format!("acs:oss:*:*:bucket/{keys}");
        let mut statement =
            json!({ "Effect": effect, "Action": "oss:PutObject", "Resource": resource });
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        statement
    }

    #[test]
    fn a_grant_signs_what_the_callers_own_policy_allows() {
        let tls = || Some(json!({ "Bool": { "acs:SecureTransport": "true" } }));
        let office =
            || Some(json!({ "IpAddress": { "acs:SourceIp": ["10.0.0.0/8", "192.0.2.7"] } }));
        let reordered =
            || Some(json!({ "IpAddress": { "acs:SourceIp": ["192.0.2.7", "10.0.0.0/8"] } }));
        let allow = |keys: &str, condition| statement("Allow", keys, condition);
        let deny = |keys: &str, condition| statement("Deny", keys, condition);
        let own = "users/${subject}/*";
        let (alice, bob) = ("users/alice/*", "users/bob/*");
        let all = "users/*";
        for (what, template, caller, expected) in [
            ("its own key", vec![allow(own, None)], vec![allow(alice, None)], true),
            ("another's key", vec![allow(own, None)], vec![allow(bob, None)], false),
            ("an equal condition", vec![allow(own, tls())], vec![allow(alice, tls())], true),
            (
                "an equal condition in another order",
                vec![allow(own, office())],
                vec![allow(alice, reordered())],
                true,
            ),
            (
                "the session is allowed it by a statement that is not the caller's",
                vec![allow(own, tls()), allow("users/${params.album}/*", None)],
                vec![allow(alice, tls()), allow("users/cats/*", None)],
                false,
            ),
            (
                "one of the caller's has no condition",
                vec![allow(own, tls()), allow("users/${params.album}/*", None)],
                vec![allow(alice, tls()), allow(alice, None)],
                true,
            ),
            (
                "denied",
                vec![allow(own, None), deny(all, None)],
                vec![allow(alice, None), deny(all, None)],
                false,
            ),
            (
                "denied on a condition that OSS checks",
                vec![allow(own, None), deny(all, tls())],
                vec![allow(alice, None), deny(all, tls())],
                true,
            ),
            (
                "denied on a condition that OSS does not check",
                vec![allow(own, None), deny(all, tls())],
                vec![allow(alice, None), deny(all, office())],
                false,
            ),
            (
                "denied where OSS does not check it",
                vec![allow(own, None), deny("raw/*", tls())],
                vec![allow(alice, None), deny(all, tls())],
                false,
            ),
        ] {
            assert_eq!(signs(&template, &caller), expected, "{what}");
        }
    }
}
