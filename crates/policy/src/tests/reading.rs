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
    borders_are_outside: bool,
}

pub(super) fn readings() -> impl Iterator<Item = Reading> {
    (0..64u8).map(|bits| Reading {
        stars_cross_colons: bits & 1 != 0,
        case_of_actions_counts: bits & 2 != 0,
        question_marks_are_bytes: bits & 4 != 0,
        values_are_negated_one_by_one: bits & 8 != 0,
        case_of_keys_counts: bits & 16 != 0,
        borders_are_outside: bits & 32 != 0,
    })
}

// RAM's evaluation once more, from the JSON and with none of this crate's code.
impl Reading {
    pub(super) fn allows(self, policy: &Value, probe: &Probe) -> bool {
        self.allows_by(&[self], policy, probe)
    }

    /// Whether a policy allows the request if the letter case of each action and key in its Allows may count or not: what
    /// is sent has the case of the grant.
    pub(super) fn allows_in_another_case(self, policy: &Value, probe: &Probe) -> bool {
        let folding = Self { case_of_actions_counts: false, case_of_keys_counts: false, ..self };
        self.allows_by(&[self, folding], policy, probe)
    }

    fn allows_by(self, of_allows: &[Self], policy: &Value, probe: &Probe) -> bool {
        let statements = policy["Statement"].as_array().unwrap();
        let of_denials = [self];
        let effects: Vec<_> = statements
            .iter()
            .filter(|statement| {
                let is_allow = statement["Effect"] == "Allow";
                Self::applies(if is_allow { of_allows } else { &of_denials }, statement, probe)
            })
            .map(|statement| statement["Effect"].as_str().unwrap())
            .collect();
        effects.contains(&"Allow") && !effects.contains(&"Deny")
    }

    /// Whether each part of the statement is about the request in one of the readings.
    fn applies(readings: &[Self], statement: &Value, probe: &Probe) -> bool {
        let any = |holds: &dyn Fn(&Self) -> bool| readings.iter().any(holds);
        let named = |list: &Value, reading: &Self| {
            strings(list).iter().any(|pattern| reading.names(pattern, probe.action))
        };
        let acts = any(&|reading| match statement.get("Action") {
            Some(list) => named(list, reading),
            None => !named(&statement["NotAction"], reading),
        });
        let resources = strings(&statement["Resource"]);
        acts && any(&|reading| resources.iter().any(|p| reading.is_on(p, &probe.resource)))
            && statement.get("Condition").is_none_or(|condition| {
                condition.as_object().unwrap().iter().all(|(operator, keys)| {
                    let keys = keys.as_object().unwrap();
                    keys.iter().all(|(key, values)| {
                        any(&|reading| {
                            let mut alike =
                                keys.keys().rev().filter(|other| reading.same_key(other, key));
                            alike.next() != Some(key)
                                || reading.holds(operator, key, &strings(values), probe)
                        })
                    })
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
            "DateLessThan" => is_date(actual) && actual < value,
            "DateGreaterThanEquals" => is_date(actual) && actual >= value,
            "IpAddress" => self.is_in(value, actual),
            other => panic!("{other}"),
        }
    }

    fn is_in(self, range: &str, actual: &str) -> bool {
        let Some(actual) = bits(actual) else { return false };
        let (address, length) = range.split_once('/').unwrap_or((range, "32"));
        let (Some(address), Ok(length)) = (bits(address), length.parse::<u32>()) else {
            return false;
        };
        let span = (1u64 << (32 - length)) - 1;
        let (first, last) = (address & !span, address | span);
        let is_border = span > 0 && (actual == first || actual == last);
        (first..=last).contains(&actual) && !(self.borders_are_outside && is_border)
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

/// Dates of the worlds are all in UTC, so that their order is that of their texts.
fn is_date(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z')
}

/// An IPv4 address.
fn bits(address: &str) -> Option<u64> {
    let numbers = address.split('.').map(|number| number.parse::<u8>().ok());
    let numbers = numbers.collect::<Option<Vec<_>>>()?;
    (numbers.len() == 4)
        .then(|| numbers.iter().fold(0, |bits, number| bits << 8 | u64::from(*number)))
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|text| text.as_str().unwrap()).collect(),
        other => panic!("{other} is neither a string nor a list"),
    }
}
