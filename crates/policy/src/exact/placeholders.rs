//! Placeholders of templates, as characters that nothing else is.
//!
//! A placeholder's value is unknown: no text and no `?` is certain to match it, and only `*` does. So each placeholder is
//! one character of Unicode's last plane, which is for private use, and both policies use the same for the same.

use std::collections::BTreeSet;

use super::TooComplex;
use crate::document::tree::Document;

/// The first of them.
pub(super) const FIRST: char = '\u{100000}';

/// Whether the character stands for a placeholder.
pub(super) fn is_one(c: char) -> bool {
    c >= FIRST
}

/// The placeholders of templates.
pub(super) struct Placeholders(Vec<String>);

impl Placeholders {
    pub(super) fn of<'a>(
        documents: impl Iterator<Item = &'a Document<String>> + Clone,
    ) -> Result<Self, TooComplex> {
        let texts = || documents.clone().flat_map(Document::values);
        if texts().any(|text| text.contains(is_one)) {
            return Err(TooComplex::Characters);
        }
        let found: BTreeSet<_> =
            texts().flat_map(|text| parts(text)).filter_map(|(_, name)| name).collect();
        Ok(Self(found.into_iter().map(str::to_owned).collect()))
    }

    /// The document with each placeholder as its character.
    pub(super) fn hidden(&self, document: &Document<String>) -> Document<String> {
        document.map(|text| {
            let part = |(fixed, name): (&str, Option<&str>)| {
                let character = name.and_then(|name| self.0.iter().position(|one| one == name));
                let character = character.map(|at| Self::character(at).to_string());
                fixed.to_owned() + &character.unwrap_or_default()
            };
            parts(text).into_iter().map(part).collect()
        })
    }

    /// The text with its placeholders as they are written.
    pub(super) fn shown(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (at, name) in self.0.iter().enumerate() {
            shown = shown.replace(Self::character(at), name);
        }
        shown
    }

    fn character(at: usize) -> char {
        let code = u32::from(FIRST) + u32::try_from(at).expect("a policy has few placeholders");
        char::from_u32(code).expect("a policy has few placeholders")
    }
}

/// The fixed parts of a text, each with the placeholder after it if there is one.
fn parts(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let (before, after) = rest.split_at(start);
        let (name, after) = after.split_at(length + 1);
        parts.push((before, Some(name)));
        rest = after;
    }
    parts.push((rest, None));
    parts
}
