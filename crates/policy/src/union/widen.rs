//! The policy that allows what a template allows for some values.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Condition, Document, Effect, Statement, Strings};
use crate::template::text::Text;

/// A policy that includes every policy that the template renders. `any` is the pattern of a value that is not listed.
///
/// A denial with a placeholder is left out: it denies something else for each caller.
pub(super) fn widest(template: &Document<Text>, any: &str) -> Document<String> {
    let is_kept = |of: &&Statement<Text>| of.effect == Effect::Allow || !depends(of);
    let statements = template.statements.iter().filter(is_kept).map(|of| widened(of, any));
    Document { version: template.version, statements: statements.collect() }
}

fn depends(statement: &Statement<Text>) -> bool {
    let conditions = statement.condition.values().flat_map(|keys| keys.values());
    conditions.chain([&statement.resource]).any(has_placeholder)
}

fn has_placeholder(texts: &Strings<Text>) -> bool {
    texts.as_slice().iter().any(|text| text.placeholders().next().is_some())
}

fn widened(statement: &Statement<Text>, any: &str) -> Statement<String> {
    Statement {
        effect: statement.effect,
        actions: statement.actions.clone(),
        resource: any_values(&statement.resource, any),
        condition: condition(&statement.condition, any),
    }
}

/// A pattern stands for any value under `StringLike` alone: another condition with a placeholder is left out, which allows
/// more. One whose values are all listed is an alternative of each under an operator that compares with alternatives.
fn condition(condition: &Condition<Text>, any: &str) -> Condition<String> {
    let comparisons = || {
        let of = |(operator, keys): (&ConditionOperator, _)| {
            let keys: &std::collections::BTreeMap<String, Strings<Text>> = keys;
            let operator = *operator;
            keys.iter().map(move |(key, values)| (operator, key, values)).collect::<Vec<_>>()
        };
        condition.iter().flat_map(of)
    };
    let mut widened = Condition::new();
    let is_kept = |(operator, _, values): &(ConditionOperator, &String, &Strings<Text>)| {
        let is_written_out = || values.as_slice().iter().all(Text::is_written_out);
        !has_placeholder(values) || (compares_texts(*operator) && is_written_out())
    };
    for (operator, key, values) in comparisons().filter(is_kept) {
        widened.entry(operator).or_default().insert(key.clone(), any_values(values, any));
    }
    for (operator, key, values) in comparisons().filter(|one| !is_kept(one)) {
        let operator = match operator {
            ConditionOperator::StringEquals => ConditionOperator::StringLike,
            operator => operator,
        };
        if operator == ConditionOperator::StringLike {
            // If the key is compared already, that comparison alone allows more than both.
            let keys = widened.entry(operator).or_default();
            keys.entry(key.clone()).or_insert_with(|| any_values(values, any));
        }
    }
    widened
}

/// Whether the operator holds if one of some texts is equal or alike.
fn compares_texts(operator: ConditionOperator) -> bool {
    use ConditionOperator::{StringEquals, StringEqualsIgnoreCase, StringLike};
    matches!(operator, StringEquals | StringEqualsIgnoreCase | StringLike)
}

fn any_values(texts: &Strings<Text>, any: &str) -> Strings<String> {
    Strings::of(texts.as_slice().iter().flat_map(|text| text.patterns(any)).collect())
}
