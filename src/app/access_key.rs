//! Verifies AccessKeys with STS: the first one before anything is vended, each later one before it replaces the current.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::sts::StsClient;
use crate::telemetry::ConfigMetrics;
use crate::vend::{KeyRefused, Vendor, VerifiedKey};
use appserver_domain::{AccountId, SigningCredentials};

/// The pause after STS could not be reached. Jitter keeps replicas that started together from calling together.
const AFTER_UNREACHABLE: Backoff = Backoff::constant(Duration::from_secs(4), 0.5);
/// The pauses after STS refused the key, which grow: a new key takes a while to be known everywhere.
const AFTER_REFUSED: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30), 0.5);

/// An AccessKey of the configuration that is not verified yet.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) key: SigningCredentials,
    /// The accounts of the configured roles; the key must belong to them.
    pub(super) accounts: Vec<AccountId>,
}

/// Verifies each candidate and makes it the key that signs.
#[derive(Debug)]
pub(super) struct KeyVerifier {
    pub(super) vendor: Arc<Vendor<StsClient>>,
    pub(super) candidates: watch::Receiver<Candidate>,
    pub(super) metrics: ConfigMetrics,
    /// Cancelled once the server vends.
    pub(super) ready: CancellationToken,
}

impl KeyVerifier {
    /// Calls GetCallerIdentity with each candidate until STS answers. The first success opens the vendor; a later one
    /// replaces the key. Ends only if the first key must not be used.
    ///
    /// An unreachable STS and a key that STS does not know yet are retried. Until a new key is verified the current one
    /// signs; a key that must not be used never signs.
    pub(super) async fn run(mut self) -> Result<(), KeyRefused> {
        loop {
            let Candidate { key, accounts } = self.candidates.borrow_and_update().clone();
            let verified = tokio::select! {
                verified = verify(self.vendor.sts(), &key, &accounts) => verified,
                changed = self.candidates.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                },
            };
            match verified {
                Ok(verified) => {
                    let (id, owner) = (key.id().to_string(), verified.arn().to_owned());
                    self.vendor.sts().sign_with(key);
                    self.vendor.open(verified);
                    self.metrics.key_unverified.set(0);
                    tracing::info!(
                        access_key.id = id,
                        access_key.owner = owner,
                        "AccessKey verified by STS; now signing with it"
                    );
                    self.ready.cancel();
                }
                Err(refused) if !self.vendor.is_open() => return Err(refused),
                Err(refused) => {
                    let access_key_id = key.id().as_str();
                    tracing::error!(
                        access_key.id = access_key_id,
                        "new AccessKey must not be used; still signing with the previous one: {refused}"
                    );
                }
            }
            if self.candidates.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn verify(
    sts: &StsClient,
    key: &SigningCredentials,
    accounts: &[AccountId],
) -> Result<VerifiedKey, KeyRefused> {
    let mut refusals = 0_u32;
    loop {
        let deadline = Instant::now() + Duration::from_secs(15);
        let wait = match sts.caller_identity(key, deadline).await {
            Ok(identity) => return VerifiedKey::admit(identity, accounts),
            Err(error) => {
                let (kind, access_key_id) = (error.kind(), key.id().as_str());
                tracing::warn!(
                    error.kind = kind,
                    access_key.id = access_key_id,
                    "AccessKey not verified by STS; trying again: {error}"
                );
                if error.is_transient() {
                    AFTER_UNREACHABLE.wait_after(1)
                } else {
                    refusals = refusals.saturating_add(1);
                    AFTER_REFUSED.wait_after(refusals)
                }
            }
        };
        tokio::time::sleep(wait).await;
    }
}
