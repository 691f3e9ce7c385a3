//! Templates of session policies.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::document::problem::{PolicyFlaw, PolicyProblem};
use crate::document::tree::MAX_POLICY_BYTES;
use crate::document::tree::{Document, Effect};
use crate::template::breadth;
use crate::template::isolation;
use crate::template::path_rules;
use crate::template::placeholder::ValueSource;
use crate::template::text::{Piece, Text};
use crate::template::value_rule::ValueRules;
use crate::template::values::{Uses, Values};

/// A policy document with placeholders, proven to render to a session policy for all admitted values.
pub(crate) struct PolicyTemplate {
    pub(crate) document: Document<Text>,
    /// The document's canonical JSON, split at its placeholders: it is filled for every request, even if the token is
    /// cached.
    json: Vec<Piece>,
    /// The capacity for a rendered policy with short values; long ones make it grow.
    likely_bytes: usize,
}

/// The assumed length of a value: a client, an album, a date.
const LIKELY_VALUE_BYTES: usize = 32;

/// How much a template may allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Breadth {
    /// Only actions and buckets that it names.
    Narrow,
    /// Also actions or buckets that it does not name, for which the operator gave a reason.
    Broad,
}

impl PolicyTemplate {
    /// Parses a template, or reports every problem in it.
    pub(crate) fn parse(
        json: &str,
        rules: &ValueRules,
        breadth: Breadth,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let document = Document::read(json, |place, raw| {
            let text = Text::parse(raw, rules)?;
            let flaws = path_rules::flaws(place, &text);
            if flaws.is_empty() { Ok(text) } else { Err(flaws) }
        });
        let document = document.map_err(|mut problems| {
            // Excessive breadth is reported beside other problems.
            if breadth == Breadth::Narrow {
                problems.extend(breadth::problems(&Document::sound_parts(json)));
            }
            problems
        })?;
        let mut problems = Vec::new();
        if document.statements.iter().all(|statement| statement.effect == Effect::Deny) {
            problems.push(PolicyProblem {
                at: "Statement".to_owned(),
                flaw: PolicyFlaw::AllowsNothing,
            });
        }
        problems.extend(isolation::problems(&document));
        if breadth == Breadth::Narrow {
            problems.extend(breadth::problems(&document.map(Text::outline)));
        }
        problems.extend(mixed_subjects(&document));
        problems.extend(too_long(&document));
        if !problems.is_empty() {
            return Err(problems);
        }
        let json = cut(&document);
        let likely = |piece: &Piece| match piece {
            Piece::Fixed(text) => text.len(),
            Piece::Value(_) => LIKELY_VALUE_BYTES,
        };
        let likely_bytes = json.iter().map(likely).sum();
        Ok(Self { document, json, likely_bytes })
    }

    /// Parses a template without the rules by which values are kept apart, for proofs that must find what they refuse.
    #[cfg(test)]
    pub(crate) fn unchecked(json: &str, rules: &ValueRules) -> Self {
        let document = Document::read(json, |_, raw| Text::parse(raw, rules)).unwrap();
        Self { json: cut(&document), document, likely_bytes: 0 }
    }

    /// The template in canonical form: equal texts mean equal templates.
    pub(crate) fn written(&self) -> String {
        self.document.map(Text::written).minified()
    }

    /// The texts in which users of different issuers could be confused.
    pub(crate) fn issuer_collisions(&self, by_client: bool) -> Vec<String> {
        let merging = self.document.values().filter(|text| text.merges_issuers(by_client));
        let texts: BTreeSet<_> = merging.map(Text::written).collect();
        texts.into_iter().collect()
    }

    /// The values that the template uses.
    pub(crate) fn uses(&self) -> Uses {
        Uses::of(self.document.values().flat_map(Text::placeholders), true)
    }

    /// The bytes of the longest policy that it renders.
    pub(crate) fn longest_bytes(&self) -> usize {
        worst_size(&self.document)
    }

    /// The session policy's JSON for these values.
    ///
    /// It cannot be too long, so nothing is checked here: at load every placeholder was filled with its longest value
    /// and the JSON was found to fit, and admitted values are no longer and contain nothing that JSON escapes.
    pub(crate) fn render(&self, values: &Values) -> String {
        let mut json = String::with_capacity(self.likely_bytes);
        for piece in &self.json {
            match piece {
                Piece::Fixed(text) => json.push_str(text),
                Piece::Value(placeholder) => json.push_str(&values.of(placeholder)),
            }
        }
        json
    }

