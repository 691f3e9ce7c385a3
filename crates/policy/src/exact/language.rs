//! Texts by which patterns they match: every combination that some text has, each with the shortest such text.
//!
//! All patterns of one coordinate (the action, the resource, a condition key) are run side by side as automata, over the
//! characters that they name and one that none names. Two texts that end in the same state are told apart by no
//! pattern, so the states that can be reached are all that there is to know.

use std::collections::{HashMap, VecDeque};

use super::placeholders;
use super::too_complex::{Bounds, TooComplex};

/// What stands for every character that no pattern names.
pub(super) const FRESH: &str = "xyzqjvwkXYZ0123456789abcdefghilmnoprstu-_~\u{e9}\u{4e00}";

/// A pattern as a row of symbols.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    symbols: Vec<Symbol>,
}

#[derive(Clone, Copy, Debug)]
enum Symbol {
    Literal(char),
    /// A letter in either case; in the one in which it was written.
    Folded(char),
    /// `?`; not a colon, if false.
    One(bool),
    /// `*`; not over a colon, if false.
    Any(bool),
}

impl Symbol {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Literal(literal) => literal == c,
            Self::Folded(letter) => c.to_lowercase().eq([letter.to_ascii_lowercase()]),
            // A placeholder's value may have any length.
            Self::One(_) if placeholders::is_one(c) => false,
            Self::One(colons) | Self::Any(colons) => colons || c != ':',
        }
    }
}

impl Glob {
    /// `*` is any run of characters and `?` is one.
    pub(super) fn like(pattern: &str) -> Self {
        let symbol = |c| match c {
            '*' => Symbol::Any(true),
            '?' => Symbol::One(true),
            c => Symbol::Literal(c),
        };
        Self { symbols: pattern.chars().map(symbol).collect() }
    }

    /// The same with letters in either case, as actions are compared.
    pub(super) fn like_ignoring_case(pattern: &str) -> Self {
        let symbol = |symbol| match symbol {
            Symbol::Literal(c) if c.is_ascii_alphabetic() => Symbol::Folded(c),
            other => other,
        };
        Self { symbols: Self::like(pattern).symbols.into_iter().map(symbol).collect() }
    }

    /// The text itself.
    pub(super) fn literal(text: &str) -> Self {
        Self { symbols: text.chars().map(Symbol::Literal).collect() }
    }

    /// The text with letters in either case. `None` beyond ASCII, where letters change their number.
    pub(super) fn ignoring_case(text: &str) -> Option<Self> {
        let symbol = |c: char| match c {
            c if c.is_ascii_alphabetic() => Symbol::Folded(c),
            c => Symbol::Literal(c),
        };
        text.is_ascii().then(|| Self { symbols: text.chars().map(symbol).collect() })
    }

    /// A pattern over names of `fields` fields with colons between them; wildcards stay in their field, but for those of
    /// the last one if `open`.
    pub(super) fn fields(pattern: &str, fields: usize, open: bool) -> Self {
        let mut left = fields - 1;
        let symbol = |c| {
            let over_colons = left == 0 && open;
            match c {
                '*' => Symbol::Any(over_colons),
                '?' => Symbol::One(over_colons),
                c => {
                    left -= usize::from(c == ':' && left > 0);
                    Symbol::Literal(c)
                }
            }
        };
        Self { symbols: pattern.chars().map(symbol).collect() }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let state = text.chars().fold(self.start(), |state, c| self.step(&state, c));
        self.accepts(&state)
    }

    fn start(&self) -> State {
        let mut state = State::default();
        self.reach(0, &mut state);
        state
    }

    /// Adds a place and what a `*` there may skip to.
    ///
    /// Of a `*` that was reached, no earlier place is needed: what would match from there matches from the `*`, too,
    /// because the way leads through it. So a state stays small.
    fn reach(&self, at: usize, state: &mut State) {
        state.places.push(at);
        if let Some(Symbol::Any(_)) = self.symbols.get(at) {
            state.places.retain(|place| *place >= at);
            self.reach(at + 1, state);
        }
    }

    fn step(&self, from: &State, c: char) -> State {
        let mut next = State::default();
        for &at in &from.places {
            match self.symbols.get(at) {
                Some(any @ Symbol::Any(_)) if any.takes(c) => self.reach(at, &mut next),
                Some(Symbol::Any(_)) | None => {}
                Some(one) if one.takes(c) => self.reach(at + 1, &mut next),
                Some(_) => {}
            }
        }
        next.places.sort_unstable();
        next.places.dedup();
        next
    }

