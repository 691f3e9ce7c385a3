//! Evaluates policies: an explicit Deny wins over an Allow, and without either the request is denied.

use std::collections::BTreeMap;

use super::policy::Policy;
use super::statement::Effect;

/// An action on a resource, with condition keys.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    circumstances: BTreeMap<String, String>,
}

/// The result of evaluating policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// A statement allows the request, and none denies it.
    Allowed(Deciding),
    /// A statement denies the request.
    ExplicitlyDenied(Deciding),
    /// No statement applies.
    ImplicitlyDenied,
}

/// The first statement that decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deciding {
    /// The index of the policy, from 0.
    pub policy: usize,
    /// The index of the statement in the policy, from 0.
    pub statement: usize,
}

impl<'a> Request<'a> {
    /// A request such as `oss:GetObject` on `acs:oss:cn-hangzhou:11223344:sample-bucket/a.jpg`.
    pub fn new(action: &'a str, resource: &'a str) -> Self {
        Self { action, resource, circumstances: BTreeMap::new() }
    }

    /// Adds a condition key, such as `oss:Prefix`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.circumstances.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.circumstances.get(key).map(String::as_str)
    }
}

impl Decision {
    /// Whether the request may go ahead.
    pub fn is_allowed(self) -> bool {
        match self {
            Self::Allowed(_) => true,
            Self::ExplicitlyDenied(_) | Self::ImplicitlyDenied => false,
        }
    }

    /// Whether a statement denies the request, whatever others allow.
    pub(crate) fn is_explicitly_denied(self) -> bool {
        match self {
            Self::ExplicitlyDenied(_) => true,
            Self::Allowed(_) | Self::ImplicitlyDenied => false,
        }
    }
}

/// Evaluates all policies of one identity.
pub fn decide<'p>(
    policies: impl IntoIterator<Item = &'p Policy>,
    request: &Request<'_>,
) -> Decision {
    let applying = policies.into_iter().enumerate().flat_map(|(policy, document)| {
        let applying: Vec<_> = document.applying(request).collect();
        applying
            .into_iter()
            .map(move |(statement, effect)| (Deciding { policy, statement }, effect))
    });
    conclude(applying)
}

/// The decision of the statements that apply.
pub(crate) fn conclude(applying: impl Iterator<Item = (Deciding, Effect)>) -> Decision {
    let mut decision = Decision::ImplicitlyDenied;
    for (deciding, effect) in applying {
        match (effect, decision) {
            (Effect::Deny, _) => return Decision::ExplicitlyDenied(deciding),
            (Effect::Allow, Decision::ImplicitlyDenied) => decision = Decision::Allowed(deciding),
            (Effect::Allow, Decision::Allowed(_) | Decision::ExplicitlyDenied(_)) => {}
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRASS: &str = "acs:oss:cn-hangzhou:11223344:sample-bucket/2015/01/01/grass.jpg";

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap()
    }

    fn at(policy: usize, statement: usize) -> Deciding {
        Deciding { policy, statement }
    }

    #[test]
    fn deny_wins_over_allow_in_any_order_and_no_statement_denies() {
        let allow =
            r#"{"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:sample-bucket/*"}"#;
        let deny = r#"{"Effect":"Deny","Action":"oss:*","Resource":"*"}"#;
        let request = Request::new("oss:GetObject", GRASS);
        let decisions = [
            policy(allow).decide(&Request::new("oss:PutObject", GRASS)),
            policy(allow).decide(&request),
            policy(&format!("{allow},{deny}")).decide(&request),
            policy(&format!("{deny},{allow}")).decide(&request),
            decide([&policy(allow), &policy(deny)], &request),
        ];
        let expected = [
            Decision::ImplicitlyDenied,
            Decision::Allowed(at(0, 0)),
            Decision::ExplicitlyDenied(at(0, 1)),
            Decision::ExplicitlyDenied(at(0, 0)),
            Decision::ExplicitlyDenied(at(1, 0)),
        ];
        assert_eq!(decisions, expected);
    }

    #[test]
    fn the_first_statement_that_allows_is_named() {
        let other = r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"*"}"#;
        let first = r#"{"Effect":"Allow","Action":"OSS:getobject","Resource":"*"}"#;
        let second = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
        let decision = policy(&format!("{other},{first},{second}"))
            .decide(&Request::new("oss:GetObject", GRASS));
        assert_eq!(decision, Decision::Allowed(at(0, 1)));
    }

    #[test]
    fn not_action_covers_all_other_actions() {
        let policy = policy(r#"{"Effect":"Allow","NotAction":"oss:Delete*","Resource":"*"}"#);
        let allowed = ["oss:GetObject", "oss:DeleteObject", "OSS:DELETEBUCKET"]
            .map(|action| policy.decide(&Request::new(action, GRASS)).is_allowed());
        assert_eq!(allowed, [true, false, false]);
    }

    #[test]
    fn all_keys_and_operators_of_a_condition_must_hold() {
        let policy = policy(
            r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                "Condition":{"StringLike":{"oss:Prefix":["a/*","b/*"],"oss:Delimiter":"/"},
                             "Bool":{"acs:SecureTransport":"true"}}}"#,
        );
        let request = || Request::new("oss:ListObjects", "acs:oss:cn-hangzhou:1:sample-bucket");
        let complete = |prefix: &str| {
            request()
                .with("oss:Prefix", prefix)
                .with("oss:Delimiter", "/")
                .with("acs:SecureTransport", "true")
        };
        let allowed = [
            request(),
            complete("a/x"),
            complete("b/"),
            complete("c/"),
            complete("a/x").with("oss:Delimiter", "-"),
            complete("a/x").with("acs:SecureTransport", "false"),
        ]
        .map(|request| policy.decide(&request).is_allowed());
        assert_eq!(allowed, [false, true, true, false, false, false]);
    }
}
