//! Fuzz targets of forms: the multipart body, and the conditions of its policy.

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::runtime::Builder;

use super::form_fields::Form;
use super::form_policy::FormPolicy;

/// A multipart body with the boundary `x`. The bucket among the fields is that of the request.
pub(crate) fn oss_form(bytes: &[u8]) {
    let runtime = Builder::new_current_thread().build().expect("the system gives us a runtime");
    let mut body = Body::from(bytes.to_vec());
    runtime.block_on(async {
        let form = Form::read("multipart/form-data; boundary=x", &mut body, "photos").await;
        let Ok(form) = form else { return };
        assert_eq!(form.fields.get("bucket").map(String::as_str), Some("photos"));
        let has_capitals = |name: &String| *name != name.to_lowercase();
        assert!(!form.fields.keys().any(has_capitals), "a name in another case is a second field");
        let length = form.fields.values().map(String::len).sum::<usize>();
        assert!(length <= bytes.len() + "photos".len(), "fields are longer than the body");
    });
}

/// A policy, and fields of a form, `name=value` in each line. A form that is accepted satisfies every condition.
pub(crate) fn oss_form_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (json, lines) = text.split_once('\n').unwrap_or((text, ""));
    let fields: BTreeMap<_, _> = lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let Ok(policy) = FormPolicy::parse(&STANDARD.encode(json)) else { return };
    let Ok(limits) = policy.check(&fields) else { return };
    let document: Value = serde_json::from_str(json).expect("a policy is JSON");
    for condition in document["conditions"].as_array().expect("a policy has conditions") {
        check_condition(condition, &fields, (limits.least, limits.most));
    }
}

fn check_condition(condition: &Value, fields: &BTreeMap<String, String>, limits: (u64, u64)) {
    let field = |name: &str| fields.get(&name.to_lowercase()).map(String::as_str);
    let values = |values: &Value| match values {
        Value::Array(values) => {
            values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        one => vec![one.as_str().unwrap_or_default().to_owned()],
    };
    let holds = match condition {
        Value::Object(pairs) => {
            pairs.iter().all(|(name, value)| field(name) == value.as_str() && value.is_string())
        }
        Value::Array(parts) if parts[0] == "content-length-range" => {
            parts[1].as_u64() <= Some(limits.0) && parts[2].as_u64() >= Some(limits.1)
        }
        Value::Array(parts) => {
            let name = parts[1].as_str().and_then(|name| name.strip_prefix('$'));
            let listed: Vec<String> = values(&parts[2]);
            let field = name.and_then(field);
            match parts[0].as_str() {
                Some("eq") => field == parts[2].as_str(),
                Some("starts-with") => field.is_some_and(|field| field.starts_with(&listed[0])),
                Some("in") => field.is_some_and(|field| listed.iter().any(|one| one == field)),
                Some("not-in") => field.is_some_and(|field| !listed.iter().any(|one| one == field)),
                _ => false,
            }
        }
        _ => false,
    };
    assert!(holds, "the form is accepted, and {condition} does not hold");
}
