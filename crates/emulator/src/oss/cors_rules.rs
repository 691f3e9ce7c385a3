//! The CORS rules of a bucket: their XML, and the one that a request of a page fits.

use serde::{Deserialize, Serialize};

use super::error::OssError;

/// The most rules of a bucket.
const MOST_RULES: usize = 20;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// The headers that pages can read besides those that browsers always expose.
const EXPOSED: [&str; 13] = [
    "ETag",
    "Date",
    "Content-Length",
    "Content-Range",
    "Accept-Ranges",
    "Content-MD5",
    "x-oss-request-id",
    "x-oss-hash-crc64ecma",
    "x-oss-object-type",
    "x-oss-next-append-position",
    "x-oss-server-time",
    "x-oss-ec",
    "x-emulator-decision",
];

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename = "CORSConfiguration", rename_all = "PascalCase")]
pub(crate) struct CorsRules {
    #[serde(rename = "CORSRule", default)]
    rules: Vec<CorsRule>,
    /// Accepted and returned; answers always have `Vary: Origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_vary: Option<bool>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CorsRule {
    #[serde(rename = "AllowedOrigin", default)]
    origins: Vec<String>,
    #[serde(rename = "AllowedMethod", default)]
    pub(crate) methods: Vec<String>,
    #[serde(rename = "AllowedHeader", default)]
    headers: Vec<String>,
    #[serde(rename = "ExposeHeader", default)]
    pub(crate) exposed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_seconds: Option<u32>,
}

impl CorsRules {
    /// One rule, as an administrator would set it for development: any origin, any header.
    pub(crate) fn of_development() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rule = CorsRule {
            origins: texts(&["*"]),
            methods: texts(&METHODS),
            headers: texts(&["*"]),
            exposed: texts(&EXPOSED),
            max_age_seconds: Some(600),
        };
        Self { rules: vec![rule], response_vary: None }
    }

    pub(crate) fn check(&self) -> Result<(), OssError> {
        if self.rules.is_empty() || self.rules.len() > MOST_RULES {
            return Err(OssError::MalformedXml);
        }
        self.rules.iter().try_for_each(CorsRule::check)
    }

    /// The first rule that allows the method to pages of the origin, with all these headers.
    pub(crate) fn find(&self, origin: &str, method: &str, headers: &[&str]) -> Option<&CorsRule> {
        self.rules.iter().find(|rule| {
            rule.methods.iter().any(|one| one == method)
                && rule.origins.iter().any(|one| fits(one, origin))
                && headers.iter().all(|name| rule.allows_header(name))
        })
    }
}

impl CorsRule {
    fn check(&self) -> Result<(), OssError> {
        let has_one_star = |texts: &[String]| texts.iter().all(|one| one.matches('*').count() <= 1);
        if self.origins.is_empty() || self.methods.is_empty() {
            return Err(OssError::MalformedXml);
        }
        if !self.methods.iter().all(|one| METHODS.contains(&one.as_str())) {
            return Err(OssError::InvalidArgument(
                "AllowedMethod is one of GET, PUT, POST, DELETE and HEAD.",
            ));
        }
        if !has_one_star(&self.origins) || !has_one_star(&self.headers) {
            return Err(OssError::InvalidArgument(
                "AllowedOrigin and AllowedHeader have at most one wildcard each.",
            ));
        }
        if self.exposed.iter().any(|one| one.contains('*')) {
            return Err(OssError::InvalidArgument("ExposeHeader has no wildcard."));
        }
        Ok(())
    }

    fn allows_header(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.headers.iter().any(|one| fits(&one.to_ascii_lowercase(), &name))
    }

    /// The value of `Access-Control-Allow-Origin` for a page of an origin that fits.
    pub(crate) fn allowed_origin<'a>(&self, origin: &'a str) -> &'a str {
        if self.origins.iter().any(|one| one == "*") { "*" } else { origin }
    }
}

/// Whether a pattern with at most one `*` matches the text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}
