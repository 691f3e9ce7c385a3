//! A caller's own policy within its grant's: what both allow, if that is provably all that was asked for.
//!
//! Sound: whatever the result allows, the grant allows. That rests on nothing that RAM leaves open (whether
//! the case of actions counts, whether `*` crosses a colon, what `?` counts, how values of a negated operator
//! combine): where readings differ, containment holds under each of them or is refused.
//!
//! Incomplete, on purpose: an asked action on an asked resource must lie in *one* Allow of the grant, and in
//! one pattern of each of its lists; nothing lies in an Allow with `NotAction`; conditions on the same key
//! under the same operator must lie in each other by their values, of which only `StringLike` is understood,
//! and under negating operators they must be the same.

use crate::containment::requested_policy::RequestedPolicy;
use crate::document::operator::ConditionOperator;
use crate::document::tree::MAX_POLICY_BYTES;
use crate::document::tree::{Actions, Condition, Document, Effect, Statement, Strings};
use crate::matching::pattern::Pattern;
use crate::matching::resource::ResourcePattern;

/// Why a caller's policy is not provably within its grant's. It quotes what the caller sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ContainmentError {
    #[error(
        "Statement[{statement}]: no statement of the grant allows all of `{action}` on `{resource}` (letter \
         case counts)"
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

impl RequestedPolicy {
    /// What is asked for and granted: each asked Allow with the conditions of the grant's Allow that it lies
    /// in, all asked denials, and all of the grant's. In one form for all policies that differ in nothing
    /// but order and repetition, so that they share tokens.
    pub(crate) fn within(
        &self,
        granted: &Document<String>,
    ) -> Result<Document<String>, ContainmentError> {
        let asked = &self.0;
        let mut statements = Vec::new();
        for (i, statement) in asked.statements.iter().enumerate() {
            match statement.effect {
                Effect::Allow => statements.extend(narrowed(i, statement, granted)?),
                Effect::Deny => statements.push(statement.clone()),
            }
        }
        let denials = granted.statements.iter().filter(|granted| granted.effect == Effect::Deny);
        statements.extend(denials.cloned());
        Ok(Document { version: asked.version, statements }.canonicalize())
    }
}

/// An asked Allow, split by the Allows of the grant that its parts lie in.
fn narrowed(
    at: usize,
    asked: &Statement<String>,
    granted: &Document<String>,
) -> Result<Vec<Statement<String>>, ContainmentError> {
    let (mut shares, mut incomparable) = (Vec::new(), Vec::new());
    for granted in granted.statements.iter().filter(|granted| granted.effect == Effect::Allow) {
        let Some(share) = Share::of(asked, granted) else { continue };
        match both(&asked.condition, &granted.condition) {
            Ok(condition) => shares.push((share, condition)),
            Err(place) => incomparable.push((share, place)),
        }
    }
    // First those that add no condition: what lies in them needs no other.
    shares.sort_by_key(|(_, condition)| *condition != asked.condition);

    let (actions, resources) = (asked.actions.patterns(), asked.resource.as_slice());
    let mut allowed = vec![Cover::No; actions.len() * resources.len()];
    let mut statements = Vec::new();
    for (share, condition) in shares {
        let cover = if condition == asked.condition { Cover::Whole } else { Cover::Conditional };
        let mut adds = false;
        for &action in &share.actions {
            for &resource in &share.resources {
                let pair = &mut allowed[action * resources.len() + resource];
                adds |= *pair < Cover::Whole;
                *pair = cover.max(*pair);
            }
        }
        if adds {
            statements.push(share.statement(asked, condition));
        }
    }
    let Some(pair) = allowed.iter().position(|cover| *cover == Cover::No) else {
        return Ok(statements);
    };
    let (action, resource) = (pair / resources.len(), pair % resources.len());
    let lies_in =
        |share: &Share| share.actions.contains(&action) && share.resources.contains(&resource);
    Err(match incomparable.into_iter().find(|(share, _)| lies_in(share)) {
        Some((_, (operator, key))) => ContainmentError::Condition { statement: at, operator, key },
        None => ContainmentError::Beyond {
            statement: at,
            action: actions[action].clone(),
            resource: resources[resource].clone(),
        },
    })
}

