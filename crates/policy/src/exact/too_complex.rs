//! Bounds of a comparison.

/// The most statements of both policies together: a set of them is one number.
pub(super) const MAX_STATEMENTS: usize = 128;

/// How much one decision may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The states that are visited for one coordinate of a request.
    pub(crate) states: usize,
    /// The steps of patterns by a character, for all coordinates.
    pub(crate) work: usize,
    /// The steps in the search over the coordinates.
    pub(crate) steps: usize,
}

impl Bounds {
    /// For a command or a reload: about a second.
    pub(crate) const OFFLINE: Self = Self { states: 20_000, work: 20_000_000, steps: 200_000 };
    /// For a request: some ten milliseconds, which `exact::cost` measures.
    pub(crate) const REQUEST: Self = Self { states: 4_000, work: 200_000, steps: 20_000 };
}

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
