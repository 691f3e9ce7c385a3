//! Explains why a request is allowed or not, by the session policy that would go to STS.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::document::problem::PolicyProblem;
use crate::document::tree::{Document, Effect, Statement};
use crate::evaluate::decision::{Relevance, Verdict, decide_together};
use crate::evaluate::request::Request;
use crate::lint::unknown_names;
use crate::session::session_policy::SessionPolicy;

/// A verdict with its reasons, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Explanation {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// The decision by RAM's rules: a denial outweighs an allowance, and what no statement allows is denied implicitly.
    pub verdict: &'static str,
    /// The statement that decides, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What was requested about, where another action allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The action that was requested about.
    pub action: String,
    /// The resource that was requested about.
    pub resource: String,
    /// What the decision covers, and what it leaves out.
    pub scope: &'static str,
    /// What of the request is not known here, or does not go together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Each statement of the policy, in its order.
    pub statements: Vec<StatementVerdict>,
    /// The session policy, byte for byte.
    pub policy: Box<RawValue>,
}

/// One statement's part in the verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatementVerdict {
    /// Where the statement is: `Statement[0]`.
    pub statement: String,
    /// Its effect.
    pub effect: &'static str,
    /// Whether the statement applies to the request.
    pub applies: bool,
    /// Why it applies or does not.
    pub because: String,
}

/// A policy that is attached to a role; together they bound what a session of the role may do.
#[derive(Debug)]
pub struct RolePolicy(Document<String>);

impl RolePolicy {
    /// Parses a policy, or reports every problem in it.
    pub fn parse(json: &str) -> Result<Self, Vec<PolicyProblem>> {
        Document::plain(json).map(Self)
    }
}

const UNDOCUMENTED: &str = " (taking a range of addresses with its first and last one, which RAM's documentation \
                         leaves open)";

const SESSION_ALONE: &str = "This is what the session policy says. The role's own policies, and the bucket's if it \
                             has one, must allow it too.";
const WITH_ROLE: &str = "This is what the session policy and the given policies of the role say together. The \
                         bucket's policy, if it has one, was not evaluated.";

