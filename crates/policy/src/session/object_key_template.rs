//! Templates of the keys that uploads get, such as `users/${subject}/${name}`.
//!
//! Each value of a caller fills its own segments at a place that no other value moves, as in a policy's resources. That
//! different callers get different keys follows from more than that: a key is signed only if the caller's own policy
//! allows it, and `disjoint` proves that no two callers' policies allow one key, unless the operator shares it.

use std::borrow::Cow;

use appserver_domain::{Invalid, ObjectKey};

use crate::document::value::ValueFlaw;
use crate::template::path_rules;
use crate::template::placeholder::Placeholder;
use crate::template::text::{Piece, Text};
use crate::template::value_rule::ValueRules;
use crate::template::values::{Uses, Values};

/// A key with placeholders.
#[derive(Clone, Debug)]
pub(crate) struct ObjectKeyTemplate(Vec<KeyPiece>);

#[derive(Clone, Debug)]
pub(crate) enum KeyPiece {
    Fixed(String),
    Value(Placeholder),
    /// `${name}`: the name that the caller chooses for its file.
    Name,
    /// `${uuid}`: a random id of ours, 32 hexadecimal digits.
    Uuid,
}

const NAME: &str = "${name}";
const UUID: &str = "${uuid}";
const UUID_BYTES: usize = 32;

/// A rule that the template of a key may break.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ObjectKeyFlaw {
    #[error(transparent)]
    Value(ValueFlaw),
    #[error(
        "`${{{0}}}` is no placeholder of a key: there are `${{name}}`, `${{uuid}}`, `${{client}}`, `${{issuer}}`, \
         `${{subject}}`, `${{subject.encoded}}`, `${{subject.hash}}`, `${{claims.NAME}}`, `${{params.NAME}}` and \
         `${{now:%Y/%m/%d}}`"
    )]
    Unknown(String),
    #[error(
        "`${{name}}` is chosen by the caller, so nothing may follow its path segment: move it to the end"
    )]
    NameBeforeEnd,
    #[error("a `{0}` stands for itself in a key, not for other characters: leave it out")]
    Wildcard(char),
    #[error("{0}")]
    Key(Invalid),
    #[error(
        "with the longest values it has {longest} bytes, and a key at most {max}: shorten the fixed text or \
         `max_length_bytes` of a value",
        max = ObjectKey::MAX_BYTES
    )]
    TooLong { longest: usize },
}

impl ObjectKeyTemplate {
    /// Parses a template, or reports every rule that it breaks.
    pub(crate) fn parse(raw: &str, rules: &ValueRules) -> Result<Self, Vec<ObjectKeyFlaw>> {
        let (mut pieces, mut flaws) = (Vec::new(), Vec::new());
        let mut rest = raw;
        while !rest.is_empty() {
            let next = [(NAME, KeyPiece::Name), (UUID, KeyPiece::Uuid)].into_iter();
            let next =
                next.filter_map(|(written, piece)| Some((rest.find(written)?, written, piece)));
            let next = next.min_by_key(|(at, ..)| *at);
            let (text, after) = match &next {
                Some((at, written, _)) => (&rest[..*at], &rest[at + written.len()..]),
                None => (rest, ""),
            };
            match Text::parse(text, rules) {
                Ok(text) => pieces.extend(text.pieces().iter().map(KeyPiece::of)),
                Err(found) => flaws.extend(found.into_iter().map(|flaw| match flaw {
                    ValueFlaw::Unknown(written) => ObjectKeyFlaw::Unknown(written),
                    other => ObjectKeyFlaw::Value(other),
                })),
            }
            pieces.extend(next.map(|(.., piece)| piece));
            rest = after;
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let template = Self(pieces);
        let flaws = template.flaws();
        if flaws.is_empty() { Ok(template) } else { Err(flaws) }
    }

    fn flaws(&self) -> Vec<ObjectKeyFlaw> {
        let mut flaws = Vec::new();
        let outline = self.fill("$", "$", |_| Cow::Borrowed("$"));
        // With one letter for each value, so that what is left to find is in the fixed text.
        let shortest = self.fill("x", "x", |_| Cow::Borrowed("x"));
        if let Err(rule) = shortest.parse::<ObjectKey>() {
            flaws.push(ObjectKeyFlaw::Key(rule));
        }
        let wildcard = |c: char| shortest.contains(c).then_some(ObjectKeyFlaw::Wildcard(c));
        flaws.extend(['*', '?'].into_iter().filter_map(wildcard));
        // `${name}` and `${uuid}` of one segment decide nothing about whose key it is.
        let of_values = self.fill("", "", |_| Cow::Borrowed("$"));
        for (all, of_values) in outline.split('/').zip(of_values.split('/')) {
            if of_values.contains('$') && all.matches('$').count() > 1 {
                flaws.push(ObjectKeyFlaw::Value(ValueFlaw::SharedSegment));
            }
        }
        let names = self.fill("$", "", |_| Cow::Borrowed(""));
        if names.rsplit('/').skip(1).any(|segment| segment.contains('$')) {
            flaws.push(ObjectKeyFlaw::NameBeforeEnd);
        }
        let varying = path_rules::varying_before_others(self.placeholders());
        flaws.extend(varying.into_iter().map(ObjectKeyFlaw::Value));
        let longest =
            self.fill("x", &"x".repeat(UUID_BYTES), |value| "x".repeat(value.longest).into());
        if longest.len() > ObjectKey::MAX_BYTES {
            flaws.push(ObjectKeyFlaw::TooLong { longest: longest.len() });
        }
        flaws
    }

    pub(crate) fn pieces(&self) -> &[KeyPiece] {
        &self.0
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            KeyPiece::Value(placeholder) => Some(placeholder),
            KeyPiece::Fixed(_) | KeyPiece::Name | KeyPiece::Uuid => None,
        })
    }

    /// The values that it needs, as a policy does: a subject is a path segment.
    pub(crate) fn uses(&self) -> Uses {
        Uses::of(self.placeholders(), true)
    }

    /// Whether the caller names its file.
    pub(crate) fn has_name(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, KeyPiece::Name))
    }

    /// Whether a name or an id distinguishes the uploads of a caller.
    pub(crate) fn differs_by_upload(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, KeyPiece::Name | KeyPiece::Uuid))
    }

    /// The key for admitted values; an error if the name makes it none.
    pub(crate) fn render(
        &self,
        values: &Values,
        name: &str,
        uuid: &str,
    ) -> Result<ObjectKey, Invalid> {
        self.fill(name, uuid, |placeholder| values.of(placeholder)).try_into()
    }

    /// The pattern of all keys.
    pub(crate) fn pattern(&self) -> String {
        self.fill("*", "*", |_| Cow::Borrowed("*"))
    }

    /// The text with a value for each placeholder.
    pub(crate) fn fill<'a>(
        &'a self,
        name: &'a str,
        uuid: &'a str,
        value: impl Fn(&'a Placeholder) -> Cow<'a, str>,
    ) -> String {
        let piece = |piece: &'a KeyPiece| match piece {
            KeyPiece::Fixed(text) => Cow::Borrowed(text.as_str()),
            KeyPiece::Value(placeholder) => value(placeholder),
            KeyPiece::Name => Cow::Borrowed(name),
            KeyPiece::Uuid => Cow::Borrowed(uuid),
        };
        self.0.iter().map(piece).collect()
    }
}

