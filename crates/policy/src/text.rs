//! Text with placeholders.

use std::borrow::Cow;

use chrono::DateTime;

use appserver_domain::{Invalid, PolicyText};

use super::operator::ConditionOperator;
use super::placeholder::{Placeholder, Source};
use super::subject_form::SubjectForm;
use super::values::ValueRules;

/// Fixed text and placeholders in turn, such as `users/${subject}/*`.
#[derive(Clone, Debug)]
pub(super) struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Fixed(String),
    Value(Placeholder),
}

/// A rule that a text with placeholders may break.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextFlaw {
    #[error("a `${{` is not closed: write `${{client}}`, for example")]
    Unclosed,
    #[error("a `{0}` stands alone: it may only be part of a placeholder such as `${{client}}`")]
    Stray(char),
    #[error("the text holds a control character")]
    ControlCharacter,
    #[error(
        "`${{{0}}}` is no placeholder: there are `${{client}}`, `${{issuer}}`, `${{subject}}`, `${{subject.encoded}}`, \
         `${{subject.hash}}`, `${{claims.NAME}}`, `${{params.NAME}}` and `${{now:%Y/%m/%d}}`"
    )]
    Unknown(String),
    #[error("`${{{0}}}` is not declared: declare the claim with its kind and maximum length")]
    UndeclaredClaim(String),
    #[error("`${{{0}}}` is not declared: declare the parameter with its kind and maximum length")]
    UndeclaredParameter(String),
    #[error(
        "a `${{now:…}}` is made of %Y, %m, %d, %j and %H (UTC), letters, digits, `-`, `_`, `.` and single \
         `/` between segments"
    )]
    TimeFormat,
    #[error("two placeholders share a path segment: put a `/` between them")]
    SharedSegment,
    #[error(
        "`*` or `?` shares a path segment with a placeholder, so that `user1` would reach `user10`: put a \
         `/` between them"
    )]
    WildcardBeside,
    #[error(
        "a `*` stands before a placeholder, and as it spans any number of segments, one value's objects \
         could lie among another's: move the placeholder to its left"
    )]
    WildcardBefore,
    #[error(
        "a `*` in the bucket's name stands before a placeholder, and as it spans any number of segments, one value's \
         objects could lie among another's: name the bucket"
    )]
    WildcardInBucket,
    #[error(
        "`{0}` may be several segments and a placeholder follows it, so that one value's objects could lie \
         among another's: move it to the end"
    )]
    VaryingDepth(String),
    #[error(
        "a prefix that ends with a placeholder's segment lists its neighbours, `user1` those of `user10`: \
         close it with `/`"
    )]
    OpenPrefix,
    #[error(
        "a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or \
         is `*` alone"
    )]
    NotAnArn,
    #[error("`{operator:?}` takes {}: STS refuses anything else", operator.form())]
    ValueKind { operator: ConditionOperator },
    #[error("a bucket may not depend on a value: make one grant for each bucket")]
    PlaceholderInBucket,
    #[error(transparent)]
    Bucket(Invalid),
    #[error(transparent)]
    FromOutside(Invalid),
}

impl Text {
    /// Splits the text into its pieces; all that is wrong with them is reported at once.
    pub(super) fn parse(raw: &str, rules: &ValueRules) -> Result<Self, Vec<TextFlaw>> {
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
                    flaws.push(TextFlaw::Unclosed);
                    break;
                };
                match Placeholder::parse(written, rules) {
                    Ok(placeholder) => pieces.push(Piece::Value(placeholder)),
                    Err(flaw) => flaws.push(flaw),
                }
                rest = after;
            } else if let Some(c) = special.chars().next() {
                flaws.push(TextFlaw::Stray(c));
                rest = &special[c.len_utf8()..];
            }
        }
        if raw.chars().any(char::is_control) {
            flaws.push(TextFlaw::ControlCharacter);
        }
        if flaws.is_empty() { Ok(Self(pieces)) } else { Err(flaws) }
    }

    /// Text without placeholders.
    pub(super) fn fixed(text: &PolicyText) -> Self {
        Self(vec![Piece::Fixed(text.as_str().to_owned())])
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Fixed(_) => None,
            Piece::Value(placeholder) => Some(placeholder),
        })
    }

    /// Whether users of different issuers would be one user here: it takes what one issuer says of its users alone.
    ///
    /// Each placeholder has path segments of its own at a place that no value moves, so one that differs for the issuers,
    /// wherever it stands in the text, keeps them apart. Where each client has one issuer, the client's id does, too.
    pub(super) fn merges_issuers(&self, by_client: bool) -> bool {
        let tells = |source: &Source| match source {
            Source::Issuer | Source::Subject(SubjectForm::Hash) => true,
            Source::Client => by_client,
            Source::Subject(SubjectForm::Plain | SubjectForm::Encoded)
            | Source::Claim(_)
            | Source::Parameter(_)
            | Source::Now(_) => false,
        };
        let of_user = |source: &Source| matches!(source, Source::Subject(_) | Source::Claim(_));
        let any = |holds: &dyn Fn(&Source) -> bool| self.placeholders().any(|p| holds(&p.source));
        any(&of_user) && !any(&tells)
    }

    /// The text as it was written.
    pub(super) fn written(&self) -> String {
        self.fill(|placeholder| Cow::Owned(placeholder.to_string()))
    }

    /// The text with a value for each placeholder.
    pub(super) fn fill<'a>(&'a self, value: impl Fn(&'a Placeholder) -> Cow<'a, str>) -> String {
        let piece = |piece: &'a Piece| match piece {
            Piece::Fixed(text) => Cow::Borrowed(text.as_str()),
            Piece::Value(placeholder) => value(placeholder),
        };
        self.0.iter().map(piece).collect()
    }

    /// The text at some moment, if nothing but the time is missing in it. Every moment has the same form.
    pub(super) fn at_some_moment(&self) -> Option<String> {
        let timed = |placeholder: &Placeholder| matches!(placeholder.source, Source::Now(_));
        self.placeholders().all(timed).then(|| {
            self.fill(|placeholder| match &placeholder.source {
                Source::Now(format) => Cow::Owned(format.write(DateTime::UNIX_EPOCH)),
                Source::Client
                | Source::Issuer
                | Source::Subject(_)
                | Source::Claim(_)
                | Source::Parameter(_) => Cow::Borrowed(""),
            })
        })
    }

    /// The text with `$` for each placeholder: a `$` cannot stand in fixed text, and the slashes inside a
    /// `${now:…}` are the placeholder's own.
    pub(super) fn outline(&self) -> String {
        self.fill(|_| Cow::Borrowed("$"))
    }

    /// The pattern of what the text may become: `*` for each placeholder.
    pub(super) fn any_value(&self) -> String {
        self.fill(|_| Cow::Borrowed("*"))
    }
}
