//! The vendors of all upstreams. One whose STS fails, throttles or is not verified yet does not affect the others.

use std::sync::Arc;

use tokio::time::Instant;

use super::cache::{GrantHolder, GrantHolders};
use super::error::VendError;
use super::{GrantCredentials, Vended, Vendor};
use crate::sts::{AssumeRole, CallerSession, GrantSession};
use crate::telemetry::VendMetrics;
use appserver_domain::{UpstreamName, Upstreams};

/// A vendor for each upstream of the configuration that the server started with.
#[derive(Debug)]
pub(crate) struct Vendors<S> {
    upstreams: Upstreams<Arc<Vendor<S>>>,
    metrics: VendMetrics,
}

impl<S: AssumeRole + Send + Sync + 'static> Vendors<S> {
    pub(crate) fn new(upstreams: Upstreams<Arc<Vendor<S>>>, metrics: VendMetrics) -> Self {
        Self { upstreams, metrics }
    }

    /// The vendor of this upstream, if the server started with it.
    pub(crate) fn get(&self, upstream: &UpstreamName) -> Option<&Arc<Vendor<S>>> {
        self.upstreams.get(upstream)
    }

    /// Credentials of this upstream, as [`Vendor::vend`]. A reload activates no grant of an upstream that does not exist.
    pub(crate) async fn vend(
        &self,
        upstream: &UpstreamName,
        holder: &GrantHolder,
        session: &CallerSession,
        deadline: Instant,
    ) -> Result<Vended, VendError> {
        match self.get(upstream) {
            Some(vendor) => vendor.vend(holder, session, deadline).await,
            None => Err(VendError::NotReady),
        }
    }

    /// Credentials of this upstream to sign with, as [`Vendor::grant_credentials`].
    pub(crate) async fn grant_credentials(
        &self,
        upstream: &UpstreamName,
        holder: &GrantHolder,
        session: &GrantSession,
        deadline: Instant,
    ) -> Result<GrantCredentials, VendError> {
        match self.get(upstream) {
            Some(vendor) => vendor.grant_credentials(holder, session, deadline).await,
            None => Err(VendError::NotReady),
        }
    }

    /// Whether each of them has a verified key.
    pub(crate) fn are_open(&self) -> bool {
        self.upstreams.values().all(|vendor| vendor.is_open())
    }

    /// Whether any of them has credentials to sign with.
    pub(crate) fn can_any_sign(&self) -> bool {
        self.upstreams.values().any(|vendor| vendor.can_sign())
    }

    /// As [`Vendor::retain_holders`], for all of them.
    pub(crate) fn retain_holders(&self, holders: &GrantHolders) {
        self.upstreams.values().for_each(|vendor| vendor.retain_holders(holders.clone()));
    }

    /// As [`Vendor::remove_holders`], for all of them.
    pub(crate) fn remove_holders(&self, is_removed: impl Fn(&GrantHolder) -> bool) -> usize {
        self.upstreams.values().map(|vendor| vendor.remove_holders(&is_removed)).sum()
    }

    /// Updates the gauges before the metrics are read.
    pub(crate) fn measure(&self) {
        let (mut cached_tokens, mut waiting) = (0, 0);
        for (cached, callers) in self.upstreams.values().map(|vendor| vendor.measure()) {
            cached_tokens += cached;
            waiting += callers;
        }
        self.metrics.totals(cached_tokens, waiting);
    }

    /// Whether a store is configured for the replicas but does not answer.
    pub(crate) fn is_degraded(&self) -> bool {
        self.upstreams.of_sts().is_degraded()
    }
}
