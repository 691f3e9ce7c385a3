//! Whether one policy allows nothing that another denies, decided exactly: complete and sound, over unions of statements,
//! denials, `NotAction` and conditions, for the reading of RAM by which [`Document::decide`] decides a request.
//!
//! `policy compare` uses it, and it is the second lock behind `containment`. It shares no code with `containment`, and none with the evaluator's matching. A
//! request is an action, a resource and a value or none for each condition key. Each of these coordinates falls into
//! finitely many classes that no statement tells apart; a class is which statements hold there, and one value that shows
//! it. A policy allows more than another exactly if one choice of classes is allowed by the first and denied by the second.

mod language;
mod placeholders;
mod search;
mod too_complex;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use crate::document::problem::PolicyProblem;
use crate::document::tree::{Actions, Document, Statement};
use language::{Class, FRESH, Glob, classes};
use placeholders::Placeholders;
use search::{Coordinate, Sides};
pub(crate) use too_complex::Bounds;
pub use too_complex::TooComplex;

/// A RAM policy to be compared with another. A template is one, too: a placeholder is a value that
/// only `*` is certain to match, the same wherever the placeholder is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ComparablePolicy(Document<String>);

impl ComparablePolicy {
    /// Reads a policy, or says everything that is wrong with it.
    pub fn parse(json: &str) -> Result<Self, Vec<PolicyProblem>> {
        Document::read(json, |_, raw| Ok(raw.to_owned())).map(Self)
    }

    pub(crate) fn of(document: Document<String>) -> Self {
        Self(document)
    }

    /// Whether `other` allows all that this policy allows.
    pub fn inclusion_in(&self, other: &Self) -> Inclusion {
        let placeholders = match Placeholders::of([&self.0, &other.0]) {
            Ok(placeholders) => placeholders,
            Err(bound) => return Inclusion::TooComplex(bound),
        };
        match placeholders.hidden(&self.0).inclusion_in(&placeholders.hidden(&other.0)) {
            Inclusion::Beyond(Witness { action, resource, conditions }) => {
                let shown = |text: String| placeholders.shown(&text);
                let conditions = conditions.into_iter().map(|(key, value)| (key, shown(value)));
                Inclusion::Beyond(Witness {
                    action,
                    resource: shown(resource),
                    conditions: conditions.collect(),
                })
            }
            decided => decided,
        }
    }
}

/// What of one policy another does not allow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inclusion {
    /// Whatever the first allows, the second allows.
    Included,
    /// The first allows this request, and the second denies it.
    Beyond(Witness),
    /// Not decided within the bounds.
    TooComplex(TooComplex),
}

/// One request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// Such as `oss:GetObject`.
    pub action: String,
    /// Such as `acs:oss:*:*:sample-bucket/a`.
    pub resource: String,
    /// What it has of the condition keys that the policies name.
    pub conditions: BTreeMap<String, String>,
}

impl Witness {
    /// Of a text that is no policy.
    fn unknown() -> Self {
        let any = || "*".to_owned();
        Self { action: any(), resource: any(), conditions: BTreeMap::new() }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        let mut before = " with ";
        for (key, value) in &self.conditions {
            write!(f, "{before}{key}={value:?}")?;
            before = ", ";
        }
        Ok(())
    }
}

/// Names of actions, such as `oss:GetObject`.
const ACTION: &str = "?*:?*";
/// Names of resources, such as `acs:oss:*:*:sample-bucket/a`.
const RESOURCE: &str = "acs:?*:*:*:?*";
const RESOURCE_FIELDS: usize = 5;

impl Document<String> {
    /// Whether `other` allows all that this policy allows.
    pub(crate) fn inclusion_in(&self, other: &Self) -> Inclusion {
        self.inclusion_within(other, Bounds::OFFLINE)
    }

    /// The same at this cost at most.
    pub(crate) fn inclusion_within(&self, other: &Self, bounds: Bounds) -> Inclusion {
        match self.beyond(other, bounds) {
            Ok(None) => Inclusion::Included,
            Ok(Some(witness)) => Inclusion::Beyond(witness),
            Err(bound) => Inclusion::TooComplex(bound),
        }
    }

