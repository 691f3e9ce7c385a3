//! RAM's evaluation once more, in each way in which its documentation can be read.

use serde_json::Value;

use super::worlds::Probe;

/// One of the ways in which RAM's documentation can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) stars_cross_colons: bool,
    pub(super) case_of_actions_counts: bool,
    question_marks_are_bytes: bool,
    values_are_negated_one_by_one: bool,
    case_of_keys_counts: bool,
}

pub(super) fn readings() -> impl Iterator<Item = Reading> {
    (0..32u8).map(|bits| Reading {
        stars_cross_colons: bits & 1 != 0,
        case_of_actions_counts: bits & 2 != 0,
        question_marks_are_bytes: bits & 4 != 0,
        values_are_negated_one_by_one: bits & 8 != 0,
        case_of_keys_counts: bits & 16 != 0,
    })
}

// RAM's evaluation once more, from the JSON and with none of this crate's code.
impl Reading {
    pub(super) fn allows(self, policy: &Value, probe: &Probe) -> bool {
        let statements = policy["Statement"].as_array().unwrap();
        let effects: Vec<_> = statements
            .iter()
            .filter(|statement| self.applies(statement, probe))
            .map(|statement| statement["Effect"].as_str().unwrap())
            .collect();
        effects.contains(&"Allow") && !effects.contains(&"Deny")
    }

    fn applies(self, statement: &Value, probe: &Probe) -> bool {
        let named =
            |list: &Value| strings(list).iter().any(|pattern| self.names(pattern, probe.action));
        let acts = statement.get("Action").map_or_else(|| !named(&statement["NotAction"]), named);
        acts && strings(&statement["Resource"]).iter().any(|p| self.is_on(p, &probe.resource))
            && statement.get("Condition").is_none_or(|condition| {
                condition.as_object().unwrap().iter().all(|(operator, keys)| {
                    let keys = keys.as_object().unwrap();
                    let last = |key: &String| keys.keys().rfind(|other| self.same_key(other, key));
                    let mut counting = keys.iter().filter(|(key, _)| last(key) == Some(key));
                    counting.all(|(key, values)| self.holds(operator, key, &strings(values), probe))
                })
            })
    }

    /// Where case does not count, the last of two keys wins.
    fn same_key(self, one: &str, other: &str) -> bool {
        if self.case_of_keys_counts { one == other } else { one.eq_ignore_ascii_case(other) }
    }

    fn names(self, pattern: &str, action: &str) -> bool {
        if self.case_of_actions_counts {
            self.glob(pattern, action)
        } else {
            self.glob(&pattern.to_lowercase(), &action.to_lowercase())
        }
    }

    fn is_on(self, pattern: &str, resource: &str) -> bool {
        let fields = |text: &str| text.splitn(5, ':').map(str::to_owned).collect::<Vec<_>>();
        if self.stars_cross_colons || fields(pattern).len() < 5 {
            self.glob(pattern, resource)
        } else {
            fields(pattern).iter().zip(fields(resource)).all(|(p, field)| self.glob(p, &field))
        }
    }

    fn holds(self, operator: &str, key: &str, values: &[&str], probe: &Probe) -> bool {
        let mut conditions = probe.conditions.iter();
        let actual = conditions.find(|(other, _)| self.same_key(other, key));
        let actual = actual.map(|(_, value)| value.as_str());
        let (plain, negated) = match operator.split_once("Not") {
            Some((kind, rest)) => (format!("{kind}{rest}"), true),
            None => (operator.to_owned(), false),
        };
        let compares =
            |value: &&str| actual.is_some_and(|actual| self.compares(&plain, value, actual));
        match negated {
            false => values.iter().any(compares),
            true if self.values_are_negated_one_by_one => !values.iter().all(compares),
            true => !values.iter().any(compares),
        }
    }

    fn compares(self, operator: &str, value: &str, actual: &str) -> bool {
        let numbers = || Some((value.parse::<u8>().ok()?, actual.parse::<u8>().ok()?));
        match operator {
            "StringEquals" => value == actual,
            "StringEqualsIgnoreCase" => value.to_lowercase() == actual.to_lowercase(),
            "StringLike" => self.glob(value, actual),
            "NumericEquals" => numbers().is_some_and(|(value, actual)| actual == value),
            "NumericLessThan" => numbers().is_some_and(|(value, actual)| actual < value),
            // All that requests here hold is 10.1.2.3.
            "IpAddress" => actual == "10.1.2.3" && value.starts_with("10."),
            other => panic!("{other}"),
        }
    }

    fn glob(self, pattern: &str, text: &str) -> bool {
        fn glob<T: PartialEq>(pattern: &[T], text: &[T], star: &T, any: &T) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((p, rest)), None) => p == star && glob(rest, text, star, any),
                (Some((p, rest)), Some((_, after))) if p == star => {
                    glob(rest, text, star, any) || glob(pattern, after, star, any)
                }
                (Some((p, rest)), Some((t, after))) => {
                    (p == any || p == t) && glob(rest, after, star, any)
                }
                (None, Some(_)) => false,
            }
        }
        if self.question_marks_are_bytes {
            glob(pattern.as_bytes(), text.as_bytes(), &b'*', &b'?')
        } else {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            glob(&chars(pattern), &chars(text), &'*', &'?')
        }
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|text| text.as_str().unwrap()).collect(),
        other => panic!("{other} is neither a string nor a list"),
    }
}
