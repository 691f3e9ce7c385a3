//! The upstream identity: where the credentials come from that sign the calls to STS, and their renewal.
//!
//! `fetcher` asks a source once; `renewal` asks it again in time. Nothing here signs: new credentials are published, and
//! sign once STS has verified them.

mod credentials_uri;
mod document;
mod ecs_ram_role;
mod error;
mod fetcher;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_upstream;
mod oidc_token;
mod renewal;
mod settings;

pub(crate) use error::FetchError;
pub(crate) use fetcher::Fetcher;
pub(crate) use oidc_token::{check_oidc_token, oidc_claims};
pub(crate) use renewal::Renewal;
pub(crate) use settings::{
    CredentialsUri, EcsRamRole, MetadataEndpoint, OidcRole, RenewedIdentity, UpstreamIdentity,
};
