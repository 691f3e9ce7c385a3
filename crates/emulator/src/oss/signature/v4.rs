//! Signature V4: HMAC-SHA256 with a key for one day, region and product, in headers or in a URL.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Scheme, Signed, TOKEN_HEADER, Text, hmac_sha256};
use crate::oss::error::{Denied, OssError};
use crate::oss::head::Head;
use crate::oss::query::Query;
use crate::percent::encode;

const ALGORITHM: &str = "OSS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The longest lifetime of a URL.
const LONGEST_LIFE_SECONDS: i64 = 604_800;

/// The terms of a V4 signature.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) at: DateTime<Utc>,
    /// The original text.
    date_time: String,
    pub(crate) scope: Scope,
    /// Additional signed headers, in lower case and sorted.
    additional: Vec<String>,
    /// The expiry of a URL.
    pub(crate) expires: Option<DateTime<Utc>>,
}

/// The scope of a signing key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Scope {
    date: String,
    region: String,
    product: String,
}

/// The key of one scope.
pub(crate) struct SigningKey(Vec<u8>);

pub(crate) fn is_in_query(query: &Query) -> bool {
    query.has("x-oss-signature-version") || query.has("x-oss-signature")
}

/// `Authorization: OSS4-HMAC-SHA256 Credential=…,Signature=…[,AdditionalHeaders=…]` in any order, with or without spaces;
/// `rest` is what follows the algorithm.
pub(crate) fn from_header(head: &Head, rest: &str) -> Result<Signed, OssError> {
    let field = |wanted| {
        let fields = rest.split(',').filter_map(|field| field.trim().split_once('='));
        fields.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.trim())
    };
    let (Some(credential), Some(signature)) = (field("Credential"), field("Signature")) else {
        return Err(OssError::InvalidArgument("Authorization header is invalid."));
    };
    if head.header("x-oss-content-sha256") != Some(UNSIGNED_PAYLOAD) {
        return Err(OssError::InvalidArgument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD."));
    }
    let (access_key_id, scope) = credential_of(credential)?;
    let date_time = head.header("x-oss-date").ok_or(OssError::AccessDenied(Denied::NoDate))?;
    let additional = field("AdditionalHeaders").unwrap_or_default();
    let terms = Terms::new(date_time, scope, additional, None)?;
    Ok(Signed {
        access_key_id,
        token: head.header(TOKEN_HEADER).map(str::to_owned),
        signature: signature.to_owned(),
        scheme: Scheme::V4(terms),
    })
}

/// `?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=…&x-oss-date=…&x-oss-expires=…&x-oss-signature=…`
pub(crate) fn from_query(head: &Head) -> Result<Signed, OssError> {
    let part = |name| head.query.get(name);
    if part("x-oss-signature-version") != Some(ALGORITHM) {
        return Err(OssError::InvalidUrlSignature(
            "The signature version of the URL is unknown; x-oss-signature-version must be OSS4-HMAC-SHA256.",
            "0002-00000066",
        ));
    }
    if head.query.has("x-oss-credential") && part("x-oss-credential").is_none() {
        return Err(OssError::InvalidUrlSignature(
            "x-oss-credential of the URL is empty.",
            "0002-00000218",
        ));
    }
    let (Some(credential), Some(date_time), Some(expires), Some(signature)) = (
        part("x-oss-credential"),
        part("x-oss-date"),
        part("x-oss-expires"),
        part("x-oss-signature"),
    ) else {
        return Err(OssError::InvalidArgument(
            "Query-string authentication version 4 requires the x-oss-signature-version, x-oss-credential, \
             x-oss-date, x-oss-expires and x-oss-signature parameters.",
        ));
    };
    let life = expires.parse().ok().filter(|life| (1..=LONGEST_LIFE_SECONDS).contains(life));
    let life =
        life.ok_or(OssError::InvalidArgument("x-oss-expires is between 1 and 604800 seconds."))?;
    let (access_key_id, scope) = credential_of(credential)?;
    let additional = part("x-oss-additional-headers").unwrap_or_default();
    let terms = Terms::new(date_time, scope, additional, Some(life))?;
    Ok(Signed {
        access_key_id,
        token: part(TOKEN_HEADER).map(str::to_owned),
        signature: signature.to_owned(),
        scheme: Scheme::V4(terms),
    })
}

pub(super) fn text(head: &Head, terms: &Terms) -> Text {
    let canonical = canonical_request(head, &terms.additional);
    let string_to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        terms.date_time,
        terms.scope,
        hex::encode(Sha256::digest(&canonical))
    );
    Text { string_to_sign, canonical_request: Some(canonical) }
}

