//! Text with placeholders.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::DateTime;

use appserver_domain::PolicyText;

use crate::document::value::ValueFlaw;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::subject_form::SubjectForm;
use crate::template::value_rule::ValueRules;

/// How many patterns a text with listed values becomes at most.
const MAX_WRITTEN_OUT: usize = 16;

/// Fixed text and placeholders in turn, such as `users/${subject}/*`.
#[derive(Clone, Debug)]
pub(crate) struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Fixed(String),
    Value(Placeholder),
}

impl Text {
    /// Splits the text into its pieces, or reports every broken rule.
    pub(crate) fn parse(raw: &str, rules: &ValueRules) -> Result<Self, Vec<ValueFlaw>> {
        let (mut pieces, mut flaws) = (Vec::new(), Vec::new());
        let mut rest = raw;
        while !rest.is_empty() {
            let (fixed, special) = rest.split_at(rest.find(['$', '{', '}']).unwrap_or(rest.len()));
            if !fixed.is_empty() {
                pieces.push(Piece::Fixed(fixed.to_owned()));
            }
            rest = special;
            if let Some(inner) = special.strip_prefix("${") {
                let Some((written, after)) = inner.split_once('}') else {
                    flaws.push(ValueFlaw::Unclosed);
                    break;
                };
                match Placeholder::parse(written, rules) {
                    Ok(placeholder) => pieces.push(Piece::Value(placeholder)),
                    Err(flaw) => flaws.push(flaw),
                }
                rest = after;
            } else if let Some(c) = special.chars().next() {
                flaws.push(ValueFlaw::Stray(c));
                rest = &special[c.len_utf8()..];
            }
        }
        if raw.chars().any(char::is_control) {
            flaws.push(ValueFlaw::ControlCharacter);
        }
        if flaws.is_empty() { Ok(Self(pieces)) } else { Err(flaws) }
    }

