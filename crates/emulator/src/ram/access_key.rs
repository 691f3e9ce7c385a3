//! Long-lived AccessKeys.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::network_policy::NetworkPolicy;
use super::principal::Owner;

/// A long-lived AccessKey of a user, or of the account itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    #[serde(serialize_with = "exposed", deserialize_with = "secret")]
    pub(crate) secret: SecretString,
    pub(crate) active: bool,
    pub(crate) owner: Owner,
    pub(crate) created: DateTime<Utc>,
    /// Where the key may be used; everywhere without one.
    pub(crate) network: Option<NetworkPolicy>,
}

impl AccessKey {
    /// A new key and its id.
    pub(crate) fn generate(owner: Owner, now: DateTime<Utc>) -> (String, Self) {
        let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
        let secret = random(30).into();
        (
            format!("LTAI{}", random(20)),
            Self { secret, active: true, owner, created: now, network: None },
        )
    }

    /// Whether the key may be used from the address.
    pub(crate) fn admits(&self, source_ip: IpAddr) -> bool {
        self.network.as_ref().is_none_or(|policy| policy.admits(source_ip))
    }
}

/// Written to the file in which `--data` keeps the state: RAM does not know a secret by its hash, because it verifies signatures with it.
fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