/// How much of one asked action on one asked resource is granted.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Cover {
    No,
    /// With further conditions.
    Conditional,
    Whole,
}

/// The places of the asked actions and resources that lie in one Allow of the grant; there are some of both.
struct Share {
    actions: Vec<usize>,
    resources: Vec<usize>,
}

impl Share {
    fn of(asked: &Statement<String>, granted: &Statement<String>) -> Option<Self> {
        let actions = places(asked.actions.patterns(), |action| granted.actions.contain(action));
        let resources = places(asked.resource.as_slice(), |resource| {
            let mut wide = granted.resource.as_slice().iter();
            wide.any(|wide| ResourcePattern::contains(wide, resource))
        });
        (!actions.is_empty() && !resources.is_empty()).then_some(Self { actions, resources })
    }

    fn statement(
        &self,
        asked: &Statement<String>,
        condition: Condition<String>,
    ) -> Statement<String> {
        let at = |places: &[usize], texts: &[String]| {
            Strings::Many(places.iter().map(|&place| texts[place].clone()).collect())
        };
        Statement {
            effect: Effect::Allow,
            actions: Actions::Action(at(&self.actions, asked.actions.patterns())),
            resource: at(&self.resources, asked.resource.as_slice()),
            condition,
        }
    }
}

fn places(texts: &[String], lies_in: impl Fn(&str) -> bool) -> Vec<usize> {
    texts.iter().enumerate().filter(|(_, text)| lies_in(text)).map(|(place, _)| place).collect()
}

/// A condition that holds when both do, or the operator and key by which none can be written.
///
/// RAM's JSON has room for one list of values for each operator and key, so where both have one, the narrower
/// list must do for both.
fn both(
    asked: &Condition<String>,
    granted: &Condition<String>,
) -> Result<Condition<String>, (ConditionOperator, String)> {
    let mut merged = asked.clone();
    for (&operator, keys) in granted {
        let own = merged.entry(operator).or_default();
        for (key, granted) in keys {
            let alike = own.iter().find(|(own, _)| own.to_lowercase() == key.to_lowercase());
            let values = match alike {
                None => Some(granted),
                Some((own, asked)) if own == key => narrower(operator, asked, granted),
                // Readers may take the two keys for one, and then either list for it.
                Some(_) => None,
            };
            let values = values.cloned().ok_or_else(|| (operator, key.clone()))?;
            own.insert(key.clone(), values);
        }
    }
    Ok(merged)
}

