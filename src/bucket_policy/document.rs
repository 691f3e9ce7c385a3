//! The policy of one bucket, of which only the statements that shut out sessions are understood.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::session_deny::SessionDeny;
use appserver_domain::{AccountId, Bucket};

/// The most bytes of a bucket's policy.
pub(crate) const MAX_POLICY_BYTES: usize = 16 * 1024;

/// The policy of a bucket. Members and statements that are not changed keep their bytes.
#[derive(Clone, Debug)]
pub(crate) struct BucketPolicy {
    bucket: Bucket,
    owner: AccountId,
    /// Before `Statement`, and after it.
    before: Vec<Member>,
    after: Vec<Member>,
    statements: Vec<Box<RawValue>>,
}

type Member = (String, Box<RawValue>);

/// Why a policy cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentProblem {
    #[error("it is not a JSON object")]
    Json(#[source] serde_json::Error),
    #[error("it has `Statement` twice")]
    TwoStatements,
    #[error("it has no list `Statement`")]
    NoStatements,
}

/// The members of an object in their order.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        json.deserialize_map(Object)
    }
}

impl BucketPolicy {
    /// The policy of a bucket that has none.
    pub(crate) fn empty(bucket: Bucket, owner: AccountId) -> Self {
        let version = serde_json::value::to_raw_value("1").expect("a text is always JSON");
        let before = vec![("Version".to_owned(), version)];
        Self { bucket, owner, before, after: Vec::new(), statements: Vec::new() }
    }

    pub(crate) fn parse(
        bucket: Bucket,
        owner: AccountId,
        json: &str,
    ) -> Result<Self, DocumentProblem> {
        let Members(mut before) = serde_json::from_str(json).map_err(DocumentProblem::Json)?;
        let is_statement = |(name, _): &Member| name == "Statement";
        let at = before.iter().position(is_statement).ok_or(DocumentProblem::NoStatements)?;
        let mut after = before.split_off(at);
        let (_, statements) = after.remove(0);
        if after.iter().any(is_statement) {
            return Err(DocumentProblem::TwoStatements);
        }
        let statements = serde_json::from_str(statements.get());
        let statements = statements.map_err(|_| DocumentProblem::NoStatements)?;
        Ok(Self { bucket, owner, before, after, statements })
    }