    /// The characters by which a text may go on from here, but for what a wildcard matches.
    fn next_literals(&self, state: &State) -> impl Iterator<Item = Symbol> {
        let symbols = state.places.iter().filter_map(|&place| self.symbols.get(place).copied());
        symbols.filter(|symbol| matches!(symbol, Symbol::Literal(_) | Symbol::Folded(_)))
    }

    fn accepts(&self, state: &State) -> bool {
        state.places.last() == Some(&self.symbols.len())
    }
}

/// The places in a pattern that a text may have led to, in order.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct State {
    places: Vec<usize>,
}

/// A text, and which patterns match it.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) matched: Vec<bool>,
    pub(super) text: String,
}

/// All combinations of these patterns that a text which matches `shape` has.
///
/// `fresh` are characters of which the first that no pattern names stands for all that none names.
///
/// The work is taken from the bounds.
pub(super) fn classes(
    globs: &[Glob],
    shape: &Glob,
    fresh: &str,
    bounds: &mut Bounds,
) -> Result<Vec<Class>, TooComplex> {
    let alphabet = alphabet(globs, shape, fresh);
    let all: Vec<&Glob> = globs.iter().chain([shape]).collect();
    let start: Vec<State> = all.iter().map(|glob| glob.start()).collect();
    // Each state with the one before it and the character between them.
    let mut visited = vec![(0, None)];
    let mut numbers = HashMap::from([(start.clone(), 0)]);
    let mut queue = VecDeque::from([start]);
    let mut found: HashMap<Vec<bool>, usize> = HashMap::new();
    let mut classes = Vec::new();
    while let Some(states) = queue.pop_front() {
        let number = numbers[&states];
        let mut matched: Vec<bool> =
            all.iter().zip(&states).map(|(glob, state)| glob.accepts(state)).collect();
        if matched.pop() == Some(true) && !found.contains_key(&matched) {
            found.insert(matched.clone(), number);
            classes.push(Class { matched, text: text(&visited, number) });
        }
        let named = all.iter().zip(&states).flat_map(|(glob, state)| glob.next_literals(state));
        let named: Vec<Symbol> = named.collect();
        // All other characters lead where the first one leads, which no pattern names.
        let differs = |c: &char| {
            *c == alphabet[0]
                || *c == ':'
                || placeholders::is_one(*c)
                || named.iter().any(|symbol| symbol.takes(*c))
        };
        for &c in alphabet.iter().filter(|c| differs(c)) {
            bounds.work = bounds.work.checked_sub(all.len()).ok_or(TooComplex::Patterns)?;
            let next: Vec<State> =
                all.iter().zip(&states).map(|(glob, state)| glob.step(state, c)).collect();
            // Out of shape for good.
            if next.last().is_some_and(|shape| shape.places.is_empty())
                || numbers.contains_key(&next)
            {
                continue;
            }
            if visited.len() == bounds.states {
                return Err(TooComplex::Patterns);
            }
            numbers.insert(next.clone(), visited.len());
            visited.push((number, Some(c)));
            queue.push_back(next);
        }
    }
    Ok(classes)
}

fn text(visited: &[(usize, Option<char>)], mut number: usize) -> String {
    let mut reversed = Vec::new();
    while let (before, Some(c)) = visited[number] {
        reversed.push(c);
        number = before;
    }
    reversed.iter().rev().collect()
}

/// The characters that the patterns tell apart: first one that none names, then those that they name as they are written,
/// because witnesses are made of the first that serve.
fn alphabet(globs: &[Glob], shape: &Glob, fresh: &str) -> Vec<char> {
    let symbols = || globs.iter().chain([shape]).flat_map(|glob| glob.symbols.iter().copied());
    let written = symbols().filter_map(|symbol| match symbol {
        Symbol::Literal(c) | Symbol::Folded(c) => Some(c),
        Symbol::One(false) | Symbol::Any(false) => Some(':'),
        Symbol::One(true) | Symbol::Any(true) => None,
    });
    let turned = symbols().flat_map(|symbol| match symbol {
        Symbol::Folded(c) => {
            let other = if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            };
            // The Kelvin sign is the one character beyond ASCII that is an ASCII letter in lower case.
            [Some(other), (other.eq_ignore_ascii_case(&'k')).then_some('\u{212a}')]
        }
        Symbol::Literal(_) | Symbol::One(_) | Symbol::Any(_) => [None, None],
    });
    let mut named = Vec::new();
    for c in written.chain(turned.flatten()) {
        if !named.contains(&c) {
            named.push(c);
        }
    }
    // There is always one: the patterns name finitely many.
    let unnamed = fresh.chars().chain('\u{a1}'..placeholders::FIRST).find(|c| !named.contains(c));
    unnamed.into_iter().chain(named.iter().copied()).collect()
}