    /// Text without placeholders.
    pub(crate) fn fixed(text: &PolicyText) -> Self {
        Self(vec![Piece::Fixed(text.as_str().to_owned())])
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Fixed(_) => None,
            Piece::Value(placeholder) => Some(placeholder),
        })
    }

    /// Whether the text is the same for equal users of different issuers: it uses what an issuer says about its users,
    /// and nothing that differs between issuers.
    ///
    /// Each placeholder has path segments of its own at a fixed place, so one placeholder that differs between issuers
    /// is enough. Where each client has one issuer, the client's id is such a placeholder.
    pub(crate) fn merges_issuers(&self, by_client: bool) -> bool {
        let tells = |source: &ValueSource| match source {
            ValueSource::Issuer | ValueSource::Subject(SubjectForm::Hash) => true,
            ValueSource::Client => by_client,
            ValueSource::Subject(SubjectForm::Plain | SubjectForm::Encoded)
            | ValueSource::Claim(_)
            | ValueSource::Parameter(_)
            | ValueSource::Now(_) => false,
        };
        let of_user = |source: &ValueSource| {
            matches!(source, ValueSource::Subject(_) | ValueSource::Claim(_))
        };
        let any =
            |holds: &dyn Fn(&ValueSource) -> bool| self.placeholders().any(|p| holds(&p.source));
        any(&of_user) && !any(&tells)
    }

    /// What follows so many fields, each ended by a colon of the fixed text, if there are as many.
    pub(crate) fn after_fields(&self, mut fields: usize) -> Option<Self> {
        for (i, piece) in self.0.iter().enumerate() {
            let Piece::Fixed(text) = piece else { continue };
            let colons = text.match_indices(':').map(|(at, _)| at);
            let colons: Vec<_> = colons.collect();
            if let Some(last) = colons.get(fields - 1) {
                let rest = Piece::Fixed(text[last + 1..].to_owned());
                return Some(Self(
                    [rest].into_iter().chain(self.0[i + 1..].iter().cloned()).collect(),
                ));
            }
            fields -= colons.len();
        }
        None
    }

    /// The text as it was written.
    pub(crate) fn written(&self) -> String {
        self.fill(|placeholder| Cow::Owned(placeholder.to_string()))
    }

    /// The text with a value for each placeholder.
    pub(crate) fn fill<'a>(&'a self, value: impl Fn(&'a Placeholder) -> Cow<'a, str>) -> String {
        let piece = |piece: &'a Piece| match piece {
            Piece::Fixed(text) => Cow::Borrowed(text.as_str()),
            Piece::Value(placeholder) => value(placeholder),
        };
        self.0.iter().map(piece).collect()
    }

    /// The text at some moment, if the time is its only placeholder. Every moment has the same form.
    pub(crate) fn at_some_moment(&self) -> Option<String> {
        let timed = |placeholder: &Placeholder| matches!(placeholder.source, ValueSource::Now(_));
        self.placeholders().all(timed).then(|| {
            self.fill(|placeholder| match &placeholder.source {
                ValueSource::Now(format) => Cow::Owned(format.write(DateTime::UNIX_EPOCH)),
                ValueSource::Client
                | ValueSource::Issuer
                | ValueSource::Subject(_)
                | ValueSource::Claim(_)
                | ValueSource::Parameter(_) => Cow::Borrowed(""),
            })
        })
    }

    /// The text with `$` for each placeholder: fixed text contains no `$`, and the slashes inside a `${now:…}` belong
    /// to the placeholder.
    pub(crate) fn outline(&self) -> String {
        self.fill(|_| Cow::Borrowed("$"))
    }

    /// The pattern of all values of the text: `*` for each placeholder.
    pub(crate) fn any_value(&self) -> String {
        self.fill(|_| Cow::Borrowed("*"))
    }

    /// The patterns of all values of the text: a placeholder whose values are listed is written out, and `any` stands for
    /// each other one.
    pub(crate) fn patterns(&self, any: &str) -> Vec<String> {
        let pattern = |chosen: &BTreeMap<String, &str>| {
            self.fill(|placeholder| {
                let value = chosen.get(&placeholder.to_string()).copied();
                Cow::Owned(value.unwrap_or(any).to_owned())
            })
        };
        self.written_out().iter().map(pattern).collect()
    }

    /// Whether every placeholder is written out in the patterns.
    pub(crate) fn is_written_out(&self) -> bool {
        let written_out = self.written_out();
        let is_chosen = |placeholder: &Placeholder| {
            written_out.iter().all(|chosen| chosen.contains_key(&placeholder.to_string()))
        };
        self.placeholders().all(is_chosen)
    }

    /// The combinations of listed values; those of a placeholder that makes too many of them are left out.
    fn written_out(&self) -> Vec<BTreeMap<String, &str>> {
        let mut combinations = vec![BTreeMap::new()];
        for placeholder in self.placeholders() {
            let (name, choices) = (placeholder.to_string(), &placeholder.choices);
            let is_known = combinations.iter().any(|chosen| chosen.contains_key(&name));
            let is_few = (1..=MAX_WRITTEN_OUT).contains(&(combinations.len() * choices.len()));
            if is_known || !is_few {
                continue;
            }
            let with_each = |chosen: &BTreeMap<String, _>| {
                let with = |choice| {
                    let added = (name.clone(), String::as_str(choice));
                    chosen.clone().into_iter().chain([added]).collect()
                };
                choices.iter().map(with).collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(with_each).collect();
        }
        combinations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_ends_with_its_colon_whatever_placeholder_is_before_it() {
        let rules =
            ValueRules { params: BTreeMap::new(), claims: BTreeMap::new(), subject_max_bytes: 64 };
        let after = |raw: &str| {
            let rest = Text::parse(raw, &rules).unwrap().after_fields(4);
            rest.map(|rest| rest.written())
        };
        let rest = Some("bucket/${subject}:a/*".to_owned());
        assert_eq!(after("acs:oss:*:*:bucket/${subject}:a/*"), rest);
        assert_eq!(after("acs:oss:${client}:${issuer}:bucket/${subject}:a/*"), rest);
        assert_eq!(after("acs:${client}:bucket/${subject}"), None);
    }
}
