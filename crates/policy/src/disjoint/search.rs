//! A key that two callers with different values reach, if there is one: a search through both automata side by side.

use std::collections::{HashMap, HashSet};

use super::answer::MAX_STATES;
use super::automaton::{Alphabet, Case, Set, Step};
use super::reach::{Kind, Reach};
use super::shared_resource::{self, Positions, SharedResource};

/// Characters in the order in which a key prefers them.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const ASCII: &str = "1023456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.~@+=,()!*?:&;'%# ";
const BEYOND_ASCII: &str = "\u{e9}\u{4e2d}\u{3b1}\u{436}";

pub(super) enum Outcome {
    /// There is none.
    None,
    Found(Candidate),
    TooComplex,
}

/// A key, and how each side reads it.
#[derive(Debug)]
pub(super) struct Candidate {
    /// `bucket/key`.
    pub(super) path: String,
    /// Of each side, the values that it reads in the path, by the placeholder's number.
    pub(super) values: [Vec<(usize, String)>; 2],
    /// Of each side, the length in bytes of the path up to the end of a listing's prefix.
    pub(super) prefix_ends: [Option<usize>; 2],
}

/// How far the two sides' values of the placeholder cover the same characters.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Span {
    Apart,
    /// One side's value begins here.
    Begun(usize),
    /// Both values began at the same character.
    Together,
    /// One side's value ends here, and both began together.
    Ended(usize),
    /// Both values began and ended together: they are equal.
    Equal,
}

/// The part of a path that is read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Part {
    Start,
    Bucket,
    Slash,
    Key,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    at: [usize; 2],
    span: Span,
    /// Of each side, which of the listed values the placeholder has.
    chosen: [Option<usize>; 2],
    part: Part,
    /// A number of [`Positions`].
    shared: usize,
}

/// What leads from a state to the next.
#[derive(Clone, Copy, Debug)]
enum Move {
    Took(char),
    Passed(usize, Step),
}

/// The number of the state before and what led from it; none for the first.
type Origin = Option<(usize, Move)>;

/// Keys that do not count.
#[derive(Clone, Copy)]
pub(super) struct Exempt<'a> {
    /// What callers may share.
    pub(super) shared: &'a [SharedResource],
    /// Objects that one of the two does not reach.
    pub(super) denied: &'a [SharedResource],
}

/// Searches for a key that both reach with different values of the placeholder, outside what is exempt.
pub(super) fn common_key(
    reaches: [&Reach<'_>; 2],
    placeholder: usize,
    alphabet: &Alphabet<'_>,
    exempt: Exempt<'_>,
) -> Outcome {
    let all = [exempt.shared, exempt.denied].concat();
    let one_case = alphabet.has_one_case(alphabet.placeholders[placeholder]);
    let mut search = Search {
        reaches,
        placeholder,
        one_case,
        shared: exempt.shared.len(),
        literals: all.iter().flat_map(|one| one.path().iter().copied()).collect(),
        positions: vec![shared_resource::start(&all)],
        numbers: HashMap::from([(shared_resource::start(&all), 0)]),
        exempt: all,
        states: Vec::new(),
        seen: HashSet::new(),
    };
    search.run()
}

struct Search<'a> {
    reaches: [&'a Reach<'a>; 2],
    placeholder: usize,
    one_case: bool,
    /// What may be shared, and after it what is denied.
    exempt: Vec<SharedResource>,
    /// How many of them may be shared.
    shared: usize,
    /// The characters that they tell apart.
    literals: Vec<char>,
    positions: Vec<Positions>,
    numbers: HashMap<Positions, usize>,
    /// Every state with the one before it and the number of characters that led to it.
    states: Vec<(State, Origin, usize)>,
    seen: HashSet<State>,
}

