//! The intersection of a requested policy and its grant's policy, if the grant provably allows all that is requested.
//!
//! Sound: whatever the result allows, the grant allows. That relies on nothing that RAM leaves undocumented (whether
//! the case of actions counts, whether `*` crosses a colon, what `?` counts, how values of a negated operator combine):
//! where readings differ, containment holds under each of them or is refused. Where the letter case of an action or of a
//! condition key differs from the grant's, the result has the grant's.
//!
//! Incomplete on purpose: a requested action on a requested resource, with a value of one condition, must lie in *one*
//! Allow of the grant, and in one pattern of each of its lists; of conditions on the same key under the same operator,
//! one list of values must imply the other.

use std::collections::BTreeMap;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::containment::condition::both;
use crate::containment::requested_policy::RequestedPolicy;
use crate::document::operator::ConditionOperator;
use crate::document::tree::MAX_POLICY_BYTES;
use crate::document::tree::{Actions, Condition, Document, Effect, Statement, Strings};
use crate::matching::resource::ResourcePattern;
use crate::oss::operation::Operation;

/// Why a requested policy is not provably within its grant's. It quotes what the caller sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ContainmentError {
    #[error(
        "Statement[{statement}]: no statement of the grant allows all of `{action}` on `{resource}`{}",
        decided_as(action)
    )]
    Beyond { statement: usize, action: String, resource: String },
    #[error(
        "Statement[{statement}].Condition.{operator:?}.{key}: its values reach beyond the grant's, or cannot \
         be compared with them; leave the key out, and the grant's apply"
    )]
    Condition { statement: usize, operator: ConditionOperator, key: String },
    #[error(
        "together with the grant's own conditions and denials this is {size} bytes and STS admits {}",
        MAX_POLICY_BYTES
    )]
    TooLong { size: usize },
}

/// The action to name instead of an operation that OSS decides as another.
fn decided_as(action: &str) -> String {
    match Operation::named(action) {
        Operation::AllowedBy(by) => format!("; `{action}` is decided as `{by}`: name that"),
        Operation::Copies => format!(
            "; `{action}` is decided as `oss:GetObject` on the source and `oss:PutObject` on the target: name these"
        ),
        Operation::Action => String::new(),
    }
}

impl RequestedPolicy {
    /// The policy of what is both requested and granted: each requested Allow with the conditions of the grant's Allow
    /// that contains it, all requested denials, and all denials of the grant. It is canonical, so that policies that
    /// differ in order and repetition only share tokens.
    pub(crate) fn within(
        &self,
        granted: &Document<String>,
    ) -> Result<Document<String>, ContainmentError> {
        let requested = &self.0;
        let mut statements = Vec::new();
        for (i, statement) in requested.statements.iter().enumerate() {
            match statement.effect {
                Effect::Allow => statements.extend(contained_or_split(i, statement, granted)?),
                Effect::Deny => statements.push(statement.clone()),
            }
        }
        let denials = granted.statements.iter().filter(|granted| granted.effect == Effect::Deny);
        statements.extend(denials.cloned());
        Ok(Document { version: requested.version, statements }.canonicalize())
    }
}

/// A requested Allow, narrowed as a whole, or else by the values of the condition that no Allow of the grant contains.
///
/// The values of a condition are alternatives unless the operator is negated, so a statement allows what it allows with
/// each of its values alone.
fn contained_or_split(
    at: usize,
    requested: &Statement<String>,
    granted: &Document<String>,
) -> Result<Vec<Statement<String>>, ContainmentError> {
    let granted: Vec<_> =
        granted.statements.iter().filter(|granted| granted.effect == Effect::Allow).collect();
    let whole = intersection_of(at, requested, &granted);
    let Err(ContainmentError::Condition { operator, key, .. }) = &whole else { return whole };
    match by_containing_allows(requested, &granted, *operator, key) {
        Some(parts) => {
            let parts = parts.iter().map(|part| intersection_of(at, part, &granted));
            let parts: Result<Vec<_>, _> = parts.collect();
            // The values may have been split in vain: the error is that of the statement as it was sent.
            parts.map_or(whole, |parts| Ok(parts.concat()))
        }
        None => whole,
    }
}

