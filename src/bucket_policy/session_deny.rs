//! The statement that shuts sessions out of a bucket.
//!
//! A bucket policy has no member that could mark a statement as ours, so it is recognised by its shape. A statement of the same
//! shape that somebody else wrote has the same effect, and may be extended.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::shut_session::is_session_principal;
use appserver_domain::{AccountId, Bucket};

/// Denies everything in one bucket to sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SessionDeny {
    pub(super) principals: BTreeSet<String>,
}

/// The JSON form. A single text and a list of one are the same.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    effect: String,
    action: OneOrMore,
    principal: OneOrMore,
    resource: OneOrMore,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::One(text) => BTreeSet::from([text]),
            Self::More(texts) => texts.into_iter().collect(),
        }
    }
}

impl SessionDeny {
    /// The statement if it has exactly this shape.
    pub(super) fn read(statement: &RawValue, bucket: &Bucket, owner: &AccountId) -> Option<Self> {
        let raw: RawStatement = serde_json::from_str(statement.get()).ok()?;
        let principals = raw.principal.into_set();
        let is_ours = raw.effect == "Deny"
            && raw.action.into_set() == BTreeSet::from(["oss:*".to_owned()])
            && raw.resource.into_set() == resources(bucket, owner).into()
            && !principals.is_empty()
            && principals.iter().all(|principal| is_session_principal(principal));
        is_ours.then_some(Self { principals })
    }

    pub(super) fn write(&self, bucket: &Bucket, owner: &AccountId) -> Box<RawValue> {
        let raw = RawStatement {
            effect: "Deny".to_owned(),
            action: OneOrMore::More(vec!["oss:*".to_owned()]),
            principal: OneOrMore::More(self.principals.iter().cloned().collect()),
            resource: OneOrMore::More(resources(bucket, owner).into()),
        };
        serde_json::value::to_raw_value(&raw).expect("texts and lists of them are always JSON")
    }
}

/// The bucket and its objects.
fn resources(bucket: &Bucket, owner: &AccountId) -> [String; 2] {
    let name = format!("acs:oss:*:{owner}:{bucket}");
    let objects = format!("{name}/*");
    [name, objects]
}