impl Search<'_> {
    fn run(&mut self) -> Outcome {
        self.visit(
            State {
                at: [0, 0],
                span: Span::Apart,
                chosen: [None; 2],
                part: Part::Start,
                shared: 0,
            },
            None,
        );
        let mut next = 0;
        while next < self.states.len() {
            if next >= MAX_STATES {
                return Outcome::TooComplex;
            }
            let state = self.states[next].0.clone();
            if self.accepts(&state) {
                return Outcome::Found(self.candidate(next));
            }
            self.pass(next, &state);
            self.take(next, &state);
            next += 1;
        }
        Outcome::None
    }

    fn visit(&mut self, state: State, from: Origin) {
        if self.seen.insert(state.clone()) {
            let place = from.map_or(0, |(before, by)| {
                self.states[before].2 + usize::from(matches!(by, Move::Took(_)))
            });
            self.states.push((state, from, place));
        }
    }

    fn accepts(&self, state: &State) -> bool {
        let ends = [0, 1].map(|side| self.reaches[side].automaton.last());
        let has_object = self.reaches.iter().any(|reach| reach.kind == Kind::Object);
        state.at == ends
            && state.part == Part::Key
            && state.span != Span::Equal
            && (state.chosen[0].is_none() || state.chosen[0] != state.chosen[1])
            && !(has_object && shared_resource::is_shared(&self.exempt, self.positions_of(state)))
    }

    fn is_shared(&self, state: &State) -> bool {
        let shared = self.positions_of(state).iter().filter(|(pattern, _)| *pattern < self.shared);
        shared_resource::is_shared(&self.exempt, &shared.copied().collect())
    }

    fn positions_of(&self, state: &State) -> &Positions {
        &self.positions[state.shared]
    }

    /// The steps that take no character.
    fn pass(&mut self, from: usize, state: &State) {
        for side in [0, 1] {
            for (step, to) in self.reaches[side].automaton.steps[state.at[side]].clone() {
                let mut after = state.clone();
                after.at[side] = to;
                match step {
                    Step::Take(..) => continue,
                    Step::Begin(number) if number == self.placeholder => {
                        after.span = match state.span {
                            Span::Equal => Span::Equal,
                            Span::Begun(other) if other != side => Span::Together,
                            _ => Span::Begun(side),
                        };
                    }
                    Step::End(number, case) if number == self.placeholder => {
                        // In another case the same characters may be another value.
                        let tells = case == Case::Kept || self.one_case;
                        after.span = match state.span {
                            Span::Equal => Span::Equal,
                            Span::Together if tells => Span::Ended(side),
                            Span::Ended(other) if other != side && tells => Span::Equal,
                            _ => Span::Apart,
                        };
                    }
                    Step::Chose(number, choice) if number == self.placeholder => {
                        // One caller has one value.
                        if state.chosen[side].is_some_and(|before| before != choice) {
                            continue;
                        }
                        after.chosen[side] = Some(choice);
                    }
                    // The listing of this prefix may be shared.
                    Step::PrefixEnd if self.is_shared(state) => continue,
                    Step::PrefixEnd | Step::Chose(..) | Step::Begin(_) | Step::End(..) => {}
                }
                self.visit(after, Some((from, Move::Passed(side, step))));
            }
        }
    }

    /// The steps that take the same character on both sides.
    fn take(&mut self, from: usize, state: &State) {
        let place = self.states[from].2;
        let steps = [0, 1].map(|side| self.reaches[side].automaton.steps[state.at[side]].clone());
        for (one, to) in &steps[0] {
            let &Step::Take(set, case) = one else { continue };
            for (other, other_to) in &steps[1] {
                let &Step::Take(other_set, other_case) = other else { continue };
                for c in self.characters([(set, case), (other_set, other_case)], place) {
                    let part = match (state.part, c) {
                        (Part::Start, '/') => continue,
                        (Part::Start, _) => Part::Bucket,
                        (Part::Bucket, '/') => Part::Slash,
                        (Part::Bucket, _) => Part::Bucket,
                        (Part::Slash | Part::Key, _) => Part::Key,
                    };
                    let span = match state.span {
                        Span::Equal => Span::Equal,
                        Span::Together => Span::Together,
                        Span::Apart | Span::Begun(_) | Span::Ended(_) => Span::Apart,
                    };
                    let shared = self.shared_after(state.shared, c);
                    let (at, chosen) = ([*to, *other_to], state.chosen);
                    let after = State { at, span, chosen, part, shared };
                    self.visit(after, Some((from, Move::Took(c))));
                }
            }
        }
    }

    /// Characters of both sets that represent all of them: those that are told apart by what may be shared or by the
    /// part of the path, and one of the others.
    fn characters(&self, sets: [(Set, Case); 2], place: usize) -> Vec<char> {
        let both = |c: &char| sets.iter().all(|(set, case)| set.takes(*c, *case));
        let alone = sets.iter().find_map(|&(set, case)| match set {
            Set::Only(c) if case == Case::Kept => Some(c),
            _ => None,
        });
        if let Some(c) = alone {
            return Some(c).filter(both).into_iter().collect();
        }
        let own = sets.iter().filter_map(|(set, _)| match set {
            Set::Only(c) => Some([c.to_ascii_lowercase(), c.to_ascii_uppercase()]),
            _ => None,
        });
        let told = self.literals.iter().copied().chain(['/']).chain(own.flatten());
        let told: Vec<char> = told.filter(both).collect();
        // Neighbouring characters differ, so that values at different places do.
        let letters = LETTERS.chars().cycle().skip(place % LETTERS.len()).take(LETTERS.len());
        let other = letters.chain(ASCII.chars()).find(|c| both(c) && !told.contains(c));
        let beyond = BEYOND_ASCII.chars().find(|c| both(c) && !told.contains(c));
        other.into_iter().chain(told.iter().copied()).chain(beyond).collect()
    }

    fn shared_after(&mut self, number: usize, c: char) -> usize {
        let after = shared_resource::after(&self.exempt, &self.positions[number], c);
        let next = self.positions.len();
        let number = *self.numbers.entry(after.clone()).or_insert(next);
        if number == next {
            self.positions.push(after);
        }
        number
    }

    /// The key by the moves that led to a state.
    fn candidate(&self, last: usize) -> Candidate {
        let mut moves = Vec::new();
        let mut at = last;
        while let Some((before, by)) = self.states[at].1 {
            moves.push(by);
            at = before;
        }
        let mut found =
            Candidate { path: String::new(), values: [vec![], vec![]], prefix_ends: [None, None] };
        let mut begun = [0, 0];
        for by in moves.into_iter().rev() {
            match by {
                Move::Took(c) => found.path.push(c),
                Move::Passed(side, Step::Begin(_)) => begun[side] = found.path.len(),
                Move::Passed(side, Step::End(number, _)) => {
                    found.values[side].push((number, found.path[begun[side]..].to_owned()));
                }
                Move::Passed(side, Step::PrefixEnd) => {
                    found.prefix_ends[side] = Some(found.path.len());
                }
                Move::Passed(_, Step::Take(..) | Step::Chose(..)) => {}
            }
        }
        found
    }
}
