//! Decides whether some name that a caller may choose gives its upload a key that a resource of the policy covers.
//!
//! The automaton of all keys and the pattern of the resource run side by side. Where the answer is not exact, or costs too
//! much, it is that there is such a name.

use std::collections::HashSet;

use appserver_domain::Bucket;
use regex_automata::nfa::thompson::{self, NFA, State, Transition, WhichCaptures};
use regex_automata::util::primitives::StateID;

use crate::session::object_key_template::{KeyPiece, ObjectKeyTemplate};
use crate::template::placeholder::Placeholder;
use crate::template::text::{Piece, Text};
use crate::template::whole_pattern::WholePattern;

/// The states that one search visits at most.
const MAX_STATES: usize = 1 << 19;

/// At least the names that are one path segment.
const SEGMENT: &str = r"^[\w\p{M}\p{N}\-.~@+=,()!]+$";
const UUID: &str = "^[0-9a-f]{32}$";

/// The keys of all uploads to a bucket, each behind the bucket's name and a slash.
pub(crate) struct PossibleKeys(Vec<KeyPart>);

/// What a key consists of.
enum KeyPart {
    /// Of the fixed text.
    Byte(u8),
    /// A value of this placeholder.
    Value(String),
    /// A text that is not the same for every upload of a caller, or one of several values.
    Chosen(Box<NFA>),
}

/// What a resource consists of.
#[derive(Eq, PartialEq)]
enum Symbol {
    Byte(u8),
    /// `?`
    One,
    /// `*`, or a value of a list.
    Any,
    /// A value of this placeholder: a path segment of at least one character.
    Value(String),
}

/// Where a search is in the keys, with the state of the automaton there, and in the resource.
type Position = (usize, StateID, usize);

impl PossibleKeys {
    /// `None` if an automaton would be too large. Without a pattern, a name is one path segment.
    pub(crate) fn new(
        key: &ObjectKeyTemplate,
        bucket: &Bucket,
        names: Option<&WholePattern>,
    ) -> Option<Self> {
        let bytes = |text: &str| text.bytes().map(KeyPart::Byte).collect::<Vec<_>>();
        let mut parts = bytes(&format!("{}/", bucket.as_str()));
        for piece in key.pieces() {
            match piece {
                KeyPiece::Fixed(text) => parts.extend(bytes(text)),
                KeyPiece::Value(placeholder) => parts.push(KeyPart::of_value(placeholder)?),
                KeyPiece::Name => {
                    parts.push(KeyPart::chosen(names.map_or(SEGMENT, WholePattern::anchored))?);
                }
                KeyPiece::Uuid => parts.push(KeyPart::chosen(UUID)?),
            }
        }
        Some(Self(parts))
    }

    /// Whether the resource covers one of the keys. The values of placeholders are those of one caller in both.
    pub(crate) fn meet(&self, resource: &Text) -> bool {
        // Without all fields, the last wildcard covers the rest.
        let Some(path) = resource.after_fields(4) else { return true };
        let symbols: Vec<_> = path.pieces().iter().flat_map(Symbol::of).collect();
        let mut waiting = vec![self.beginning(0, 0)];
        let mut visited = HashSet::new();
        while let Some(position) = waiting.pop() {
            if !visited.insert(position) {
                continue;
            }
            let (part, state, at) = position;
            if (part == self.0.len() && at == symbols.len()) || visited.len() == MAX_STATES {
                return true;
            }
            if symbols.get(at) == Some(&Symbol::Any) {
                waiting.push((part, state, at + 1));
            }
            match self.0.get(part) {
                None => {}
                Some(KeyPart::Byte(byte)) => {
                    let next = after(&symbols, at, (*byte, *byte), false);
                    waiting.extend(next.map(|at| self.beginning(part + 1, at)));
                }
                Some(KeyPart::Value(value)) => match symbols.get(at) {
                    Some(Symbol::Any) => waiting.push(self.beginning(part + 1, at)),
                    Some(Symbol::Value(own)) if own == value => {
                        waiting.push(self.beginning(part + 1, at + 1));
                    }
                    Some(Symbol::Byte(_) | Symbol::One | Symbol::Value(_)) | None => {}
                },
                Some(KeyPart::Chosen(automaton)) => {
                    self.step(automaton, position, &symbols, &mut waiting);
                }
            }
        }
        false
    }

