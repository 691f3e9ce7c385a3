//! A choice of one class for each coordinate, if there is one, that one policy allows and the other denies.

use std::collections::HashSet;

use super::too_complex::{MAX_STATEMENTS, TooComplex};
use crate::document::tree::{Document, Effect};

/// A set of statements of both policies.
type Statements = u128;

const _: () = assert!(MAX_STATEMENTS <= Statements::BITS as usize);

/// What one coordinate of a request can be.
#[derive(Debug, Default)]
pub(super) struct Coordinate {
    /// The statements that hold there, and a value that shows it; none where the request has no such key.
    classes: Vec<(Statements, Option<String>)>,
}

impl Coordinate {
    /// Adds a class by whether each statement holds there, unless there is one like it.
    pub(super) fn add(&mut self, holds: impl Iterator<Item = bool>, shown: Option<String>) {
        let holding =
            holds.enumerate().fold(0, |set, (i, holds)| set | (Statements::from(holds) << i));
        if self.classes.iter().all(|(other, _)| *other != holding) {
            self.classes.push((holding, shown));
        }
    }
}

/// Which statements are whose, and what they do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    allows: [Statements; 2],
    denies: [Statements; 2],
}

impl Sides {
    pub(super) fn of(one: &Document<String>, other: &Document<String>) -> Result<Self, TooComplex> {
        if one.statements.len() + other.statements.len() > MAX_STATEMENTS {
            return Err(TooComplex::Statements);
        }
        let set = |effect: Effect, side: usize| {
            let sides = one.statements.iter().map(|of| (0, of));
            let both = sides.chain(other.statements.iter().map(|of| (1, of))).enumerate();
            both.filter(|(_, (of, statement))| *of == side && statement.effect == effect)
                .fold(0, |set, (i, _)| set | (1 << i))
        };
        Ok(Self {
            allows: [set(Effect::Allow, 0), set(Effect::Allow, 1)],
            denies: [set(Effect::Deny, 0), set(Effect::Deny, 1)],
        })
    }

    /// Whether a policy allows a request for which just these statements hold.
    fn allowed(self, side: usize, holding: Statements) -> bool {
        holding & self.allows[side] != 0 && holding & self.denies[side] == 0
    }

    /// For each coordinate a value, so that the first policy allows the request and the second denies it.
    pub(super) fn search(
        self,
        coordinates: &[Coordinate],
        steps: usize,
    ) -> Result<Option<Vec<Option<String>>>, TooComplex> {
        let mut search = Search { sides: self, vain: HashSet::new(), steps };
        let found = search.descend(coordinates, Statements::MAX)?;
        // The last coordinate was found first.
        Ok(found.map(|values| values.into_iter().rev().collect()))
    }
}

struct Search {
    sides: Sides,
    /// How many coordinates were left, and what held before them, where nothing was found.
    vain: HashSet<(usize, Statements)>,
    steps: usize,
}

impl Search {
    /// Values of the coordinates that are left, the last one first.
    fn descend(
        &mut self,
        left: &[Coordinate],
        holding: Statements,
    ) -> Result<Option<Vec<Option<String>>>, TooComplex> {
        let Some((next, rest)) = left.split_first() else {
            let differs = self.sides.allowed(0, holding) && !self.sides.allowed(1, holding);
            return Ok(differs.then(Vec::new));
        };
        // Each coordinate only takes statements away.
        if holding & self.sides.allows[0] == 0 || !self.vain.insert((left.len(), holding)) {
            return Ok(None);
        }
        for (class, shown) in &next.classes {
            self.steps = self.steps.checked_sub(1).ok_or(TooComplex::Conditions)?;
            if let Some(mut values) = self.descend(rest, holding & class)? {
                values.push(shown.clone());
                return Ok(Some(values));
            }
        }
        Ok(None)
    }
}
