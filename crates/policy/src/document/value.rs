//! A value of `Resource` or `Condition`: its place in the document, and the rules that it may break.

use appserver_domain::Invalid;

use crate::document::operator::ConditionOperator;

/// The place of a value in a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValuePlace<'a> {
    Resource,
    Condition {
        /// `None` if RAM does not document the operator, which is a problem of its own.
        operator: Option<ConditionOperator>,
        key: &'a str,
    },
}

/// A rule that a value may break.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueFlaw {
    #[error("a `${{` is not closed: write `${{client}}`, for example")]
    Unclosed,
    #[error("a `{0}` stands alone: it may only be part of a placeholder such as `${{client}}`")]
    Stray(char),
    #[error("the text holds a control character")]
    ControlCharacter,
    #[error(
        "`${{{0}}}` is no placeholder: there are `${{client}}`, `${{issuer}}`, `${{subject}}`, `${{subject.encoded}}`, \
         `${{subject.hash}}`, `${{claims.NAME}}`, `${{params.NAME}}` and `${{now:%Y/%m/%d}}`"
    )]
    Unknown(String),
    #[error("`${{{0}}}` is not declared: declare the claim with its kind and maximum length")]
    UndeclaredClaim(String),
    #[error("`${{{0}}}` is not declared: declare the parameter with its kind and maximum length")]
    UndeclaredParameter(String),
    #[error(
        "a `${{now:…}}` is made of %Y, %m, %d, %j and %H (UTC), letters, digits, `-`, `_`, `.` and single \
         `/` between segments"
    )]
    TimeFormat,
    #[error("two placeholders share a path segment: put a `/` between them")]
    SharedSegment,
    #[error(
        "`*` or `?` shares a path segment with a placeholder, so that `user1` would reach `user10`: put a \
         `/` between them"
    )]
    WildcardBeside,
    #[error(
        "a `*` stands before a placeholder, and as it spans any number of segments, one value's objects \
         could lie among another's: move the placeholder to its left"
    )]
    WildcardBefore,
    #[error(
        "a `*` in the bucket's name stands before a placeholder, and as it spans any number of segments, one value's \
         objects could lie among another's: name the bucket"
    )]
    WildcardInBucket,
    #[error(
        "`{0}` may be several segments and a placeholder follows it, so that one value's objects could lie \
         among another's: move it to the end"
    )]
    VaryingDepth(String),
    #[error(
        "a prefix that ends with a placeholder's segment lists its neighbours, `user1` those of `user10`: \
         close it with `/`"
    )]
    OpenPrefix,
    #[error(
        "a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or \
         is `*` alone"
    )]
    NotAnArn,
    #[error("`{operator:?}` takes {}: STS refuses anything else", operator.form())]
    ValueKind { operator: ConditionOperator },
    #[error("a bucket may not depend on a value: make one grant for each bucket")]
    PlaceholderInBucket,
    #[error(transparent)]
    Bucket(Invalid),
    #[error(
        "a policy that a caller sends has no placeholders: write the value itself, such as `alice` for `${{subject}}`"
    )]
    PlaceholderRequested,
    #[error(transparent)]
    FromOutside(Invalid),
    #[error("`{shown}` (U+{code:04X}) is forbidden: {rule}", shown = shown(*character), code = u32::from(*character))]
    ForbiddenCharacter { character: char, rule: Invalid },
}

/// The character, escaped if it would not show.
fn shown(character: char) -> String {
    if character.is_ascii_graphic() {
        character.to_string()
    } else {
        character.escape_debug().to_string()
    }
}
