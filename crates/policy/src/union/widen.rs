//! The policy that allows what a template allows for some values.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Condition, Document, Effect, Statement, Strings};
use crate::template::text::Text;

/// A policy that includes every policy that the template renders.
///
/// A denial with a placeholder is left out: it denies something else for each caller.
pub(super) fn widest(template: &Document<Text>) -> Document<String> {
    let is_kept = |of: &&Statement<Text>| of.effect == Effect::Allow || !depends(of);
    let statements = template.statements.iter().filter(is_kept).map(widened);
    Document { version: template.version, statements: statements.collect() }
}

fn depends(statement: &Statement<Text>) -> bool {
    let conditions = statement.condition.values().flat_map(|keys| keys.values());
    conditions.chain([&statement.resource]).any(has_placeholder)
}

fn has_placeholder(texts: &Strings<Text>) -> bool {
    texts.as_slice().iter().any(|text| text.placeholders().next().is_some())
}

fn widened(statement: &Statement<Text>) -> Statement<String> {
    Statement {
        effect: statement.effect,
        actions: statement.actions.clone(),
        resource: any_values(&statement.resource),
        condition: condition(&statement.condition),
    }
}

/// `*` stands for any value under `StringLike` alone: another condition with a placeholder is left out, which allows more.
fn condition(condition: &Condition<Text>) -> Condition<String> {
    let comparisons = || {
        let of = |(operator, keys): (&ConditionOperator, _)| {
            let keys: &std::collections::BTreeMap<String, Strings<Text>> = keys;
            let operator = *operator;
            keys.iter().map(move |(key, values)| (operator, key, values)).collect::<Vec<_>>()
        };
        condition.iter().flat_map(of)
    };
    let mut widened = Condition::new();
    for (operator, key, values) in comparisons().filter(|(_, _, values)| !has_placeholder(values)) {
        widened.entry(operator).or_default().insert(key.clone(), any_values(values));
    }
    for (operator, key, values) in comparisons().filter(|(_, _, values)| has_placeholder(values)) {
        let operator = match operator {
            ConditionOperator::StringEquals => ConditionOperator::StringLike,
            operator => operator,
        };
        if operator == ConditionOperator::StringLike {
            // If the key is compared already, that comparison alone allows more than both.
            let keys = widened.entry(operator).or_default();
            keys.entry(key.clone()).or_insert_with(|| any_values(values));
        }
    }
    widened
}

fn any_values(texts: &Strings<Text>) -> Strings<String> {
    Strings::of(texts.as_slice().iter().map(Text::any_value).collect())
}
