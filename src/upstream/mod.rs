//! The upstream identity: where the credentials come from that sign the calls to STS.

mod settings;

pub(crate) use settings::{
    CredentialsUri, EcsRamRole, MetadataEndpoint, OidcRole, RenewedIdentity, UpstreamIdentity,
};
