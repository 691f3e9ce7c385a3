//! What an expert would say of a policy, in words.

use std::fmt;

use super::operation::Level;
use super::operator::ConditionOperator;
use super::oss_resource::PREFIX_KEY;
use super::session::SessionPolicy;

/// What to tell of a statement.
#[derive(Debug)]
pub(super) enum Hint {
    NoAction { action: String, by: &'static str },
    Copy { action: String },
    NeverMatches { action: String, level: Level },
    Denied { by: usize },
    ListsEverything { bucket: String },
    Multipart { missing: Vec<&'static str> },
    ValueKind { operator: ConditionOperator, value: String },
    LiteralWildcard { operator: ConditionOperator },
    NearLimit { worst: usize },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAction { action, by } => {
                write!(f, "`{action}` is an operation and no action of RAM: `{by}` allows it")
            }
            Self::Copy { action } => write!(
                f,
                "`{action}` is an operation and no action of RAM: `oss:GetObject` on the source and \
                 `oss:PutObject` on the target allow it"
            ),
            Self::NeverMatches { action, level } => {
                let (on, named) = match level {
                    Level::Service => ("all buckets", "`acs:oss:*:*:*`"),
                    Level::Bucket => ("a bucket", "`acs:oss:*:*:bucket`"),
                    Level::Object => ("an object", "`acs:oss:*:*:bucket/key`"),
                };
                write!(
                    f,
                    "OSS decides `{action}` on {on}, {named}, and no resource here is one, so it never matches"
                )
            }
            Self::Denied { by } => write!(f, "Statement[{by}] denies all that this allows"),
            Self::ListsEverything { bucket } => write!(
                f,
                "this lists all of `{bucket}`, though only a part of it is allowed otherwise: no resource limits \
                 a listing, only a condition on `{PREFIX_KEY}` does, and reading needs none"
            ),
            Self::Multipart { missing } => write!(
                f,
                "large files go up in parts, and without `{}` their upload can be neither resumed nor given up",
                missing.join("` and `")
            ),
            Self::ValueKind { operator, value } => {
                write!(
                    f,
                    "`{value}` is nothing that `{operator:?}` compares with, so it never matches"
                )
            }
            Self::LiteralWildcard { operator } => {
                write!(f, "`{operator:?}` takes `*` and `?` as they stand")
            }
            Self::NearLimit { worst } => write!(
                f,
                "with the longest values this is {worst} bytes of the {} that STS admits, and a caller's own \
                 policy has to fit beside the conditions and denials",
                SessionPolicy::MAX_BYTES
            ),
        }
    }
}
