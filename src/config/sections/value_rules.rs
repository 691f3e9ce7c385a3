//! `[grants.NAME.parameters]` and `[grants.NAME.claims]`: which values may take the place of a placeholder.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::claims::EMPTY_PATTERN;
use crate::config::bounds::{Bounded, Bytes};
use crate::config::field::{Field, List};
use crate::config::problems::Problems;
use appserver_domain::ValueName;
use appserver_policy::{Shape, ValueRule};

#[derive(Debug, Deserialize)]
pub(crate) struct RawValueRule {
    /// Required: `segment`, `path` or `enum`.
    kind: Field<RawKind>,
    /// An anchored regular expression on the whole value.
    pattern: Field<String>,
    /// Default 64. Longer values are refused.
    max_length_bytes: Field<MaxLength>,
    /// For `enum`: the values.
    values: Field<List<String>>,
}

type MaxLength = Bounded<Bytes, 1, { ValueRule::LONGEST as u64 }>;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Segment,
    Path,
    Enum,
}

/// The rules, and whether all are valid: an invalid rule is replaced by the shortest one, which admits every policy that
/// some rule admits. `None` if a name is invalid.
pub(crate) fn value_rules(
    path: &str,
    raw: BTreeMap<String, RawValueRule>,
    problems: &mut Problems,
) -> Option<(BTreeMap<ValueName, ValueRule>, bool)> {
    let (count, mut are_valid) = (raw.len(), true);
    let mut resolve = |(name, raw): (String, RawValueRule)| {
        let path = format!("{path}.{name}");
        let kind = problems.require(raw.kind);
        let mut pattern_is_invalid = raw.pattern.is_invalid();
        let pattern = problems.take(raw.pattern);
        if pattern.as_deref() == Some("") {
            problems.add(format!("{path}.pattern"), EMPTY_PATTERN);
            pattern_is_invalid = true;
        }
        let max_length = problems.or(raw.max_length_bytes, const { MaxLength::new(64) });
        let max_length: Option<usize> = max_length.map(Bounded::get);
        let values_are_invalid = raw.values.is_invalid();
        let values = problems.take(raw.values).map(|List(values)| values);
        let name = problems.name(&path, &name);
        let shape = match kind {
            Some(RawKind::Segment) => Some(Shape::Segment),
            Some(RawKind::Path) => Some(Shape::Path),
            Some(RawKind::Enum) | None => None,
        };
        // The pattern is checked even if another key is invalid.
        let text = |shape| ValueRule::text(shape, pattern.as_deref(), max_length.unwrap_or(64));
        let Some(kind) = kind else {
            let _ = text(Shape::Segment).map_err(|problem| problems.add_error(&path, &problem));
            are_valid = false;
            return Some((name?, least(shape)?));
        };
        let rule = match (kind, values) {
            (RawKind::Segment, None) => Some(text(Shape::Segment)),
            (RawKind::Path, None) => Some(text(Shape::Path)),
            (RawKind::Enum, Some(values)) => Some(ValueRule::one_of(&values)),
            (RawKind::Enum, None) => {
                if !values_are_invalid {
                    problems.add_absence(format!("{path}.values"), "an `enum` needs its values");
                }
                None
            }
            (RawKind::Segment | RawKind::Path, Some(_)) => {
                problems.add(format!("{path}.values"), "values go with the kind `enum` only");
                None
            }
        };
        let rule =
            rule.and_then(|rule| rule.map_err(|problem| problems.add_error(&path, &problem)).ok());
        let is_valid =
            rule.is_some() && max_length.is_some() && !pattern_is_invalid && !values_are_invalid;
        are_valid &= is_valid;
        Some((name?, rule.filter(|_| is_valid).or_else(|| least(shape))?))
    };
    let rules: BTreeMap<_, _> = raw.into_iter().filter_map(&mut resolve).collect();
    (rules.len() == count).then_some((rules, are_valid))
}

/// The shortest rule of a shape, or of any shape.
fn least(shape: Option<Shape>) -> Option<ValueRule> {
    match shape {
        Some(shape) => ValueRule::text(shape, None, 1).ok(),
        None => ValueRule::one_of(&["a".to_owned()]).ok(),
    }
}
