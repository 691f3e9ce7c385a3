//! Builds what each upstream has for itself: its STS client, its vendor and the tasks that verify and renew its credentials.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::access_key::{Candidate, KeyVerifier};
use super::identity_renewal::IdentityRenewer;
use super::start_error::StartError;
use crate::audit::Audit;
use crate::config::UpstreamSettings;
use crate::outbound::Egress;
use crate::sts::StsClient;
use crate::telemetry::Metrics;
use crate::upstream::{RenewedIdentity, UpstreamIdentity};
use crate::vend::{Budgets, Vendor, Vendors};
use appserver_domain::UpstreamName;
use appserver_domain::clock::Clock;

/// An upstream that is built and does not run yet.
#[derive(Debug)]
pub(super) struct Upstream {
    vendor: Arc<Vendor<StsClient>>,
    candidate: watch::Receiver<Candidate>,
    source: &'static str,
    pub(super) candidates: Candidates,
    pub(super) renewer: Option<IdentityRenewer>,
}

/// Where a reload puts new credentials of an upstream.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    pub(super) sender: watch::Sender<Candidate>,
    /// Whether the credentials that sign are an AccessKey of the configuration.
    pub(super) reads_access_key: bool,
}

impl Upstream {
    pub(super) fn new(
        name: &UpstreamName,
        settings: UpstreamSettings,
        identity: UpstreamIdentity,
        egress: &Egress,
        budgets: &Arc<Budgets>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let UpstreamSettings { sts, identity: source, vend, accounts } = settings;
        let (key, renewed) = match identity {
            UpstreamIdentity::AccessKey(key) => (Some(key), None),
            UpstreamIdentity::Renewed(identity) => (None, Some(identity)),
        };
        if let Some(upstream) = name.name_unless_default() {
            tracing::info!(
                upstream.name = upstream,
                access_key.id = key.as_ref().map(|key| key.id().as_str()),
                access_key.source = %source,
                "upstream configured"
            );
        }
        let (signing, counting) = (key.clone(), Arc::clone(metrics));
        let sts = StsClient::new(sts, egress.clone(), signing, clock.clone(), counting)
            .map_err(|problem| StartError::Tls(problem.into()))?;
        let budgets = Arc::clone(budgets);
        let vendor = Vendor::new(name.clone(), sts, budgets, vend, &metrics.vend, clock.clone());
        let vendor = Arc::new(vendor);
        let (sender, candidate) = watch::channel(Candidate { key, accounts });
        let source = renewed.as_ref().map_or("access-key", RenewedIdentity::name);
        let renewer = renewed.map(|identity| {
            let (vendor, sender) = (Arc::clone(&vendor), sender.clone());
            IdentityRenewer::new(identity, vendor, sender, Arc::clone(metrics), clock.clone())
        });
        let renewer =
            renewer.transpose().map_err(|problem| StartError::IdentityTls(problem.into()))?;
        let candidates = Candidates { sender, reads_access_key: renewer.is_none() };
        Ok(Self { vendor, candidate, source, candidates, renewer })
    }

    pub(super) fn vendor(&self) -> Arc<Vendor<StsClient>> {
        Arc::clone(&self.vendor)
    }

    /// The task that verifies its credentials.
    pub(super) fn verifier(
        &self,
        vendors: &Arc<Vendors<StsClient>>,
        metrics: &Arc<Metrics>,
        audit: &Audit,
        clock: &Clock,
        ready: &CancellationToken,
    ) -> KeyVerifier {
        KeyVerifier {
            vendor: self.vendor(),
            vendors: Arc::clone(vendors),
            candidates: self.candidate.clone(),
            source: self.source,
            metrics: Arc::clone(metrics),
            audit: audit.clone(),
            clock: clock.clone(),
            ready: ready.clone(),
        }
    }
}