/// The statement once for each set of Allows whose conditions its values can be compared with, with these values only.
/// `None` if that does not split it.
fn by_containing_allows(
    requested: &Statement<String>,
    granted: &[&Statement<String>],
    operator: ConditionOperator,
    key: &str,
) -> Option<Vec<Statement<String>>> {
    if operator.is_negated() {
        return None;
    }
    let mut keys = requested.condition.get(&operator)?.iter();
    let (key, values) = keys.find(|(own, _)| own.to_lowercase() == key.to_lowercase())?;
    let with = |values: Vec<String>| {
        let mut part = requested.clone();
        part.condition.entry(operator).or_default().insert(key.clone(), Strings::of(values));
        part
    };
    let mut parts: BTreeMap<Vec<bool>, Vec<String>> = BTreeMap::new();
    for value in values.as_slice() {
        let alone = with(vec![value.clone()]).condition;
        let containing = granted.iter().map(|granted| both(&alone, &granted.condition).is_ok());
        parts.entry(containing.collect()).or_default().push(value.clone());
    }
    (parts.len() > 1).then(|| parts.into_values().map(with).collect())
}

/// A requested Allow, split by the Allows of the grant that contain its parts.
fn intersection_of(
    at: usize,
    requested: &Statement<String>,
    granted: &[&Statement<String>],
) -> Result<Vec<Statement<String>>, ContainmentError> {
    let (mut shares, mut incomparable) = (Vec::new(), Vec::new());
    for granted in granted {
        let Some(share) = Share::of(requested, granted) else { continue };
        match both(&requested.condition, &granted.condition) {
            Ok(condition) => shares.push((share, condition)),
            Err(place) => incomparable.push((share, place)),
        }
    }
    // First those that add no condition: what they cover needs no other.
    shares.sort_by_key(|(_, condition)| *condition != requested.condition);

    let (actions, resources) = (requested.actions.patterns(), requested.resource.as_slice());
    let mut allowed = vec![Cover::No; actions.len() * resources.len()];
    let mut statements = Vec::new();
    for (share, condition) in shares {
        let cover =
            if condition == requested.condition { Cover::Whole } else { Cover::Conditional };
        let mut adds = false;
        for &(action, _) in &share.actions {
            for &resource in &share.resources {
                let pair = &mut allowed[action * resources.len() + resource];
                adds |= *pair < Cover::Whole;
                *pair = cover.max(*pair);
            }
        }
        if adds {
            statements.push(share.statement(requested, condition));
        }
    }
    let Some(pair) = allowed.iter().position(|cover| *cover == Cover::No) else {
        return Ok(statements);
    };
    let (action, resource) = (pair / resources.len(), pair % resources.len());
    let lies_in = |share: &Share| {
        share.actions.iter().any(|(place, _)| *place == action)
            && share.resources.contains(&resource)
    };
    Err(match incomparable.into_iter().find(|(share, _)| lies_in(share)) {
        Some((_, (operator, key))) => ContainmentError::Condition { statement: at, operator, key },
        None => ContainmentError::Beyond {
            statement: at,
            action: actions[action].clone(),
            resource: resources[resource].clone(),
        },
    })
}

/// How much of one requested action on one requested resource is granted.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Cover {
    No,
    /// With further conditions.
    Conditional,
    Whole,
}

/// The requested actions and resources that lie in one Allow of the grant, by index; neither list is empty.
struct Share {
    /// With the letter case of the grant.
    actions: Vec<(usize, String)>,
    resources: Vec<usize>,
}

