//! A choice of one class for each coordinate, if there is one, that one side allows and the other denies.

use std::collections::HashSet;

use super::too_complex::{MAX_STATEMENTS, TooComplex};
use crate::document::tree::{Document, Effect};

/// A set of statements of both sides.
pub(super) type Statements = u128;

const _: () = assert!(MAX_STATEMENTS <= Statements::BITS as usize);

/// What one coordinate of a request can be.
#[derive(Debug, Default)]
pub(super) struct Coordinate {
    /// The statements that hold there, and a value that shows it; none where the request has no such key.
    classes: Vec<(Statements, Option<String>)>,
}

impl Coordinate {
    /// Adds a class by the statements that hold there, unless there is one like it.
    pub(super) fn add(&mut self, holding: Statements, shown: Option<String>) {
        if self.classes.iter().all(|(other, _)| *other != holding) {
            self.classes.push((holding, shown));
        }
    }
}

/// The statements for which this is true, in their order.
pub(super) fn holding(holds: impl Iterator<Item = bool>) -> Statements {
    holds.enumerate().fold(0, |set, (i, holds)| set | (Statements::from(holds) << i))
}

/// The statements of one policy, by what they do.
#[derive(Clone, Copy, Debug)]
struct Policy {
    allows: Statements,
    denies: Statements,
}

/// The policies of each side, of which one allows a request if the side does.
#[derive(Clone, Debug)]
pub(super) struct Sides([Vec<Policy>; 2]);

impl Sides {
    pub(super) fn of(sides: [&[Document<String>]; 2]) -> Result<Self, TooComplex> {
        let count: usize = sides.iter().copied().flatten().map(|one| one.statements.len()).sum();
        if count > MAX_STATEMENTS {
            return Err(TooComplex::Statements);
        }
        let mut next = 0;
        let mut policy = |document: &Document<String>| {
            let mut policy = Policy { allows: 0, denies: 0 };
            for statement in &document.statements {
                match statement.effect {
                    Effect::Allow => policy.allows |= 1 << next,
                    Effect::Deny => policy.denies |= 1 << next,
                }
                next += 1;
            }
            policy
        };
        Ok(Self(sides.map(|side| side.iter().map(&mut policy).collect())))
    }

    /// Whether a side allows a request for which just these statements hold.
    fn allowed(&self, side: usize, holding: Statements) -> bool {
        self.0[side].iter().any(|one| holding & one.allows != 0 && holding & one.denies == 0)
    }

    /// Whether no request for which some of these statements hold is allowed by the first side.
    fn is_vain(&self, holding: Statements) -> bool {
        self.0[0].iter().all(|one| holding & one.allows == 0)
    }

    /// For each coordinate a value, so that the first side allows the request and the second denies it.
    pub(super) fn search(
        self,
        coordinates: &[Coordinate],
        steps: &mut usize,
    ) -> Result<Option<Vec<Option<String>>>, TooComplex> {
        let mut search = Search { sides: self, vain: HashSet::new(), steps };
        let found = search.descend(coordinates, Statements::MAX)?;
        // The last coordinate was found first.
        Ok(found.map(|values| values.into_iter().rev().collect()))
    }
}

struct Search<'a> {
    sides: Sides,
    /// How many coordinates were left, and what held before them, where nothing was found.
    vain: HashSet<(usize, Statements)>,
    steps: &'a mut usize,
}

impl Search<'_> {
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
        if self.sides.is_vain(holding) || !self.vain.insert((left.len(), holding)) {
            return Ok(None);
        }
        for (class, shown) in &next.classes {
            *self.steps = self.steps.checked_sub(1).ok_or(TooComplex::Conditions)?;
            if let Some(mut values) = self.descend(rest, holding & class)? {
                values.push(shown.clone());
                return Ok(Some(values));
            }
        }
        Ok(None)
    }
}
