//! Why a token is rejected: for the log, never for the caller.

use std::fmt;

use super::json::Json;
use appserver_domain::ClientId;

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum JwtProblem {
    #[error("the token is not a signed JWT")]
    Malformed,
    #[error("the token's header declares another type")]
    Type,
    #[error("the token's header has a critical extension that is not supported")]
    Critical,
    #[error("the token's issuer is not configured")]
    UnknownIssuer,
    #[error("the token's algorithm is not one of its issuer's")]
    Algorithm,
    #[error("the issuer has no such key")]
    UnknownKey,
    #[error("too many of the issuer's keys match the token")]
    ManyKeys,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has no `{0}`, or one of another JSON type")]
    Lacks(&'static str),
    #[error("the token is of a kind that is not accepted")]
    Kind,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token's subject is not allowed")]
    Subject,
    #[error("the token identifies no client")]
    Client,
    #[error("the token identifies several clients")]
    SeveralClients,
    #[error("a required claim is missing or different")]
    Required,
}

/// A rejected token: the problem, its issuer and its client. Contains truncated claims that the configuration names,
/// and nothing else of the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct JwtRefusal {
    problem: JwtProblem,
    /// The operator's name for the token's issuer.
    issuer: Option<Box<str>>,
    client: Option<ClientId>,
    /// The claim and the expected value.
    detail: Option<Box<str>>,
}

impl JwtRefusal {
    pub(super) fn new(problem: JwtProblem, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into().into_boxed_str());
        Self { problem, issuer: None, client: None, detail }
    }

    /// The same, of a token of this issuer.
    pub(super) fn of_issuer(self, id: &str) -> Self {
        Self { issuer: Some(id.into()), ..self }
    }

    /// The same, of a token for this client.
    pub(super) fn of_client(self, client: &ClientId) -> Self {
        Self { client: Some(client.clone()), ..self }
    }

    /// The client that the token is for, if it was determined.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// Whether its text has claims of the token, which can be about its user.
    pub(crate) fn quotes_claims(&self) -> bool {
        self.detail.is_some()
    }

    /// Whether the same token may be accepted once the issuer's keys have been fetched again.
    pub(crate) fn may_end_with_newer_keys(&self) -> bool {
        matches!(self.problem, JwtProblem::UnknownKey | JwtProblem::Signature)
    }
}

impl From<JwtProblem> for JwtRefusal {
    fn from(problem: JwtProblem) -> Self {
        Self { problem, issuer: None, client: None, detail: None }
    }
}

impl PartialEq<JwtProblem> for JwtRefusal {
    fn eq(&self, problem: &JwtProblem) -> bool {
        self.problem == *problem
    }
}

impl std::error::Error for JwtRefusal {}

impl fmt::Display for JwtRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(issuer) = &self.issuer {
            write!(f, "issuer `{issuer}`: ")?;
        }
        if let Some(client) = &self.client {
            write!(f, "client `{client}`: ")?;
        }
        self.problem.fmt(f)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// Text from a token for the log: truncated, with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let cut: String = text.chars().take(MOST).collect();
    let end = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{end}")
}

/// The same of a claim.
pub(super) fn quoted_claim(claim: Option<&Json>) -> String {
    /// Enough of a list to recognise it.
    const MEMBERS: usize = 10;
    match claim {
        None => "missing".to_owned(),
        Some(Json::Null) => "null".to_owned(),
        Some(Json::Boolean(truth)) => truth.to_string(),
        Some(Json::Number(text)) => shown(text).trim_matches('"').to_owned(),
        Some(Json::String(text)) => shown(text),
        Some(Json::Object(_)) => "an object".to_owned(),
        Some(Json::Array(members)) => {
            let shown = |member| match member {
                // Not deeper.
                &Json::Array(_) => "a list".to_owned(),
                other => quoted_claim(Some(other)),
            };
            let some: Vec<_> = members.iter().take(MEMBERS).map(shown).collect();
            let end = if members.len() > MEMBERS { ", …" } else { "" };
            format!("[{}{end}]", some.join(", "))
        }
    }
}
