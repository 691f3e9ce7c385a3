//! The task that renews the credentials that sign, where their source is not the configuration itself.

use std::sync::Arc;

use tokio::sync::watch;

use super::access_key::Candidate;
use crate::sts::StsClient;
use crate::telemetry::Metrics;
use crate::upstream::{Fetcher, Renewal, RenewedIdentity};
use crate::vend::Vendor;
use appserver_domain::clock::Clock;

/// Fetches credentials and hands them to the verifier.
#[derive(Debug)]
pub(super) struct IdentityRenewer {
    fetcher: Fetcher,
    renewal: Renewal,
    vendor: Arc<Vendor<StsClient>>,
    candidates: watch::Sender<Candidate>,
    metrics: Arc<Metrics>,
}

impl IdentityRenewer {
    /// Fails if the source needs TLS and the system has no CA certificates.
    pub(super) fn new(
        identity: RenewedIdentity,
        vendor: Arc<Vendor<StsClient>>,
        candidates: watch::Sender<Candidate>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let fetcher = Fetcher::new(identity, clock.clone())?;
        let upstream = vendor.upstream();
        let renewal = Renewal::new(clock, upstream.clone(), metrics.identity.of(upstream));
        Ok(Self { fetcher, renewal, vendor, candidates, metrics })
    }

    /// Renews until the task is aborted; never returns.
    pub(super) async fn run(self) {
        let Self { fetcher, renewal, vendor, candidates, metrics } = self;
        let fetch = || fetcher.fetch(vendor.sts());
        let publish = |credentials| {
            if !vendor.sts().signs_with(&credentials) {
                metrics.config.key_unverified(vendor.upstream()).set(1);
            }
            candidates.send_modify(|present| present.key = Some(credentials));
        };
        renewal.run(fetch, publish).await;
    }
}