impl Share {
    fn of(requested: &Statement<String>, granted: &Statement<String>) -> Option<Self> {
        let actions = requested.actions.patterns().iter().enumerate();
        let actions: Vec<_> = actions
            .filter_map(|(place, action)| Some((place, granted.actions.spelling_of(action)?)))
            .collect();
        let resources = requested.resource.as_slice().iter().enumerate();
        let resources: Vec<_> = resources
            .filter(|(_, resource)| lies_in(resource, granted.resource.as_slice()))
            .map(|(place, _)| place)
            .collect();
        (!actions.is_empty() && !resources.is_empty()).then_some(Self { actions, resources })
    }

    fn statement(
        &self,
        requested: &Statement<String>,
        condition: Condition<String>,
    ) -> Statement<String> {
        let actions = self.actions.iter().map(|(_, action)| action.clone());
        let resources = requested.resource.as_slice();
        let resources = self.resources.iter().map(|&place| resources[place].clone());
        Statement {
            effect: Effect::Allow,
            actions: Actions::Action(Strings::Many(actions.collect())),
            resource: Strings::Many(resources.collect()),
            condition,
        }
    }
}

/// Whether one pattern of the grant contains the resource, as it is written and in Unicode NFC: RAM does not say that it
/// compares names byte by byte.
fn lies_in(resource: &str, granted: &[String]) -> bool {
    let lies_in =
        |resource: &str| granted.iter().any(|wide| ResourcePattern::contains(wide, resource));
    lies_in(resource) && (is_nfc(resource) || lies_in(&resource.nfc().collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statements: &str) -> Document<String> {
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap()
    }

    /// What is sent, without the frame, or why nothing is.
    fn within(granted: &str, requested: &str) -> String {
        let requested = RequestedPolicy::parse(&read(requested).minified()).unwrap();
        match requested.within(&read(granted)) {
            Ok(common) => {
                let lines = common.statements.iter().map(|s| serde_json::to_string(s).unwrap());
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(excess) => excess.to_string(),
        }
    }

    const PHOTOS: &str = r#"
        {"Effect":"Allow","Action":["oss:GetObject","oss:Put*"],"Resource":"acs:oss:*:*:sample-bucket/alice/*"},
        {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
         "Condition":{"StringLike":{"oss:Prefix":["alice/","alice/*"]}}},
        {"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/alice/secret/*"}"#;

    #[test]
    fn what_lies_in_the_grant_is_sent_with_the_grants_conditions_and_denials() {
        let requested = r#"
            {"Effect":"Allow","Action":["oss:GetObject","oss:GetObject"],"Resource":["acs:oss:*:*:sample-bucket/alice/2015/*"]},
            {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
             "Condition":{"StringEquals":{"oss:Delimiter":"/"}}},
            {"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/raw/*"}"#;
        insta::assert_snapshot!(within(PHOTOS, requested), @r#"
{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/*"}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Delimiter":"/"},"StringLike":{"oss:Prefix":["alice/","alice/*"]}}}
{"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/alice/secret/*"}
{"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/raw/*"}
"#);
    }

    #[test]
    fn what_reaches_beyond_is_named() {
        let requested = |action: &str, resource: &str| {
            let one = format!(r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}}}"#);
            within(PHOTOS, &one)
        };
        let own = r#""acs:oss:*:*:sample-bucket/alice/*""#;
        let beyond = [
            requested(r#""oss:DeleteObject""#, own),
            requested(r#""oss:HeadObject""#, own),
            requested(r#""oss:CopyObject""#, own),
            requested(r#""oss:*""#, own),
            requested(r#""*""#, own),
            requested(r#""*:GetObject""#, own),
            requested(r#""oss:GetObject""#, r#""*""#),
            requested(r#""oss:GetObject""#, r#""acs:oss:*""#),
            requested(r#""oss:GetObject""#, r#""acs:oss:*:*:*/alice/*""#),
            requested(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/alice*""#),
            requested(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/?lice/*""#),
            requested(
                r#""oss:GetObject""#,
                r#""acs:oss:*:*:other-bucket/x:sample-bucket/alice/y""#,
            ),
            requested(
                r#"["oss:GetObject","oss:ListObjects"]"#,
                r#"["acs:oss:*:*:sample-bucket",
                "acs:oss:*:*:sample-bucket/alice/*"]"#,
            ),
        ];
        insta::assert_snapshot!(beyond.join("\n"), @r"
Statement[0]: no statement of the grant allows all of `oss:DeleteObject` on `acs:oss:*:*:sample-bucket/alice/*`
Statement[0]: no statement of the grant allows all of `oss:HeadObject` on `acs:oss:*:*:sample-bucket/alice/*`; `oss:HeadObject` is decided as `oss:GetObject`: name that
Statement[0]: no statement of the grant allows all of `oss:CopyObject` on `acs:oss:*:*:sample-bucket/alice/*`; `oss:CopyObject` is decided as `oss:GetObject` on the source and `oss:PutObject` on the target: name these
Statement[0]: no statement of the grant allows all of `oss:*` on `acs:oss:*:*:sample-bucket/alice/*`
Statement[0]: no statement of the grant allows all of `*` on `acs:oss:*:*:sample-bucket/alice/*`
Statement[0]: no statement of the grant allows all of `*:GetObject` on `acs:oss:*:*:sample-bucket/alice/*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:*/alice/*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/alice*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/?lice/*`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:other-bucket/x:sample-bucket/alice/y`
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket`
");
        let second = format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":{own}}},
               {{"Effect":"Allow","Action":"ram:GetUser","Resource":{own}}}"#
        );
        assert!(within(PHOTOS, &second).starts_with("Statement[1]: "));
    }

    #[test]
    fn conditions_on_the_same_key_must_lie_in_each_other() {
        let listing = |condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                    "Condition":{{{condition}}}}}"#
            )
        };
        let of = |granted: &str, requested: &str| within(&listing(granted), &listing(requested));
        let granted = r#""StringLike":{"oss:Prefix":["alice/","alice/*"]}"#;
        let answers = [
            of(granted, r#""StringLike":{"oss:Prefix":"alice/2015/*"}"#),
            of(granted, r#""StringLike":{"oss:Prefix":"ali*"}"#),
            of(granted, r#""StringLike":{"oss:Prefix":["alice/2015/*","bob/*"]}"#),
            of(granted, r#""StringLike":{"oss:prefix":"alice/2015/*"}"#),
            of(granted, r#""StringEquals":{"oss:Prefix":"bob/"}"#),
            of(
                r#""StringEquals":{"oss:Prefix":"alice/*"}"#,
                r#""StringEquals":{"oss:Prefix":"alice/2015"}"#,
            ),
            of(
                r#""StringNotLike":{"oss:Prefix":"a/*"}"#,
                r#""StringNotLike":{"oss:Prefix":["a/*","b/*"]}"#,
            ),
            of(
                r#""StringNotLike":{"oss:Prefix":["b","a"]}"#,
                r#""StringNotLike":{"oss:Prefix":["a","b"]}"#,
            ),
            of(
                r#""NumericLessThan":{"oss:MaxKeys":["10","20"]}"#,
                r#""NumericLessThan":{"oss:MaxKeys":"10"}"#,
            ),
            of(
                r#""NumericLessThan":{"oss:MaxKeys":"10"}"#,
                r#""NumericLessThan":{"oss:MaxKeys":"5"}"#,
            ),
        ];
        insta::assert_snapshot!(answers.join("\n"), @r#"
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"alice/2015/*"}}}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["alice/","alice/*"]}}}
Statement[0].Condition.StringLike.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"alice/2015/*"}}}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Prefix":"bob/"},"StringLike":{"oss:Prefix":["alice/","alice/*"]}}}
Statement[0].Condition.StringEquals.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
Statement[0].Condition.StringNotLike.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringNotLike":{"oss:Prefix":["a","b"]}}}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"NumericLessThan":{"oss:MaxKeys":"10"}}}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"NumericLessThan":{"oss:MaxKeys":"5"}}}
"#);
    }

    #[test]
    fn every_operator_and_key_of_the_grants_condition_is_carried_over() {
        let listing = |condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket"{condition}}}"#
            )
        };
        let granted = r#","Condition":{
            "Bool":{"acs:MFAPresent":"true","acs:SecureTransport":"true"},
            "IpAddress":{"acs:SourceIp":"10.0.0.0/8"},
            "StringLike":{"oss:Delimiter":"/","oss:Prefix":["alice/*"]}}"#;
        let carried = |requested: &str| within(&listing(granted), &listing(requested));
        let all = r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"Bool":{"acs:MFAPresent":"true","acs:SecureTransport":"true"},"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"StringLike":{"oss:Delimiter":"/","oss:Prefix":"alice/*"}}}"#;
        for requested in [
            "",
            r#","Condition":{"Bool":{"acs:MFAPresent":"true"}}"#,
            r#","Condition":{"Bool":{"acs:SecureTransport":"true"}}"#,
            r#","Condition":{"StringLike":{"oss:Prefix":"alice/*"}}"#,
            r#","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"StringLike":{"oss:Delimiter":"/"}}"#,
        ] {
            assert_eq!(carried(requested), all, "{requested}");
        }
        let more = carried(
            r#","Condition":{"StringEquals":{"oss:Prefix":"alice/a"},"StringLike":{"oss:Prefix":"alice/2015/*"}}"#,
        );
        let narrowed = all
            .replace(r#""oss:Prefix":"alice/*""#, r#""oss:Prefix":"alice/2015/*""#)
            .replace(r#""StringLike""#, r#""StringEquals":{"oss:Prefix":"alice/a"},"StringLike""#);
        assert_eq!(more, narrowed);
    }

    /// A `*` in what is requested is a wildcard and not a character that a `?` could stand for.
    #[test]
    fn a_question_mark_contains_no_star() {
        let granted = r#"{"Effect":"Allow","Action":["oss:Get?bject","oss:List*"],
            "Resource":["acs:oss:*:*:sample-bucket","acs:oss:*:*:sample-bucket/alice/?","acs:oss:?:?:sample-bucket/bob/a"],
            "Condition":{"StringLike":{"oss:Prefix":["alice/?","?","a?c"]}}}"#;
        let requested = |action: &str, resource: &str, prefix: &str| {
            let requested = format!(
                r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}",
                    "Condition":{{"StringLike":{{"oss:Prefix":"{prefix}"}}}}}}"#
            );
            within(granted, &requested)
        };
        let (action, resource, prefix) =
            ("oss:Get?bject", "acs:oss:*:*:sample-bucket/alice/?", "alice/?");
        let own = [
            requested(action, resource, prefix),
            requested("oss:ListO*", "acs:oss:*:*:sample-bucket", "?"),
            requested("oss:GetObject", "acs:oss:1:2:sample-bucket/bob/a", "abc"),
        ];
        assert!(own.iter().all(|sent| sent.starts_with('{')), "{own:?}");
        let starred = [
            requested("oss:Get*bject", resource, prefix),
            requested(action, "acs:oss:*:*:sample-bucket/alice/*", prefix),
            requested(action, "acs:oss:*:1:sample-bucket/bob/a", prefix),
            requested(action, "acs:oss:1:*:sample-bucket/bob/a", prefix),
            requested(action, resource, "alice/*"),
            requested(action, resource, "a*c"),
        ];
        assert!(starred.iter().all(|answer| answer.starts_with("Statement[0]")), "{starred:?}");
        // It asks for more than the grant's list, which is sent in its place.
        let all = requested(action, resource, "*");
        assert!(all.ends_with(r#"{"StringLike":{"oss:Prefix":["?","a?c","alice/?"]}}}"#), "{all}");
    }

    #[test]
    fn an_error_names_the_action_that_no_statement_contains() {
        let requested = r#"{"Effect":"Allow","Action":["oss:DeleteObject","oss:ListObjects"],"Resource":"acs:oss:*:*:sample-bucket",
            "Condition":{"StringLike":{"oss:Prefix":"bob/*"}}}"#;
        let refused = within(PHOTOS, requested);
        assert!(refused.contains("`oss:DeleteObject` on `acs:oss:*:*:sample-bucket`"), "{refused}");
        let refused = within(PHOTOS, &requested.replace(r#""oss:DeleteObject","#, ""));
        assert!(refused.starts_with("Statement[0].Condition.StringLike.oss:Prefix: "), "{refused}");
    }

    #[test]
    fn an_allow_of_all_others_contains_what_meets_none_of_its_exceptions() {
        let granted = r#"{"Effect":"Allow","NotAction":["oss:Delete*","ram:*"],"Resource":"*"}"#;
        let requested = |action: &str| {
            within(granted, &format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#))
        };
        for within in ["oss:GetObject", "oss:Get*", "o?s:Put*"] {
            assert!(requested(within).starts_with('{'), "{within}");
        }
        for beyond in ["oss:DeleteObject", "OSS:deleteobject", "oss:*Object", "*", "*:GetUser"] {
            let refused = requested(beyond);
            assert!(refused.starts_with("Statement[0]: no statement of the grant"), "{refused}");
        }
    }

    #[test]
    fn a_resource_lies_in_the_grant_as_written_and_normalised() {
        let get = |path: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{path}"}}"#
            )
        };
        assert!(within(&get("a/*"), &get("a/e\u{301} #1")).starts_with('{'));
        assert!(within(&get("a/e*"), &get("a/e\u{301}")).starts_with("Statement[0]: "));
    }

    #[test]
    fn a_condition_key_is_sent_as_the_grant_writes_it() {
        let list = |condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"*","Condition":{{{condition}}}}}"#
            )
        };
        let granted = list(r#""StringLike":{"oss:Prefix":"a/*"}"#);
        let requested = list(r#""StringLike":{"OSS:prefix":"a/b/*"}"#);
        insta::assert_snapshot!(within(&granted, &requested), @r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"*","Condition":{"StringLike":{"oss:Prefix":"a/b/*"}}}"#);
        let twice = list(r#""StringLike":{"oss:Prefix":"a/*","oss:prefix":"a/*"}"#);
        assert!(within(&twice, &requested).starts_with("Statement[0].Condition"));
    }

    #[test]
    fn an_allow_that_lies_in_several_is_split_by_their_conditions() {
        let granted = r#"
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*",
             "Condition":{"Bool":{"acs:SecureTransport":"true"}}},
            {"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/a/*",
             "Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}},
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a/*"}"#;
        let requested = r#"{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/a/b"}"#;
        insta::assert_snapshot!(within(granted, requested), @r#"
{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a/b"}
{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/a/b","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}
"#);
        let elsewhere = requested.replace("oss:PutObject", "oss:GetObject").replace("/a/b", "/c");
        insta::assert_snapshot!(within(granted, &elsewhere), @r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/c","Condition":{"Bool":{"acs:SecureTransport":"true"}}}"#);
    }

    /// As much work as policies of STS's size can make of it.
    #[test]
    fn nasty_policies_do_not_stall() {
        let stars = "*a".repeat(900);
        let granted =
            format!(r#"{{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:bkt/{stars}b"}}"#);
        let requested = format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:bkt/{}"}}"#,
            "a".repeat(1900)
        );
        assert!(within(&granted, &requested).starts_with("Statement[0]: "));

        // Far more statements than fit, each with every requested action.
        let actions: Vec<_> = (0..230).map(|i| format!(r#""a:{i}""#)).collect();
        let requested =
            format!(r#"{{"Effect":"Allow","Action":[{}],"Resource":"*"}}"#, actions.join(","));
        let granted = requested.replace("a:", "a:*");
        let granted = vec![granted; 40].join(",");
        assert!(!within(&granted, &requested).starts_with("Statement"));
    }
}
