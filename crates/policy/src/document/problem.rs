//! The problems of a policy document, each with its place and the way to fix it.

use crate::document::member::Member;
use crate::document::operator::ConditionOperator;
use crate::document::tree::MAX_POLICY_BYTES;
use crate::document::value::ValueFlaw;

/// One broken rule of a policy document.
///
/// The message may quote keys of the document, which the operator or the caller wrote. It is logged, so text that does
/// not look like a key is not repeated: it may be a secret in the wrong place.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {flaw}")]
pub struct PolicyProblem {
    /// The place in the document, such as `Statement[0].Resource[1]`.
    pub(crate) at: String,
    /// The broken rule.
    pub(crate) flaw: PolicyFlaw,
}

impl PolicyProblem {
    /// Whether `allow_broad` permits it.
    pub fn is_breadth(&self) -> bool {
        matches!(
            self.flaw,
            PolicyFlaw::AllowsEveryAction
                | PolicyFlaw::AllowsMostActions { .. }
                | PolicyFlaw::AllowsEveryBucket
        )
    }
}

/// A key for messages.
fn quoted(key: &str) -> String {
    let reads_like_one = |key: &str| {
        key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphabetic() || b":_-".contains(&b))
    };
    if reads_like_one(key) { format!("`{key}`") } else { "a key".to_owned() }
}

/// The rules of a policy document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyFlaw {
    #[error("{what} (line {line}, column {column})", what = not_json(.0), line = .0.line(), column = .0.column())]
    NotJson(#[source] serde_json::Error),
    #[error("a policy is an object with `Version` and `Statement`, not {found}")]
    NotAPolicy { found: &'static str },
    #[error("a statement is an object with `Effect`, `Action` and `Resource`, not {found}")]
    NotAStatement { found: &'static str },
    #[error("`{name}` is missing, and every {of} has it: {}", .0.way_out(), name = .0.name(), of = .0.owner())]
    Missing(Member),
    #[error(
        "`{name}` must be {kind}, not {found}: {}",
        member.way_out(),
        name = member.name(),
        kind = member.kind()
    )]
    WrongKind { member: Member, found: &'static str },
    #[error("`{name}` is empty, and covers nothing: {}", .0.way_out(), name = .0.name())]
    EmptyMember(Member),
    #[error("this must be an object of condition keys and their values, not {found}")]
    NotAnObject { found: &'static str },
    #[error("this must be a string, not {found} (RAM writes numbers and booleans in quotes, too)")]
    NotAString { found: &'static str },
    #[error(
        "this must be a string or a list of strings, not {found} (RAM writes numbers and booleans in quotes, too)"
    )]
    NotStrings { found: &'static str },
    #[error("this is empty: leave it out, or say what it covers")]
    Empty,
    #[error("{} is unknown here: known are {known}", quoted(key))]
    UnknownKey { key: String, known: String },
    #[error("{} is written twice: readers of JSON disagree on which one counts", quoted(key))]
    DuplicateKey { key: String },
    #[error(
        "`{key}` belongs to a role's trust policy: a session policy applies to its own session"
    )]
    Principal { key: String },
    #[error(
        "`NotResource` is no longer in RAM's documentation, and whether STS takes it is not said: name what is meant \
         in `Resource`"
    )]
    NotResource,
    #[error("the version of RAM's policy language must be \"1\"")]
    Version,
    #[error("an effect is \"Allow\" or \"Deny\"")]
    Effect,
    #[error("a statement has one of `Action` and `NotAction`, not both: leave one of them out")]
    ActionAndNotAction,
    #[error("an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`")]
    Action,
    #[error(
        "an action begins with its service and a colon: write `oss:{}`, or `*` alone for every action",
        meant.unwrap_or("GetObject")
    )]
    ActionWithoutService { meant: Option<&'static str> },
    #[error(
        "placeholders, `$`, `{{` and `}}` may stand in values of `Resource` and `Condition` only"
    )]
    PlaceholderElsewhere,
    #[error(
        "{} is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, \
         Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder",
        quoted(name)
    )]
    Operator { name: String },
    #[error("a condition key reads `oss:Prefix` or `acs:SourceIp`")]
    ConditionKey,
    #[error(transparent)]
    Text(ValueFlaw),
    #[error(
        "no statement allows anything, so every token would be useless: add a statement with the effect \
         \"Allow\""
    )]
    AllowsNothing,
    #[error(
        "this allows actions that it does not name: list the actions, or set `allow_broad` with a reason"
    )]
    AllowsEveryAction,
    #[error(
        "its wildcards allow {allowed} of the {known} actions of OSS: list the actions, or set `allow_broad` with a \
         reason"
    )]
    AllowsMostActions { allowed: usize, known: usize },
    #[error(
        "this allows buckets that it does not name: write service and bucket without wildcards, or set `allow_broad` with \
         a reason"
    )]
    AllowsEveryBucket,
    #[error(
        "a placeholder under `{operator:?}` allows everybody's but the caller's own: compare with an operator \
         that does not negate, or deny"
    )]
    AllowsAllOthers { operator: ConditionOperator },
    #[error(
        "`{operator:?}` may take two values of `{placeholder}` for one, so that one caller's would match another's: \
         compare with `StringEquals` or `StringLike`"
    )]
    MatchesOthers { operator: ConditionOperator, placeholder: String },
    #[error(
        "RAM compares names such as roles' without regard to case, so one value of `{placeholder}` would name another's: \
         use a placeholder that is lower-case by its kind"
    )]
    NamesOthers { placeholder: String },
    #[error(
        "subjects are written in different forms, and one user's in one form could be another's in the other: use one of \
         `${{subject}}`, `${{subject.encoded}}` and `${{subject.hash}}` throughout the policy"
    )]
    MixedSubjects,
    #[error(
        "`NotAction` is not taken from a caller, because it covers what it does not name: list the actions in \
         `Action`"
    )]
    NotActionRequested,
    #[error(
        "{} is also written in other letter case: readers of RAM's policies may disagree on \
         which one counts",
        quoted(key)
    )]
    KeyInOtherCase { key: String },
    #[error(
        "without white space this is {size} bytes and STS admits {max}",
        max = MAX_POLICY_BYTES
    )]
    RequestedTooLong { size: usize },
    #[error(
        "with the longest values this is {worst} bytes and STS admits {max}: most of them, {share}, come \
         from {heaviest}; shorten it, or lower its maximum length",
        max = MAX_POLICY_BYTES
    )]
    TooLong { worst: usize, heaviest: String, share: usize },
}

/// What about a text is not JSON, where that is not visible at its place. `serde_json` has no kinds for these.
fn not_json(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    let begins = |beginning: &str| text.starts_with(beginning);
    if begins("recursion limit exceeded") {
        "this is nested more than 127 levels deep, and no policy is"
    } else if begins("lone leading surrogate") || begins("unexpected end of hex escape") {
        "this is not JSON: the `\\u` escape is half of a surrogate pair: write both halves, or the character itself"
    } else {
        "this is not JSON"
    }
}
