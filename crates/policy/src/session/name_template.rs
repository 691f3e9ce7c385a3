//! Templates of session names and source identities.

use std::marker::PhantomData;

use sha2::{Digest, Sha256};

use appserver_domain::{Invalid, SessionName, SourceIdentity};

use crate::document::value::ValueFlaw;
use crate::template::placeholder::ValueSource;
use crate::template::text::{Piece, Text};
use crate::template::value_rule::ValueRules;
use crate::template::values::{Uses, Values};

/// A session name with placeholders, such as `${client}.${subject}`.
pub(crate) type SessionNameTemplate = NameTemplate<SessionName>;

/// A source identity with placeholders.
pub(crate) type SourceIdentityTemplate = NameTemplate<SourceIdentity>;

/// A template of a name: any values give a valid name, and different values give different names.
///
/// If the values can be read back from the plain text, that is the name. Otherwise (invalid characters, too long, too
/// short, ambiguous, or beginning as the name of a grant's own session) it is `hash-` and 160 bits of a hash of all values, which no plain text looks like. Neither form
/// reveals more than the values do. After `${client}`, `.`, `@` and `_` keep names plain; a `-` may be part of a
/// client's id, and then the name is a hash.
pub(crate) struct NameTemplate<N> {
    written: String,
    text: Text,
    name: PhantomData<N>,
}

/// A name that STS records: 2 to 64 characters of its own set.
pub(crate) trait RecordedName: TryFrom<String, Error = Invalid> {
    /// The beginning of names that are not of callers, if there are some.
    const NOT_OF_CALLERS: Option<&str>;

    fn admits(c: char) -> bool;

    /// Whether the text begins as names do that no plain text has.
    fn is_reserved(text: &str) -> bool {
        text.starts_with(RESERVED)
            || Self::NOT_OF_CALLERS.is_some_and(|prefix| text.starts_with(prefix))
    }
}

impl RecordedName for SessionName {
    const NOT_OF_CALLERS: Option<&str> = Some(SessionName::OF_GRANT);

    fn admits(c: char) -> bool {
        SessionName::admits(c)
    }
}

impl RecordedName for SourceIdentity {
    const NOT_OF_CALLERS: Option<&str> = None;

    fn admits(c: char) -> bool {
        c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
    }
}

/// The rules of a template of a name.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameFlaw {
    #[error(transparent)]
    Text(ValueFlaw),
    #[error(
        "a name's fixed text is at most 64 characters, and at least 2 if there is no placeholder"
    )]
    Length,
    #[error("`{0}` may not stand in a name")]
    Character(char),
    #[error("`{RESERVED}` at the start is kept for names that replace odd or long values")]
    Reserved,
    #[error(
        "`{}` at the start is kept for the sessions that sign for all callers of a grant: begin the name with \
         something else",
        SessionName::OF_GRANT
    )]
    OfGrant,
    #[error(
        "two placeholders touch, so that two callers could get one name: put a `.` between them"
    )]
    Touching,
    #[error("`{0}` may not stand in a name: it would change while the caller stays the same")]
    Now(String),
    #[error("`{0}` may not stand in a name: its values are paths, and a name holds no `/`")]
    Path(String),
}

const SHORTEST: usize = 2;
const LONGEST: usize = 64;

/// The prefix of names that are hashes. A subject may contain any text, so plain text that begins with it is hashed
/// too.
const RESERVED: &str = "hash-";

impl<N: RecordedName> NameTemplate<N> {
    /// Parses a template of a name, or reports every broken rule.
    pub(crate) fn parse(written: &str, rules: &ValueRules) -> Result<Self, Vec<NameFlaw>> {
        let text = Text::parse(written, rules)
            .map_err(|flaws| flaws.into_iter().map(NameFlaw::Text).collect::<Vec<_>>())?;
        let flaws = flaws::<N>(&text);
        if flaws.is_empty() {
            Ok(Self { written: written.to_owned(), text, name: PhantomData })
        } else {
            Err(flaws)
        }
    }

    /// The text, if users of different issuers could be confused in it.
    pub(crate) fn issuer_collisions(&self, by_client: bool) -> Option<String> {
        self.text.merges_issuers(by_client).then(|| self.written.clone())
    }

