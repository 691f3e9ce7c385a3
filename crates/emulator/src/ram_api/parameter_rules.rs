//! The documented forms of RAM's parameters.

use super::api_call::ApiCall;
use super::error::RamError;
use crate::ram::{Document, Parsed, PolicyProblem, PolicyType};

/// Of a custom policy, in characters or bytes: the documentation says both.
pub(super) const LONGEST_POLICY: usize = 6144;
/// Of a trust policy. Inferred: an error for it is documented, its limit is not.
pub(super) const LONGEST_TRUST_POLICY: usize = 2048;

/// The name of a new entity: 1 to `longest` letters, digits and `others`.
pub(super) fn new_name<'a>(
    call: &ApiCall<'a>,
    parameter: &'static str,
    longest: usize,
    others: &str,
) -> Result<&'a str, RamError> {
    let name = call.need(parameter)?;
    if name.chars().count() > longest {
        return Err(RamError::Length(parameter));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c)) {
        return Err(RamError::InvalidChars(parameter));
    }
    Ok(name)
}

/// An optional text of at most `longest` characters.
pub(super) fn text(
    call: &ApiCall<'_>,
    parameter: &'static str,
    longest: usize,
) -> Result<String, RamError> {
    let text = call.get(parameter).unwrap_or_default();
    if text.chars().count() > longest {
        return Err(RamError::Length(parameter));
    }
    Ok(text.to_owned())
}

pub(super) fn document<T: Parsed>(
    parameter: &'static str,
    json: &str,
    longest: usize,
) -> Result<Document<T>, RamError> {
    if json.len() > longest {
        return Err(RamError::Length(parameter));
    }
    Document::parse(json).map_err(|problem| RamError::MalformedPolicy(details(&problem)))
}

pub(super) fn policy_type(call: &ApiCall<'_>) -> Result<PolicyType, RamError> {
    match call.need("PolicyType")? {
        "System" => Ok(PolicyType::System),
        "Custom" => Ok(PolicyType::Custom),
        _ => Err(RamError::Incorrect("PolicyType")),
    }
}

/// `v` and a number.
pub(super) fn version_id(call: &ApiCall<'_>) -> Result<u32, RamError> {
    let digits = call.need("VersionId")?.strip_prefix('v');
    let number = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    number.and_then(|digits| digits.parse().ok()).ok_or(RamError::Format("VersionId"))
}

/// Such as `86-18600000000`, or absent.
pub(super) fn mobile_phone(call: &ApiCall<'_>) -> Result<String, RamError> {
    let phone = call.get("MobilePhone").unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_phone = |(country, number)| is_number(country) && is_number(number);
    if phone.is_empty() || phone.split_once('-').is_some_and(is_phone) {
        Ok(phone.to_owned())
    } else {
        Err(RamError::Format("MobilePhone"))
    }
}

/// Something on both sides of an `@`, or absent.
pub(super) fn email(call: &ApiCall<'_>) -> Result<String, RamError> {
    let email = call.get("Email").unwrap_or_default();
    let is_email = |(name, host): (&str, &str)| !name.is_empty() && !host.is_empty();
    if email.is_empty() || email.split_once('@').is_some_and(is_email) {
        Ok(email.to_owned())
    } else {
        Err(RamError::Format("Email"))
    }
}

/// The problem with its causes, since the answer has one text.
fn details(problem: &PolicyProblem) -> String {
    let mut text = problem.to_string();
    let mut cause = std::error::Error::source(problem);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
