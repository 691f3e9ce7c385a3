//! The codes of the error table, for readers of the contract.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A row of the table in `http/error.rs`, the files of its parts and `http/public_error.rs`.
pub(super) struct Code {
    pub(super) status: u16,
    pub(super) class: &'static str,
    pub(super) when: &'static str,
}

const fn code(status: u16, class: &'static str, when: &'static str) -> Code {
    Code { status, class, when }
}

pub(super) const CODES: [Code; 26] = [
    code(
        400,
        "InvalidParameter",
        "a field breaks a rule; the code ends in its name, and the message says which rule",
    ),
    code(
        400,
        "MalformedRequest",
        "not JSON, not an object, a repeated or unknown member, or a query that the route does not take",
    ),
    code(401, "Unauthenticated", "the credential is not valid; the answer does not say why"),
    code(
        403,
        "Forbidden.Grant",
        "not a grant of this client, not a grant for this route, or the credential does not fit the grant",
    ),
    code(
        403,
        "Forbidden.Policy",
        "the caller's own policy is not provably within the grant; the message names the statement",
    ),
    code(
        403,
        "Forbidden.Upload",
        "the caller's own policy does not allow the object of a form or a URL",
    ),
    code(403, "Forbidden.ClientDisabled", "the client is disabled"),
    code(403, "Forbidden.Decision", "the operator's decision hook refuses the request"),
    code(403, "Forbidden.Revoked", "the user, the client, the ticket or the token is revoked"),
    code(403, "Forbidden.Callback", "not a valid report of an upload by OSS"),
    code(404, "NotFound", "there is no such route, or the service makes no tickets"),
    code(
        405,
        "MethodNotAllowed",
        "the route does not take this method; `Allow` names those that it takes",
    ),
    code(408, "RequestTimeout", "the body did not arrive in time"),
    code(
        413,
        "PayloadTooLarge",
        "a body has at most 16 KiB, and an announced file at most the grant's `max_bytes`",
    ),
    code(415, "UnsupportedMediaType", "a body is `application/json`"),
    code(
        429,
        "Throttled.Client",
        "more requests than the client's limit or its user's allows, or more failed authentications",
    ),
    code(500, "Internal", "a fault of the service; the answer does not name the cause"),
    code(502, "Upstream.Refused", "STS refused for a reason that only the operator can fix"),
    code(
        502,
        "Upstream.Callback",
        "the report of an upload could not be passed on to the operator's backend",
    ),
    code(503, "Upstream.Throttled", "STS's quota, or this service's share of it, is spent"),
    code(503, "Upstream.Unavailable", "STS did not answer, or is known to be unreachable"),
    code(
        503,
        "AuditUnavailable",
        "the decision cannot be recorded, and no token is issued without a record",
    ),
    code(
        503,
        "DecisionUnavailable",
        "the operator's decision hook did not decide about the request",
    ),
    code(
        503,
        "UpstreamIdentity",
        "the service has no valid credentials of its own to call STS with",
    ),
    code(503, "NotReady", "the service is starting"),
    code(
        504,
        "Upstream.CallbackTimedOut",
        "the operator's backend did not confirm the report of an upload in time",
    ),
];

/// The rows of a status.
pub(super) fn of(status: u16) -> impl Iterator<Item = &'static Code> {
    CODES.iter().filter(move |code| code.status == status)
}

/// The whole `Code` of an error.
pub(crate) struct ErrorCode;

impl ToSchema for ErrorCode {}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let pattern = CODES.map(|Code { class, .. }| match class {
            "InvalidParameter" => r"InvalidParameter\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?".to_owned(),
            class => class.replace('.', r"\."),
        });
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^({})$", pattern.join("|"))))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::StatusCode;
    use regex::Regex;

    use super::*;

    #[test]
    fn every_row_of_the_error_table_is_here_and_no_other() {
        let tables = [
            include_str!("../error.rs"),
            include_str!("../callback_error.rs"),
            include_str!("../decision_error.rs"),
            include_str!("../refusal_error.rs"),
            include_str!("../public_error.rs"),
            include_str!("../vend_error.rs"),
        ];
        let source = tables.map(|file| file.split("#[cfg(test)]").next().unwrap()).concat();
        let made = Regex::new(r#"(?:Public|Self)::new\(\s*Status(?:Code)?::(\w+),\s*"([\w.]+)""#);
        let status = |name: &str| {
            let all = (400..600).filter_map(|code| StatusCode::from_u16(code).ok());
            let named = |code: &StatusCode| {
                let reason = code.canonical_reason().unwrap_or_default();
                reason.to_ascii_uppercase().replace(' ', "_") == name
            };
            all.into_iter().find(named).unwrap_or_else(|| panic!("{name}")).as_u16()
        };
        let found: Vec<_> = made.unwrap().captures_iter(&source).collect();
        let by_hand = source.matches("Public::new(").count() + source.matches("Self::new(").count();
        assert_eq!(found.len(), by_hand, "a row is written in a way that is not read here");
        let made: BTreeSet<_> =
            found.iter().map(|found| (status(&found[1]), found[2].to_owned())).collect();
        let described: BTreeSet<_> =
            CODES.iter().map(|code| (code.status, code.class.to_owned())).collect();
        assert_eq!(made, described);
    }
}
