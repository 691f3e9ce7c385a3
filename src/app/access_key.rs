//! Verifies AccessKeys with STS: the first one before anything is vended, each later one before it replaces the current.
//! That of temporary credentials, which their source renews, is one of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::{Audit, IdentityRecord};
use crate::backoff::Backoff;
use crate::sts::{StsClient, StsError};
use crate::telemetry::Metrics;
use crate::vend::{KeyRefused, Vendor, Vendors, VerifiedKey};
use appserver_domain::clock::{Clock, Stamp};
use appserver_domain::{AccountId, SigningCredentials};

/// The pause after STS could not be reached. Jitter keeps replicas that started together from calling together.
const AFTER_UNREACHABLE: Backoff = Backoff::constant(Duration::from_secs(4), 0.5);
/// The pauses after STS refused the key, which grow: a new key takes a while to be known everywhere. Also after the proxy
/// asked for another password: it may lock a user who sends a wrong one often.
const AFTER_REFUSED: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30), 0.5);

/// Credentials of the configuration, or of the source that it names, which may not be verified yet.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// None until the source has answered.
    pub(super) key: Option<SigningCredentials>,
    /// The accounts of the configured roles; the key must belong to them.
    pub(super) accounts: Vec<AccountId>,
}

/// Verifies each candidate and makes it the key that signs.
#[derive(Debug)]
pub(super) struct KeyVerifier {
    pub(super) vendor: Arc<Vendor<StsClient>>,
    pub(super) vendors: Arc<Vendors<StsClient>>,
    pub(super) candidates: watch::Receiver<Candidate>,
    /// The source in `sts.identity.source`.
    pub(super) source: &'static str,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
    pub(super) clock: Clock,
    /// Cancelled once the server vends from each upstream.
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
            let Some(key) = key.filter(|key| !self.signs_already(key, &accounts)) else {
                match self.candidates.changed().await {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                }
            };
            let verified = tokio::select! {
                verified = verify(&self.vendor, &key, &accounts) => verified,
                changed = self.candidates.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                },
            };
            match verified {
                Ok(verified) => {
                    let expires_at = key.expiration().map(Stamp::of);
                    tracing::info!(
                        upstream.name = self.vendor.upstream().name_unless_default(),
                        access_key.id = %key.id(),
                        access_key.owner = verified.arn(),
                        access_key.expires_at = expires_at.as_ref().map(Stamp::as_str),
                        "AccessKey verified by STS; now signing with it"
                    );
                    self.record(&key, verified.arn());
                    self.sign_with(key);
                    self.vendor.open(verified);
                    if self.vendors.are_open() {
                        self.ready.cancel();
                    }
                }
                Err(refused) if !self.vendor.is_open() => return Err(refused),
                Err(refused) => {
                    let access_key_id = key.id().as_str();
                    tracing::error!(
                        upstream.name = self.vendor.upstream().name_unless_default(),
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

    /// Whether these temporary credentials sign already. The rest of their life may be known better by now.
    fn signs_already(&self, key: &SigningCredentials, accounts: &[AccountId]) -> bool {
        let signs = key.expiration().is_some()
            && self.vendor.is_open()
            && self.vendor.sts().signs_with(key)
            && self.vendor.admits(accounts).is_ok();
        if signs {
            self.sign_with(key.clone());
        }
        signs
    }

    /// Audits temporary credentials: ActionTrail shows calls under their ids.
    fn record(&self, key: &SigningCredentials, owner: &str) {
        if let (Some(expiration), Some(trail)) = (key.expiration(), self.audit.trail()) {
            let (now, id) = (self.clock.now(), key.id().as_str());
            let upstream = self.vendor.upstream();
            trail.identity_changed(&IdentityRecord::new(
                now,
                upstream,
                self.source,
                id,
                owner,
                expiration,
            ));
        }
    }

    fn sign_with(&self, key: SigningCredentials) {
        if let Some(expiration) = key.expiration() {
            self.metrics.identity.of(self.vendor.upstream()).signs(self.source, expiration);
        }
        self.vendor.sts().sign_with(key);
        self.metrics.config.key_unverified(self.vendor.upstream()).set(0);
    }
}

async fn verify(
    vendor: &Vendor<StsClient>,
    key: &SigningCredentials,
    accounts: &[AccountId],
) -> Result<VerifiedKey, KeyRefused> {
    let mut refusals = 0;
    loop {
        let deadline = Instant::now() + Duration::from_secs(15);
        let wait = match vendor.sts().caller_identity(key, deadline).await {
            Ok(identity) => return VerifiedKey::admit(identity, accounts),
            Err(error) => {
                let (kind, access_key_id) = (error.kind(), key.id().as_str());
                tracing::warn!(
                    upstream.name = vendor.upstream().name_unless_default(),
                    error.kind = kind,
                    access_key.id = access_key_id,
                    "AccessKey not verified by STS; trying again: {error}"
                );
                pause_after(&error, &mut refusals)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// The pause before the next call, and counts refusals.
fn pause_after(error: &StsError, refusals: &mut u32) -> Duration {
    if error.is_transient() && !error.is_proxy_authentication() {
        return AFTER_UNREACHABLE.wait_after(1);
    }
    *refusals = refusals.saturating_add(1);
    AFTER_REFUSED.wait_after(*refusals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::ProxyError;

    /// The whole pauses, each shortened by half at most.
    fn pauses(error: &StsError) -> Vec<Duration> {
        let mut refusals = 0;
        (0..8).map(|_| pause_after(error, &mut refusals)).collect()
    }

    #[test]
    fn a_proxy_that_asks_for_another_password_is_asked_with_growing_pauses() {
        let proxy = "http://proxy.example.com:3128".to_owned().try_into().unwrap();
        let refused = pauses(&StsError::Proxy(ProxyError::Authentication { proxy }));
        for (pause, whole) in refused.iter().zip([2, 4, 8, 16, 30, 30, 30, 30]) {
            let whole = Duration::from_secs(whole);
            assert!((whole / 2..=whole).contains(pause), "{refused:?}");
        }
        let unreachable = pauses(&StsError::TimedOut);
        assert!(unreachable.iter().all(|pause| pause.as_secs() <= 4), "{unreachable:?}");
    }
}