    /// The rendered policy as a tree.
    pub(crate) fn fill(&self, values: &Values) -> Document<String> {
        self.document.map(|text| text.fill(|placeholder| values.of(placeholder)))
    }
}

/// The JSON as a sequence of fixed text and placeholders.
fn cut(document: &Document<Text>) -> Vec<Piece> {
    let placeholders = RefCell::new(Vec::new());
    // A `$` occurs neither in fixed text nor in an action, a condition key or JSON syntax.
    let marked = document.map(|text| {
        text.fill(|placeholder| {
            let mut placeholders = placeholders.borrow_mut();
            placeholders.push(placeholder.clone());
            Cow::Owned(format!("${}$", placeholders.len() - 1))
        })
    });
    let placeholders = placeholders.into_inner();
    let piece = |(i, part): (usize, &str)| match part.parse::<usize>() {
        Ok(number) if i % 2 == 1 => Piece::Value(placeholders[number].clone()),
        Ok(_) | Err(_) => Piece::Fixed(part.to_owned()),
    };
    marked.minified().split('$').enumerate().map(piece).collect()
}

/// A hash of one user may be another's plain subject, so one template uses one form only.
fn mixed_subjects(document: &Document<Text>) -> Option<PolicyProblem> {
    let placeholders = document.values().flat_map(Text::placeholders);
    let forms: BTreeSet<_> = placeholders
        .filter_map(|placeholder| match placeholder.source {
            ValueSource::Subject(form) => Some(form),
            ValueSource::Client
            | ValueSource::Issuer
            | ValueSource::Claim(_)
            | ValueSource::Parameter(_)
            | ValueSource::Now(_) => None,
        })
        .collect();
    (forms.len() > 1)
        .then(|| PolicyProblem { at: "the policy".to_owned(), flaw: PolicyFlaw::MixedSubjects })
}

/// The size with the longest value for each placeholder.
fn worst_size(document: &Document<Text>) -> usize {
    let longest =
        document.map(|text| text.fill(|placeholder| Cow::Owned("x".repeat(placeholder.longest))));
    longest.minified().len()
}