impl Explanation {
    /// Evaluates the session policy, together with the role's policies if they are known.
    pub fn of(policy: &SessionPolicy, roles: Vec<RolePolicy>, request: &Request) -> Self {
        let rendered = "a session policy is written by us";
        let session = Document::plain(policy.as_str()).expect(rendered);
        let roles: Vec<_> = roles.into_iter().map(|RolePolicy(document)| document).collect();
        // Both must allow. If one denies, it decides.
        let of_session = session.decide(request);
        let (place, of_role) = decide_together(&roles, request);
        let by_role = !roles.is_empty() && of_session.is_allowed() && !of_role.is_allowed();
        let (verdict, prefix) = if by_role {
            (of_role, format!("Role[{place}]."))
        } else {
            (of_session, String::new())
        };
        let decided_by = match verdict {
            Verdict::Allowed { statement } | Verdict::ExplicitlyDenied { statement } => {
                Some(format!("{prefix}Statement[{statement}]"))
            }
            Verdict::ImplicitlyDenied => None,
        };
        let verdicts = |prefix: &str, document: &Document<String>| {
            let one = |(i, statement)| {
                StatementVerdict::new(format!("{prefix}Statement[{i}]"), statement, request)
            };
            document.statements.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let mut statements = verdicts("", &session);
        for (place, role) in roles.iter().enumerate() {
            statements.extend(verdicts(&format!("Role[{place}]."), role));
        }
        Self {
            allowed: verdict.is_allowed(),
            verdict: verdict.name(),
            decided_by,
            operation: request.operation().map(str::to_owned),
            action: request.action().to_owned(),
            resource: request.resource().to_owned(),
            scope: if roles.is_empty() { SESSION_ALONE } else { WITH_ROLE },
            notes: unknown_names::of_request(request.action(), request.keys()),
            statements,
            policy: RawValue::from_string(policy.as_str().to_owned()).expect(rendered),
        }
    }
}

impl StatementVerdict {
    fn new(name: String, statement: &Statement<String>, request: &Request) -> Self {
        let relevance = statement.relevance(request);
        let mut because = match relevance {
            Relevance::Applies => "it is about this request".to_owned(),
            Relevance::OtherActions => "it is about other actions".to_owned(),
            Relevance::OtherResources => "it is about other resources".to_owned(),
            Relevance::Unmet { operator, key } => match request.value(key) {
                Some(_) => format!("its condition {operator:?} on `{key}` does not hold"),
                None => {
                    format!("its condition {operator:?} is on `{key}`, which the request lacks")
                }
            },
        };
        if statement.is_undocumented(request) {
            because.push_str(UNDOCUMENTED);
        }
        Self {
            statement: name,
            effect: match statement.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            },
            applies: relevance == Relevance::Applies,
            because,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Version":"1","Statement":[
        {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/alice/*"},
        {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
         "Condition":{"StringLike":{"oss:Prefix":"alice/*"}}},
        {"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/alice/secret/*"}]}"#;

    fn explained(action: &str, key: &str, prefix: Option<&str>, role: Option<&str>) -> String {
        let conditions = prefix.map(|prefix| ("oss:Prefix".to_owned(), prefix.to_owned()));
        let resource = format!("acs:oss:*:*:sample-bucket{key}");
        let request = Request::new(action, &resource, conditions.into_iter().collect()).unwrap();
        let policy = SessionPolicy::for_tests(POLICY);
        let roles = role.map(|role| RolePolicy::parse(role).unwrap()).into_iter().collect();
        let explanation = Explanation::of(&policy, roles, &request);
        let because: Vec<_> = explanation.statements.iter().map(|s| s.because.as_str()).collect();
        format!(
            "{} {} {} {}: {}",
            explanation.operation.as_deref().unwrap_or(action),
            explanation.allowed,
            explanation.verdict,
            explanation.decided_by.as_deref().unwrap_or("-"),
            because.join("; ")
        )
    }

    #[test]
    fn where_rams_documentation_is_silent_the_explanation_says_so() {
        let because = |operator: &str, address: &str| {
            let policy = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"*",
                    "Condition":{{"{operator}":{{"acs:SourceIp":["10.0.0.0/8","192.0.2.7"]}}}}}}]}}"#
            );
            let conditions = [("acs:SourceIp".to_owned(), address.to_owned())].into();
            let request = Request::new("oss:GetObject", "acs:oss:*:*:b/a", conditions).unwrap();
            let explanation = Explanation::of(&SessionPolicy::for_tests(&policy), vec![], &request);
            explanation.statements[0].because.clone()
        };
        let lines = [
            because("IpAddress", "10.0.0.0"),
            because("NotIpAddress", "10.255.255.255"),
            because("IpAddressIncludeBorder", "10.0.0.0"),
            because("IpAddress", "10.0.0.1"),
            because("IpAddress", "192.0.2.7"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
it is about this request (taking a range of addresses with its first and last one, which RAM's documentation leaves open)
its condition NotIpAddress on `acs:SourceIp` does not hold (taking a range of addresses with its first and last one, which RAM's documentation leaves open)
it is about this request
it is about this request
it is about this request
");
    }

    #[test]
    fn each_statement_has_a_reason_why_it_applies_or_not() {
        let role = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":"*"}]}"#;
        let lines = [
            explained("oss:HeadObject", "/alice/a.jpg", None, None),
            explained("oss:GetObject", "/alice/secret/a.jpg", None, None),
            explained("oss:DeleteObject", "/alice/a.jpg", None, None),
            explained("oss:ListObjects", "", Some("alice/2015/"), None),
            explained("oss:ListObjects", "", Some("bob/"), None),
            explained("oss:ListObjects", "", None, None),
            explained("oss:GetObject", "/alice/a.jpg", None, Some(role)),
            explained("oss:PutObject", "/alice/a.jpg", None, Some(role)),
            explained("oss:DeleteObject", "/alice/a.jpg", None, Some(role)),
            explained("oss:GetObject", "/alice/a.jpg", None, Some(&role.replace("Allow", "Deny"))),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
oss:HeadObject true Allowed Statement[0]: it is about this request; it is about other actions; it is about other resources
oss:GetObject false ExplicitlyDenied Statement[2]: it is about this request; it is about other actions; it is about this request
oss:DeleteObject false ImplicitlyDenied -: it is about other actions; it is about other actions; it is about other resources
oss:ListObjects true Allowed Statement[1]: it is about other actions; it is about this request; it is about other resources
oss:ListObjects false ImplicitlyDenied -: it is about other actions; its condition StringLike on `oss:Prefix` does not hold; it is about other resources
oss:ListObjects false ImplicitlyDenied -: it is about other actions; its condition StringLike is on `oss:Prefix`, which the request lacks; it is about other resources
oss:GetObject true Allowed Statement[0]: it is about this request; it is about other actions; it is about other resources; it is about this request
oss:PutObject false ImplicitlyDenied -: it is about this request; it is about other actions; it is about other resources; it is about other actions
oss:DeleteObject false ImplicitlyDenied -: it is about other actions; it is about other actions; it is about other resources; it is about other actions
oss:GetObject false ExplicitlyDenied Role[0].Statement[0]: it is about this request; it is about other actions; it is about other resources; it is about this request
");
    }

    #[test]
    fn unknown_names_of_a_request_are_noted() {
        let notes = |action: &str, keys: &[&str]| {
            let conditions = keys.iter().map(|key| ((*key).to_owned(), "a".to_owned())).collect();
            let request = Request::new(action, "acs:oss:*:*:sample-bucket/a", conditions).unwrap();
            Explanation::of(&SessionPolicy::for_tests(POLICY), vec![], &request).notes.join("\n")
        };
        let lines = [
            notes("oss:GetObjct", &[]),
            notes("oss:Frobnicate", &["oss:Prefix"]),
            notes("kms:Decrypt", &[]),
            notes("oss:ListObjects", &["oss:prefix", "acs:SourceIP"]),
            notes("oss:HeadObject", &["oss:Prefix"]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
`oss:GetObjct` is no action of OSS that is known here, so it probably matches nothing: `oss:GetObject` is one
`oss:Frobnicate` is no action of OSS that is known here, so it probably matches nothing
the actions of `kms` are not known here: `kms:Decrypt` is taken literally
`acs:SourceIP` is no condition key of OSS that is known here: `acs:SourceIp` is one
`oss:prefix` is no condition key of OSS that is known here: `oss:Prefix` is one
requests for `oss:GetObject` have no `oss:Prefix`: only those for `oss:ListObjects`, `oss:ListObjectVersions`, `oss:ListMultipartUploads` have it
"#);
        assert_eq!(notes("oss:HeadObject", &["acs:SourceIp", "oss:BucketTag/team"]), "");
        assert_eq!(notes("OSS:listobjects", &["oss:Prefix", "oss:Delimiter"]), "");
    }
}
