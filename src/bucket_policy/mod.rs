//! Bucket policies of OSS, as far as they shut role sessions out of a bucket: the only way to end tokens, forms and URLs of one
//! session before their time.
//!
//! What else is in a policy is kept as it is written. OSS replaces a policy as a whole and has no compare-and-set, so a change by
//! somebody else at the same moment can be lost; it is found when the policy is read again.

mod client;
mod document;
mod session_deny;
mod shut_out;
mod shut_session;

pub(crate) use client::BucketPolicyClient;
pub(crate) use document::MAX_POLICY_BYTES;
pub(crate) use shut_out::{PolicyChange, PolicyEdit, deny_statement};
pub(crate) use shut_session::ShutSession;