    fn step(
        &self,
        automaton: &NFA,
        (part, state, at): Position,
        symbols: &[Symbol],
        waiting: &mut Vec<Position>,
    ) {
        let mut take = |&Transition { start, end, next }: &Transition| {
            let places = after(symbols, at, (start, end), true);
            waiting.extend(places.map(|at| (part, next, at)));
        };
        match automaton.state(state) {
            State::ByteRange { trans } => take(trans),
            State::Sparse(of) => of.transitions.iter().for_each(take),
            State::Dense(of) => (0..=u8::MAX).for_each(|byte| {
                if let Some(next) = of.matches_byte(byte) {
                    take(&Transition { start: byte, end: byte, next });
                }
            }),
            // Whether an assertion holds is left open.
            State::Look { next, .. } | State::Capture { next, .. } => {
                waiting.push((part, *next, at));
            }
            State::Union { alternates } => {
                waiting.extend(alternates.iter().map(|&next| (part, next, at)));
            }
            State::BinaryUnion { alt1, alt2 } => {
                waiting.extend([(part, *alt1, at), (part, *alt2, at)]);
            }
            State::Fail => {}
            State::Match { .. } => waiting.push(self.beginning(part + 1, at)),
        }
    }

    /// The beginning of a part.
    fn beginning(&self, part: usize, at: usize) -> Position {
        let state = match self.0.get(part) {
            Some(KeyPart::Chosen(automaton)) => automaton.start_anchored(),
            Some(KeyPart::Byte(_) | KeyPart::Value(_)) | None => StateID::ZERO,
        };
        (part, state, at)
    }
}

impl KeyPart {
    fn of_value(placeholder: &Placeholder) -> Option<Self> {
        if placeholder.choices.is_empty() {
            return Some(Self::Value(placeholder.to_string()));
        }
        let choices: Vec<_> = placeholder.choices.iter().map(|one| regex::escape(one)).collect();
        Self::chosen(&format!("^(?:{})$", choices.join("|")))
    }

    fn chosen(anchored: &str) -> Option<Self> {
        let config = thompson::Config::new().which_captures(WhichCaptures::None);
        let automaton = NFA::compiler().configure(config).build(anchored).ok()?;
        Some(Self::Chosen(Box::new(automaton)))
    }
}

impl Symbol {
    fn of(piece: &Piece) -> Vec<Self> {
        match piece {
            Piece::Fixed(text) => {
                let symbol = |byte| match byte {
                    b'*' => Self::Any,
                    b'?' => Self::One,
                    other => Self::Byte(other),
                };
                text.bytes().map(symbol).collect()
            }
            Piece::Value(placeholder) if placeholder.choices.is_empty() => {
                vec![Self::Value(placeholder.to_string())]
            }
            Piece::Value(_) => vec![Self::Any],
        }
    }
}

/// The places in a resource after one byte of these. Only a text that is chosen can equal an unknown value.
fn after(
    symbols: &[Symbol],
    at: usize,
    (first, last): (u8, u8),
    is_chosen: bool,
) -> impl Iterator<Item = usize> {
    let (same, next) = match symbols.get(at) {
        Some(Symbol::Byte(own)) => (false, (first..=last).contains(own)),
        Some(Symbol::One) => (false, true),
        Some(Symbol::Any) => (true, false),
        Some(Symbol::Value(_)) => {
            let taken = is_chosen && (first, last) != (b'/', b'/');
            (taken, taken)
        }
        None => (false, false),
    };
    // A character for `?` may have more bytes.
    let continues = first <= 0xbf && last >= 0x80;
    let within = continues && at > 0 && symbols.get(at - 1) == Some(&Symbol::One);
    [(same || within).then_some(at), next.then_some(at + 1)].into_iter().flatten()
}
