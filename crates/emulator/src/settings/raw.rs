//! The shape of `config/emulator.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::metadata::Instance;
use crate::oss::{Acl, CallbackSettings};
use appserver_domain::{AccessKeyId, AccountId, Bucket};

#[derive(Deserialize)]
pub(super) struct RawSettings {
    /// 64 hexadecimal digits.
    #[serde(deserialize_with = "secret")]
    pub(super) token_key: SecretString,
    /// JSON Web Key Sets by the issuer's URL.
    #[serde(default)]
    pub(super) issuer_keys: BTreeMap<String, RawDocument>,
    /// The instance of the metadata server.
    #[serde(default)]
    pub(super) metadata: Instance,
    /// The upload callbacks of OSS.
    #[serde(default)]
    pub(super) callbacks: CallbackSettings,
    #[serde(default)]
    pub(super) accounts: Vec<RawAccount>,
}

#[derive(Deserialize)]
pub(super) struct RawAccount {
    pub(super) id: AccountId,
    /// Keys of the account itself, which real accounts should not have.
    #[serde(default)]
    pub(super) root_keys: Vec<RawKey>,
    #[serde(default)]
    pub(super) users: Vec<RawUser>,
    #[serde(default)]
    pub(super) roles: Vec<RawRole>,
    #[serde(default)]
    pub(super) oidc_providers: Vec<RawOidcProvider>,
    #[serde(default)]
    pub(super) buckets: Vec<RawBucket>,
    /// Custom policies by name.
    #[serde(default)]
    pub(super) policies: BTreeMap<String, RawDocument>,
}

#[derive(Deserialize)]
pub(super) struct RawKey {
    pub(super) id: AccessKeyId,
    #[serde(deserialize_with = "secret")]
    pub(super) secret: SecretString,
    #[serde(default = "yes")]
    pub(super) active: bool,
}

#[derive(Deserialize)]
pub(super) struct RawUser {
    pub(super) name: String,
    pub(super) id: String,
    #[serde(default)]
    pub(super) keys: Vec<RawKey>,
    /// Names of system policies or of the account's custom ones.
    #[serde(default)]
    pub(super) policies: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct RawRole {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) max_session_duration_secs: Option<u32>,
    pub(super) trust: RawDocument,
    #[serde(default)]
    pub(super) policies: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct RawOidcProvider {
    pub(super) name: String,
    /// `iss` of its tokens.
    pub(super) issuer: String,
    /// Values of `aud`.
    pub(super) client_ids: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct RawBucket {
    pub(super) name: Bucket,
    /// Such as `cn-hangzhou`.
    pub(super) region: String,
    pub(super) acl: Acl,
    /// Custom domains that are bound to it.
    #[serde(default)]
    pub(super) domains: Vec<String>,
    #[serde(default)]
    pub(super) objects: Vec<String>,
}

/// A document: inline JSON, or a file.
#[derive(Deserialize)]
pub(super) struct RawDocument {
    pub(super) json: Option<String>,
    pub(super) file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
