//! Bounds of a comparison.

/// The most statements of both policies together: a set of them is one number.
pub(super) const MAX_STATEMENTS: usize = 128;
/// The most states that are visited for one coordinate of a request.
pub(super) const MAX_STATES: usize = 20_000;
/// The most steps of patterns by a character for one coordinate: about a second.
pub(super) const MAX_WORK: usize = 20_000_000;
/// The most steps in the search over the coordinates.
pub(super) const MAX_STEPS: usize = 200_000;

/// The bound that a comparison met.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum TooComplex {
    #[error("the two policies have more than {} statements", MAX_STATEMENTS)]
    Statements,
    #[error("the patterns overlap in too many ways; use fewer wildcards, or split the policy")]
    Patterns,
    #[error("the conditions combine in too many ways; use fewer of them, or split the policy")]
    Conditions,
    #[error(
        "a policy contains characters of Unicode's last plane, which stand for placeholders here"
    )]
    Characters,
    #[error(
        "a condition key is compared as values of two kinds, or ignoring case beyond ASCII; compare it in one way"
    )]
    Kinds,
}