impl Terms {
    fn new(
        date_time: &str,
        scope: Scope,
        additional: &str,
        life_seconds: Option<i64>,
    ) -> Result<Self, OssError> {
        let at = NaiveDateTime::parse_from_str(date_time, "%Y%m%dT%H%M%SZ");
        let at = at.map_err(|_| OssError::AccessDenied(Denied::NoDate))?.and_utc();
        if !scope.is_of(date_time) {
            return Err(OssError::InvalidArgument("Invalid signing date in Authorization header."));
        }
        let names = additional.split(';').map(|name| name.trim().to_ascii_lowercase());
        let mut additional: Vec<String> =
            names.filter(|name| !name.is_empty() && !is_always_signed(name)).collect();
        additional.sort_unstable();
        additional.dedup();
        let expires = life_seconds.map(|life| at + TimeDelta::seconds(life));
        Ok(Self { at, date_time: date_time.to_owned(), scope, additional, expires })
    }
}

impl Scope {
    /// `<date>/<region>/<product>/aliyun_v4_request`
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: [&str; 4] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
        let [date, region, product, terminator] = parts;
        let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        let is_whole = is_date && !region.is_empty() && terminator == "aliyun_v4_request";
        is_whole.then(|| Self {
            date: date.to_owned(),
            region: region.to_owned(),
            product: product.to_owned(),
        })
    }

    /// Whether `x-oss-date` is on the scope's day.
    pub(crate) fn is_of(&self, date_time: &str) -> bool {
        date_time.starts_with(&self.date)
    }

    /// Checks that the scope is OSS in this region, or in any without one.
    pub(crate) fn check(&self, region: Option<&str>) -> Result<(), OssError> {
        if self.product != "oss" {
            return Err(OssError::InvalidArgument(
                "Invalid signing product in Authorization header.",
            ));
        }
        if region.is_some_and(|region| region != self.region) {
            return Err(OssError::InvalidArgument(
                "Invalid signing region in Authorization header.",
            ));
        }
        Ok(())
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/aliyun_v4_request", self.date, self.region, self.product)
    }
}

impl SigningKey {
    pub(crate) fn derive(secret: &SecretString, scope: &Scope) -> Self {
        let mut key = format!("aliyun_v4{}", secret.expose_secret()).into_bytes();
        for part in [&scope.date, &scope.region, &scope.product, "aliyun_v4_request"] {
            key = hmac_sha256(&key, part.as_bytes()).finalize().into_bytes().to_vec();
        }
        Self(key)
    }

    pub(crate) fn is_valid(&self, text: &str, signature: &str) -> bool {
        let is_lower_case = !signature.bytes().any(|b| b.is_ascii_uppercase());
        let signature = hex::decode(signature).unwrap_or_default();
        // Compares in constant time.
        is_lower_case && hmac_sha256(&self.0, text.as_bytes()).verify_slice(&signature).is_ok()
    }
}

/// `<access key id>/<scope>`
pub(crate) fn credential_of(text: &str) -> Result<(String, Scope), OssError> {
    let parts = text.split_once('/').filter(|(id, _)| !id.is_empty());
    parts
        .and_then(|(id, scope)| Some((id.to_owned(), Scope::parse(scope)?)))
        .ok_or(OssError::InvalidArgument("The credential is not <access key id>/<scope>."))
}

fn canonical_request(head: &Head, additional: &[String]) -> String {
    let mut uri = String::from("/");
    if let Some(bucket) = &head.bucket {
        let key = head.key.as_deref().unwrap_or_default();
        uri.push_str(&encode(bucket));
        uri.push('/');
        uri.push_str(&encode(key).replace("%2F", "/"));
    }
    let queries = head.query.iter().filter(|(name, _)| *name != "x-oss-signature");
    let mut pairs: Vec<_> = queries.map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort_unstable();
    let query: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") })
        .collect();
    let names = head.headers.keys().map(axum::http::HeaderName::as_str);
    let mut names: Vec<&str> = names.filter(|name| is_always_signed(name)).collect();
    names.extend(additional.iter().map(String::as_str));
    names.sort_unstable();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", head.header(name).unwrap_or_default()))
        .collect();
    // Also in a URL, which has no header for it.
    let payload = head.header("x-oss-content-sha256").unwrap_or(UNSIGNED_PAYLOAD);
    let method = &head.method;
    format!("{method}\n{uri}\n{}\n{headers}\n{}\n{payload}", query.join("&"), additional.join(";"))
}

fn is_always_signed(name: &str) -> bool {
    name.starts_with("x-oss-") || name == "content-type" || name == "content-md5"
}