    /// The JSON, as it is sent.
    pub(crate) fn json(&self) -> String {
        let member = |(name, value): &Member| {
            let name = serde_json::to_string(name).expect("a text is always JSON");
            format!("{name}:{}", value.get())
        };
        let texts: Vec<_> = self.statements.iter().map(|statement| statement.get()).collect();
        let statements = format!(r#""Statement":[{}]"#, texts.join(","));
        let members = self.before.iter().map(member);
        let members = members.chain([statements]).chain(self.after.iter().map(member));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// Whether nothing is left that OSS would take as a policy.
    pub(crate) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The sessions that its statements shut out.
    pub(crate) fn denied(&self) -> BTreeSet<String> {
        let ours = self.statements.iter().filter_map(|statement| self.read(statement));
        ours.flat_map(|deny| deny.principals).collect()
    }

    /// Adds what is not denied yet to the first statement of the shape, or to one at the end.
    pub(crate) fn deny(&mut self, principals: &BTreeSet<String>) {
        let denied = self.denied();
        let new: BTreeSet<_> = principals.difference(&denied).cloned().collect();
        if new.is_empty() {
            return;
        }
        let found = self.statements.iter().enumerate();
        let mut found = found.filter_map(|(at, one)| Some((at, self.read(one)?)));
        if let Some((at, mut deny)) = found.next() {
            deny.principals.extend(new);
            self.statements[at] = deny.write(&self.bucket, &self.owner);
        } else {
            let deny = SessionDeny { principals: new };
            self.statements.push(deny.write(&self.bucket, &self.owner));
        }
    }

    /// Removes the sessions from the statements of the shape; one that denies nothing else is removed as a whole.
    pub(crate) fn restore(&mut self, principals: &BTreeSet<String>) {
        let statements = std::mem::take(&mut self.statements);
        self.statements = statements
            .into_iter()
            .filter_map(|statement| {
                let Some(mut deny) = self.read(&statement) else { return Some(statement) };
                if deny.principals.is_disjoint(principals) {
                    return Some(statement);
                }
                deny.principals.retain(|one| !principals.contains(one));
                (!deny.principals.is_empty()).then(|| deny.write(&self.bucket, &self.owner))
            })
            .collect();
    }

    /// Whether everything but the denied sessions is equal, however it is written.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let members = |policy: &Self| {
            let members = policy.before.iter().chain(&policy.after);
            let mut members: Vec<_> =
                members.map(|(name, value)| (name.clone(), value_of(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            members
        };
        let statements = |policy: &Self| {
            let foreign = policy.statements.iter().filter(|one| policy.read(one).is_none());
            foreign.map(|statement| value_of(statement)).collect::<Vec<_>>()
        };
        members(self) == members(other) && statements(self) == statements(other)
    }

    fn read(&self, statement: &RawValue) -> Option<SessionDeny> {
        SessionDeny::read(statement, &self.bucket, &self.owner)
    }
}

/// What it means; its text if that is beyond what can be compared, such as a number without bounds or a great depth.
fn value_of(raw: &RawValue) -> Result<serde_json::Value, String> {
    serde_json::from_str(raw.get()).map_err(|_| raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(json: &str) -> Result<BucketPolicy, DocumentProblem> {
        BucketPolicy::parse("sample-bucket".parse().unwrap(), "11223344".parse().unwrap(), json)
    }

    fn principals(sessions: &[&str]) -> BTreeSet<String> {
        let arn = |name: &&str| format!("arn:sts::11223344:assumed-role/oss-readonly/{name}");
        sessions.iter().map(arn).collect()
    }

    const DENY_ALICE: &str = r#"{"Effect":"Deny","Action":["oss:*"],"Principal":["arn:sts::11223344:assumed-role/oss-readonly/app.alice"],"Resource":["acs:oss:*:11223344:sample-bucket","acs:oss:*:11223344:sample-bucket/*"]}"#;

    #[test]
    fn a_bucket_without_a_policy_gets_one_statement_for_all_sessions() {
        let mut policy =
            BucketPolicy::empty("sample-bucket".parse().unwrap(), "11223344".parse().unwrap());
        policy.deny(&principals(&["app.alice"]));
        assert_eq!(policy.json(), format!(r#"{{"Version":"1","Statement":[{DENY_ALICE}]}}"#));
        policy.deny(&principals(&["app.alice", "app.bob"]));
        assert_eq!(policy.denied(), principals(&["app.alice", "app.bob"]));
        assert_eq!(policy.json().matches("Effect").count(), 1);
        policy.restore(&principals(&["app.alice"]));
        assert_eq!(policy.denied(), principals(&["app.bob"]));
        policy.restore(&principals(&["app.bob"]));
        assert!(policy.is_empty());
    }

    #[test]
    fn everything_else_keeps_its_bytes_and_its_place() {
        let foreign = r#"{ "Sid" : "x", "Effect":"Allow","Action":"oss:GetObject","Principal":["*"],"Resource":["acs:oss:*:*:sample-bucket/\u0061 1.0e2"],
            "Future": {"a": 1.00, "a": 2} }"#;
        let json = format!(
            r#"{{"Id": "é\/", "Statement":[{foreign},{DENY_ALICE}],"Version":"1", "More":  [ 1 ]}}"#
        );
        let mut policy = parse(&json).unwrap();
        let unchanged = format!(
            r#"{{"Id":"é\/","Statement":[{foreign},{DENY_ALICE}],"Version":"1","More":[ 1 ]}}"#
        );
        assert_eq!(policy.json(), unchanged);
        policy.deny(&principals(&["app.bob"]));
        let both = DENY_ALICE.replace(
            r#"app.alice"]"#,
            r#"app.alice","arn:sts::11223344:assumed-role/oss-readonly/app.bob"]"#,
        );
        assert_eq!(policy.json(), unchanged.replace(DENY_ALICE, &both));
        policy.restore(&principals(&["app.bob", "app.carol"]));
        assert_eq!(policy.json(), unchanged);
        policy.restore(&principals(&["app.alice"]));
        assert_eq!(policy.json(), unchanged.replace(&format!(",{DENY_ALICE}"), ""));
    }

    #[test]
    fn only_a_statement_of_exactly_the_shape_is_changed() {
        let others = [
            DENY_ALICE.replace("Deny", "Allow"),
            DENY_ALICE.replace("oss:*\"", "oss:GetObject\""),
            DENY_ALICE.replace("app.alice", "*"),
            DENY_ALICE.replace("app.alice\"", "app.alice\",\"*\""),
            DENY_ALICE.replace("app.alice\"", "app.alice\",\"20214760404935\""),
            DENY_ALICE.replace("sample-bucket/*", "sample-bucket/users/*"),
            DENY_ALICE.replace(r#""acs:oss:*:11223344:sample-bucket","#, ""),
            DENY_ALICE.replace("sample-bucket", "other-bucket"),
            DENY_ALICE.replace(
                r#""Effect""#,
                r#""Condition":{"Bool":{"acs:SecureTransport":"true"}},"Effect""#,
            ),
        ];
        let json = format!(r#"{{"Version":"1","Statement":[{}]}}"#, others.join(","));
        let mut policy = parse(&json).unwrap();
        assert_eq!(policy.denied(), BTreeSet::new());
        policy.restore(&principals(&["app.alice"]));
        assert_eq!(policy.json(), json);
        policy.deny(&principals(&["app.alice"]));
        let with_one_more =
            format!(r#"{{"Version":"1","Statement":[{},{DENY_ALICE}]}}"#, others.join(","));
        assert_eq!(policy.json(), with_one_more);
        // As OSS might write it.
        let single = DENY_ALICE.replace(r#"["oss:*"]"#, r#""oss:*""#);
        let policy = parse(&format!(r#"{{"Version":"1","Statement":[{single}]}}"#)).unwrap();
        assert_eq!(policy.denied(), principals(&["app.alice"]));
    }

    #[test]
    fn a_policy_that_is_not_understood_is_not_changed() {
        let table = [
            ("", "it is not a JSON object"),
            ("[]", "it is not a JSON object"),
            (r#"{"Version":"1"}"#, "it has no list `Statement`"),
            (r#"{"Version":"1","Statement":{}}"#, "it has no list `Statement`"),
            (r#"{"Statement":[],"Statement":[]}"#, "it has `Statement` twice"),
        ];
        for (json, expected) in table {
            assert_eq!(parse(json).unwrap_err().to_string(), expected, "{json}");
        }
    }

    #[test]
    fn policies_are_alike_if_only_their_denied_sessions_differ() {
        let policy = |statements: &str| {
            parse(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap()
        };
        let allow =
            r#"{"Effect":"Allow","Action":["oss:GetObject"],"Principal":["*"],"Resource":["*"]}"#;
        let reordered =
            r#"{"Resource":["*"], "Principal":["*"],"Effect":"Allow","Action":["oss:GetObject"]}"#;
        let one = policy(&format!("{allow},{DENY_ALICE}"));
        assert!(one.is_like(&policy(reordered)));
        assert!(!one.is_like(&policy(DENY_ALICE)));
        assert!(!one.is_like(&policy(&format!("{allow},{allow}"))));
        assert!(
            !one.is_like(&parse(&format!(r#"{{"Version":"2","Statement":[{allow}]}}"#)).unwrap())
        );
        // JSON that has no value here is compared as text.
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for odd in ["1e400", r#""\ud800""#, &deep] {
            let with = |odd: &str| policy(&format!(r#"{{"Effect":"Allow","Odd":{odd}}}"#));
            assert!(with(odd).is_like(&with(odd)), "{odd}");
            assert!(!with(odd).is_like(&with("1")), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn what_is_denied_and_restored_leaves_the_policy_as_it_was(
            there in proptest::collection::btree_set("[a-z]{2,6}", 0..4),
            change in proptest::collection::btree_set("[A-Z]{2,6}", 1..4),
        ) {
            let names = |names: &BTreeSet<String>| {
                principals(&names.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let mut policy = parse(r#"{"Version":"1","Statement":[{"Effect":"Allow"}]}"#).unwrap();
            policy.deny(&names(&there));
            let before = policy.json();
            policy.deny(&names(&change));
            prop_assert_eq!(policy.denied(), names(&there.union(&change).cloned().collect()));
            policy.restore(&names(&change));
            prop_assert_eq!(policy.json(), before);
        }
    }
}
