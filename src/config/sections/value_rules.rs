//! `[grants.NAME.parameters]` and `[grants.NAME.claims]`: which values may take the place of a placeholder.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::field::{Field, List};
use crate::config::problems::Problems;
use appserver_domain::ValueName;
use appserver_policy::{Shape, ValueRule};

/// What may stand for a placeholder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawValueRule {
    /// Required: `segment`, `path` or `enum`.
    pub(crate) kind: Field<RawKind>,
    /// An anchored regular expression on the whole value.
    pub(crate) pattern: Field<String>,
    /// Bytes, 1 to 1023, default 64. Longer values are refused.
    pub(crate) max_length_bytes: Field<usize>,
    /// For `enum`: the values.
    pub(crate) values: Field<List<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum RawKind {
    Segment,
    Path,
    Enum,
}

impl TryFrom<String> for RawKind {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "segment" => Ok(Self::Segment),
            "path" => Ok(Self::Path),
            "enum" => Ok(Self::Enum),
            _ => Err("it must be `segment`, `path` or `enum`"),
        }
    }
}

/// The rules, and whether each is what is written: one that is wrong is replaced by one that lets a policy in wherever any
/// rule does. None, if a name is wrong.
pub(crate) fn value_rules(
    path: &str,
    raw: BTreeMap<String, RawValueRule>,
    problems: &mut Problems,
) -> Option<(BTreeMap<ValueName, ValueRule>, bool)> {
    let (count, mut are_sound) = (raw.len(), true);
    let mut resolve = |(name, raw): (String, RawValueRule)| {
        let path = format!("{path}.{name}");
        let kind = problems.require(&format!("{path}.kind"), raw.kind);
        let pattern_is_wrong = raw.pattern.is_invalid();
        let pattern = problems.take(&format!("{path}.pattern"), raw.pattern);
        let max_length = match raw.max_length_bytes {
            Field::Absent => Some(64),
            given => number(
                problems,
                &format!("{path}.max_length_bytes"),
                given,
                1,
                ValueRule::LONGEST,
                "bytes",
            ),
        };
        let values_are_wrong = raw.values.is_invalid();
        let values =
            problems.take(&format!("{path}.values"), raw.values).map(|List(values)| values);
        let name = name.parse().map_err(|invalid| problems.add(&path, invalid)).ok();
        let shape = match kind {
            Some(RawKind::Segment) => Some(Shape::Segment),
            Some(RawKind::Path) => Some(Shape::Path),
            Some(RawKind::Enum) | None => None,
        };
        // With another key wrong, the pattern is still looked at.
        let text = |shape| ValueRule::text(shape, pattern.as_deref(), max_length.unwrap_or(64));
        let Some(kind) = kind else {
            let _ = text(Shape::Segment).map_err(|problem| problems.add_error(&path, &problem));
            are_sound = false;
            return Some((name?, least(shape)?));
        };
        let rule = match (kind, values) {
            (RawKind::Segment, None) => Some(text(Shape::Segment)),
            (RawKind::Path, None) => Some(text(Shape::Path)),
            (RawKind::Enum, Some(values)) => Some(ValueRule::one_of(&values)),
            (RawKind::Enum, None) => {
                if !values_are_wrong {
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
        let is_sound =
            rule.is_some() && max_length.is_some() && !pattern_is_wrong && !values_are_wrong;
        are_sound &= is_sound;
        Some((name?, rule.filter(|_| is_sound).or_else(|| least(shape))?))
    };
    let rules: BTreeMap<_, _> = raw.into_iter().filter_map(&mut resolve).collect();
    (rules.len() == count).then_some((rules, are_sound))
}

/// The shortest rule of a shape, or of any.
fn least(shape: Option<Shape>) -> Option<ValueRule> {
    match shape {
        Some(shape) => ValueRule::text(shape, None, 1).ok(),
        None => ValueRule::one_of(&["a".to_owned()]).ok(),
    }
}
