//! Identity and session policies.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::evaluate::{Decision, Request, decide};
use super::pattern::ResourcePattern;
use super::statement::{Effect, RawStatement, Statement, StatementProblem};
use crate::strict_json::{from_object, objects};

/// A policy of a user, role or session.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Statement<ResourcePattern>>,
}

/// Why a policy is invalid.
#[derive(Debug, thiserror::Error)]
pub enum PolicyProblem {
    /// Not JSON, or not the structure of a policy.
    #[error("not the JSON of a policy")]
    Json(#[source] serde_json::Error),
    /// Only version 1 exists.
    #[error("`Version` is \"1\"")]
    Version,
    /// A policy without statements.
    #[error("`Statement` is empty")]
    NoStatement,
    /// An invalid statement.
    #[error("statement {index}")]
    Statement {
        /// Counted from 0.
        index: usize,
        /// Its problem.
        #[source]
        problem: StatementProblem,
    },
}

impl Policy {
    /// Parses RAM's JSON.
    pub fn parse(json: &str) -> Result<Self, PolicyProblem> {
        let statements = statements(json, |mut raw: RawStatement| {
            if raw.principal.is_some() {
                return Err(StatementProblem::Principal);
            }
            let resources = raw.resource.take().ok_or(StatementProblem::Resource)?.into_vec();
            if resources.is_empty() || !resources.iter().all(|name| is_resource(name)) {
                return Err(StatementProblem::Resource);
            }
            raw.about(resources.iter().map(|name| ResourcePattern::new(name)).collect())
        })?;
        Ok(Self { statements })
    }

    /// Evaluates this policy alone.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        decide([self], request)
    }

    /// Whether a statement allows an action or resource that it names.
    pub fn allows_something_named(&self) -> bool {
        self.statements.iter().any(|statement| {
            statement.effect == Effect::Allow
                && (statement.actions.are_named()
                    || !statement.about.iter().any(ResourcePattern::is_everything))
        })
    }

    /// Index and effect of each statement that applies to the request.
    pub(crate) fn applying(&self, request: &Request<'_>) -> impl Iterator<Item = (usize, Effect)> {
        let is_about = |pattern: &ResourcePattern| pattern.matches(request.resource);
        self.statements
            .iter()
            .enumerate()
            .filter(move |(_, statement)| statement.applies(request, is_about))
            .map(|(index, statement)| (index, statement.effect))
    }
}

