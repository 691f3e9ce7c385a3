//! The findings of the linter and their messages.

use std::fmt;

use crate::document::operator::ConditionOperator;
use crate::document::tree::MAX_POLICY_BYTES;
use crate::oss::catalogue::KeyScope;
use crate::oss::catalogue::PREFIX_KEY;
use crate::oss::operation::Level;

/// A finding about a statement.
#[derive(Debug)]
pub(crate) enum Finding {
    NoAction { action: String, by: &'static str },
    Copy { action: String },
    UnknownAction { action: String, near: Option<String> },
    UnknownService { service: String, near: Option<&'static str> },
    OnlyOperation { pattern: String, operation: &'static str, by: Option<&'static str> },
    MatchesNoAction { pattern: String },
    UnknownKey { key: String, near: Option<&'static str> },
    KeyOfOthers { key: String, actions: Vec<String>, scope: KeyScope, negated: bool },
    LacksKey { key: String, action: String, scope: KeyScope },
    AvoidableDenial { parameter: String, allow: usize },
    NoObject { resource: String },
    Region { resource: String },
    MappedAddress { value: String, ipv4: String },
    NeverMatches { action: String, level: Level },
    Denied { by: usize },
    ListsEverything { bucket: String },
    Multipart { missing: Vec<&'static str> },
    LiteralWildcard { operator: ConditionOperator },
    NearLimit { worst: usize },
}

impl fmt::Display for Finding {
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
            Self::UnknownAction { action, near } => {
                write!(
                    f,
                    "`{action}` is no action of OSS that is known here, so it probably matches nothing"
                )?;
                match near {
                    Some(near) => write!(f, ": `{near}` is one"),
                    None => Ok(()),
                }
            }
            Self::UnknownService { service, near } => {
                write!(
                    f,
                    "`{service}` is no service of RAM that is known here, or none with such an action, so this probably matches nothing"
                )?;
                match near {
                    Some(near) => write!(f, ": `{near}` is one"),
                    None => Ok(()),
                }
            }
            Self::OnlyOperation { pattern, operation, by } => {
                write!(
                    f,
                    "`{pattern}` matches no action of RAM that is known here: `{operation}` is an operation"
                )?;
                match by {
                    Some(by) => write!(f, ", which `{by}` allows"),
                    None => write!(
                        f,
                        ", which `oss:GetObject` on the source and `oss:PutObject` on the target allow"
                    ),
                }
            }
            Self::MatchesNoAction { pattern } => {
                write!(f, "`{pattern}` matches no action of OSS that is known here")
            }
            Self::UnknownKey { key, near } => {
                write!(f, "`{key}` is no condition key of OSS that is known here")?;
                match near {
                    Some(near) => {
                        write!(f, ": `{near}` is one")
                    }
                    None => Ok(()),
                }
            }
            Self::KeyOfOthers { key, actions, scope, negated } => write!(
                f,
                "requests for `{}` have no `{key}`, so for them this {} holds: only those for {scope} have it",
                actions.join("`, `"),
                if *negated { "always" } else { "never" },
            ),
            Self::LacksKey { key, action, scope } => {
                write!(f, "requests for `{action}` have no `{key}`: only those for {scope} have it")
            }
            Self::AvoidableDenial { parameter, allow } => write!(
                f,
                "`{parameter}` is the caller's to choose, and with another value this denies less of what \
                 Statement[{allow}] allows: deny it without the parameter, or begin both alike, up to a parameter that \
                 is one segment"
            ),
            Self::NoObject { resource } => {
                write!(f, "`{resource}` matches no object: no key is empty or begins with `/`")
            }
            Self::Region { resource } => write!(
                f,
                "`{resource}` has a region other than `*`, which is all that OSS documents: it may match nothing"
            ),
            Self::MappedAddress { value, ipv4 } => write!(
                f,
                "`{value}` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: \
                 write `{ipv4}`"
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
            Self::LiteralWildcard { operator } => {
                write!(f, "`{operator:?}` takes `*` and `?` literally")
            }
            Self::NearLimit { worst } => write!(
                f,
                "with the longest values this is {worst} bytes of the {MAX_POLICY_BYTES} that STS admits, and a caller's own \
                 policy has to fit beside the conditions and denials"
            ),
        }
    }
}
