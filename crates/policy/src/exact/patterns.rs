//! The patterns of all statements for an action or for a resource.

use super::language::{FRESH, Glob, classes};
use super::search::{Coordinate, Statements, holding};
use super::too_complex::{Bounds, TooComplex};
use crate::document::tree::{Actions, Statement};

/// Names of actions, such as `oss:GetObject`.
const ACTION: &str = "?*:?*";
/// Names of resources, such as `acs:oss:*:*:sample-bucket/a`.
const RESOURCE: &str = "acs:?*:*:*:?*";
const RESOURCE_FIELDS: usize = 5;

/// The patterns of one coordinate, in the order of the statements.
pub(super) struct Patterns {
    globs: Vec<Glob>,
    /// As the statements have them.
    written: Vec<String>,
    /// Of each statement, how many are its own, and whether it holds where none of them matches.
    owners: Vec<(usize, bool)>,
    shape: Glob,
}

impl Patterns {
    pub(super) fn of_actions(statements: &[&Statement<String>]) -> Self {
        let owner = |statement: &&Statement<String>| match &statement.actions {
            Actions::Action(patterns) => (patterns.as_slice().len(), false),
            Actions::NotAction(patterns) => (patterns.as_slice().len(), true),
        };
        let written: Vec<String> =
            statements.iter().flat_map(|statement| statement.actions.patterns()).cloned().collect();
        Self {
            globs: written.iter().map(|pattern| Glob::like_ignoring_case(pattern)).collect(),
            written,
            owners: statements.iter().map(owner).collect(),
            shape: Glob::fields(ACTION, 2, false),
        }
    }

    pub(super) fn of_resources(statements: &[&Statement<String>]) -> Self {
        let glob = |pattern: &String| match pattern.matches(':').count() + 1 {
            fields if fields < RESOURCE_FIELDS => Glob::like(pattern),
            _ => Glob::fields(pattern, RESOURCE_FIELDS, true),
        };
        let written: Vec<String> = statements
            .iter()
            .flat_map(|statement| statement.resource.as_slice())
            .cloned()
            .collect();
        Self {
            globs: written.iter().map(glob).collect(),
            written,
            owners: statements
                .iter()
                .map(|statement| (statement.resource.as_slice().len(), false))
                .collect(),
            shape: Glob::fields(RESOURCE, RESOURCE_FIELDS, true),
        }
    }

    /// Every class of names, by the statements that hold there.
    pub(super) fn coordinate(&self, bounds: &mut Bounds) -> Result<Coordinate, TooComplex> {
        let mut coordinate = Coordinate::default();
        for class in classes(&self.globs, &self.shape, FRESH, bounds)? {
            coordinate.add(self.holding_where(&class.matched), Some(class.text));
        }
        Ok(coordinate)
    }

    /// The statements that hold for this name; none if it is no name.
    pub(super) fn holding(&self, name: &str) -> Option<Statements> {
        let matched: Vec<bool> = self.globs.iter().map(|glob| glob.matches(name)).collect();
        self.shape.matches(name).then(|| self.holding_where(&matched))
    }

    /// The steps that `holding` takes.
    pub(super) fn cost(&self, name: &str) -> usize {
        self.globs.len() * name.len()
    }

    /// The pattern that is this name in some letter case, as it is written.
    pub(super) fn spelling(&self, name: &str) -> Option<&str> {
        let mut written = self.written.iter().map(String::as_str);
        written.find(|written| written.eq_ignore_ascii_case(name))
    }

    fn holding_where(&self, matched: &[bool]) -> Statements {
        let mut rest = matched;
        let holds = self.owners.iter().map(|&(count, is_turned)| {
            let (own, others) = rest.split_at(count);
            rest = others;
            own.contains(&true) != is_turned
        });
        holding(holds)
    }
}
