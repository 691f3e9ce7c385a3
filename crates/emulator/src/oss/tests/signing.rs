//! Signatures as clients make them, by the tests' own code.

use sha2::Digest;

use super::*;

impl OssRequest {
    /// Signs as documented, with the tests' own code.
    pub(super) fn signed(self, scheme: Scheme, keys: &SigningKeys) -> Self {
        match scheme {
            Scheme::V1 => self.signed_v1(keys),
            Scheme::V1Url(life) => self.signed_v1_url(keys, life),
            Scheme::V4 => self.signed_v4(keys),
            Scheme::V4Url(life) => self.signed_v4_url(keys, life),
        }
    }

    fn signed_v1(mut self, keys: &SigningKeys) -> Self {
        let date = self.at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        self = self.header("x-oss-date", date.as_str());
        if let Some(token) = &keys.token {
            self = self.header("x-oss-security-token", token);
        }
        let signature = self.v1_signature(&date, keys);
        self.header("authorization", format!("OSS {}:{signature}", keys.id))
    }

    fn signed_v1_url(mut self, keys: &SigningKeys, life: i64) -> Self {
        let expires = (self.at.timestamp() + life).to_string();
        if let Some(token) = &keys.token {
            self = self.query("security-token", token);
        }
        let signature = self.v1_signature(&expires, keys);
        self.query("OSSAccessKeyId", keys.id.as_str())
            .query("Expires", expires)
            .query("Signature", signature)
    }

    fn v1_signature(&self, time: &str, keys: &SigningKeys) -> String {
        let signed =
            ["acl", "uploads", "uploadId", "partNumber", "delete", "bucketInfo", "location"];
        let also = ["security-token", "continuation-token", "response-content-type", "objectMeta"];
        let mut resources: Vec<String> = self
            .query
            .iter()
            .filter(|(name, _)| signed.contains(name) || also.contains(name))
            .map(
                |(name, value)| {
                    if value.is_empty() { (*name).to_owned() } else { format!("{name}={value}") }
                },
            )
            .collect();
        resources.sort();
        let question = if resources.is_empty() { "" } else { "?" };
        let lines = lines(&self.headers, |n| n.starts_with("x-oss-"));
        let text = format!(
            "{}\n{}\n{}\n{time}\n{}/{}/{}{question}{}",
            self.method,
            self.said("content-md5"),
            self.said("content-type"),
            lines,
            self.bucket,
            self.key,
            resources.join("&"),
        );
        let mac = Hmac::<sha1::Sha1>::new_from_slice(keys.secret.as_bytes()).unwrap();
        STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
    }

    fn signed_v4(mut self, keys: &SigningKeys) -> Self {
        let time = self.v4_time();
        self = self.header("x-oss-date", time).header("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
        if let Some(token) = &keys.token {
            self = self.header("x-oss-security-token", token);
        }
        let credential = format!("{}/{}", keys.id, self.v4_scope());
        let signature = self.v4_signature(keys);
        let authorization =
            format!("OSS4-HMAC-SHA256 Credential={credential},Signature={signature}");
        self.header("authorization", authorization)
    }

    fn signed_v4_url(mut self, keys: &SigningKeys, life: i64) -> Self {
        let credential = format!("{}/{}", keys.id, self.v4_scope());
        let time = self.v4_time();
        self = self
            .query("x-oss-signature-version", "OSS4-HMAC-SHA256")
            .query("x-oss-credential", credential)
            .query("x-oss-date", time)
            .query("x-oss-expires", life.to_string());
        if let Some(token) = &keys.token {
            self = self.query("x-oss-security-token", token);
        }
        let signature = self.v4_signature(keys);
        self.query("x-oss-signature", signature)
    }

    fn v4_time(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn v4_scope(&self) -> String {
        format!("{}/cn-hangzhou/oss/aliyun_v4_request", self.at.format("%Y%m%d"))
    }

    fn v4_signature(&self, keys: &SigningKeys) -> String {
        // By name and then by value, so that `callback` is before `callback-var`.
        let mut query: Vec<(String, String)> =
            self.query.iter().map(|(n, v)| (encode(n), encode(v))).collect();
        query.sort();
        let pairs: Vec<String> = query
            .into_iter()
            .map(|(n, v)| if v.is_empty() { n } else { format!("{n}={v}") })
            .collect();
        let lines = lines(&self.headers, |n| {
            n.starts_with("x-oss-") || ["content-type", "content-md5"].contains(&n)
        });
        let key = encode(&self.key).replace("%2F", "/");
        let canonical = format!(
            "{}\n/{}/{key}\n{}\n{}\n\nUNSIGNED-PAYLOAD",
            self.method,
            self.bucket,
            pairs.join("&"),
            lines,
        );
        let hash = hex::encode(sha2::Sha256::digest(canonical));
        let scope = self.v4_scope();
        let text = format!("OSS4-HMAC-SHA256\n{}\n{scope}\n{hash}", self.v4_time());
        let hmac = |key: &[u8], text: &str| {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        };
        let first = format!("aliyun_v4{}", keys.secret).into_bytes();
        let signing_key = scope.split('/').fold(first, |key, part| hmac(&key, part));
        hex::encode(hmac(&signing_key, &text))
    }

    fn said(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| *other == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// The signed headers as both versions write them, sorted by name.
fn lines(headers: &[(&'static str, String)], is_signed: impl Fn(&str) -> bool) -> String {
    let mut signed: Vec<_> = headers.iter().filter(|(name, _)| is_signed(name)).collect();
    signed.sort();
    signed.into_iter().map(|(name, value)| format!("{name}:{value}\n")).collect()
}
