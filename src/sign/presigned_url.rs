//! A URL that is itself the signed request for one object.
//!
//! The signature covers the method, the bucket, the key, every parameter, and every header that the holder must send.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::scope::{SIGNATURE_VERSION, Scope, SessionKey};
use crate::sts::percent_encode;
use appserver_domain::{Bucket, ObjectKey};

/// A request for one object.
#[derive(Clone, Debug)]
pub(crate) struct PresignedUrl<'a> {
    pub(crate) method: UrlMethod,
    pub(crate) bucket: &'a Bucket,
    /// What the key follows, such as `https://sample-bucket.oss-cn-hangzhou.aliyuncs.com/`.
    pub(crate) base: &'a str,
    pub(crate) key: &'a ObjectKey,
    /// What the holder must send, with lower-case names.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) parameters: &'a [(&'a str, &'a str)],
    pub(crate) lifetime_secs: u32,
}

/// What the holder of a URL does with the object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum UrlMethod {
    Get,
    Head,
    Put,
}

impl UrlMethod {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
        }
    }

    /// The action that a policy must allow.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Get | Self::Head => "oss:GetObject",
            Self::Put => "oss:PutObject",
        }
    }
}

impl PresignedUrl<'_> {
    /// The URL. Its holder needs nothing else to do what it is for.
    pub(crate) fn sign(&self, key: SessionKey<'_>, scope: &Scope) -> String {
        let query = self.query(key, scope);
        let canonical = self.canonical_request(&query);
        let string_to_sign = [
            SIGNATURE_VERSION,
            scope.date_time(),
            &scope.text(),
            &hex::encode(Sha256::digest(canonical)),
        ];
        let signature = scope.sign(key, &string_to_sign.join("\n"));
        let path = encoded_path(self.key.as_str());
        format!("{}{path}?{query}&x-oss-signature={signature}", self.base)
    }

    /// The names of the signed headers that OSS would not sign by itself, in order.
    fn additional_headers(&self) -> String {
        let is_always_signed = |name: &str| {
            name.starts_with("x-oss-") || ["content-type", "content-md5"].contains(&name)
        };
        let names = self.headers.iter().map(|(name, _)| *name);
        let mut names: Vec<_> = names.filter(|name| !is_always_signed(name)).collect();
        names.sort_unstable();
        names.join(";")
    }

    /// Everything but the signature, in the order in which it is signed and sent.
    fn query(&self, key: SessionKey<'_>, scope: &Scope) -> String {
        let credential = scope.credential(key);
        let lifetime = self.lifetime_secs.to_string();
        let additional = self.additional_headers();
        let own = [
            ("x-oss-additional-headers", additional.as_str()),
            ("x-oss-credential", &credential),
            ("x-oss-date", scope.date_time()),
            ("x-oss-expires", &lifetime),
            ("x-oss-security-token", key.security_token.expose_secret()),
            ("x-oss-signature-version", SIGNATURE_VERSION),
        ];
        let own = own.iter().filter(|(_, value)| !value.is_empty());
        let pairs = own.chain(self.parameters);
        let mut pairs: Vec<_> =
            pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
        pairs.sort_unstable();
        let joined = pairs
            .into_iter()
            .map(|(name, value)| if value.is_empty() { name } else { [name, value].join("=") });
        joined.collect::<Vec<_>>().join("&")
    }

    fn canonical_request(&self, query: &str) -> String {
        let mut headers = self.headers.to_vec();
        headers.sort_unstable();
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let method = self.method.as_str();
        let (bucket, key) = (self.bucket, encoded_path(self.key.as_str()));
        let additional = self.additional_headers();
        format!("{method}\n/{bucket}/{key}\n{query}\n{headers}\n{additional}\nUNSIGNED-PAYLOAD")
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = Vec::with_capacity(text.len());
    percent_encode(text.as_bytes(), &mut encoded);
    String::from_utf8(encoded).expect("what is encoded is ASCII")
}

/// The key with its slashes.
fn encoded_path(key: &str) -> String {
    key.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::sign::scope::tests::VectorKey;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        name: String,
        method: String,
        key: String,
        headers: Vec<(String, String)>,
        parameters: Vec<(String, String)>,
        canonical_request_sha256: Option<String>,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/vectors/sign/urls.json")).unwrap()
    }

    fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn signed(vector: &Vector, check: impl Fn(&PresignedUrl<'_>)) -> String {
        let headers = borrowed(&vector.headers);
        let parameters = borrowed(&vector.parameters);
        let url = PresignedUrl {
            method: [UrlMethod::Get, UrlMethod::Put]
                .into_iter()
                .find(|one| one.as_str() == vector.method)
                .unwrap(),
            bucket: &"examplebucket".parse().unwrap(),
            base: "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/",
            key: &vector.key.clone().try_into().unwrap(),
            headers: &headers,
            parameters: &parameters,
            lifetime_secs: 600,
        };
        check(&url);
        url.sign(VectorKey::new().key(), &VectorKey::scope())
    }

    #[test]
    fn the_vectors_of_urls_are_signed() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let url = signed(&vector, |url| {
                let query = url.query(VectorKey::new().key(), &VectorKey::scope());
                let canonical = url.canonical_request(&query);
                let hash = hex::encode(Sha256::digest(&canonical));
                if let Some(expected) = &vector.canonical_request_sha256 {
                    assert_eq!(&hash, expected, "{}: {canonical}", vector.name);
                }
            });
            let (_, signature) = url.split_once("&x-oss-signature=").unwrap();
            assert_eq!(signature, vector.signature, "{}", vector.name);
        }
    }

    #[test]
    fn a_url_has_its_parameters_in_the_order_in_which_they_are_signed() {
        let urls: Vec<_> = vectors().iter().map(|vector| signed(vector, |_| ())).collect();
        insta::assert_snapshot!(urls.join("\n"), @r"
        https://examplebucket.oss-cn-hangzhou.aliyuncs.com/user/eric/a%20b%2B%C3%A9.jpg?x-oss-credential=STS.testid%2F20231203%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20231203T121212Z&x-oss-expires=600&x-oss-security-token=CAIStesttoken&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=1b1feee987e28fc39bd734bf00cca3a032e42bd328c258d338cd1ab241360e51
        https://examplebucket.oss-cn-hangzhou.aliyuncs.com/user/eric/1.png?x-oss-additional-headers=host&x-oss-credential=STS.testid%2F20231203%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20231203T121212Z&x-oss-expires=600&x-oss-security-token=CAIStesttoken&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=96005a831761f6b68c2fd7ec1d9c476a0e701f65efa319170c9056bc70913964
        https://examplebucket.oss-cn-hangzhou.aliyuncs.com/user/eric/1.png?callback=eyJh&x-oss-credential=STS.testid%2F20231203%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20231203T121212Z&x-oss-expires=600&x-oss-security-token=CAIStesttoken&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=d7ab587194f22d5356104aa14aa760ee07d03605dca9465d9944451b546d9577
        ");
    }
}