fn too_long(document: &Document<Text>) -> Option<PolicyProblem> {
    let worst = worst_size(document);
    if worst <= MAX_POLICY_BYTES {
        return None;
    }
    let mut shares = BTreeMap::new();
    for piece in document.values().flat_map(Text::pieces) {
        if let Piece::Value(placeholder) = piece {
            *shares.entry(format!("`{placeholder}`")).or_insert(0) += placeholder.longest;
        }
    }
    let fixed = worst - shares.values().sum::<usize>();
    shares.insert("fixed text".to_owned(), fixed);
    let (heaviest, share) = shares.into_iter().max_by_key(|(_, share)| *share)?;
    Some(PolicyProblem {
        at: "the policy".to_owned(),
        flaw: PolicyFlaw::TooLong { worst, heaviest, share },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::template::value_rule::{Shape, ValueRule};
    use crate::template::values::RawValues;

    fn rules(album_bytes: usize) -> ValueRules {
        let name = |raw: &str| raw.parse().unwrap();
        let text = |shape, max| ValueRule::text(shape, None, max).unwrap();
        let one_of = |values: [&str; 2]| ValueRule::one_of(&values.map(str::to_owned)).unwrap();
        ValueRules {
            params: BTreeMap::from([
                (name("album"), text(Shape::Segment, album_bytes)),
                (name("dir"), text(Shape::Path, 64)),
                (name("size"), one_of(["small", "large"])),
                (name("mixed"), one_of(["raw", "raw/2015"])),
            ]),
            claims: BTreeMap::from([(name("tenant"), text(Shape::Segment, 64))]),
            subject_max_bytes: 64,
        }
    }

    fn problems(json: &str, breadth: Breadth) -> String {
        match PolicyTemplate::parse(json, &rules(64), breadth) {
            Ok(_) => String::new(),
            Err(problems) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn reading(resource: &str) -> String {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":{resource}}}]}}"#
        )
    }

    #[test]
    fn a_filled_template_equals_the_serialised_document() {
        let json = r#"{"Version":"1","Statement":[
            {"Effect":"Allow","Action":["oss:GetObject"],"Condition":{
                "StringLike":{"oss:Prefix":["${params.album}/","${subject}/é\\/*"]},
                "StringEquals":{"oss:Delimiter":"/"}},
             "Resource":["acs:oss:*:*:sample-bucket/${client}/${params.size}/*","acs:oss:*:*:sample-bucket"]},
            {"Effect":"Deny","NotAction":"oss:*","Resource":"acs:oss:*:*:b-b-b/${now:%Y}/${client}"}]}"#;
        let rules = rules(64);
        let template =
            PolicyTemplate::parse(json, &rules, Breadth::Broad).unwrap_or_else(|problems| {
                panic!("{problems:?}");
            });
        let params = [("album", "2015"), ("dir", "a/b"), ("size", "small"), ("mixed", "raw")];
        let raw = RawValues {
            issuer: None,
            client: &"client-002".parse().unwrap(),
            subject: Some(&"alice".parse().unwrap()),
            claims: &BTreeMap::new(),
            params: &params.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            now: "2016-01-13T14:02:37Z".parse().unwrap(),
        };
        let values = Values::admit(&rules, &template.uses(), raw).unwrap();
        let written = template.document.map(|text| text.fill(|p| values.of(p))).minified();
        assert_eq!(template.render(&values).as_str(), written);
        assert!(written.contains("alice") && !written.contains('$'), "{written}");
    }

    #[test]
    fn placeholders_have_their_own_segments_at_fixed_places() {
        let good = reading(
            r#"["acs:oss:*:*:sample-bucket/${client}/${subject}/${claims.tenant}/${params.dir}/*",
                "acs:oss:*:*:sample-bucket/u-${subject}.d/${params.size}/*.jpg",
                "acs:oss:*:*:sample-bucket/a?c/${now:%Y/%m/%d}/${subject}/${params.mixed}",
                "acs:ram::11223344:role/${client}"]"#,
        );
        assert_eq!(problems(&good, Breadth::Narrow), "");
    }

    #[test]
    fn a_placeholder_that_an_allow_negates_is_refused() {
        let with = |effect: &str, operator: &str| {
            let json = format!(
                r#"{{"Version":"1","Statement":[
                    {{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}},
                    {{"Effect":"{effect}","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                      "Condition":{{"{operator}":{{"oss:Prefix":"users/${{subject}}/*"}}}}}}]}}"#
            );
            PolicyTemplate::parse(&json, &rules(64), Breadth::Narrow)
                .err()
                .map(|problems| problems[0].to_string())
        };
        assert_eq!(with("Allow", "StringLike"), None);
        assert_eq!(with("Deny", "StringNotLike"), None);
        let refused = with("Allow", "StringNotLike").unwrap();
        assert!(
            refused.starts_with("Statement[1].Condition.StringNotLike.oss:Prefix: "),
            "{refused}"
        );
    }

    #[test]
    fn every_misplaced_placeholder_is_refused_with_its_place_and_the_way_out() {
        let bad = reading(
            r#"["acs:oss:*:*:sample-bucket/${subject",
                "acs:oss:*:*:sample-bucket/$x",
                "acs:oss:*:*:sample-bucket/{x}",
                "acs:oss:*:*:sample-bucket/a\u0000b",
                "acs:oss:*:*:sample-bucket/${Subject}",
                "acs:oss:*:*:sample-bucket/${}",
                "acs:oss:*:*:sample-bucket/${params.nobody}",
                "acs:oss:*:*:sample-bucket/${claims.a/b}",
                "acs:oss:*:*:sample-bucket/${now:%B}",
                "acs:oss:*:*:sample-bucket/${client}-${subject}/",
                "acs:oss:*:*:sample-bucket/${subject}*",
                "acs:oss:*:*:sample-bucket/?${subject}/",
                "acs:oss:*:*:sample-bucket/${now:%Y/%m}*",
                "acs:oss:*:*:sample-bucket/*/${subject}/",
                "acs:oss:*:*:sample-*/${subject}/",
                "acs:oss:*:*:sample-bucket/${params.dir}/${subject}/",
                "acs:oss:*:*:sample-bucket/${params.mixed}/${subject}/",
                "acs:oss:*:*:${params.album}/x",
                "acs:oss:*:*:b-${now:%Y}/x",
                "acs:oss:${params.album}:*:sample-bucket/x",
                "acs:oss:*:a/${params.album}:sample-bucket/x",
                "acs:oss:*:*:Bucket/x",
                "acs:oss:*:*:",
                "sample-bucket/x"]"#,
        );
        insta::assert_snapshot!(problems(&bad, Breadth::Narrow), @r#"
        Statement[0].Resource[0]: a `${` is not closed: write `${client}`, for example
        Statement[0].Resource[1]: a `$` stands alone: it may only be part of a placeholder such as `${client}`
        Statement[0].Resource[2]: a `{` stands alone: it may only be part of a placeholder such as `${client}`
        Statement[0].Resource[2]: a `}` stands alone: it may only be part of a placeholder such as `${client}`
        Statement[0].Resource[3]: the text holds a control character
        Statement[0].Resource[4]: `${Subject}` is no placeholder: there are `${client}`, `${issuer}`, `${subject}`, `${subject.encoded}`, `${subject.hash}`, `${claims.NAME}`, `${params.NAME}` and `${now:%Y/%m/%d}`
        Statement[0].Resource[5]: `${}` is no placeholder: there are `${client}`, `${issuer}`, `${subject}`, `${subject.encoded}`, `${subject.hash}`, `${claims.NAME}`, `${params.NAME}` and `${now:%Y/%m/%d}`
        Statement[0].Resource[6]: `${params.nobody}` is not declared: declare the parameter with its kind and maximum length
        Statement[0].Resource[7]: `${claims.a/b}` is not declared: declare the claim with its kind and maximum length
        Statement[0].Resource[8]: a `${now:…}` is made of %Y, %m, %d, %j and %H (UTC), letters, digits, `-`, `_`, `.` and single `/` between segments
        Statement[0].Resource[9]: two placeholders share a path segment: put a `/` between them
        Statement[0].Resource[10]: `*` or `?` shares a path segment with a placeholder, so that `user1` would reach `user10`: put a `/` between them
        Statement[0].Resource[11]: `*` or `?` shares a path segment with a placeholder, so that `user1` would reach `user10`: put a `/` between them
        Statement[0].Resource[12]: `*` or `?` shares a path segment with a placeholder, so that `user1` would reach `user10`: put a `/` between them
        Statement[0].Resource[13]: a `*` stands before a placeholder, and as it spans any number of segments, one value's objects could lie among another's: move the placeholder to its left
        Statement[0].Resource[14]: a `*` in the bucket's name stands before a placeholder, and as it spans any number of segments, one value's objects could lie among another's: name the bucket
        Statement[0].Resource[15]: `${params.dir}` may be several segments and a placeholder follows it, so that one value's objects could lie among another's: move it to the end
        Statement[0].Resource[16]: `${params.mixed}` may be several segments and a placeholder follows it, so that one value's objects could lie among another's: move it to the end
        Statement[0].Resource[17]: a bucket may not depend on a value: make one grant for each bucket
        Statement[0].Resource[18]: a bucket may not depend on a value: make one grant for each bucket
        Statement[0].Resource[19]: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
        Statement[0].Resource[20]: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
        Statement[0].Resource[21]: a bucket's name is 3 to 63 characters of a-z, 0-9 and `-`, with no `-` at either end
        Statement[0].Resource[22]: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
        Statement[0].Resource[23]: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
        Statement[0].Resource: this allows buckets that it does not name: write service and bucket without wildcards, or set `allow_broad` with a reason
        "#);
    }

    #[test]
    fn excessive_breadth_is_reported_beside_other_problems() {
        let json = r#"{"Version":"2","Statement":[
            {"Effect":"allow","Action":"*","Resource":"*"},
            {"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:b*/${nobody}"},
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"sample-bucket"}]}"#;
        let broad = "list the actions, or set `allow_broad` with a reason";
        let messages = problems(json, Breadth::Narrow);
        assert!(
            messages.contains(&format!(
                "Statement[1].Action: this allows actions that it does not name: {broad}"
            )),
            "{messages}"
        );
        assert!(
            messages.contains("Statement[1].Resource: this allows buckets that it does not name"),
            "{messages}"
        );
        // Of what cannot be read there is nothing to be said, and of what may be broad neither.
        assert_eq!(messages.matches("does not name").count(), 2, "{messages}");
        assert!(!problems(json, Breadth::Broad).contains("does not name"));
    }

    /// To move the placeholder to the left of a bucket's wildcard would put it into the bucket, which is refused, too.
    #[test]
    fn a_wildcard_in_the_bucket_under_a_placeholder_is_answered_with_the_way_out() {
        let messages =
            |resource: &str| problems(&reading(&format!("\"{resource}\"")), Breadth::Broad);
        for resource in [
            "acs:oss:*:*:sample-*/${subject}/*",
            "acs:oss:*:*:*/users/${subject}/*",
            "acs:*:*:*:b*/${client}/x",
        ] {
            let messages = messages(resource);
            assert!(
                messages.contains(": name the bucket") && messages.lines().count() == 1,
                "{messages}"
            );
        }
    }

    #[test]
    fn a_listing_prefix_that_ends_open_is_refused() {
        let listing = |prefix: &str| {
            format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:ListObjects",
                "Resource":"acs:oss:*:*:sample-bucket",
                "Condition":{{"StringLike":{{"oss:Prefix":["{prefix}"]}}}}}}]}}"#
            )
        };
        assert_eq!(problems(&listing("users/${subject}/"), Breadth::Narrow), "");
        assert_eq!(problems(&listing("users/${subject}/*"), Breadth::Narrow), "");
        for open in ["users/${subject}", "users/u-${subject}-d"] {
            assert_eq!(
                problems(&listing(open), Breadth::Narrow),
                "Statement[0].Condition.StringLike.oss:Prefix[0]: a prefix that ends with a \
                 placeholder's segment lists its neighbours, `user1` those of `user10`: close it with `/`"
            );
        }
    }

    #[test]
    fn a_template_that_allows_nothing_is_refused_however_broad_it_may_be() {
        let deny = reading("\"acs:oss:*:*:sample-bucket/*\"").replace("Allow", "Deny");
        for breadth in [Breadth::Narrow, Breadth::Broad] {
            assert_eq!(
                problems(&deny, breadth),
                "Statement: no statement allows anything, so every token would be useless: add a \
                 statement with the effect \"Allow\""
            );
        }
    }

    /// A template whose worst case has `size` bytes, 640 of them the album's.
    fn sized(size: usize) -> Result<PolicyTemplate, Vec<PolicyProblem>> {
        let json = |fixed: &str| {
            reading(&format!("\"acs:oss:*:*:sample-bucket/{fixed}${{params.album}}/*\""))
        };
        let bytes = json("").len() - "${params.album}".len() + 640;
        let fixed = format!("{}{}", "東", "x".repeat(size - bytes - 3));
        PolicyTemplate::parse(&json(&fixed), &rules(640), Breadth::Narrow)
    }

    fn album(value: &str) -> Values {
        let only_album = ValueRules {
            params: rules(640)
                .params
                .into_iter()
                .filter(|(name, _)| name.as_str() == "album")
                .collect(),
            ..rules(640)
        };
        let raw = crate::RawValues {
            issuer: None,
            client: &"photo-app".parse().unwrap(),
            subject: None,
            claims: &BTreeMap::new(),
            params: &BTreeMap::from([("album".to_owned(), value.to_owned())]),
            now: chrono::DateTime::UNIX_EPOCH,
        };
        Values::admit(&only_album, &Uses::default(), raw).unwrap()
    }

    #[test]
    fn a_policy_of_2047_bytes_is_the_longest_that_any_value_may_give() {
        for size in [2046, 2047] {
            let template = sized(size).ok().unwrap();
            for longest in ["x".repeat(640), "é".repeat(320), "𠮷".repeat(160)] {
                assert_eq!(template.render(&album(&longest)).as_str().len(), size, "{longest}");
            }
        }
        let problems = sized(2048).err().unwrap();
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "the policy: with the longest values this is 2048 bytes and STS admits 2047: most of them, \
              1408, come from fixed text; shorten it, or lower its maximum length"
            ]
        );
    }

    #[test]
    fn a_subject_is_counted_with_the_greatest_length_of_a_subject() {
        let rules = ValueRules { subject_max_bytes: usize::MAX, ..rules(64) };
        let json = reading("\"acs:oss:*:*:sample-bucket/${subject}/*\"");
        assert!(PolicyTemplate::parse(&json, &rules, Breadth::Narrow).is_ok());
    }

    #[test]
    fn the_value_that_makes_a_policy_too_long_is_named() {
        let twice = reading(
            r#"["acs:oss:*:*:sample-bucket/${params.album}/*","acs:oss:*:*:sample-bucket/${params.album}"]"#,
        );
        let problems = PolicyTemplate::parse(&twice, &rules(1023), Breadth::Narrow).err().unwrap();
        insta::assert_snapshot!(problems[0], @r#"the policy: with the longest values this is 2192 bytes and STS admits 2047: most of them, 2046, come from `${params.album}`; shorten it, or lower its maximum length"#);
    }

    proptest! {
        #[test]
        fn no_admitted_value_gives_a_longer_policy_than_was_proven(value in "[\\p{L}a-z0-9._~@+=,()!-]{1,300}") {
            let rule = ValueRule::text(Shape::Segment, None, 640).unwrap();
            if rule.admits(&value) {
                let template = sized(2047).ok().unwrap();
                let rendered = template.render(&album(&value));
                prop_assert_eq!(rendered.as_str().len(), 2047 - 640 + value.len());
            }
        }
    }
}