impl KeyPiece {
    fn of(piece: &Piece) -> Self {
        match piece {
            Piece::Fixed(text) => Self::Fixed(text.clone()),
            Piece::Value(placeholder) => Self::Value(placeholder.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::template::value_rule::{Shape, ValueRule};

    fn parsed(raw: &str) -> Result<ObjectKeyTemplate, String> {
        let text = |shape, max| ValueRule::text(shape, None, max).unwrap();
        let name = |raw: &str| raw.parse().unwrap();
        let rules = ValueRules {
            params: BTreeMap::from([
                (name("album"), text(Shape::Segment, 64)),
                (name("dir"), text(Shape::Path, 1000)),
            ]),
            claims: BTreeMap::from([(name("tenant"), text(Shape::Segment, 64))]),
            subject_max_bytes: 64,
        };
        ObjectKeyTemplate::parse(raw, &rules)
            .map_err(|flaws| flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_longest_key_has_1023_bytes() {
        assert!(parsed(&format!("{}/${{params.dir}}", "x".repeat(22))).is_ok());
        assert!(parsed(&format!("{}/${{params.dir}}", "x".repeat(23))).is_err());
    }

    #[test]
    fn values_of_callers_have_segments_of_their_own() {
        for good in [
            "users/${subject}/${name}",
            "users/${subject}/${uuid}-${name}",
            "users/u-${subject.encoded}.d/${now:%Y/%m}/${uuid}.jpg",
            "${client}/${issuer}/${claims.tenant}/${params.album}/photo ${name}",
            "${uuid}/${subject.hash}/avatar.png",
        ] {
            assert!(parsed(good).is_ok(), "{good}: {:?}", parsed(good).err());
        }
        let refused = [
            "users/${subject}-${name}",
            "users/${uuid}${subject}/a",
            "users/${subject}${client}/a",
            "users/${name}/${subject}",
            "${params.dir}/${subject}/${name}",
            "users/${params.dir}/${name}/${subject}/0123456789012345678901234567890123456789",
            "/users/${name}",
            "users//${name}",
            "users/../${name}",
            "users/*/${name}",
            "users/${filename}",
            "users/${name",
            "users/${params.other}/${name}",
            "",
        ];
        let refused = refused.map(|raw| format!("{raw}: {}", parsed(raw).unwrap_err()));
        insta::assert_snapshot!(refused.join("\n"), @r"
users/${subject}-${name}: two placeholders share a path segment: put a `/` between them
users/${uuid}${subject}/a: two placeholders share a path segment: put a `/` between them
users/${subject}${client}/a: two placeholders share a path segment: put a `/` between them
users/${name}/${subject}: `${name}` is chosen by the caller, so nothing may follow its path segment: move it to the end
${params.dir}/${subject}/${name}: `${params.dir}` may be several segments and a placeholder follows it, so that one value's objects could lie among another's: move it to the end
with the longest values it has 1067 bytes, and a key at most 1023: shorten the fixed text or `max_length_bytes` of a value
users/${params.dir}/${name}/${subject}/0123456789012345678901234567890123456789: `${name}` is chosen by the caller, so nothing may follow its path segment: move it to the end
`${params.dir}` may be several segments and a placeholder follows it, so that one value's objects could lie among another's: move it to the end
with the longest values it has 1114 bytes, and a key at most 1023: shorten the fixed text or `max_length_bytes` of a value
/users/${name}: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`
users//${name}: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`
users/../${name}: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`
users/*/${name}: a `*` stands for itself in a key, not for other characters: leave it out
users/${filename}: `${filename}` is no placeholder of a key: there are `${name}`, `${uuid}`, `${client}`, `${issuer}`, `${subject}`, `${subject.encoded}`, `${subject.hash}`, `${claims.NAME}`, `${params.NAME}` and `${now:%Y/%m/%d}`
users/${name: a `${` is not closed: write `${client}`, for example
users/${params.other}/${name}: `${params.other}` is not declared: declare the parameter with its kind and maximum length
: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`
");
    }
}
