//! What a caller may ask for, read from a JSON body or from a query into the same [`Asked`].

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::error::ApiError;
use super::json::Members;
use super::redeem;
use crate::auth::AuthError;
use crate::grant::Asked;
use appserver_domain::ValueName;
use appserver_policy::RequestedPolicy;

const FIELDS: &str = "the parameters are `Grant`, `DurationSeconds`, `Parameters` and `Policy`";
const SECONDS_RULE: &str = "it is a whole number of seconds";

/// `POST /v1/token`: `{"Grant": "…", "DurationSeconds": 1800, "Parameters": {"album": "…"}, "Policy": {…}}`.
pub(crate) fn from_body(members: &Members) -> Result<Asked, ApiError> {
    let mut asked = Asked::default();
    for (name, value) in members.iter() {
        if !take(&mut asked, name, value)? {
            return Err(not_taken(name, FIELDS));
        }
    }
    Ok(asked)
}

/// Takes the member, if it is one of those that a token may be asked for by.
pub(super) fn take(asked: &mut Asked, name: &str, value: &RawValue) -> Result<bool, ApiError> {
    match name {
        "Grant" => asked.grant = Some(text(value, "Grant")?),
        "DurationSeconds" => asked.duration_secs = Some(seconds("DurationSeconds", value.get())?),
        "Parameters" => asked.parameters = parameters(value)?,
        "Policy" => asked.policy = Some(policy(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `GET /v1/token?Grant=…&DurationSeconds=1800&Parameters.album=…`.
pub(crate) fn from_query(pairs: Vec<(String, String)>) -> Result<Asked, ApiError> {
    let mut asked = Asked::default();
    for (name, value) in pairs {
        let repeated = match name.as_str() {
            "Grant" => asked.grant.replace(value).is_some(),
            "DurationSeconds" => {
                asked.duration_secs.replace(seconds("DurationSeconds", &value)?).is_some()
            }
            "Policy" => asked.policy.replace(policy_text(&value)?).is_some(),
            // It was not believed, as there is a header: two credentials prove nothing.
            redeem::PARAMETER => return Err(AuthError::Malformed.into()),
            _ => match name.strip_prefix("Parameters.") {
                Some(parameter) => asked.parameters.insert(parameter.to_owned(), value).is_some(),
                None => return Err(not_taken(&name, FIELDS)),
            },
        };
        if repeated {
            return Err(ApiError::Malformed("a parameter stands twice in the query".into()));
        }
    }
    Ok(asked)
}

pub(super) fn parameters(value: &RawValue) -> Result<BTreeMap<String, String>, ApiError> {
    let members: Members = serde_json::from_str(value.get()).map_err(|_| {
        let object = "it is an object whose members are strings, each name once";
        ApiError::invalid("Parameters", rule(object, value.get()))
    })?;
    let read = |(name, value): (&str, &RawValue)| {
        let field = name
            .parse::<ValueName>()
            .map_or("Parameters".into(), |name| format!("Parameters.{name}"));
        Ok((name.to_owned(), text(value, field)?))
    };
    members.iter().map(read).collect()
}

pub(super) fn text(value: &RawValue, field: impl Into<String>) -> Result<String, ApiError> {
    serde_json::from_str(value.get())
        .map_err(|_| ApiError::invalid(field.into(), rule("it is a string", value.get())))
}

/// The rule that `written` breaks. Some clients write `null` for what they leave out, and must learn that it counts.
fn rule(rule: &str, written: &str) -> String {
    match written {
        "null" => format!("{rule}, and never `null`: leave the member out"),
        _ => rule.to_owned(),
    }
}

/// `field`, in digits.
pub(super) fn seconds(field: &'static str, digits: &str) -> Result<u64, ApiError> {
    // `parse` would take `+1800` and `01800` as well.
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let number = plain.then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| ApiError::invalid(field, rule(SECONDS_RULE, digits)))
}

/// An object, or the same as a string, as AssumeRole has it.
pub(super) fn policy(value: &RawValue) -> Result<RequestedPolicy, ApiError> {
    match value.get().as_bytes() {
        [b'{', ..] => policy_text(value.get()),
        [b'"', ..] => policy_text(&text(value, "Policy")?),
        _ => {
            let either = "it is a RAM policy, as an object or as a string";
            Err(ApiError::invalid("Policy", rule(either, value.get())))
        }
    }
}

fn policy_text(json: &str) -> Result<RequestedPolicy, ApiError> {
    RequestedPolicy::parse(json).map_err(|unfit| ApiError::invalid("Policy", unfit.to_string()))
}

/// `fields` names those that are taken.
pub(super) fn not_taken(name: &str, fields: &str) -> ApiError {
    // A code names only what could be a parameter's name, never arbitrary text.
    match name.parse::<ValueName>() {
        Ok(name) => {
            ApiError::invalid(name.to_string(), format!("there is no such parameter; {fields}"))
        }
        Err(_) => ApiError::Malformed(format!("it has an unknown parameter; {fields}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &str) -> Result<Asked, ApiError> {
        from_body(&serde_json::from_str(json).unwrap())
    }

    fn query(pairs: &[(&str, &str)]) -> Result<Asked, ApiError> {
        from_query(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    const POLICY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/albums/2015/a.jpg"}]}"#;

    #[test]
    fn body_and_query_say_the_same() {
        let with = |policy: &str| {
            body(&format!(
                r#"{{"Grant":"one-album","DurationSeconds":1800,"Parameters":{{"album":"2015"}},"Policy":{policy}}}"#
            ))
        };
        let by_query = query(&[
            ("Grant", "one-album"),
            ("DurationSeconds", "1800"),
            ("Parameters.album", "2015"),
            ("Policy", POLICY),
        ]);
        let asked = with(POLICY).unwrap();
        assert_eq!(asked, by_query.unwrap());
        assert_eq!(asked, with(&serde_json::to_string(POLICY).unwrap()).unwrap());
        let parameters = BTreeMap::from([("album".to_owned(), "2015".to_owned())]);
        let policy = Some(RequestedPolicy::parse(POLICY).unwrap());
        assert_eq!(
            asked,
            Asked {
                grant: Some("one-album".into()),
                duration_secs: Some(1800),
                parameters,
                policy
            }
        );
    }

    /// T46: read as absent, a `null` would widen: the whole grant for a policy, the longest life for a duration.
    #[test]
    fn null_is_never_absence() {
        let refusal = |json: &str| body(json).unwrap_err().public();
        for name in ["Grant", "DurationSeconds", "Parameters", "Policy"] {
            let refused = refusal(&format!(r#"{{"{name}": null}}"#));
            assert_eq!(refused.code(), format!("InvalidParameter.{name}"));
            let way_out = "and never `null`: leave the member out";
            assert!(refused.message.contains(way_out), "{}", refused.message);
        }
        let codes = [
            r#"{"Parameters":{"album":null}}"#,
            r#"{"Colour":null}"#,
            r#"{"Policy":"null"}"#,
            r#"{"Policy":{"Version":"1","Statement":null}}"#,
        ]
        .map(|json| refusal(json).code().into_owned());
        let expected = ["Parameters.album", "Colour", "Policy", "Policy"]
            .map(|name| format!("InvalidParameter.{name}"));
        assert_eq!(codes, expected);
        for name in ["Grant", "DurationSeconds", "Policy", "Parameters"] {
            // A grant may be called so; nothing else may.
            assert_eq!(query(&[(name, "null")]).is_ok(), name == "Grant", "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusals = [
            body(r#"{"Grant":7}"#),
            body(r#"{"DurationSeconds":"1800"}"#),
            body(r#"{"DurationSeconds":1800.5}"#),
            body(r#"{"DurationSeconds":-1}"#),
            body(r#"{"Parameters":["album"]}"#),
            body(r#"{"Parameters":{"album":2015}}"#),
            body(r#"{"Parameters":{"album":"a","album":"b"}}"#),
            body(r#"{"grant":"one-album"}"#),
            body(r#"{"Policy":{"Version":"1"}}"#),
            body(r#"{"Policy":""}"#),
            body(r#"{"Policy":[]}"#),
            query(&[("Policy", "")]),
            query(&[("Policy", POLICY), ("Policy", POLICY)]),
            body(r#"{"a b":1}"#),
            query(&[("DurationSeconds", "")]),
            query(&[("DurationSeconds", "+1800")]),
            query(&[("DurationSeconds", "01800")]),
            query(&[("Grant", "a"), ("Grant", "b")]),
            query(&[("album", "2015")]),
        ]
        .map(|refused| refused.unwrap_err().public().code().into_owned());
        let expected = [
            "InvalidParameter.Grant",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.Parameters",
            "InvalidParameter.Parameters.album",
            "InvalidParameter.Parameters",
            "InvalidParameter.grant",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "MalformedRequest",
            "MalformedRequest",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "MalformedRequest",
            "InvalidParameter.album",
        ];
        assert_eq!(refusals, expected);
    }
}
