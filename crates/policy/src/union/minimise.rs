//! Fewer and shorter statements that allow the same.

use super::comparison::UnionComparison;
use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Document, Statement, Strings};

/// Statements that allow exactly what these allow: without parts that the others include, and joined where they differ in
/// one list only. All of them are `Allow`.
///
/// What the comparison does not decide within its bounds stays.
pub(super) fn minimise(
    statements: Vec<Statement<String>>,
    comparison: &mut UnionComparison,
) -> Vec<Statement<String>> {
    let mut statements = without_repetition(statements, comparison);
    let mut i = 0;
    while i < statements.len() {
        let statement = statements.remove(i);
        if let Some(reduced) = reduced(statement, &statements, comparison) {
            statements.insert(i, reduced);
            i += 1;
        }
    }
    joined(statements)
}

/// The statements that the others do not include. What is not decided here is decided entry by entry afterwards.
fn without_repetition(
    mut statements: Vec<Statement<String>>,
    comparison: &mut UnionComparison,
) -> Vec<Statement<String>> {
    let mut i = 0;
    while i < statements.len() {
        let statement = statements.remove(i);
        if comparison.includes(&statements, &statement) != Some(true) {
            statements.insert(i, statement);
            i += 1;
        }
    }
    statements
}

/// The statement without the entries of its lists that its rest and the others include.
fn reduced(
    statement: Statement<String>,
    others: &[Statement<String>],
    comparison: &mut UnionComparison,
) -> Option<Statement<String>> {
    let mut statement = statement;
    for list in lists(&statement) {
        let mut at = 0;
        while let Some((entry, rest)) = list.without(&statement, at) {
            match comparison.includes(others.iter().chain(&rest), &entry) {
                Some(true) => statement = rest?,
                Some(false) => at += 1,
                None => {
                    comparison.set_incomplete();
                    at += 1;
                }
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
    let mut statements = Document::of(statements).canonicalize().statements;
    loop {
        let pairs = (0..statements.len()).flat_map(|i| (0..i).map(move |j| (j, i)));
        let found = pairs
            .into_iter()
            .find_map(|(i, j)| Some((i, j, join(&statements[i], &statements[j])?)));
        let Some((i, j, both)) = found else { return statements };
        statements.remove(j);
        statements[i] = both;
        statements = Document::of(statements).canonicalize().statements;
    }
}

fn join(one: &Statement<String>, two: &Statement<String>) -> Option<Statement<String>> {
    // Most pairs differ in more than one list, which is seen without a copy of them.
    let differences =
        [one.actions != two.actions, one.resource != two.resource, one.condition != two.condition];
    if differences.into_iter().filter(|differs| *differs).count() > 1 {
        return None;
    }
    lists(one).into_iter().find_map(|list| {
        let entries = list.of(two);
        let is_same_otherwise = list.with(one, entries) == *two;
        is_same_otherwise.then(|| list.with(one, &[list.of(one), entries].concat()))
    })
}
