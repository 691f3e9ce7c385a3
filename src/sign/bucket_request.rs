//! A request about a bucket itself, such as its policy, signed in its headers.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::scope::{SIGNATURE_VERSION, Scope, SessionKey};
use appserver_domain::Bucket;

/// OSS accepts no other hash: bodies are not signed.
const PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request for a sub-resource of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) bucket: &'a Bucket,
    /// Such as `policy`, for `/?policy`.
    pub(crate) subresource: &'a str,
    /// Of the body, if there is one.
    pub(crate) content_type: Option<&'a str>,
}

impl BucketRequest<'_> {
    /// The headers that the request is sent with. Without a security token, the key is a long-lived one.
    pub(crate) fn headers(
        &self,
        key: SessionKey<'_>,
        scope: &Scope,
    ) -> Vec<(&'static str, String)> {
        let signed = [
            ("content-type", self.content_type.unwrap_or_default()),
            ("x-oss-content-sha256", PAYLOAD),
            ("x-oss-date", scope.date_time()),
            ("x-oss-security-token", key.security_token.expose_secret()),
        ];
        let signed = signed.into_iter().filter(|(_, value)| !value.is_empty());
        let mut headers: Vec<_> = signed.map(|(name, value)| (name, value.to_owned())).collect();
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let Self { method, bucket, subresource, .. } = self;
        let canonical = format!("{method}\n/{bucket}/\n{subresource}\n{lines}\n\n{PAYLOAD}");
        let hash = hex::encode(Sha256::digest(canonical));
        let string_to_sign = [SIGNATURE_VERSION, scope.date_time(), &scope.text(), &hash];
        let signature = scope.sign(key, &string_to_sign.join("\n"));
        let credential = scope.credential(key);
        let authorization =
            format!("{SIGNATURE_VERSION} Credential={credential},Signature={signature}");
        headers.push(("authorization", authorization));
        headers
    }
}
