//! The values of one request, and their check against the rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use appserver_domain::{ClientId, IssuerName, Subject, ValueName};

use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::subject_form::{SubjectForm, encoded, hash, looks_encoded};
use crate::template::value_rule::{ValueRule, ValueRules};

/// The unchecked values of one request.
#[derive(Clone, Copy, Debug)]
pub struct RawValues<'a> {
    /// The authenticated client.
    pub client: &'a ClientId,
    /// The issuer of the credential.
    pub issuer: Option<&'a IssuerName>,
    /// The user that the credential proves, if any.
    pub subject: Option<&'a Subject>,
    /// Verified claims of the credential, by the names that policies use.
    pub claims: &'a BTreeMap<String, String>,
    /// Parameters of the request.
    pub params: &'a BTreeMap<String, String>,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

/// The values that texts use. A credential must provide these and no others; the parameters of a request are required
/// whether or not a text uses them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Uses {
    pub subject: SubjectUse,
    pub issuer: bool,
    pub claims: BTreeSet<ValueName>,
    pub(crate) params: BTreeSet<ValueName>,
}

/// The form that a subject must have.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum SubjectUse {
    /// It may be missing.
    #[default]
    Unused,
    /// Any: a session name replaces what it cannot contain, and a hash is defined for all.
    Any,
    /// Not too long when encoded as a path segment.
    Encoded,
    /// A path segment without encoding.
    Segment,
}

impl Uses {
    /// The uses of these placeholders, in a policy or in a name.
    pub(crate) fn of<'a>(
        placeholders: impl Iterator<Item = &'a Placeholder>,
        in_policy: bool,
    ) -> Self {
        let mut uses = Self::default();
        for placeholder in placeholders {
            match &placeholder.source {
                ValueSource::Subject(form) => {
                    let needed = match form {
                        SubjectForm::Plain if in_policy => SubjectUse::Segment,
                        SubjectForm::Encoded if in_policy => SubjectUse::Encoded,
                        SubjectForm::Plain | SubjectForm::Encoded | SubjectForm::Hash => {
                            SubjectUse::Any
                        }
                    };
                    uses.subject = uses.subject.max(needed);
                    uses.issuer |= *form == SubjectForm::Hash;
                }
                ValueSource::Issuer => uses.issuer = true,
                ValueSource::Claim(name) => {
                    uses.claims.insert(name.clone());
                }
                ValueSource::Parameter(name) => {
                    uses.params.insert(name.clone());
                }
                ValueSource::Client | ValueSource::Now(_) => {}
            }
        }
        uses
    }

    /// Whether the grant requires a credential that proves a user.
    pub fn needs_user(&self) -> bool {
        self.subject != SubjectUse::Unused || self.issuer
    }

    /// The union.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.subject = self.subject.max(other.subject);
        self.issuer |= other.issuer;
        self.claims.extend(other.claims);
        self.params.extend(other.params);
        self
    }
}

/// Values that the rules admit; none of them has a meaning to RAM, to JSON or to a path. The one exception is a subject
/// that only names use.
pub(crate) struct Values {
    client: ClientId,
    issuer: Option<IssuerName>,
    subject: Option<String>,
    claims: BTreeMap<ValueName, String>,
    params: BTreeMap<ValueName, String>,
    now: DateTime<Utc>,
}

/// Why a value is refused. The message names the field and the rule, never the value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ValueProblem {
    #[error("the parameter `{name}` is missing{}", instead(undeclared.as_ref()))]
    MissingParameter {
        name: ValueName,
        /// A parameter of the request that the grant does not declare: probably this one, misspelt.
        undeclared: Option<ValueName>,
    },
    #[error("{}", undeclared(name.as_ref(), declared))]
    UnknownParameter {
        /// `None` for text that cannot be a parameter's name: it may be a secret.
        name: Option<ValueName>,
        declared: Vec<ValueName>,
    },
    #[error("the parameter `{name}` must be {rule}")]
    RefusedParameter { name: ValueName, rule: String },
    #[error("the grant needs a subject, and the credential names none")]
    MissingSubject,
    #[error("the grant needs a user of an issuer, and the credential proves none")]
    MissingIssuer,
    #[error("the subject must be {rule}")]
    RefusedSubject { rule: String },
    #[error("the credential lacks the claim `{0}`")]
    MissingClaim(ValueName),
    #[error("the claim `{name}` must be {rule}")]
    RefusedClaim { name: ValueName, rule: String },
}

