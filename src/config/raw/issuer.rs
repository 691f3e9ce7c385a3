//! Identity providers, key by key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::auth::{ClaimPath, KeyAddress, SignatureAlgorithm, SubjectType, TokenKind};
use crate::config::field::{Field, List};
use crate::config::providers::Provider;
use appserver_domain::ClientId;

/// An identity provider.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawIssuer {
    /// Whose tokens they are, if the provider is known here: sets what its documents say and what is not set here.
    pub(in crate::config) provider: Field<Provider>,
    /// Required: `iss`, to the letter.
    pub(in crate::config) issuer: Field<String>,
    /// Required: `ES256`, `RS256` and so on; `HS256` with `secret_file`.
    pub(in crate::config) algorithms: Field<List<SignatureAlgorithm>>,
    /// Its public keys, a JSON Web Key Set. One of `jwks_file`, `jwks_url`, `discovery` and `secret_file` is required.
    pub(in crate::config) jwks_file: Field<PathBuf>,
    /// Where they are fetched from. HTTPS only, but for loopback.
    pub(in crate::config) jwks_url: Field<KeyAddress>,
    /// Default false. Asks the issuer where they are, as OpenID Connect Discovery 1.0 says.
    pub(in crate::config) discovery: Field<bool>,
    /// Seconds, 60 to 86400, default 300: after so long fetched keys are fetched again.
    pub(in crate::config) keys_refresh_secs: Field<u64>,
    /// Seconds, 300 to 604800, default 86400, more than `keys_refresh_secs`: when keys could not be fetched for so long, no
    /// token of the issuer is believed.
    pub(in crate::config) keys_max_age_secs: Field<u64>,
    /// For HS256: holds the shared secret. White space at its ends is trimmed.
    pub(in crate::config) secret_file: Field<PathBuf>,
    /// `access`, `id`, or `any` (default) of the two.
    pub(in crate::config) token_kind: Field<TokenKind>,
    /// Default `aud`.
    pub(in crate::config) audience_claim: Field<ClaimPath>,
    /// Required: for each `aud` that is ours its clients.
    pub(in crate::config) audiences: BTreeMap<String, Field<List<ClientId>>>,
    /// Names the client, where an audience has several.
    pub(in crate::config) client_claim: Field<ClaimPath>,
    /// With `client_claim`: its values, each with its client, where they are not our clients' ids.
    pub(in crate::config) client_ids: BTreeMap<String, Field<ClientId>>,
    /// Default `sub`.
    pub(in crate::config) subject_claim: Field<ClaimPath>,
    /// `text` (default) or `integer`.
    pub(in crate::config) subject_type: Field<SubjectType>,
    /// Seconds, 0 to 300, default 60, by which clocks may differ.
    pub(in crate::config) leeway_secs: Field<i64>,
    /// Default false. Credentials end no later than the token that they were given for.
    pub(in crate::config) expire_with_token: Field<bool>,
    /// Claims for policies, by the NAME of `${claims.NAME}`.
    pub(in crate::config) claims: BTreeMap<String, Field<RawClaim>>,
    /// What a token must say besides.
    pub(in crate::config) required: BTreeMap<String, RawClaimRule>,
}

/// A claim for policies: its name, if it is a JSON string, or its name and JSON type.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "it must be a claim's name, or a table of `claim` and `type`: `string`, `integer` or `boolean`"
)]
pub(in crate::config) enum RawClaim {
    Name(ClaimPath),
    Typed(RawTypedClaim),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawTypedClaim {
    pub(in crate::config) claim: ClaimPath,
    /// `string`, `integer` or `boolean`; another type in a token counts as no claim.
    #[serde(rename = "type")]
    pub(in crate::config) kind: RawClaimType,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawClaimType {
    String,
    Integer,
    Boolean,
}

/// What a claim must be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawClaimRule {
    /// This text.
    pub(in crate::config) equals: Field<String>,
    /// A match of the whole text.
    pub(in crate::config) pattern: Field<String>,
    /// A list with all of these.
    pub(in crate::config) contains: Field<List<String>>,
}
