//! A policy's text together with its parsed form.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::policy::{Policy, PolicyProblem};
use super::trust::TrustPolicy;

/// A valid document. RAM answers the text as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Document<T> {
    text: String,
    parsed: T,
}

/// The two kinds of document.
pub(crate) trait Parsed: Sized {
    fn parse(json: &str) -> Result<Self, PolicyProblem>;
}

impl Parsed for Policy {
    fn parse(json: &str) -> Result<Self, PolicyProblem> {
        Self::parse(json)
    }
}

impl Parsed for TrustPolicy {
    fn parse(json: &str) -> Result<Self, PolicyProblem> {
        Self::parse(json)
    }
}

impl<T: Parsed> Document<T> {
    pub(crate) fn parse(json: &str) -> Result<Self, PolicyProblem> {
        Ok(Self { text: json.to_owned(), parsed: T::parse(json)? })
    }
}

impl<T> Document<T> {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn parsed(&self) -> &T {
        &self.parsed
    }
}

impl<T> Serialize for Document<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: Parsed> Deserialize<'de> for Document<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}