impl Values {
    /// Admits the values if the rules allow them; nothing is escaped, truncated or corrected.
    pub(crate) fn admit(
        rules: &ValueRules,
        uses: &Uses,
        raw: RawValues<'_>,
    ) -> Result<Self, ValueProblem> {
        let is_declared = |name: &str| rules.params.keys().any(|own| own.as_str() == name);
        let undeclared = || raw.params.keys().filter(|name| !is_declared(name));
        let mut params = BTreeMap::new();
        for (name, rule) in &rules.params {
            let value = raw.params.get(name.as_str());
            let value = value.ok_or_else(|| ValueProblem::MissingParameter {
                name: name.clone(),
                undeclared: undeclared().find_map(|name| name.parse().ok()),
            })?;
            let value = admitted(rule, value)
                .map_err(|rule| ValueProblem::RefusedParameter { name: name.clone(), rule })?;
            params.insert(name.clone(), value);
        }
        if let Some(name) = undeclared().next() {
            let declared = rules.params.keys().cloned().collect();
            return Err(ValueProblem::UnknownParameter { name: name.parse().ok(), declared });
        }

        let mut claims = BTreeMap::new();
        for (name, rule) in rules.claims.iter().filter(|(name, _)| uses.claims.contains(name)) {
            let value = raw.claims.get(name.as_str());
            let value = value.ok_or_else(|| ValueProblem::MissingClaim(name.clone()))?;
            let value = admitted(rule, value)
                .map_err(|rule| ValueProblem::RefusedClaim { name: name.clone(), rule })?;
            claims.insert(name.clone(), value);
        }

        let subject = match (uses.subject, raw.subject) {
            (SubjectUse::Unused, _) => None,
            (_, None) => return Err(ValueProblem::MissingSubject),
            (SubjectUse::Any, Some(subject)) => Some(subject.as_str().to_owned()),
            (SubjectUse::Encoded, Some(subject)) => {
                let most = rules.subject_max_bytes;
                if encoded(subject.as_str()).len() > most {
                    let rule = format!("at most {most} bytes when it is encoded");
                    return Err(ValueProblem::RefusedSubject { rule });
                }
                Some(subject.as_str().to_owned())
            }
            (SubjectUse::Segment, Some(subject)) if looks_encoded(subject.as_str()) => {
                let rule = "without `~` before two hexadecimal digits, which stand for a character of another \
                            user's where subjects are encoded";
                return Err(ValueProblem::RefusedSubject { rule: rule.to_owned() });
            }
            (SubjectUse::Segment, Some(subject)) => {
                let subject =
                    admitted(&ValueRule::subject(rules.subject_max_bytes), subject.as_str());
                let subject = subject.map_err(|rule| ValueProblem::RefusedSubject {
                    rule: format!("{rule}; a policy with `${{subject.encoded}}` takes any subject"),
                });
                Some(subject?)
            }
        };
        let issuer = match (uses.issuer, raw.issuer) {
            (true, None) => return Err(ValueProblem::MissingIssuer),
            (true, Some(issuer)) => Some(issuer.clone()),
            (false, _) => None,
        };
        Ok(Self { client: raw.client.clone(), issuer, subject, claims, params, now: raw.now })
    }

    /// The value of a placeholder. The text must be one whose uses and rules admitted these values.
    pub(crate) fn of(&self, placeholder: &Placeholder) -> Cow<'_, str> {
        let admitted = "a text's values are admitted by its own uses and rules";
        Cow::Borrowed(match &placeholder.source {
            ValueSource::Client => self.client.as_str(),
            ValueSource::Issuer => self.issuer.as_ref().expect(admitted).as_str(),
            ValueSource::Subject(form) => {
                let subject = self.subject.as_ref().expect(admitted);
                return match form {
                    SubjectForm::Plain => Cow::Borrowed(subject),
                    SubjectForm::Encoded => Cow::Owned(encoded(subject)),
                    SubjectForm::Hash => {
                        Cow::Owned(hash(self.issuer.as_ref().expect(admitted), subject))
                    }
                };
            }
            ValueSource::Claim(name) => self.claims.get(name).expect(admitted),
            ValueSource::Parameter(name) => self.params.get(name).expect(admitted),
            ValueSource::Now(format) => return Cow::Owned(format.write(self.now)),
        })
    }
}

fn instead(undeclared: Option<&ValueName>) -> String {
    undeclared.map_or_else(String::new, |name| {
        format!("; the grant does not declare the parameter `{name}`")
    })
}

fn undeclared(name: Option<&ValueName>, declared: &[ValueName]) -> String {
    let unknown = match name {
        Some(name) => format!("the grant does not declare the parameter `{name}`"),
        None => "the grant does not declare one of the parameters".to_owned(),
    };
    if declared.is_empty() {
        return format!("{unknown}: it declares none");
    }
    let declared: Vec<_> = declared.iter().map(|name| format!("`{name}`")).collect();
    format!("{unknown}; it declares {}", declared.join(", "))
}

fn admitted(rule: &ValueRule, value: &str) -> Result<String, String> {
    if rule.admits(value) { Ok(value.to_owned()) } else { Err(rule.to_string()) }
}
