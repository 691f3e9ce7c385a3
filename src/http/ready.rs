//! Whether the server can vend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sts::StsClient;
use crate::vend::Vendor;

/// Ready from the moment the AccessKey is verified until the drain begins; STS's moods do not matter.
#[derive(Debug)]
pub(crate) struct Readiness {
    vendor: Arc<Vendor<StsClient>>,
    draining: AtomicBool,
}

impl Readiness {
    pub(crate) fn new(vendor: Arc<Vendor<StsClient>>) -> Self {
        Self { vendor, draining: AtomicBool::new(false) }
    }

    /// The server is about to end; load balancers should look elsewhere.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Brings the vendor's gauges up to date.
    pub(crate) fn measure(&self) {
        self.vendor.measure();
    }

    /// Whether replicas share nothing at the moment though they should.
    pub(crate) fn is_alone(&self) -> bool {
        self.vendor.is_alone()
    }

    /// Why the server is not ready, if it is not.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if self.vendor.is_open() {
            None
        } else {
            Some("STS has not verified the AccessKey yet")
        }
    }
}