    /// The values that the name uses.
    pub(crate) fn uses(&self) -> Uses {
        Uses::of(self.text.placeholders(), false)
    }

    /// Whether different clients have different names.
    pub(crate) fn uses_client(&self) -> bool {
        self.text.placeholders().any(|placeholder| placeholder.source == ValueSource::Client)
    }

    /// The name for these values: equal values give equal names, different ones different names.
    pub(crate) fn render(&self, values: &Values) -> N {
        let plain = self.text.fill(|placeholder| values.of(placeholder));
        let name = if self.reads_back(&plain, values) { plain } else { self.hashed(values) };
        N::try_from(name).expect("plain names are checked, and hashes are 45 legal characters")
    }

    /// Whether the plain text is a valid name from which the values can be read back.
    ///
    /// They can if no value contains the first character of the fixed text after it: then reading from the left finds
    /// every boundary. The last value ends where the name's fixed end begins.
    fn reads_back(&self, plain: &str, values: &Values) -> bool {
        let ends_clearly = |[piece, next, _]: &[Piece; 3]| match (piece, next) {
            (Piece::Value(placeholder), Piece::Fixed(next)) => {
                !next.chars().next().is_some_and(|c| values.of(placeholder).contains(c))
            }
            (Piece::Value(_) | Piece::Fixed(_), Piece::Fixed(_) | Piece::Value(_)) => true,
        };
        (SHORTEST..=LONGEST).contains(&plain.len())
            && plain.chars().all(N::admits)
            && !N::is_reserved(plain)
            && self.text.pieces().array_windows().all(ends_clearly)
    }

    /// A hash of everything that distinguishes names, each part with its length before it so that no two lists of
    /// values hash the same bytes.
    fn hashed(&self, values: &Values) -> String {
        let parts = self.text.placeholders().map(|placeholder| values.of(placeholder));
        let mut hash = Sha256::new();
        for part in [self.written.as_str().into()].into_iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        // 160 bits: a collision takes about 2^80 callers, and the name fits in 64 characters.
        format!("{RESERVED}{}", hex::encode(&hash.finalize()[..20]))
    }
}

