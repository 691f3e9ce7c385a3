//! Placeholders: `${…}`.

use std::collections::BTreeMap;
use std::fmt;

use appserver_domain::ValueName;

use crate::document::value::ValueFlaw;
use crate::template::subject_form::{HASH_BYTES, SubjectForm};
use crate::template::time_format::TimeFormat;
use crate::template::value_rule::ValueRule;
use crate::template::value_rule::ValueRules;

/// A placeholder with what its rule guarantees about every value. Only declared placeholders parse, so a `Placeholder`
/// needs no further lookup of its rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Placeholder {
    /// The text between `${` and `}`.
    written: String,
    pub(crate) source: ValueSource,
    /// The length in bytes of the longest value.
    pub(crate) longest: usize,
    /// Whether two values may differ in their number of segments.
    pub(crate) varies_in_depth: bool,
    /// Whether no two values differ in letter case alone, under any case folding.
    pub(crate) one_case: bool,
    /// Its values, if the rule lists them; else none.
    pub(crate) choices: Vec<String>,
}

/// The source of a placeholder's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ValueSource {
    Client,
    Issuer,
    Subject(SubjectForm),
    Claim(ValueName),
    Parameter(ValueName),
    Now(TimeFormat),
}

impl Placeholder {
    pub(crate) fn parse(written: &str, rules: &ValueRules) -> Result<Self, ValueFlaw> {
        let placeholder = |source: ValueSource, longest, varies_in_depth| {
            let one_case = source.has_one_case(rules);
            let (written, choices) = (written.to_owned(), source.choices(rules));
            Ok(Self { written, source, longest, varies_in_depth, one_case, choices })
        };
        if written == "client" {
            placeholder(ValueSource::Client, CLIENT_BYTES, false)
        } else if written == "issuer" {
            placeholder(ValueSource::Issuer, ISSUER_BYTES, false)
        } else if let Some(form) = subject(written) {
            let longest = match form {
                SubjectForm::Plain | SubjectForm::Encoded => {
                    rules.subject_max_bytes.min(SUBJECT_BYTES)
                }
                SubjectForm::Hash => HASH_BYTES,
            };
            placeholder(ValueSource::Subject(form), longest, false)
        } else if let Some(name) = written.strip_prefix("claims.") {
            let (name, rule) = declared(&rules.claims, name)
                .ok_or_else(|| ValueFlaw::UndeclaredClaim(written.to_owned()))?;
            placeholder(ValueSource::Claim(name), rule.longest(), rule.varies_in_depth())
        } else if let Some(name) = written.strip_prefix("params.") {
            let (name, rule) = declared(&rules.params, name)
                .ok_or_else(|| ValueFlaw::UndeclaredParameter(written.to_owned()))?;
            placeholder(ValueSource::Parameter(name), rule.longest(), rule.varies_in_depth())
        } else if let Some(format) = written.strip_prefix("now:") {
            let format = TimeFormat::parse(format).ok_or(ValueFlaw::TimeFormat)?;
            let length = format.length();
            placeholder(ValueSource::Now(format), length, false)
        } else {
            Err(ValueFlaw::Unknown(written.to_owned()))
        }
    }
}

impl ValueSource {
    /// All values, if the rules list them.
    fn choices(&self, rules: &ValueRules) -> Vec<String> {
        let rule = match self {
            Self::Claim(name) => rules.claims.get(name),
            Self::Parameter(name) => rules.params.get(name),
            Self::Client | Self::Issuer | Self::Subject(_) | Self::Now(_) => None,
        };
        let choices = rule.and_then(ValueRule::choices).into_iter().flatten();
        choices.map(str::to_owned).collect()
    }

    /// Whether all values are lower-case, or the case of their letters is always the same.
    fn has_one_case(&self, rules: &ValueRules) -> bool {
        let lower = |rule: Option<&ValueRule>| rule.is_some_and(ValueRule::is_lower_case);
        match self {
            Self::Client | Self::Issuer | Self::Subject(SubjectForm::Hash) | Self::Now(_) => true,
            Self::Subject(SubjectForm::Plain | SubjectForm::Encoded) => false,
            Self::Claim(name) => lower(rules.claims.get(name)),
            Self::Parameter(name) => lower(rules.params.get(name)),
        }
    }
}

fn subject(written: &str) -> Option<SubjectForm> {
    match written {
        "subject" => Some(SubjectForm::Plain),
        "subject.encoded" => Some(SubjectForm::Encoded),
        "subject.hash" => Some(SubjectForm::Hash),
        _ => None,
    }
}

fn declared<'a>(
    rules: &'a BTreeMap<ValueName, ValueRule>,
    name: &str,
) -> Option<(ValueName, &'a ValueRule)> {
    let name = name.parse().ok()?;
    let rule = rules.get(&name)?;
    Some((name, rule))
}

/// The longest client id.
const CLIENT_BYTES: usize = 32;

/// The longest name of an issuer.
const ISSUER_BYTES: usize = 32;

/// The longest subject, whatever the rules allow.
const SUBJECT_BYTES: usize = 256;

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}}}", self.written)
    }
}
