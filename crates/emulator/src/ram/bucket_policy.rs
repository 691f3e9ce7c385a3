//! Bucket policies: what the owner of a bucket allows and denies to principals of any account.

use super::evaluate::{Deciding, Decision, Request, conclude};
use super::pattern::ResourcePattern;
use super::policy::{PolicyProblem, is_resource, statements};
use super::principal::Principal;
use super::statement::{OneOrMore, RawStatement, Statement, StatementProblem};

/// The policy of a bucket. OSS answers the text as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct BucketPolicy {
    text: String,
    statements: Vec<BucketStatement>,
}

#[derive(Clone, Debug)]
struct BucketStatement {
    principals: Vec<BucketPrincipal>,
    statement: Statement<ResourcePattern>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum BucketPrincipal {
    /// `*`: everyone, also unsigned requests.
    Everyone,
    /// The id of an account, for its own keys, or of a RAM user.
    Uid(String),
    /// `arn:sts::<account>:assumed-role/<role>/<session>`; every session of the role if it ends in `/*`.
    Sessions { account: String, role: String, session: Option<String> },
}

impl BucketPolicy {
    pub(crate) fn parse(json: &str) -> Result<Self, PolicyProblem> {
        let statements = statements(json, |mut raw: RawStatement<OneOrMore>| {
            let names = raw.principal.take().ok_or(StatementProblem::BucketPrincipal)?.into_vec();
            let principals: Option<Vec<_>> =
                names.iter().map(|name| BucketPrincipal::parse(name)).collect();
            let principals = principals
                .filter(|principals| !principals.is_empty())
                .ok_or(StatementProblem::BucketPrincipal)?;
            let resources = raw.resource.take().ok_or(StatementProblem::Resource)?.into_vec();
            if resources.is_empty() || !resources.iter().all(|name| is_resource(name)) {
                return Err(StatementProblem::Resource);
            }
            let resources = resources.iter().map(|name| ResourcePattern::new(name)).collect();
            Ok(BucketStatement { principals, statement: raw.about(resources)? })
        })?;
        Ok(Self { text: json.to_owned(), statements })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The decision about a request of the principal; `None` is an unsigned request.
    pub(crate) fn decide(&self, principal: Option<&Principal>, request: &Request<'_>) -> Decision {
        let is_about = |pattern: &ResourcePattern| pattern.matches(request.resource);
        let applying = self.statements.iter().enumerate().filter(|(_, one)| {
            one.principals.iter().any(|named| named.is(principal))
                && one.statement.applies(request, is_about)
        });
        conclude(
            applying
                .map(|(statement, one)| (Deciding { policy: 0, statement }, one.statement.effect)),
        )
    }
}

impl BucketPrincipal {
    /// Wildcards elsewhere are refused: what the real OSS makes of them is not documented.
    fn parse(name: &str) -> Option<Self> {
        if name == "*" {
            return Some(Self::Everyone);
        }
        let is_uid = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let Some(rest) = name.strip_prefix("arn:sts::") else {
            return is_uid(name).then(|| Self::Uid(name.to_owned()));
        };
        let (account, rest) = rest.split_once(":assumed-role/")?;
        let (role, session) = rest.split_once('/')?;
        let is_name = |text: &str| !text.is_empty() && !text.contains(['*', '?', '/']);
        if !is_uid(account) || !is_name(role) || (session != "*" && !is_name(session)) {
            return None;
        }
        let session = (session != "*").then(|| session.to_owned());
        Some(Self::Sessions { account: account.to_owned(), role: role.to_owned(), session })
    }

    fn is(&self, principal: Option<&Principal>) -> bool {
        match (self, principal) {
            (Self::Everyone, _) => true,
            (Self::Uid(uid), Some(Principal::Root(account))) => uid == account,
            (Self::Uid(uid), Some(Principal::User(user))) => *uid == user.id,
            (Self::Sessions { account, role, session }, Some(Principal::Session(one))) => {
                one.role_arn == format!("acs:ram::{account}:role/{role}")
                    && session.as_ref().is_none_or(|session| *session == one.session_name)
            }
            (Self::Uid(_), Some(Principal::Session(_)) | None)
            | (Self::Sessions { .. }, Some(Principal::Root(_) | Principal::User(_)) | None) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_principal(principal: &str) -> String {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Deny","Action":["oss:*"],"Principal":{principal},
                "Resource":["acs:oss:*:11223344:sample-bucket/*"]}}]}}"#
        )
    }

    #[test]
    fn principals_are_everyone_uids_and_sessions_of_one_role() {
        for valid in [
            r#"["*"]"#,
            r#""20214760404935""#,
            r#"["arn:sts::11223344:assumed-role/oss-readonly/photo-app.alice"]"#,
            r#"["11223344","arn:sts::11223344:assumed-role/oss-readonly/*"]"#,
        ] {
            assert!(BucketPolicy::parse(&with_principal(valid)).is_ok(), "{valid}");
        }
        for invalid in [
            "[]",
            r#"["alice"]"#,
            r#"["acs:ram::11223344:role/oss-readonly"]"#,
            r#"["arn:sts::11223344:assumed-role/oss-readonly"]"#,
            r#"["arn:sts::11223344:assumed-role/oss-readonly/"]"#,
            r#"["arn:sts::11223344:assumed-role/*/alice"]"#,
            r#"["arn:sts::11223344:assumed-role/oss-readonly/photo-app.*"]"#,
            r#"["arn:sts::*:*/*/*"]"#,
        ] {
            let problem = BucketPolicy::parse(&with_principal(invalid)).unwrap_err();
            assert!(
                matches!(
                    problem,
                    PolicyProblem::Statement {
                        index: 0,
                        problem: StatementProblem::BucketPrincipal
                    }
                ),
                "{invalid}: {problem}"
            );
        }
        // The form of trust policies.
        let object = BucketPolicy::parse(&with_principal(r#"{"RAM":["*"]}"#)).unwrap_err();
        assert!(matches!(object, PolicyProblem::Json(_)), "{object}");
    }
}