    fn beyond(&self, other: &Self, mut bounds: Bounds) -> Result<Option<Witness>, TooComplex> {
        let sides = Sides::of(self, other)?;
        let statements: Vec<&Statement<String>> =
            self.statements.iter().chain(&other.statements).collect();
        let keys = values::keys(&statements);
        let mut coordinates =
            vec![actions(&statements, &mut bounds)?, resources(&statements, &mut bounds)?];
        for key in &keys {
            coordinates.push(values::coordinate(&statements, key, &mut bounds)?);
        }
        let Some(mut found) = sides.search(&coordinates, bounds.steps)? else { return Ok(None) };
        let conditions = found.split_off(2);
        let conditions = keys.into_iter().zip(conditions);
        let mut named = found.into_iter().map(Option::unwrap_or_default);
        let action = named.next().unwrap_or_default();
        Ok(Some(Witness {
            action: as_written(action, &statements),
            resource: named.next().unwrap_or_default(),
            conditions: conditions
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect(),
        }))
    }
}

/// Whether a policy allows all that the policy of this text allows, at the cost of a request at most.
///
/// A text that is no policy is beyond any other: nothing is known of it.
pub(crate) fn inclusion_of_text(json: &str, other: &Document<String>) -> Inclusion {
    match Document::read(json, |_, raw| Ok(raw.to_owned())) {
        Ok(policy) => policy.inclusion_within(other, Bounds::REQUEST),
        Err(_) => Inclusion::Beyond(Witness::unknown()),
    }
}

/// The action as a statement spells it, if one does: the case of its letters does not count.
fn as_written(action: String, statements: &[&Statement<String>]) -> String {
    let mut written = statements.iter().flat_map(|statement| statement.actions.patterns());
    written.find(|written| written.eq_ignore_ascii_case(&action)).cloned().unwrap_or(action)
}

fn actions(
    statements: &[&Statement<String>],
    bounds: &mut Bounds,
) -> Result<Coordinate, TooComplex> {
    let patterns = |statement: &Statement<String>| statement.actions.patterns().to_vec();
    let globs = statements.iter().flat_map(|statement| patterns(statement));
    let globs: Vec<_> = globs.map(|pattern| Glob::like_ignoring_case(&pattern)).collect();
    let classes = classes(&globs, &Glob::fields(ACTION, 2, false), FRESH, bounds)?;
    Ok(by_statement(&classes, statements, |statement| match &statement.actions {
        Actions::Action(patterns) => (patterns.as_slice().len(), false),
        Actions::NotAction(patterns) => (patterns.as_slice().len(), true),
    }))
}

fn resources(
    statements: &[&Statement<String>],
    bounds: &mut Bounds,
) -> Result<Coordinate, TooComplex> {
    let patterns = statements.iter().flat_map(|statement| statement.resource.as_slice());
    let glob = |pattern: &String| match pattern.matches(':').count() + 1 {
        fields if fields < RESOURCE_FIELDS => Glob::like(pattern),
        _ => Glob::fields(pattern, RESOURCE_FIELDS, true),
    };
    let globs: Vec<_> = patterns.map(glob).collect();
    let classes = classes(&globs, &Glob::fields(RESOURCE, RESOURCE_FIELDS, true), FRESH, bounds)?;
    Ok(by_statement(&classes, statements, |statement| (statement.resource.as_slice().len(), false)))
}

/// In which statements one of the patterns, of which each has so many, matches; or none, if it is turned round.
fn by_statement(
    classes: &[Class],
    statements: &[&Statement<String>],
    patterns: impl Fn(&Statement<String>) -> (usize, bool),
) -> Coordinate {
    let mut coordinate = Coordinate::default();
    for class in classes {
        let mut rest = class.matched.as_slice();
        let holds = statements.iter().map(|statement| {
            let (count, is_turned) = patterns(statement);
            let (own, others) = rest.split_at(count);
            rest = others;
            own.contains(&true) != is_turned
        });
        coordinate.add(holds, Some(class.text.clone()));
    }
    coordinate
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod tests;
