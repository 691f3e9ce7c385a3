//! The vocabulary of the service as types that cannot hold an invalid value. It imports nothing of the service.
//!
//! Configuration, HTTP and the command line all use the same `TryFrom`s, so each rule and its message exist once.

mod access_key;
mod arn;
mod bucket;
pub mod clock;
mod credentials;
mod duration;
mod fingerprint;
mod identity;
mod loopback;
mod names;
mod object_key;
mod ram_names;
#[cfg(any(test, feature = "test-support"))]
pub mod schedules;
mod session_name;
mod signing_credentials;
mod upstreams;

pub use access_key::{AccessKey, AccessKeyId};
pub use arn::{AccountId, OidcProviderArn, RamRoleName, RoleArn};
pub use bucket::Bucket;
pub use credentials::{AssumedRoleUser, Credentials, IncompleteCredentials};
pub use duration::{MaxSessionDuration, SessionDuration};
pub use fingerprint::Fingerprint;
pub use identity::{ExternalId, SourceIdentity, Subject};
pub use loopback::is_loopback;
pub use names::{ClientId, GrantName, IssuerName, RoleName, ValueName};
pub use object_key::{KeyPath, ObjectKey, PolicyText, Segment};
pub use ram_names::{PolicyName, ProviderName, UserName};
pub use session_name::SessionName;
pub use signing_credentials::{SigningCredentials, UnusableCredentials};
pub use upstreams::{UpstreamName, Upstreams};

/// A value that its type does not admit; the message states the rule, never the value.
///
/// One error type is enough: no code acts on which rule was broken, all code reports it. The value is left out because
/// it may be a secret in the wrong field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// The methods and traits that every text type of this crate shares.
#[macro_export]
macro_rules! text_type {
    ($name:ident, $admits:expr, $rule:literal) => {
        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // Marks `as_str` as used for types that no code calls it on.
        const _: fn(&$name) -> &str = $name::as_str;

        impl TryFrom<String> for $name {
            type Error = $crate::Invalid;

            fn try_from(raw: String) -> Result<Self, Self::Error> {
                let admits: fn(&str) -> bool = $admits;
                if admits(&raw) { Ok(Self(raw.into())) } else { Err($crate::Invalid($rule)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;

            fn from_str(raw: &str) -> Result<Self, Self::Err> {
                Self::try_from(raw.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