fn flaws<N: RecordedName>(text: &Text) -> Vec<NameFlaw> {
    let mut flaws = Vec::new();
    let mut fixed = 0;
    for (i, piece) in text.pieces().iter().enumerate() {
        match piece {
            Piece::Fixed(text) => {
                fixed += text.len();
                flaws.extend(text.chars().filter(|&c| !N::admits(c)).map(NameFlaw::Character));
                if i == 0 && text.starts_with(RESERVED) {
                    flaws.push(NameFlaw::Reserved);
                } else if i == 0 && N::is_reserved(text) {
                    flaws.push(NameFlaw::OfGrant);
                }
            }
            Piece::Value(placeholder) => {
                if matches!(placeholder.source, ValueSource::Now(_)) {
                    flaws.push(NameFlaw::Now(placeholder.to_string()));
                }
                if placeholder.varies_in_depth {
                    flaws.push(NameFlaw::Path(placeholder.to_string()));
                }
            }
        }
    }
    let touching = |pair: &&[Piece]| matches!(pair, [Piece::Value(_), Piece::Value(_)]);
    flaws.extend(text.pieces().windows(2).filter(touching).map(|_| NameFlaw::Touching));
    let shortest = if text.placeholders().next().is_none() { SHORTEST } else { 0 };
    if !(shortest..=LONGEST).contains(&fixed) {
        flaws.push(NameFlaw::Length);
    }
    flaws
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::template::value_rule::{Shape, ValueRule};
    use crate::template::values::RawValues;
    use appserver_domain::Subject;

    fn rules() -> ValueRules {
        let name = |raw: &str| raw.parse().unwrap();
        let text = |shape| ValueRule::text(shape, None, 256).unwrap();
        ValueRules {
            params: BTreeMap::from([(name("dir"), text(Shape::Path))]),
            claims: BTreeMap::from([(name("tenant"), text(Shape::Segment))]),
            subject_max_bytes: 64,
        }
    }

    fn template<N: RecordedName>(written: &str) -> NameTemplate<N> {
        NameTemplate::parse(written, &rules()).unwrap_or_else(|flaws| panic!("{flaws:?}"))
    }

    fn render<N: RecordedName>(template: &NameTemplate<N>, tenant: &str, subject: &str) -> N {
        let raw = RawValues {
            issuer: None,
            client: &"photo-app".parse().unwrap(),
            subject: Some(&subject.parse::<Subject>().unwrap()),
            claims: &BTreeMap::from([("tenant".to_owned(), tenant.to_owned())]),
            params: &BTreeMap::new(),
            now: chrono::DateTime::UNIX_EPOCH,
        };
        let rules = ValueRules { params: BTreeMap::new(), ..rules() };
        template.render(&Values::admit(&rules, &template.uses(), raw).unwrap())
    }

    fn name(written: &str, tenant: &str, subject: &str) -> String {
        render::<SessionName>(&template(written), tenant, subject).to_string()
    }

    #[test]
    fn plain_values_stay_readable() {
        assert_eq!(
            name("${client}.${subject}", "t", "alice@example.com"),
            "photo-app.alice@example.com"
        );
        assert_eq!(name("${subject}", "t", "ab"), "ab");
        assert_eq!(name("app", "t", "alice"), "app");
        assert_eq!(name("${subject}", "t", &"x".repeat(64)), "x".repeat(64));
    }

    #[test]
    fn a_name_takes_any_subject_and_needs_a_user_only_if_it_names_one() {
        let long = "\u{eb}".repeat(60);
        let name = name("${subject.encoded}", "t", &long);
        assert!(name.starts_with("hash-") && name.len() == 45, "{name}");
        let needs_user = |written| template::<SessionName>(written).uses().needs_user();
        assert!(needs_user("${subject}") && needs_user("${issuer}.app"));
        assert!(!needs_user("app") && !needs_user("${client}"));
    }

    #[test]
    fn odd_long_short_and_ambiguous_values_are_replaced() {
        let hash = |written, subject: &str| {
            let name = name(written, "t", subject);
            assert!(name.starts_with("hash-") && name.len() == 45, "{name}");
        };
        hash("${subject}", "auth0|123");
        hash("${subject}", "Zoë");
        hash("${subject}", "a");
        hash("${subject}", &"x".repeat(65));
        hash("${subject}", &name("${subject}", "t", "auth0|123"));
        hash("ha${subject}", "sh-1");
        hash("${client}-${subject}", "alice");
    }

    #[test]
    fn no_caller_has_the_session_name_of_a_grant() {
        for (written, subject) in [
            ("${subject}", "grant@photo-upload"),
            ("${subject}", "grant@"),
            ("gr${subject}", "ant@a"),
            ("grant${subject}", "@photo-upload"),
        ] {
            let name = name(written, "t", subject);
            assert!(name.starts_with("hash-"), "{written}: {name}");
        }
        assert_eq!(name("${subject}", "t", "grant"), "grant");
        // A source identity names no session.
        let source = render(&template::<SourceIdentity>("${subject}"), "t", "grant@a");
        assert_eq!(source.as_str(), "grant@a");
    }

    #[test]
    fn values_that_could_be_read_in_two_ways_have_names_of_their_own() {
        let values = ["b", "-a", "bb", "b-a", "-ab", "-a-a", "b-ab", "-ab-a", "hash-", "sh-"];
        let template = template::<SessionName>("${claims.tenant}-a${subject}.");
        let pairs = values.iter().flat_map(|tenant| values.map(|subject| (*tenant, subject)));
        let mut names = BTreeMap::new();
        for (tenant, subject) in pairs {
            let name = render(&template, tenant, subject).to_string();
            if let Some(other) = names.insert(name, (tenant, subject)) {
                panic!("{other:?} and {tenant:?}, {subject:?} have one name");
            }
        }
    }

    #[test]
    fn a_hash_is_the_same_in_every_release() {
        insta::assert_snapshot!(name("${client}.${subject}", "t", "auth0|123"), @r#"hash-134cf4c929984e8da18cba8ca8ea8a6bc2786cb9"#);
    }

    #[test]
    fn a_source_identity_keeps_its_own_characters() {
        let template = template::<SourceIdentity>("${subject}");
        assert_eq!(render(&template, "t", "a+b=c,d").as_str(), "a+b=c,d");
        assert_eq!(render(&template, "t", "a:b").as_str().len(), 45);
    }

    #[test]
    fn every_odd_name_is_refused_with_the_way_out() {
        let bad = [
            "",
            "a",
            "hash-${subject}",
            "grant@${subject}",
            "a b${subject}:",
            "${client}${subject}",
            "${now:%Y}",
            "${params.dir}",
            "${nobody}",
            &"x".repeat(65),
        ];
        let flaws = |written: &&str| {
            let flaws = SessionNameTemplate::parse(written, &rules()).err().unwrap();
            flaws.iter().map(|flaw| format!("{written}: {flaw}\n")).collect::<String>()
        };
        insta::assert_snapshot!(bad.iter().map(flaws).collect::<String>(), @r#"
        : a name's fixed text is at most 64 characters, and at least 2 if there is no placeholder
        a: a name's fixed text is at most 64 characters, and at least 2 if there is no placeholder
        hash-${subject}: `hash-` at the start is kept for names that replace odd or long values
        grant@${subject}: `grant@` at the start is kept for the sessions that sign for all callers of a grant: begin the name with something else
        a b${subject}:: ` ` may not stand in a name
        a b${subject}:: `:` may not stand in a name
        ${client}${subject}: two placeholders touch, so that two callers could get one name: put a `.` between them
        ${now:%Y}: `${now:%Y}` may not stand in a name: it would change while the caller stays the same
        ${params.dir}: `${params.dir}` may not stand in a name: its values are paths, and a name holds no `/`
        ${nobody}: `${nobody}` is no placeholder: there are `${client}`, `${issuer}`, `${subject}`, `${subject.encoded}`, `${subject.hash}`, `${claims.NAME}`, `${params.NAME}` and `${now:%Y/%m/%d}`
        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: a name's fixed text is at most 64 characters, and at least 2 if there is no placeholder
        "#);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn session_names_are_legal_and_distinct_callers_have_distinct_ones(
            one in (tenant(), subject()),
            two in (tenant(), subject()),
        ) {
            for written in ["${subject}", "ha${subject}", "gran${subject}", "${claims.tenant}-a${subject}."] {
                let template = template::<SessionName>(written);
                let first = render(&template, &one.0, &one.1);
                prop_assert_eq!(&first, &render(&template, &one.0, &one.1));

                prop_assert!(!first.as_str().starts_with(SessionName::OF_GRANT), "{:?}", first);
                let plain = |b: u8| b.is_ascii_alphanumeric() || b".@-_".contains(&b);
                let text = first.as_str();
                prop_assert!((2..=64).contains(&text.len()) && text.bytes().all(plain), "{}", text);

                let same_tenant = one.0 == two.0 || !written.contains("tenant");
                if !(same_tenant && one.1 == two.1) {
                    let second = render(&template, &two.0, &two.1);
                    prop_assert_ne!(first, second, "{} {:?} {:?}", written, one, two);
                }
            }
        }
    }

    fn tenant() -> impl Strategy<Value = String> {
        "(b|-a){1,2}"
    }

    /// Subjects that are legal, nearly legal, odd, long, and hash forms of one another.
    fn subject() -> impl Strategy<Value = String> {
        let hashed = |odd: String| name("${subject}", "t", &odd);
        let legal = |of: &String| of.parse::<Subject>().is_ok();
        prop_oneof![
            4 => "(b|-a){1,2}",
            1 => "[ab._@-]{1,4}",
            3 => "[a|]{1,3}",
            3 => "[a|]{1,3}".prop_map(hashed),
            3 => "[a|]{1,3}".prop_map(move |odd| hashed(odd).replacen("ha", "", 1)),
            1 => "[a-z]{64}a{0,2}",
            1 => "(gran)?t@[a-z-]{0,3}",
            1 => "\\PC{1,40}".prop_filter("a subject", legal),
        ]
    }
}
