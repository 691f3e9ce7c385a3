//! Fewer and shorter statements that allow the same.

use super::document;
use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Statement, Strings};
use crate::exact::{Bounds, Inclusion};
use crate::matching::pattern::Pattern;
use crate::matching::resource::ResourcePattern;

/// Statements that allow exactly what these allow: without parts that the others include, and joined where they differ in
/// one list only. All of them are `Allow`.
///
/// What the exact comparison does not decide within its bounds stays.
pub(super) fn minimise(statements: Vec<Statement<String>>) -> Vec<Statement<String>> {
    let mut statements = without_repetition(statements);
    let mut i = 0;
    while i < statements.len() {
        let statement = statements.remove(i);
        if let Some(reduced) = reduced(statement, &statements) {
            statements.insert(i, reduced);
            i += 1;
        }
    }
    joined(statements)
}

/// The statements that no other one includes.
fn without_repetition(mut statements: Vec<Statement<String>>) -> Vec<Statement<String>> {
    let mut i = 0;
    while i < statements.len() {
        let statement = statements.remove(i);
        if !is_included(&statement, &statements) {
            statements.insert(i, statement);
            i += 1;
        }
    }
    statements
}

fn is_included(statement: &Statement<String>, others: &[Statement<String>]) -> bool {
    // The rest cannot include a part of it, and the comparison costs less without.
    let others: Vec<_> = others.iter().filter_map(|other| meeting(statement, other)).collect();
    let one = document(vec![statement.clone()]);
    !others.is_empty()
        && one.inclusion_within(&document(others), Bounds::REQUEST) == Inclusion::Included
}

/// The other statement without the actions and resources that have nothing in common with this one.
fn meeting(statement: &Statement<String>, other: &Statement<String>) -> Option<Statement<String>> {
    let mut meeting = other.clone();
    let resources = other.resource.as_slice().iter().filter(|theirs| {
        let mut ours = statement.resource.as_slice().iter();
        ours.any(|ours| ResourcePattern::intersects(ours, theirs))
    });
    meeting.resource = Strings::of(resources.cloned().collect());
    if let (Actions::Action(ours), Actions::Action(theirs)) = (&statement.actions, &other.actions) {
        let actions = theirs.as_slice().iter().filter(|theirs| {
            let theirs = theirs.to_ascii_lowercase();
            let mut ours = ours.as_slice().iter();
            ours.any(|ours| Pattern(&ours.to_ascii_lowercase()).intersects(Pattern(&theirs)))
        });
        meeting.actions = Actions::Action(Strings::of(actions.cloned().collect()));
    }
    let is_empty = meeting.resource.as_slice().is_empty()
        || matches!(&meeting.actions, Actions::Action(actions) if actions.as_slice().is_empty());
    (!is_empty).then_some(meeting)
}

/// The statement without the entries of its lists that its rest and the others include.
fn reduced(
    statement: Statement<String>,
    others: &[Statement<String>],
) -> Option<Statement<String>> {
    let mut statement = statement;
    for list in lists(&statement) {
        let mut at = 0;
        while let Some((entry, rest)) = list.without(&statement, at) {
            let mut others = others.to_vec();
            others.extend(rest.clone());
            if is_included(&entry, &others) {
                statement = rest?;
            } else {
                at += 1;
            }
        }
    }
    Some(statement)
}

/// A list of a statement whose entries are alternatives, so that the statement is the union of one for each entry.
#[derive(Clone, Debug)]
pub(super) enum List {
    Actions,
    Resources,
    Values(ConditionOperator, String),
}

/// The lists of alternatives. Those of `NotAction` and of negated conditions are none: all of their entries bind.
pub(super) fn lists(statement: &Statement<String>) -> Vec<List> {
    let actions = matches!(statement.actions, Actions::Action(_)).then_some(List::Actions);
    let positive = statement.condition.iter().filter(|(operator, _)| !operator.is_negated());
    let values = positive
        .flat_map(|(operator, keys)| keys.keys().map(|key| List::Values(*operator, key.clone())));
    actions.into_iter().chain([List::Resources]).chain(values).collect()
}

impl List {
    /// The entries of the list in a statement that has it.
    pub(super) fn of<'a>(&self, statement: &'a Statement<String>) -> &'a [String] {
        match self {
            Self::Actions => statement.actions.patterns(),
            Self::Resources => statement.resource.as_slice(),
            Self::Values(operator, key) => statement
                .condition
                .get(operator)
                .and_then(|keys| keys.get(key))
                .map_or(&[], Strings::as_slice),
        }
    }

    /// The statement with other entries.
    pub(super) fn with(
        &self,
        statement: &Statement<String>,
        entries: &[String],
    ) -> Statement<String> {
        let (mut statement, entries) = (statement.clone(), Strings::of(entries.to_vec()));
        match self {
            Self::Actions => statement.actions = Actions::Action(entries),
            Self::Resources => statement.resource = entries,
            Self::Values(operator, key) => {
                statement.condition.entry(*operator).or_default().insert(key.clone(), entries);
            }
        }
        statement
    }

    /// The statement with the entry at this place alone, and without it if others are left.
    fn without(
        &self,
        statement: &Statement<String>,
        at: usize,
    ) -> Option<(Statement<String>, Option<Statement<String>>)> {
        let mut entries = self.of(statement).to_vec();
        if at >= entries.len() {
            return None;
        }
        let entry = self.with(statement, &[entries.remove(at)]);
        let rest = (!entries.is_empty()).then(|| self.with(statement, &entries));
        Some((entry, rest))
    }
}

/// The statements, those that differ in one list of alternatives as one.
fn joined(statements: Vec<Statement<String>>) -> Vec<Statement<String>> {
    let mut statements = document(statements).canonicalize().statements;
    loop {
        let pairs = (0..statements.len()).flat_map(|i| (0..i).map(move |j| (j, i)));
        let found = pairs
            .into_iter()
            .find_map(|(i, j)| Some((i, j, join(&statements[i], &statements[j])?)));
        let Some((i, j, both)) = found else { return statements };
        statements.remove(j);
        statements[i] = both;
        statements = document(statements).canonicalize().statements;
    }
}

fn join(one: &Statement<String>, two: &Statement<String>) -> Option<Statement<String>> {
    lists(one).into_iter().find_map(|list| {
        let entries = list.of(two);
        let is_same_otherwise = list.with(one, entries) == *two;
        is_same_otherwise.then(|| list.with(one, &[list.of(one), entries].concat()))
    })
}
