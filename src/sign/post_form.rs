//! The form of one upload by PostObject.
//!
//! Each of its fields, except the policy and its signature, is bound by a condition of the policy.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::scope::{SIGNATURE_VERSION, Scope, SessionKey};
use appserver_domain::{Bucket, ObjectKey};

/// An upload of one object.
#[derive(Clone, Debug)]
pub(crate) struct PostForm<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) key: &'a ObjectKey,
    pub(crate) content_type: &'a str,
    pub(crate) storage_class: &'a str,
    /// Whether the upload may replace an object of this key.
    pub(crate) overwrite: bool,
    /// The admitted sizes of the file.
    pub(crate) bytes: RangeInclusive<u64>,
    pub(crate) expires_at: DateTime<Utc>,
    /// Fields of a callback, in the order in which they are sent.
    pub(crate) callback: &'a [(String, String)],
}

/// The fields of a form in the order in which they are sent; the file comes last. It has no `Debug`: its holder can
/// upload.
pub(crate) struct SignedForm {
    pub(crate) fields: Vec<(String, String)>,
}

impl PostForm<'_> {
    pub(crate) fn sign(&self, key: SessionKey<'_>, scope: &Scope) -> SignedForm {
        let overwrite = if self.overwrite { "false" } else { "true" };
        let credential = scope.credential(key);
        let own = [
            ("key", self.key.as_str()),
            // OSS prefers the first of the two and browsers show the second.
            ("x-oss-content-type", self.content_type),
            ("Content-Type", self.content_type),
            // Sent with the default values because OSS accepts every field that no condition names.
            ("x-oss-object-acl", "default"),
            ("x-oss-storage-class", self.storage_class),
            ("x-oss-forbid-overwrite", overwrite),
            ("success_action_status", "200"),
            ("x-oss-security-token", key.security_token.expose_secret()),
            ("x-oss-signature-version", SIGNATURE_VERSION),
            ("x-oss-credential", &credential),
            ("x-oss-date", scope.date_time()),
        ];
        let mut fields: Vec<_> =
            own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        fields.extend_from_slice(self.callback);
        let SignedPolicy { policy, signature } =
            SignedPolicy::new(&self.policy(&fields), key, scope);
        fields.push(("policy".to_owned(), policy));
        fields.push(("x-oss-signature".to_owned(), signature));
        SignedForm { fields }
    }

    /// The policy that binds the fields.
    fn policy(&self, fields: &[(String, String)]) -> String {
        let bucket = json!({ "bucket": self.bucket.as_str() });
        let range = json!(["content-length-range", self.bytes.start(), self.bytes.end()]);
        let bound = fields
            .iter()
            .map(|(name, value)| json!(["eq", format!("${}", name.to_ascii_lowercase()), value]));
        let conditions: Vec<Value> = [bucket, range].into_iter().chain(bound).collect();
        let expiration = self.expires_at.format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        json!({ "expiration": expiration, "conditions": conditions }).to_string()
    }
}

/// A policy as a form carries it.
struct SignedPolicy {
    policy: String,
    signature: String,
}

impl SignedPolicy {
    fn new(json: &str, key: SessionKey<'_>, scope: &Scope) -> Self {
        let policy = BASE64.encode(json);
        // What is signed is the text that is sent, so the two cannot differ.
        let signature = scope.sign(key, &policy);
        Self { policy, signature }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::scope::tests::VectorKey;

    #[test]
    fn the_vector_of_a_policy_is_signed() {
        let json = include_str!("../../tests/vectors/sign/post-policy.json").trim_end();
        let signed = SignedPolicy::new(json, VectorKey::new().key(), &VectorKey::scope());
        assert_eq!(
            signed.signature,
            "591f92708f6ff98ce8c9bb2601cc8afd009b624944f5ed562367029f0bf4922e"
        );
    }

    fn signed(overwrite: bool, callback: &[(String, String)]) -> SignedForm {
        let form = PostForm {
            bucket: &"sample-bucket".parse().unwrap(),
            key: &"users/alice/cat \"1\".jpg".to_owned().try_into().unwrap(),
            content_type: "image/jpeg",
            storage_class: "Standard",
            overwrite,
            bytes: 1..=10,
            expires_at: "2023-12-03T12:27:12.9Z".parse().unwrap(),
            callback,
        };
        form.sign(VectorKey::new().key(), &VectorKey::scope())
    }

    fn policy(form: &SignedForm) -> Value {
        let (_, policy) = form.fields.iter().find(|(name, _)| name == "policy").unwrap();
        serde_json::from_slice(&BASE64.decode(policy).unwrap()).unwrap()
    }

    #[test]
    fn a_form_has_these_fields_in_this_order() {
        let callback = [("callback", "e30="), ("x:user", "alice")];
        let callback = callback.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = signed(false, &callback);
        let shown: Vec<_> = form
            .fields
            .iter()
            .filter(|(name, _)| !["policy", "x-oss-signature"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        key=users/alice/cat "1".jpg
        x-oss-content-type=image/jpeg
        Content-Type=image/jpeg
        x-oss-object-acl=default
        x-oss-storage-class=Standard
        x-oss-forbid-overwrite=true
        success_action_status=200
        x-oss-security-token=CAIStesttoken
        x-oss-signature-version=OSS4-HMAC-SHA256
        x-oss-credential=STS.testid/20231203/cn-hangzhou/oss/aliyun_v4_request
        x-oss-date=20231203T121212Z
        callback=e30=
        x:user=alice
        "#);
        let last: Vec<_> = form.fields.iter().rev().take(2).map(|(name, _)| name).collect();
        assert_eq!(last, ["x-oss-signature", "policy"]);
        assert_eq!(
            policy(&form)["expiration"],
            Value::from("2023-12-03T12:27:12.000Z"),
            "the whole second before its end"
        );
    }

    #[test]
    fn each_field_but_the_policy_and_the_signature_is_bound() {
        for overwrite in [false, true] {
            let callback = [("x:Upload".to_owned(), "sealed".to_owned())];
            let form = signed(overwrite, &callback);
            let policy = policy(&form);
            let conditions = policy["conditions"].as_array().unwrap();
            let unbound: Vec<_> = form
                .fields
                .iter()
                .filter(|(name, value)| {
                    let bound = json!(["eq", format!("${}", name.to_lowercase()), value]);
                    !conditions.contains(&bound)
                })
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(unbound, ["policy", "x-oss-signature"]);
            assert!(conditions.contains(&json!({ "bucket": "sample-bucket" })));
            assert!(conditions.contains(&json!(["content-length-range", 1, 10])));
            assert_eq!(conditions.len(), form.fields.len());
        }
    }
}