/// `acs:<service>:<region>:<account>:<relative id>`, a prefix of it that ends in `*`, or `*`.
pub(crate) fn is_resource(name: &str) -> bool {
    let parts: Vec<&str> = name.splitn(5, ':').collect();
    let plain = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-*?".contains(c));
    if name.contains(|c: char| c.is_control()) || (parts[0] != "acs" && name != "*") {
        return false;
    }
    match parts[..] {
        [_, service, _, _, id] => {
            !service.is_empty() && !id.is_empty() && parts[1..4].iter().all(plain)
        }
        _ => name.ends_with('*') && parts.iter().all(plain),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", bound(deserialize = "P: Deserialize<'de>"))]
struct RawPolicy<P> {
    version: String,
    #[serde(deserialize_with = "objects")]
    statement: Vec<RawStatement<P>>,
}

/// Parses the members that all kinds of policies share.
pub(crate) fn statements<P: DeserializeOwned, S>(
    json: &str,
    read: impl Fn(RawStatement<P>) -> Result<S, StatementProblem>,
) -> Result<Vec<S>, PolicyProblem> {
    let raw: RawPolicy<P> = from_object(json.as_bytes()).map_err(PolicyProblem::Json)?;
    if raw.version != "1" {
        return Err(PolicyProblem::Version);
    }
    if raw.statement.is_empty() {
        return Err(PolicyProblem::NoStatement);
    }
    let read =
        |(index, raw)| read(raw).map_err(|problem| PolicyProblem::Statement { index, problem });
    raw.statement.into_iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        let problem = Policy::parse(json).unwrap_err();
        match &problem {
            PolicyProblem::Statement { index, problem } => format!("statement {index}: {problem}"),
            PolicyProblem::Json(_) | PolicyProblem::Version | PolicyProblem::NoStatement => {
                problem.to_string()
            }
        }
    }

    fn with_statement(statement: &str) -> String {
        format!(r#"{{"Version":"1","Statement":[{statement}]}}"#)
    }

    #[test]
    fn a_single_value_equals_a_list_of_one() {
        let json = with_statement(
            r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:b/*"],
                "Condition":{"Bool":{"acs:SecureTransport":"true"},"IpAddress":{"acs:SourceIp":["10.0.0.0/8"]}}}"#,
        );
        assert!(Policy::parse(&json).is_ok());
    }

    #[test]
    fn unknown_members_are_refused() {
        let table = [
            ("", "not the JSON of a policy"),
            ("[]", "not the JSON of a policy"),
            (
                r#"["1",[{"Effect":"Allow","Action":"*","Resource":"*"}]]"#,
                "not the JSON of a policy",
            ),
            (r#"{"Statement":[]}"#, "not the JSON of a policy"),
            (r#"{"Version":"2","Statement":[]}"#, "`Version` is \"1\""),
            (r#"{"Version":"1","Statement":[]}"#, "`Statement` is empty"),
            (r#"{"Version":"1","Statement":[],"Id":"x"}"#, "not the JSON of a policy"),
        ];
        for (json, expected) in table {
            assert_eq!(refusal(json), expected, "{json}");
        }
    }

    #[test]
    fn an_invalid_statement_is_refused() {
        let resource =
            "statement 0: `Resource` names `acs:<service>:<region>:<account>:<relative id>` or `*`";
        let action_form = "statement 0: an action reads `<service>:<name>` or `*`";
        let table = [
            (r#"{"Effect":"Allow","Action":"*"}"#, resource),
            (r#"{"Effect":"Allow","Action":"*","Resource":[]}"#, resource),
            (r#"{"Effect":"Allow","Action":"*","Resource":"bucket/*"}"#, resource),
            (
                r#"{"Effect":"Allow","Resource":"*"}"#,
                "statement 0: a statement has either `Action` or `NotAction`",
            ),
            (r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#, action_form),
            (r#"{"Effect":"Allow","Action":"GetObject","Resource":"*"}"#, action_form),
            (
                r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"RAM":["*"]}}"#,
                "statement 0: `Principal` belongs in trust policies only",
            ),
            (
                r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Like":{"a":"b"}}}"#,
                "statement 0: `Condition`: the operator is unknown",
            ),
        ];
        for (statement, expected) in table {
            assert_eq!(refusal(&with_statement(statement)), expected, "{statement}");
        }
        for statement in [
            r#"["Allow","*",null,"*"]"#,
            r#"["Allow","oss:GetObject"]"#,
            r#"{"Effect":{"Allow":null},"Action":"*","Resource":"*"}"#,
            r#"{"Effect":"allow","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","NotResource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Sid":"x"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":true}}}"#,
        ] {
            let message = refusal(&with_statement(statement));
            assert_eq!(message, "not the JSON of a policy", "{statement}");
        }
    }

    #[test]
    fn a_policy_of_denials_or_wildcards_allows_nothing_named() {
        let table = [
            (r#"{"Effect":"Deny","Action":"oss:GetObject","Resource":"*"}"#, false),
            (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, false),
            (r#"{"Effect":"Allow","NotAction":"oss:DeleteObject","Resource":"*"}"#, false),
            (r#"{"Effect":"Allow","Action":"oss:Get*","Resource":"*"}"#, true),
            (r#"{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:b/*"}"#, true),
        ];
        for (statement, expected) in table {
            let policy = Policy::parse(&with_statement(statement)).unwrap();
            assert_eq!(policy.allows_something_named(), expected, "{statement}");
        }
    }
}
