//! The trait of calls to STS.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::error::InvalidResponse;
use super::response_body::ResponseBody;
use super::rpc::Parameters;
use super::timestamp;
use appserver_domain::SigningCredentials;

/// One call, without the parameters that differ between attempts.
pub(super) trait Call {
    /// The result of the call.
    type Output;
    /// Its name in STS's API.
    const ACTION: &'static str;

    /// The action's own parameters.
    fn parameters(&self) -> Parameters<'_>;

    /// Parses the response that arrived at `now`, by STS's clock.
    fn read(
        &self,
        answer: &ResponseBody<'_>,
        now: DateTime<Utc>,
    ) -> Result<Self::Output, InvalidResponse>;
}

/// All parameters of one attempt; without a key, of one that is not signed. A retry is a new request: new nonce, new timestamp.
pub(super) fn request<'a, C: Call>(
    call: &'a C,
    key: Option<&'a SigningCredentials>,
    nonce: String,
    now: DateTime<Utc>,
) -> Parameters<'a> {
    let mut parameters = call.parameters();
    add_common(&mut parameters, C::ACTION, "2015-04-01", key, nonce, now);
    parameters
}

/// Adds what every call of an RPC-style API has, and the security token of temporary credentials.
pub(crate) fn add_common<'a>(
    parameters: &mut Parameters<'a>,
    action: &'static str,
    version: &'static str,
    key: Option<&'a SigningCredentials>,
    nonce: String,
    now: DateTime<Utc>,
) {
    parameters.extend([
        ("Action", action.into()),
        ("Format", "JSON".into()),
        ("SignatureNonce", nonce.into()),
        ("Timestamp", timestamp::written(now).into()),
        ("Version", version.into()),
    ]);
    if let Some(key) = key {
        parameters.extend([
            ("AccessKeyId", key.id().as_str().into()),
            ("SignatureMethod", "HMAC-SHA1".into()),
            ("SignatureVersion", "1.0".into()),
        ]);
        let token = key.security_token();
        parameters.extend(token.map(|token| ("SecurityToken", token.expose_secret().into())));
    }
}

/// A unique nonce.
pub(crate) fn nonce() -> String {
    // From the thread's generator: uuid's own calls the system each time.
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// Signs one attempt, for the benchmark; returns the form's length.
#[cfg(feature = "bench")]
pub(crate) fn signed_length(
    session: &super::RoleSession,
    key: &SigningCredentials,
    now: DateTime<Utc>,
) -> usize {
    let parameters = request(session, Some(key), nonce(), now);
    super::rpc::sign("POST", parameters, key.secret()).form.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::caller_identity::GetCallerIdentity;

    #[test]
    fn a_request_has_all_parameters_of_rpc_style_apis() {
        let key = appserver_domain::AccessKey::new("testid", "testsecret".into()).unwrap();
        let key = SigningCredentials::of_key(key, None);
        let now = "2016-01-13T14:02:37.5Z".parse().unwrap();
        let request = request(&GetCallerIdentity, Some(&key), "nonce-1".into(), now);
        let expected = Parameters::from([
            ("Action", "GetCallerIdentity".into()),
            ("Format", "JSON".into()),
            ("SignatureNonce", "nonce-1".into()),
            ("Timestamp", "2016-01-13T14:02:37Z".into()),
            ("Version", "2015-04-01".into()),
            ("AccessKeyId", "testid".into()),
            ("SignatureMethod", "HMAC-SHA1".into()),
            ("SignatureVersion", "1.0".into()),
        ]);
        assert_eq!(request, expected);
    }

    #[test]
    fn temporary_credentials_send_their_security_token() {
        let key = appserver_domain::AccessKey::new("STS.1", "testsecret".into()).unwrap();
        let key = SigningCredentials::of_key(key, Some("token".into()));
        let now = "2016-01-13T14:02:37Z".parse().unwrap();
        let request = request(&GetCallerIdentity, Some(&key), "nonce-1".into(), now);
        assert!(request.contains(&("SecurityToken", "token".into())));
    }
}
