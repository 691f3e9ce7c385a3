//! The policy of a form: the conditions that its signer sets for the fields.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::oss::form_problem::FormProblem;
use crate::oss::store::Limits;

/// The conditions of a policy whose form is valid; whether they hold is not checked yet.
pub(super) struct FormPolicy {
    pub(super) expiration: DateTime<Utc>,
    conditions: Vec<Condition>,
}

/// A condition for a field.
enum Condition {
    Field {
        operator: Operator,
        /// As the policy writes it.
        name: String,
        /// For `eq` and `starts-with` one value.
        values: Vec<String>,
    },
    Length {
        least: u64,
        most: u64,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Eq,
    StartsWith,
    In,
    NotIn,
}

impl FormPolicy {
    pub(super) fn parse(policy: &str) -> Result<Self, FormProblem> {
        let json = STANDARD.decode(policy).map_err(|_| FormProblem::PolicyNotBase64)?;
        let document: Map<String, Value> = serde_json::from_slice(&json)
            .map_err(|error| FormProblem::PolicyNotJson(error.to_string()))?;
        let (expiration, conditions) =
            match (document.get("expiration"), document.get("conditions")) {
                (Some(expiration), Some(conditions)) => (expiration, conditions),
                (None, Some(_)) => return Err(FormProblem::NoExpiration),
                (Some(_), None) => return Err(FormProblem::NoConditions),
                (None, None) => return Err(FormProblem::NoExpirationAndConditions),
            };
        let expiration = match expiration.as_str() {
            None => return Err(FormProblem::ExpirationNotText),
            Some("") => return Err(FormProblem::EmptyExpiration),
            Some(text) => DateTime::parse_from_rfc3339(text),
        };
        let expiration = expiration.map_err(|_| FormProblem::MalformedExpiration)?.to_utc();
        let conditions = conditions.as_array().ok_or(FormProblem::ConditionKind)?;
        let conditions = conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?;
        Ok(Self { expiration, conditions })
    }

    /// Requires a condition for each of the fields.
    pub(super) fn require(&self, fields: &[&'static str]) -> Result<(), FormProblem> {
        let bound: BTreeSet<String> = self.conditions.iter().filter_map(Condition::field).collect();
        match fields.iter().find(|field| !bound.contains(**field)) {
            Some(field) => Err(FormProblem::Unbound(field)),
            None => Ok(()),
        }
    }

    pub(super) fn check_expiration(&self, now: DateTime<Utc>) -> Result<(), FormProblem> {
        if self.expiration < now { Err(FormProblem::Expired) } else { Ok(()) }
    }

    /// Checks the conditions and returns the length limits of the file. `fields` are by lower-case name and include the bucket.
    pub(super) fn check(&self, fields: &BTreeMap<String, String>) -> Result<Limits, FormProblem> {
        let mut limits = Limits::default();
        for condition in &self.conditions {
            if let Condition::Length { least, most } = condition {
                limits.least = limits.least.max(*least);
                limits.most = limits.most.min(*most);
            }
            if !condition.holds(fields) {
                return Err(FormProblem::ConditionFailed(condition.to_string()));
            }
        }
        Ok(limits)
    }
}

impl Condition {
    fn parse(condition: &Value) -> Result<Self, FormProblem> {
        match condition {
            Value::Object(pairs) => {
                let mut pairs = pairs.iter();
                let (Some((name, value)), None) = (pairs.next(), pairs.next()) else {
                    return Err(FormProblem::SimpleCondition);
                };
                let value = value.as_str().ok_or(FormProblem::ConditionType)?;
                let (name, values) = (name.clone(), vec![value.to_owned()]);
                Ok(Self::Field { operator: Operator::Eq, name, values })
            }
            Value::Array(parts) => Self::of_list(parts),
            _ => Err(FormProblem::ConditionKind),
        }
    }

    fn of_list(parts: &[Value]) -> Result<Self, FormProblem> {
        let [operator, first, second] = parts else { return Err(FormProblem::ConditionForm) };
        if operator == "content-length-range" {
            let least = first.as_u64().ok_or(FormProblem::RangeLeast)?;
            let most = second.as_u64().ok_or(FormProblem::RangeMost)?;
            if most < least {
                return Err(FormProblem::RangeOrder);
            }
            return Ok(Self::Length { least, most });
        }
        let operator = operator.as_str().and_then(Operator::parse);
        let operator = operator.ok_or(FormProblem::ConditionForm)?;
        let name = first.as_str().and_then(|name| name.strip_prefix('$'));
        let name = name.ok_or(FormProblem::ConditionForm)?.to_owned();
        let values: Option<Vec<String>> = match operator {
            Operator::Eq | Operator::StartsWith => {
                second.as_str().map(|value| vec![value.to_owned()])
            }
            Operator::In | Operator::NotIn => second.as_array().and_then(|values| {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }),
        };
        let values = values.ok_or(FormProblem::ConditionType)?;
        Ok(Self::Field { operator, name, values })
    }

    /// The lower-case name of its field.
    fn field(&self) -> Option<String> {
        match self {
            Self::Field { name, .. } => Some(name.to_lowercase()),
            Self::Length { .. } => None,
        }
    }

    /// A condition on a field that was not sent fails. The file's length is checked while it arrives.
    fn holds(&self, fields: &BTreeMap<String, String>) -> bool {
        let Self::Field { operator, name, values } = self else { return true };
        let Some(field) = fields.get(&name.to_lowercase()) else { return false };
        match operator {
            Operator::Eq | Operator::In => values.contains(field),
            Operator::NotIn => !values.contains(field),
            Operator::StartsWith => values.iter().all(|prefix| field.starts_with(prefix)),
        }
    }
}

/// Always as a list, with a space after each comma: `["eq", "$key", "a"]`.
impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length { least, most } => {
                write!(f, "[\"content-length-range\", {least}, {most}]")
            }
            Self::Field { operator, name, values } => {
                let text = |text: &str| Value::from(text).to_string();
                let values: Vec<String> = values.iter().map(|value| text(value)).collect();
                let values = values.join(", ");
                let name = text(&format!("${name}"));
                match operator {
                    Operator::Eq | Operator::StartsWith => {
                        write!(f, "[\"{}\", {name}, {values}]", operator.name())
                    }
                    Operator::In | Operator::NotIn => {
                        write!(f, "[\"{}\", {name}, [{values}]]", operator.name())
                    }
                }
            }
        }
    }
}

impl Operator {
    fn parse(name: &str) -> Option<Self> {
        let all = [Self::Eq, Self::StartsWith, Self::In, Self::NotIn];
        all.into_iter().find(|operator| operator.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::StartsWith => "starts-with",
            Self::In => "in",
            Self::NotIn => "not-in",
        }
    }
}
