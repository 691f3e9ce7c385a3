//! Proves AccessKeys: the first before anything is vended, and each later one before the one before it goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::sts::StsClient;
use crate::telemetry::ConfigMetrics;
use crate::vend::{KeyRefused, Vendor, VerifiedKey};
use appserver_domain::{AccessKey, AccountId};

/// Waits before STS is asked again whose the AccessKey is, after it could not be reached. Jitter keeps replicas that
/// started together apart.
const UNREACHED: Backoff = Backoff::constant(Duration::from_secs(4), 0.5);
/// Waits after STS refused: a new key may not be known everywhere yet. They grow, because asking often does not help.
const REFUSED: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30), 0.5);

/// An AccessKey that the configuration names.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) key: AccessKey,
    /// The owners of the roles that must be its own account's.
    pub(super) accounts: Vec<AccountId>,
}

/// Holds the key that is signed with, and the one that may take its place.
#[derive(Debug)]
pub(super) struct KeyKeeper {
    pub(super) vendor: Arc<Vendor<StsClient>>,
    pub(super) candidates: watch::Receiver<Candidate>,
    pub(super) metrics: ConfigMetrics,
    /// Cancelled once the server vends.
    pub(super) ready: CancellationToken,
}

impl KeyKeeper {
    /// Asks STS whose the first AccessKey is until it answers, opens the vendor, and does the same for each that comes
    /// after it. Ends only if the first must not be used.
    ///
    /// STS out of reach, or a key that it does not know (yet), is no reason to end: it is asked again. Until a new key
    /// is proven the one before it is signed with; one that must not be used is never signed with.
    pub(super) async fn keep(mut self) -> Result<(), KeyRefused> {
        loop {
            let Candidate { key, accounts } = self.candidates.borrow_and_update().clone();
            let proven = tokio::select! {
                proven = prove(self.vendor.sts(), &key, &accounts) => proven,
                changed = self.candidates.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                },
            };
            match proven {
                Ok(proof) => {
                    let (id, owner) = (key.id.to_string(), proof.arn().to_owned());
                    self.vendor.sts().sign_with(key);
                    self.vendor.open(proof);
                    self.metrics.key_unverified.set(0);
                    tracing::info!(
                        access_key.id = id,
                        access_key.owner = owner,
                        "STS has verified the AccessKey; it is signed with"
                    );
                    self.ready.cancel();
                }
                Err(refused) if !self.vendor.is_open() => return Err(refused),
                Err(refused) => {
                    let access_key_id = key.id.as_str();
                    tracing::error!(
                        access_key.id = access_key_id,
                        "the new AccessKey must not be used, the one before it stays: {refused}"
                    );
                }
            }
            if self.candidates.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn prove(
    sts: &StsClient,
    key: &AccessKey,
    accounts: &[AccountId],
) -> Result<VerifiedKey, KeyRefused> {
    let mut refusals = 0_u32;
    loop {
        let deadline = Instant::now() + Duration::from_secs(15);
        let wait = match sts.caller_identity(key, deadline).await {
            Ok(identity) => return VerifiedKey::admit(identity, accounts),
            Err(error) => {
                let (kind, access_key_id) = (error.kind(), key.id.as_str());
                tracing::warn!(
                    error.kind = kind,
                    access_key.id = access_key_id,
                    "STS has not verified the AccessKey: {error}"
                );
                if error.is_transient() {
                    UNREACHED.wait_after(1)
                } else {
                    refusals = refusals.saturating_add(1);
                    REFUSED.wait_after(refusals)
                }
            }
        };
        tokio::time::sleep(wait).await;
    }
}
