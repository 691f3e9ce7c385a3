//! The endpoints of one client and the one in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::endpoint::Endpoint;
use appserver_domain::{Invalid, is_loopback};

/// One or more endpoints, tried in turn. The one in use is kept between calls: the last that answered comes first.
#[derive(Debug)]
pub(crate) struct Endpoints {
    list: Vec<Endpoint>,
    /// An index into `list`. Relaxed is enough: nothing else is published with it.
    in_use: AtomicUsize,
}

/// The endpoint that was in use when an attempt began.
#[derive(Clone, Copy)]
pub(super) struct InUse<'a> {
    pub(super) endpoint: &'a Endpoint,
    index: usize,
}

impl Endpoints {
    pub(super) fn in_use(&self) -> InUse<'_> {
        let index = self.in_use.load(Ordering::Relaxed);
        InUse { endpoint: &self.list[index], index }
    }

    /// Moves on from an endpoint that failed, unless a concurrent call has done so already.
    pub(super) fn fail_over(&self, failed: InUse<'_>) {
        let next = (failed.index + 1) % self.list.len();
        let relaxed = Ordering::Relaxed;
        // An error means that a concurrent call has moved on, which is the desired state.
        let _ = self.in_use.compare_exchange(failed.index, next, relaxed, relaxed);
    }

    /// All endpoints in the configured order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.list.iter()
    }

    /// Whether any endpoint is not on this machine, where only an emulator can be.
    pub(crate) fn any_remote(&self) -> bool {
        self.list.iter().any(|endpoint| !is_loopback(endpoint.host()))
    }

    /// Whether any endpoint uses TLS.
    pub(super) fn any_encrypted(&self) -> bool {
        self.list.iter().any(Endpoint::is_encrypted)
    }
}

impl From<Endpoint> for Endpoints {
    fn from(only: Endpoint) -> Self {
        Self { list: vec![only], in_use: AtomicUsize::new(0) }
    }
}

impl TryFrom<Vec<Endpoint>> for Endpoints {
    type Error = Invalid;

    fn try_from(list: Vec<Endpoint>) -> Result<Self, Invalid> {
        if list.is_empty() {
            return Err(Invalid("at least one STS endpoint is needed"));
        }
        Ok(Self { list, in_use: AtomicUsize::new(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_that_fail_together_move_on_once() {
        let region =
            |region: &str| Endpoint::regional(&region.to_owned().try_into().unwrap(), false);
        let endpoints =
            Endpoints::try_from(vec![region("cn-hangzhou"), region("cn-beijing")]).unwrap();
        let (mine, theirs) = (endpoints.in_use(), endpoints.in_use());
        endpoints.fail_over(mine);
        endpoints.fail_over(theirs);
        assert_eq!(endpoints.in_use().endpoint.host(), "sts.cn-beijing.aliyuncs.com");
        endpoints.fail_over(endpoints.in_use());
        assert_eq!(endpoints.in_use().endpoint.host(), "sts.cn-hangzhou.aliyuncs.com");
    }

    #[test]
    fn there_is_always_an_endpoint() {
        assert!(Endpoints::try_from(vec![]).is_err());
    }
}
