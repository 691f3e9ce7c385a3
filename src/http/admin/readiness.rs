//! Whether the server can vend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::Audit;
use crate::sts::StsClient;
use crate::vend::Vendors;

/// Ready from the moment the AccessKey is verified until the drain begins; STS errors do not change it.
///
/// It is not ready without valid credentials to sign with, nor while the audit cannot be written and no token may leave without a
/// record: another replica may have credentials, or an audit that works.
#[derive(Debug)]
pub(crate) struct Readiness {
    vendors: Arc<Vendors<StsClient>>,
    audit: Audit,
    draining: AtomicBool,
}

impl Readiness {
    pub(crate) fn new(vendors: Arc<Vendors<StsClient>>, audit: Audit) -> Self {
        Self { vendors, audit, draining: AtomicBool::new(false) }
    }

    /// The server is about to stop; load balancers should use other replicas.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Updates the gauges.
    pub(crate) fn measure(&self) {
        self.vendors.measure();
        self.audit.measure();
    }

    /// Whether the shared store is configured and not reachable.
    pub(crate) fn is_degraded(&self) -> bool {
        self.vendors.is_degraded()
    }

    /// Whether decisions cannot be recorded.
    pub(crate) fn is_unaudited(&self) -> bool {
        self.audit.is_unavailable()
    }

    /// Why the server is not ready, if it is not: a code like those of the API.
    pub(crate) fn not_ready_reason(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Some("Draining")
        } else if !self.vendors.can_any_sign() {
            // The source of the credentials that sign has given none for so long that the last ones ended.
            Some("UpstreamIdentity")
        } else if !self.vendors.are_open() {
            Some("AccessKeyUnverified")
        } else {
            self.audit.blocks_tokens().then_some("AuditUnavailable")
        }
    }
}
