//! The identities behind a request, as AppServer and as STS name them.

use std::sync::Arc;

use serde::Deserialize;

use super::text_type;

/// The end user or device behind a request, as the verified credential names it (a JWT's `sub`).
///
/// It may contain any text that an identity provider issues; policy templates decide what of it a policy or a session
/// name may contain. Its text is shared, as a client's is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Subject(Arc<str>);

text_type!(
    Subject,
    |s| (1..=256).contains(&s.len()) && !s.chars().any(char::is_control),
    "a subject is 1 to 256 bytes of text without control characters"
);

/// An `ExternalId`, which a role's trust policy may require.
///
/// Source: STS `AssumeRole`: 2 to 1224 characters of `\w + = , . @ : / -`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct ExternalId(String);

text_type!(
    ExternalId,
    |s| (2..=1224).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b)),
    "an external id is 2 to 1224 characters of A-Z, a-z, 0-9 and `_ + = , . @ : / -`"
);

/// A `SourceIdentity`, which ActionTrail records for the whole session.
///
/// Source: STS `AssumeRole`: 2 to 64 characters of `\w + = , . @ -`, not starting with `acs:`, `aliyun:` or
/// `alibabacloud:` (no `:` can occur, so the prefixes need no check of their own).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SourceIdentity(String);

text_type!(
    SourceIdentity,
    |s| (2..=64).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)),
    "a source identity is 2 to 64 characters of A-Z, a-z, 0-9 and `_ + = , . @ -`"
);
