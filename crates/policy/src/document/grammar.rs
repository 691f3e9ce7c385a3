//! The grammar of RAM's policy language. Templates, requested policies and role policies are all held to it, so that no
//! parser here accepts what STS would refuse.
//!
//! Written from RAM's documentation alone. Where the documentation is silent, the narrower form is required: a problem
//! found before the call names its place, which an error of STS does not.

use crate::document::operator::ConditionOperator;
use crate::document::problem::PolicyProblem;
use crate::document::tree::Document;
use crate::document::value::ValueFlaw;
use crate::document::value::ValuePlace;

impl Document<String> {
    /// Parses a policy without placeholders, or reports every problem in it.
    pub(crate) fn plain(json: &str) -> Result<Self, Vec<PolicyProblem>> {
        Self::read(json, |place, raw| match plain_flaw(place, raw) {
            None => Ok(raw.to_owned()),
            Some(flaw) => Err(vec![flaw]),
        })
    }
}

fn plain_flaw(place: ValuePlace<'_>, raw: &str) -> Option<ValueFlaw> {
    if raw.chars().any(char::is_control) {
        return Some(ValueFlaw::ControlCharacter);
    }
    match place {
        ValuePlace::Resource => (!is_resource(raw)).then_some(ValueFlaw::NotAnArn),
        ValuePlace::Condition { operator, .. } => kind_flaw(operator?, raw),
    }
}

/// A value that its operator does not take: STS refuses a policy that has one.
pub(crate) fn kind_flaw(operator: ConditionOperator, value: &str) -> Option<ValueFlaw> {
    (!operator.takes(value)).then_some(ValueFlaw::ValueKind { operator })
}

/// `service:Name`, or `*` alone: no other pattern covers service and name at once.
pub(crate) fn is_action(raw: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?' | '-' | '_');
    let named = |text: &str| !text.is_empty() && text.chars().all(plain);
    raw == "*" || raw.split_once(':').is_some_and(|(service, name)| named(service) && named(name))
}

/// `acs:<service>:<region>:<account>:<path>`, or fewer fields of which the last ends in a `*` for the rest, or `*`
/// alone.
pub(crate) fn is_resource(raw: &str) -> bool {
    let Some(fields) = raw.strip_prefix("acs:") else { return raw == "*" };
    match fields.splitn(4, ':').collect::<Vec<_>>()[..] {
        [service, region, account, path] => {
            !service.is_empty()
                && !path.is_empty()
                && [service, region, account].into_iter().all(is_field)
        }
        ref short => raw.ends_with('*') && short.iter().copied().all(is_field),
    }
}

/// The service, region or account of a resource.
fn is_field(field: &str) -> bool {
    field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '*' | '?'))
}

/// `<service>:<name>`; a name may contain a tag's key, which may be any visible text.
pub(crate) fn is_condition_key(raw: &str) -> bool {
    let named = raw.split_once(':').is_some_and(|(of, name)| !of.is_empty() && !name.is_empty());
    named && !raw.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_a_service_and_a_path() {
        for good in ["*", "acs:*", "acs:oss:*", "acs:oss:*:*:a", "acs:ram::11223344:role/reader"] {
            assert!(is_resource(good), "{good}");
        }
        for bad in [
            "",
            "acs:",
            "acs:oss",
            "acs::*:*:a",
            "acs:oss:*:*:",
            "acs:oss:*:a/b:c",
            "acs:o_s:*:*:a",
            "oss:*",
        ] {
            assert!(!is_resource(bad), "{bad}");
        }
    }

    #[test]
    fn a_condition_key_has_a_service_and_a_name() {
        for good in ["oss:Prefix", "oss:ExistingObjectTag/a b", "a:b:c"] {
            assert!(is_condition_key(good), "{good}");
        }
        for bad in ["", "oss", ":", "oss:", ":Prefix", "oss:Pre\u{7}fix"] {
            assert!(!is_condition_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_policy_without_placeholders_has_no_value_that_sts_refuses() {
        let policy = |resource: &str, condition: &str| {
            let json = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"{resource}",
                "Condition":{{{condition}}}}}]}}"#
            );
            match Document::plain(&json) {
                Ok(_) => String::new(),
                Err(problems) => {
                    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
                }
            }
        };
        let secure = |value: &str| format!(r#""Bool":{{"acs:SecureTransport":"{value}"}}"#);
        assert_eq!(policy("acs:oss:*:*:sample-bucket/*", &secure("true")), "");
        let refused = [
            policy("sample-bucket/*", &secure("true")),
            policy(r"acs:oss:*:*:sample-bucket/\u0007", &secure("true")),
            policy("acs:oss:*:*:sample-bucket/*", &secure("yes")),
        ];
        insta::assert_snapshot!(refused.join("\n"), @r#"
Statement[0].Resource: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
Statement[0].Resource: the text holds a control character
Statement[0].Condition.Bool.acs:SecureTransport: `Bool` takes "true" or "false": STS refuses anything else
"#);
    }
}
