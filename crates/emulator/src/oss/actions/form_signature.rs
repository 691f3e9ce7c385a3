//! The signature of a form, in its fields: version 4, or version 1.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::form_policy::FormPolicy;
use crate::oss::error::{Mismatch, OssError};
use crate::oss::form_problem::FormProblem;
use crate::oss::request_context::{RequestContext, Signer};
use crate::oss::signature::{Scope, SigningKey, credential_of, is_valid_v1};
use crate::oss::state::Oss;
use crate::oss::store::Bucket;

const VERSION: &str = "x-oss-signature-version";
const CREDENTIAL: &str = "x-oss-credential";
const DATE: &str = "x-oss-date";
const TOKEN: &str = "x-oss-security-token";
/// How far `x-oss-date` may be ahead.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// How long a form is valid from `x-oss-date` on, if its policy does not expire earlier.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(7);
/// EC of a wrong signature.
const MISMATCH_EC: &str = "0002-00000705";

/// Authenticates the signer of a form. `None` if the form is unsigned, which only a bucket that anyone can write to accepts.
pub(super) fn authenticate(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    fields: &BTreeMap<String, String>,
) -> Result<Option<FormPolicy>, OssError> {
    let is_v4 =
        [VERSION, CREDENTIAL, "x-oss-signature"].iter().any(|name| fields.contains_key(*name));
    let (id_field, signature_field) =
        if is_v4 { (CREDENTIAL, "x-oss-signature") } else { ("ossaccesskeyid", "signature") };
    let is_signed =
        ["policy", id_field, signature_field].iter().any(|name| fields.contains_key(*name));
    if !is_v4 && !is_signed {
        return Ok(None);
    }
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if is_v4 && field(VERSION) != Some("OSS4-HMAC-SHA256") {
        return Err(FormProblem::UnknownVersion.into());
    }
    let signature = match fields.get(signature_field).map(String::as_str) {
        None => return Err(FormProblem::NoSignature.into()),
        Some("") => return Err(FormProblem::EmptySignature.into()),
        Some(signature) => signature,
    };
    let policy = field("policy").ok_or(FormProblem::NoPolicy)?;
    let id = field(id_field).ok_or(FormProblem::NoAccessKey)?;
    let (id, scope) = if is_v4 {
        let (id, scope) = credential_of(id).map_err(|_| FormProblem::MalformedCredential)?;
        scope.check(Some(&bucket.region))?;
        check_date(field(DATE).unwrap_or_default(), &scope, context.now)?;
        (id, Some(scope))
    } else {
        oss.rules.check_v1(context.head)?;
        (id.to_owned(), None)
    };
    let token = field(TOKEN);
    let found = oss.identities.find(&id, token, context.now, context.source_ip);
    let (principal, secret) = found.map_err(|error| match error {
        // As is documented for forms.
        OssError::TokenExpired => OssError::AccessKeyNotFound,
        other => other,
    })?;
    let is_valid = |secret: &SecretString| match &scope {
        Some(scope) => SigningKey::derive(secret, scope).is_valid(policy, signature),
        None => is_valid_v1(secret, policy, signature),
    };
    if !is_valid(&secret) {
        return Err(OssError::SignatureDoesNotMatch(Box::new(Mismatch {
            access_key_id: id,
            signature: signature.to_owned(),
            string_to_sign: policy.to_owned(),
            canonical_request: None,
            ec: MISMATCH_EC,
        })));
    }
    context.signer = Some(Signer { access_key_id: id, principal });
    let policy = FormPolicy::parse(policy)?;
    if is_v4 {
        policy.require(&[VERSION, CREDENTIAL, DATE])?;
        if token.is_some() {
            policy.require(&[TOKEN])?;
        }
    }
    Ok(Some(policy))
}

fn check_date(date: &str, scope: &Scope, now: DateTime<Utc>) -> Result<(), FormProblem> {
    let at = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ");
    let at = at.map_err(|_| FormProblem::MalformedDate)?.and_utc();
    if !scope.is_of(date) {
        return Err(FormProblem::MalformedDate);
    }
    if at - WINDOW > now || now > at + LONGEST_LIFE {
        return Err(FormProblem::DateOutOfRange);
    }
    Ok(())
}
