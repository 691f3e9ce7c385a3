//! The decision by RAM's rules: an explicit denial outweighs an Allow, and what nothing allows is denied.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Document, Effect, Statement};
use crate::evaluate::request::Request;
use crate::matching::resource::ResourcePattern;

/// The decision of a policy about a request, with the index of the first statement that decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Allowed { statement: usize },
    ExplicitlyDenied { statement: usize },
    ImplicitlyDenied,
}

/// Whether a statement applies to a request, or why it does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relevance<'a> {
    Applies,
    OtherActions,
    OtherResources,
    /// The request does not satisfy this condition.
    Unmet {
        operator: ConditionOperator,
        key: &'a str,
    },
}

impl Verdict {
    pub(crate) fn is_allowed(self) -> bool {
        match self {
            Self::Allowed { .. } => true,
            Self::ExplicitlyDenied { .. } | Self::ImplicitlyDenied => false,
        }
    }

    /// RAM's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allowed { .. } => "Allowed",
            Self::ExplicitlyDenied { .. } => "ExplicitlyDenied",
            Self::ImplicitlyDenied => "ImplicitlyDenied",
        }
    }
}

impl Document<String> {
    /// The decision of this policy alone.
    pub(crate) fn decide(&self, request: &Request) -> Verdict {
        let mut verdict = Verdict::ImplicitlyDenied;
        for (i, statement) in self.statements.iter().enumerate() {
            if statement.relevance(request) != Relevance::Applies {
                continue;
            }
            match (statement.effect, verdict) {
                (Effect::Deny, _) => return Verdict::ExplicitlyDenied { statement: i },
                (Effect::Allow, Verdict::ImplicitlyDenied) => {
                    verdict = Verdict::Allowed { statement: i };
                }
                (Effect::Allow, Verdict::Allowed { .. } | Verdict::ExplicitlyDenied { .. }) => {}
            }
        }
        verdict
    }
}

/// The decision of several policies of one identity, with the index of the policy that decides: a denial of any, else
/// an Allow of any.
pub(crate) fn decide_together(
    policies: &[Document<String>],
    request: &Request,
) -> (usize, Verdict) {
    let verdicts: Vec<_> =
        policies.iter().map(|policy| policy.decide(request)).enumerate().collect();
    let first = |wanted: fn(&Verdict) -> bool| verdicts.iter().find(|(_, verdict)| wanted(verdict));
    let denied = first(|verdict| matches!(verdict, Verdict::ExplicitlyDenied { .. }));
    let decided = denied.or_else(|| first(|verdict| verdict.is_allowed()));
    decided.copied().unwrap_or((0, Verdict::ImplicitlyDenied))
}

impl Statement<String> {
    pub(crate) fn relevance(&self, request: &Request) -> Relevance<'_> {
        let matches = |pattern: &String| ResourcePattern::new(pattern).matches(request.resource());
        if !self.actions.covers(request.action()) {
            Relevance::OtherActions
        } else if !self.resource.as_slice().iter().any(matches) {
            Relevance::OtherResources
        } else {
            self.failed_condition(request).unwrap_or(Relevance::Applies)
        }
    }

    /// Whether RAM's documentation leaves the result of one of its conditions open.
    pub(crate) fn is_undocumented(&self, request: &Request) -> bool {
        self.condition.iter().any(|(operator, keys)| {
            keys.iter().any(|(key, values)| {
                let actual = request.value(key);
                actual.is_some_and(|actual| operator.is_undocumented(values.as_slice(), actual))
            })
        })
    }

    /// The first condition that does not hold; all keys under all operators must.
    fn failed_condition(&self, request: &Request) -> Option<Relevance<'_>> {
        let conditions = self.condition.iter().flat_map(|(operator, keys)| {
            keys.iter().map(move |(key, values)| (*operator, key, values))
        });
        let holds = |operator: ConditionOperator, key: &str, values: &[String]| {
            operator.holds(values, request.value(key))
        };
        conditions
            .filter(|(operator, key, values)| !holds(*operator, key, values.as_slice()))
            .map(|(operator, key, _)| Relevance::Unmet { operator, key })
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> Document<String> {
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap()
    }

    fn request(action: &str, conditions: &[(&str, &str)]) -> Request {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let conditions = conditions.iter().map(owned).collect();
        Request::new(action, "acs:oss:*:*:sample-bucket/a/b.jpg", conditions).unwrap()
    }

    const ALLOW: &str =
        r#"{"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:sample-bucket/*"}"#;
    const DENY: &str = r#"{"Effect":"Deny","Action":"oss:*","Resource":"*"}"#;

    #[test]
    fn a_denial_outweighs_an_allow_in_any_order_and_the_default_is_denial() {
        for (statements, action, verdict) in [
            (ALLOW.to_owned(), "oss:PutObject", Verdict::ImplicitlyDenied),
            (ALLOW.to_owned(), "oss:HeadObject", Verdict::Allowed { statement: 0 }),
            (
                format!("{ALLOW},{DENY}"),
                "oss:GetObject",
                Verdict::ExplicitlyDenied { statement: 1 },
            ),
            (
                format!("{DENY},{ALLOW}"),
                "oss:GetObject",
                Verdict::ExplicitlyDenied { statement: 0 },
            ),
            (format!("{ALLOW},{ALLOW}"), "oss:GetObject", Verdict::Allowed { statement: 0 }),
        ] {
            assert_eq!(policy(&statements).decide(&request(action, &[])), verdict, "{statements}");
        }
    }

    #[test]
    fn policies_of_one_identity_add_up_and_any_of_them_denies() {
        let get = request("oss:GetObject", &[]);
        let put = policy(&ALLOW.replace("Get*", "PutObject"));
        let (allow, deny) = (policy(ALLOW), policy(DENY));
        let decide = |policies: &[&Document<String>]| {
            decide_together(&policies.iter().map(|one| (*one).clone()).collect::<Vec<_>>(), &get)
        };
        assert_eq!(decide(&[&put, &allow]), (1, Verdict::Allowed { statement: 0 }));
        assert_eq!(decide(&[&allow, &put, &deny]), (2, Verdict::ExplicitlyDenied { statement: 0 }));
        assert_eq!(decide(&[&put]), (0, Verdict::ImplicitlyDenied));
        assert_eq!(decide(&[]), (0, Verdict::ImplicitlyDenied));
    }

    #[test]
    fn all_keys_and_operators_of_a_condition_must_hold_and_the_first_that_fails_is_named() {
        let policy = policy(
            r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"*","Condition":{
                "StringLike":{"oss:Prefix":["a/*","b/*"],"oss:Delimiter":"/"},
                "Bool":{"acs:SecureTransport":"true"}}}"#,
        );
        let relevance = |conditions: &[(&str, &str)]| {
            format!("{:?}", policy.statements[0].relevance(&request("oss:GetObject", conditions)))
        };
        let (prefix, delimiter, tls) =
            (("oss:Prefix", "b/x"), ("oss:Delimiter", "/"), ("acs:SecureTransport", "true"));
        assert_eq!(relevance(&[prefix, delimiter, tls]), "Applies");
        for (conditions, expected) in [
            (vec![], r#"Unmet { operator: Bool, key: "acs:SecureTransport" }"#),
            (vec![prefix, tls], r#"Unmet { operator: StringLike, key: "oss:Delimiter" }"#),
            (
                vec![("oss:Prefix", "c/"), delimiter, tls],
                r#"Unmet { operator: StringLike, key: "oss:Prefix" }"#,
            ),
        ] {
            assert_eq!(relevance(&conditions), expected);
        }
    }
}
