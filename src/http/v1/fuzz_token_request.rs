//! Fuzz target of token requests: a body and a query that say the same are read alike, and neither says what it does not contain.

use axum::http::Uri;
use form_urlencoded::Serializer;
use serde_json::{Map, Value, json};

use super::fields::{from_json, from_query, query_pairs};
use super::token_request::TokenRequest;
use crate::grant::TokenParams;
use crate::http::error::ApiError;

/// A JSON body if it begins with `{`, and else a query.
pub(crate) fn token_request(bytes: &[u8]) {
    if bytes.first() == Some(&b'{') {
        match from_json::<TokenRequest>(bytes) {
            Ok(request) => check_body(bytes, request.into()),
            Err(error) => check_error(&error),
        }
        return;
    }
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let Ok(uri) = format!("/v1/token?{query}").parse::<Uri>() else { return };
    match from_query::<TokenRequest>(&query_pairs(&uri)) {
        Ok(request) => {
            let params = TokenParams::from(request);
            assert_eq!(read_body(&body(&params)), params, "the same as a body");
            assert_eq!(read_query(&self::query(&params)), params, "the same as another query");
        }
        Err(error) => check_error(&error),
    }
}

/// Every member is one of the four, each says what another parser finds there, and the same query is read alike.
fn check_body(bytes: &[u8], params: TokenParams) {
    let value: Value = serde_json::from_slice(bytes).expect("a request is JSON");
    let members = value.as_object().expect("a request is an object");
    let is_known = |name: &String| {
        ["Grant", "DurationSeconds", "Parameters", "Policy"].contains(&name.as_str())
    };
    assert!(members.keys().all(is_known), "an unknown member was accepted");
    assert!(members.values().all(|value| !value.is_null()), "`null` was accepted");
    assert_eq!(members.get("Grant"), params.grant.clone().map(Value::from).as_ref());
    assert_eq!(members.get("DurationSeconds"), params.duration_secs.map(Value::from).as_ref());
    assert_eq!(members.contains_key("Policy"), params.policy.is_some());
    let parameters: Map<String, Value> =
        params.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let found = members.get("Parameters").cloned().unwrap_or_else(|| json!({}));
    assert_eq!(found, Value::Object(parameters));
    assert_eq!(read_body(&body(&params)), params, "written and read again");
    assert_eq!(read_query(&query(&params)), params, "the same as a query");
}

fn body(params: &TokenParams) -> Vec<u8> {
    let mut members = Map::new();
    members.extend(params.grant.iter().map(|grant| ("Grant".to_owned(), json!(grant))));
    let secs = params.duration_secs.map(|secs| ("DurationSeconds".to_owned(), json!(secs)));
    members.extend(secs);
    members.insert("Parameters".to_owned(), json!(params.parameters));
    let policy =
        params.policy.as_ref().map(|policy| ("Policy".to_owned(), json!(policy.to_json())));
    members.extend(policy);
    Value::Object(members).to_string().into_bytes()
}

fn query(params: &TokenParams) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(params.grant.iter().map(|grant| ("Grant", grant)));
    query.extend_pairs(params.duration_secs.map(|secs| ("DurationSeconds", secs.to_string())));
    let named = |(name, value)| (format!("Parameters.{name}"), value);
    query.extend_pairs(params.parameters.iter().map(named));
    query.extend_pairs(params.policy.as_ref().map(|policy| ("Policy", policy.to_json())));
    query.finish()
}

fn read_body(json: &[u8]) -> TokenParams {
    from_json::<TokenRequest>(json).expect("the body that was written is read").into()
}

fn read_query(query: &str) -> TokenParams {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    from_query::<TokenRequest>(&pairs).expect("the query that was written is read").into()
}

/// An answer is one line of bounded length that a terminal shows as it is.
fn check_error(error: &ApiError) {
    let public = error.public();
    let shown = format!("{}: {}", public.code(), public.message);
    assert!(shown.len() < 4096, "an error has {} bytes", shown.len());
    assert!(!shown.contains(char::is_control), "an error has control characters: {shown:?}");
}