/// The list of values whose condition implies the other's.
fn narrower<'a>(
    operator: ConditionOperator,
    asked: &'a Strings<String>,
    granted: &'a Strings<String>,
) -> Option<&'a Strings<String>> {
    let lie_in = |narrow: &Strings<String>, wide: &Strings<String>| {
        let lies = |narrow: &String| {
            wide.as_slice().iter().any(|wide| match operator {
                ConditionOperator::StringLike => Pattern(wide).contains(Pattern(narrow)),
                _ => wide == narrow,
            })
        };
        narrow.as_slice().iter().all(lies)
    };
    match (lie_in(asked, granted), lie_in(granted, asked)) {
        (true, true) => Some(asked),
        // More values make a negated condition narrower, or wider if each is negated by itself: RAM does not
        // document which.
        _ if operator.is_negated() => None,
        (true, false) => Some(asked),
        (false, true) => Some(granted),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statements: &str) -> Document<String> {
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap()
    }

    /// What is sent, without the frame, or why nothing is.
    fn within(granted: &str, asked: &str) -> String {
        let asked = RequestedPolicy::parse(&read(asked).minified()).unwrap();
        match asked.within(&read(granted)) {
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
        let asked = r#"
            {"Effect":"Allow","Action":["oss:GetObject","oss:GetObject"],"Resource":["acs:oss:*:*:sample-bucket/alice/2015/*"]},
            {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
             "Condition":{"StringEquals":{"oss:Delimiter":"/"}}},
            {"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/raw/*"}"#;
        insta::assert_snapshot!(within(PHOTOS, asked), @r#"
{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/*"}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Delimiter":"/"},"StringLike":{"oss:Prefix":["alice/","alice/*"]}}}
{"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/alice/secret/*"}
{"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/alice/2015/raw/*"}
"#);
    }

    #[test]
    fn what_reaches_beyond_is_named() {
        let asked = |action: &str, resource: &str| {
            let one = format!(r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}}}"#);
            within(PHOTOS, &one)
        };
        let own = r#""acs:oss:*:*:sample-bucket/alice/*""#;
        let beyond = [
            asked(r#""oss:DeleteObject""#, own),
            asked(r#""oss:*""#, own),
            asked(r#""*""#, own),
            asked(r#""oss:getobject""#, own),
            asked(r#""*:GetObject""#, own),
            asked(r#""oss:GetObject""#, r#""*""#),
            asked(r#""oss:GetObject""#, r#""acs:oss:*""#),
            asked(r#""oss:GetObject""#, r#""acs:oss:*:*:*/alice/*""#),
            asked(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/alice*""#),
            asked(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/?lice/*""#),
            asked(r#""oss:GetObject""#, r#""acs:oss:*:*:other-bucket/x:sample-bucket/alice/y""#),
            asked(
                r#"["oss:GetObject","oss:ListObjects"]"#,
                r#"["acs:oss:*:*:sample-bucket",
                "acs:oss:*:*:sample-bucket/alice/*"]"#,
            ),
        ];
        insta::assert_snapshot!(beyond.join("\n"), @r"
Statement[0]: no statement of the grant allows all of `oss:DeleteObject` on `acs:oss:*:*:sample-bucket/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:*` on `acs:oss:*:*:sample-bucket/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `*` on `acs:oss:*:*:sample-bucket/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:getobject` on `acs:oss:*:*:sample-bucket/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `*:GetObject` on `acs:oss:*:*:sample-bucket/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:*/alice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/alice*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/?lice/*` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:other-bucket/x:sample-bucket/alice/y` (letter case counts)
Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket` (letter case counts)
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
        let of = |granted: &str, asked: &str| within(&listing(granted), &listing(asked));
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
Statement[0].Condition.StringLike.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Prefix":"bob/"},"StringLike":{"oss:Prefix":["alice/","alice/*"]}}}
Statement[0].Condition.StringEquals.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
Statement[0].Condition.StringNotLike.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringNotLike":{"oss:Prefix":["a","b"]}}}
{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"NumericLessThan":{"oss:MaxKeys":"10"}}}
Statement[0].Condition.NumericLessThan.oss:MaxKeys: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply
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
        let carried = |asked: &str| within(&listing(granted), &listing(asked));
        let all = r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"Bool":{"acs:MFAPresent":"true","acs:SecureTransport":"true"},"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"StringLike":{"oss:Delimiter":"/","oss:Prefix":"alice/*"}}}"#;
        for asked in [
            "",
            r#","Condition":{"Bool":{"acs:MFAPresent":"true"}}"#,
            r#","Condition":{"Bool":{"acs:SecureTransport":"true"}}"#,
            r#","Condition":{"StringLike":{"oss:Prefix":"alice/*"}}"#,
            r#","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"StringLike":{"oss:Delimiter":"/"}}"#,
        ] {
            assert_eq!(carried(asked), all, "{asked}");
        }
        let more = carried(
            r#","Condition":{"StringEquals":{"oss:Prefix":"alice/a"},"StringLike":{"oss:Prefix":"alice/2015/*"}}"#,
        );
        let narrowed = all
            .replace(r#""oss:Prefix":"alice/*""#, r#""oss:Prefix":"alice/2015/*""#)
            .replace(r#""StringLike""#, r#""StringEquals":{"oss:Prefix":"alice/a"},"StringLike""#);
        assert_eq!(more, narrowed);
    }

    /// A `*` in what is asked for is a wildcard and not a character that a `?` could stand for.
    #[test]
    fn a_star_lies_under_no_question_mark_wherever_it_stands() {
        let granted = r#"{"Effect":"Allow","Action":["oss:Get?bject","oss:List*"],
            "Resource":["acs:oss:*:*:sample-bucket","acs:oss:*:*:sample-bucket/alice/?","acs:oss:?:?:sample-bucket/bob/a"],
            "Condition":{"StringLike":{"oss:Prefix":["alice/?","?","a?c"]}}}"#;
        let asked = |action: &str, resource: &str, prefix: &str| {
            let asked = format!(
                r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}",
                    "Condition":{{"StringLike":{{"oss:Prefix":"{prefix}"}}}}}}"#
            );
            within(granted, &asked)
        };
        let (action, resource, prefix) =
            ("oss:Get?bject", "acs:oss:*:*:sample-bucket/alice/?", "alice/?");
        let own = [
            asked(action, resource, prefix),
            asked("oss:ListO*", "acs:oss:*:*:sample-bucket", "?"),
            asked("oss:GetObject", "acs:oss:1:2:sample-bucket/bob/a", "abc"),
        ];
        assert!(own.iter().all(|sent| sent.starts_with('{')), "{own:?}");
        let starred = [
            asked("oss:Get*bject", resource, prefix),
            asked(action, "acs:oss:*:*:sample-bucket/alice/*", prefix),
            asked(action, "acs:oss:*:1:sample-bucket/bob/a", prefix),
            asked(action, "acs:oss:1:*:sample-bucket/bob/a", prefix),
            asked(action, resource, "alice/*"),
            asked(action, resource, "a*c"),
        ];
        assert!(starred.iter().all(|answer| answer.starts_with("Statement[0]")), "{starred:?}");
        // It asks for more than the grant's list, which is sent in its place.
        let all = asked(action, resource, "*");
        assert!(all.ends_with(r#"{"StringLike":{"oss:Prefix":["?","a?c","alice/?"]}}}"#), "{all}");
    }

    #[test]
    fn of_what_lies_nowhere_the_action_is_named_whatever_conditions_others_have() {
        let asked = r#"{"Effect":"Allow","Action":["oss:DeleteObject","oss:ListObjects"],"Resource":"acs:oss:*:*:sample-bucket",
            "Condition":{"StringLike":{"oss:Prefix":"bob/*"}}}"#;
        let refused = within(PHOTOS, asked);
        assert!(refused.contains("`oss:DeleteObject` on `acs:oss:*:*:sample-bucket`"), "{refused}");
        let refused = within(PHOTOS, &asked.replace(r#""oss:DeleteObject","#, ""));
        assert!(refused.starts_with("Statement[0].Condition.StringLike.oss:Prefix: "), "{refused}");
    }

    #[test]
    fn nothing_lies_in_an_allow_of_what_is_not_named() {
        let granted = r#"{"Effect":"Allow","NotAction":"oss:Delete*","Resource":"*"}"#;
        let asked = r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}"#;
        assert!(within(granted, asked).starts_with("Statement[0]: no statement of the grant"));
    }

    #[test]
    fn an_allow_that_lies_in_several_is_split_by_their_conditions() {
        let granted = r#"
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*",
             "Condition":{"Bool":{"acs:SecureTransport":"true"}}},
            {"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/a/*",
             "Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}},
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a/*"}"#;
        let asked = r#"{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/a/b"}"#;
        insta::assert_snapshot!(within(granted, asked), @r#"
{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a/b"}
{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/a/b","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}
"#);
        let elsewhere = asked.replace("oss:PutObject", "oss:GetObject").replace("/a/b", "/c");
        insta::assert_snapshot!(within(granted, &elsewhere), @r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/c","Condition":{"Bool":{"acs:SecureTransport":"true"}}}"#);
    }
    /// As much work as policies of STS's size can make of it.
    #[test]
    fn nasty_policies_do_not_stall() {
        let stars = "*a".repeat(900);
        let granted =
            format!(r#"{{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:bkt/{stars}b"}}"#);
        let asked = format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:bkt/{}"}}"#,
            "a".repeat(1900)
        );
        assert!(within(&granted, &asked).starts_with("Statement[0]: "));

        // Far more statements than fit, each with every asked action.
        let actions: Vec<_> = (0..230).map(|i| format!(r#""a:{i}""#)).collect();
        let asked =
            format!(r#"{{"Effect":"Allow","Action":[{}],"Resource":"*"}}"#, actions.join(","));
        let granted = asked.replace("a:", "a:*");
        let granted = vec![granted; 40].join(",");
        assert!(!within(&granted, &asked).starts_with("Statement"));
    }
}
