//! The policy of a form: the conditions that its signer sets for the fields.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::oss::error::{Denied, OssError};
use crate::oss::store::Limits;

#[derive(Deserialize)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
}

/// Checks the conditions and returns the length limits of the file. `fields` are by lower-case name and include the bucket.
pub(super) fn check(
    policy: &str,
    fields: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<Limits, OssError> {
    let json = STANDARD
        .decode(policy)
        .map_err(|_| OssError::InvalidPolicyDocument("Invalid Policy: not in base64."))?;
    let document: Document = serde_json::from_slice(&json).map_err(|_| {
        OssError::InvalidPolicyDocument("Invalid Policy: Invalid JSON: unparsable.")
    })?;
    let expiration = DateTime::parse_from_rfc3339(&document.expiration).map_err(|_| {
        OssError::InvalidPolicyDocument("Invalid Policy: Invalid 'expiration' value.")
    })?;
    if expiration < now {
        return Err(OssError::AccessDenied(Denied::FormExpired));
    }
    let mut limits = Limits::default();
    for condition in &document.conditions {
        let holds = match condition {
            Value::Object(pairs) => pairs.iter().all(|(name, value)| {
                let field = fields.get(&name.to_lowercase()).map_or("", String::as_str);
                value.as_str() == Some(field)
            }),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(operator), Value::Number(least), Value::Number(most)]
                    if operator == "content-length-range" =>
                {
                    let (Some(least), Some(most)) = (least.as_u64(), most.as_u64()) else {
                        return Err(malformed());
                    };
                    limits = Limits { least, most: most.min(limits.most) };
                    true
                }
                [Value::String(operator), Value::String(name), value] => {
                    let name = name.strip_prefix('$').ok_or_else(malformed)?.to_lowercase();
                    let field = fields.get(&name).map_or("", String::as_str);
                    compare(operator, field, value)?
                }
                _ => return Err(malformed()),
            },
            _ => return Err(malformed()),
        };
        if !holds {
            return Err(OssError::AccessDenied(Denied::FormCondition(condition.to_string())));
        }
    }
    Ok(limits)
}

fn compare(operator: &str, field: &str, value: &Value) -> Result<bool, OssError> {
    let text = || value.as_str().ok_or_else(malformed);
    let among = || {
        let values = value.as_array().ok_or_else(malformed)?;
        Ok::<_, OssError>(values.iter().any(|value| value.as_str() == Some(field)))
    };
    match operator {
        "eq" => Ok(field == text()?),
        "starts-with" => Ok(field.starts_with(text()?)),
        "in" => among(),
        "not-in" => Ok(!among()?),
        _ => Err(malformed()),
    }
}

fn malformed() -> OssError {
    OssError::InvalidPolicyDocument("Invalid Policy: Invalid 'conditions' value.")
}
