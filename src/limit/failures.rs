//! How often an address, or anybody in a client's name, may fail to prove itself.
//!
//! Each replica counts by itself: what this bounds is work and noise, and strangers' knocking is no reason to call Redis.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::time::Instant;

use super::sketch::Sketch;
use super::{LimitKind, LimitMode, LimitTerms, Per, Throttled};

/// The limits as they are configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureSettings {
    pub(crate) mode: LimitMode,
    /// Nothing where callers' addresses are not known: all would have the proxy's, and one could lock all out.
    pub(crate) address: Option<LimitTerms>,
    pub(crate) client: LimitTerms,
}

/// Signatures that are verified for an address beyond its limit: some milliseconds of one core in each second.
const VERIFICATIONS: LimitTerms = LimitTerms {
    requests: NonZeroU32::new(100).expect("it is not zero"),
    per: Per::Second,
    burst: NonZeroU32::new(100).expect("it is not zero"),
};

/// The failures that were counted.
#[derive(Debug)]
pub(crate) struct Failures {
    mode: LimitMode,
    of_addresses: Option<Arc<Sketch>>,
    /// What was verified for addresses that are beyond their limits.
    verifications: Arc<Sketch>,
    /// By the name that was given, registered or not: nobody learns which exist.
    of_clients: Arc<Sketch>,
}

/// What came of counting one.
#[derive(Debug)]
pub(crate) struct Noted {
    /// The client's name is beyond its limit, or the address of requests without a credential.
    pub(crate) beyond: Option<Throttled>,
    /// The limits that were just reached, for the first time in a while.
    pub(crate) reached: [Option<LimitKind>; 2],
}

impl Failures {
    /// What `before` has counted goes on where the terms are the same.
    pub(crate) fn new(settings: FailureSettings, before: Option<&Self>) -> Self {
        let FailureSettings { mode, address, client } = settings;
        let sketch = |terms, same: Option<&Arc<Sketch>>| {
            let same = same.filter(|sketch| sketch.terms() == terms).map(Arc::clone);
            same.unwrap_or_else(|| Arc::new(Sketch::new(terms)))
        };
        let before_of = |address: fn(&Self) -> Option<&Arc<Sketch>>| before.and_then(address);
        Self {
            mode,
            of_addresses: address
                .map(|terms| sketch(terms, before_of(|before| before.of_addresses.as_ref()))),
            verifications: sketch(VERIFICATIONS, before_of(|before| Some(&before.verifications))),
            of_clients: sketch(client, before_of(|before| Some(&before.of_clients))),
        }
    }

    pub(crate) fn mode(&self) -> LimitMode {
        self.mode
    }

    /// Whether the address has failed so often that its next failure is not told from others.
    pub(crate) fn spent_by(&self, address: IpAddr, now: Instant) -> Option<Throttled> {
        let sketch = self.of_addresses.as_deref()?;
        let retry_after = sketch.wait(&Tried::Credential.from(address), now);
        (!retry_after.is_zero()).then(|| Throttled {
            limit: LimitKind::AddressFailures,
            terms: sketch.terms(),
            retry_after,
        })
    }

    /// Whether a signature may be verified for an address beyond its limit; counts it.
    pub(crate) fn may_verify(&self, address: IpAddr, now: Instant) -> bool {
        self.verifications.count(&network(address), now).wait.is_zero()
    }

    /// Counts a request from the address that brought no credential, apart from those that brought a wrong one.
    pub(crate) fn note_bare(&self, address: IpAddr, now: Instant) -> Noted {
        let Some(sketch) = self.of_addresses.as_deref() else {
            return Noted { beyond: None, reached: [None; 2] };
        };
        let counted = sketch.count(&Tried::Nothing.from(address), now);
        let beyond = (!counted.wait.is_zero()).then(|| Throttled {
            limit: LimitKind::AddressFailures,
            terms: sketch.terms(),
            retry_after: counted.wait,
        });
        let reached = counted.reached.then_some(LimitKind::AddressFailures);
        Noted { beyond, reached: [reached, None] }
    }

    /// Counts a failure from the address in the name that it gave, if it gave one.
    pub(crate) fn note(&self, address: IpAddr, named: Option<&str>, now: Instant) -> Noted {
        let of_address = self.of_addresses.as_deref();
        let of_address =
            of_address.map(|sketch| sketch.count(&Tried::Credential.from(address), now));
        let of_client = named.map(|name| self.of_clients.count(&name, now));
        let reached = [
            of_address.filter(|counted| counted.reached).map(|_| LimitKind::AddressFailures),
            of_client.filter(|counted| counted.reached).map(|_| LimitKind::ClientFailures),
        ];
        let beyond = of_client.filter(|counted| !counted.wait.is_zero());
        let beyond = beyond.map(|counted| Throttled {
            limit: LimitKind::ClientFailures,
            terms: self.of_clients.terms(),
            retry_after: counted.wait,
        });
        Noted { beyond, reached }
    }
}

/// What an address has tried: each is counted by itself in the same cells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Tried {
    Credential,
    Nothing,
}

impl Tried {
    fn from(self, address: IpAddr) -> (Self, (bool, u64)) {
        (self, network(address))
    }
}

/// What one holder has at least: an IPv4 address, or the /64 out of which an IPv6 host picks as it likes.
pub(crate) type Network = (bool, u64);

/// The network that an address is counted as.
pub(crate) fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, address.to_bits().into()),
        IpAddr::V6(address) => (true, (address.to_bits() >> 64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// So many a minute, and as many at once.
    fn terms(requests: u32) -> LimitTerms {
        let requests = NonZeroU32::new(requests).unwrap();
        LimitTerms { requests, per: Per::Minute, burst: requests }
    }

    fn settings(address: u32, client: u32) -> FailureSettings {
        let mode = LimitMode::Enforce;
        FailureSettings { mode, address: Some(terms(address)), client: terms(client) }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_host_is_one_address_whichever_of_its_own_it_uses() {
        let failures = Failures::new(settings(4, 1000), None);
        let now = Instant::now();
        for host in 0..4_u32 {
            failures.note(address(&format!("2001:db8:1:2::{host:x}")), None, now);
        }
        let spent = |text| failures.spent_by(address(text), now).map(|spent| spent.retry_after);
        assert_eq!(spent("2001:db8:1:2:ffff::9"), Some(Duration::from_secs(15)));
        assert_eq!(spent("2001:db8:1:3::1"), None);
        for _ in 0..4 {
            failures.note(address("192.0.2.1"), None, now);
        }
        assert!(spent("192.0.2.1").is_some());
        assert_eq!(spent("192.0.2.1"), spent("::ffff:192.0.2.1"));
        assert_eq!(spent("192.0.2.2"), None);
    }

    #[test]
    fn bare_requests_are_counted_by_themselves_and_verifications_are_bounded() {
        let failures = Failures::new(settings(3, 1000), None);
        let (from, now) = (address("192.0.2.1"), Instant::now());
        let beyond: Vec<_> =
            (0..5).map(|_| failures.note_bare(from, now).beyond.is_some()).collect();
        assert_eq!(beyond, [false, false, false, true, true]);
        assert_eq!(failures.spent_by(from, now), None, "nothing was tried");
        let verified = (0..500).filter(|_| failures.may_verify(from, now)).count();
        assert_eq!(verified, 100);
        assert!(failures.may_verify(from, now + Duration::from_millis(10)));
        assert!(failures.may_verify(address("192.0.2.2"), now));
    }

    #[test]
    fn a_name_is_counted_wherever_it_is_tried_from_and_nobody_else() {
        let failures = Failures::new(settings(1000, 3), None);
        let now = Instant::now();
        let beyond = |host: u32, name| {
            let from = address(&format!("192.0.2.{host}"));
            failures.note(from, Some(name), now).beyond.map(|beyond| beyond.limit)
        };
        let answers: Vec<_> = (0..5).map(|host| beyond(host, "photo-app").is_some()).collect();
        assert_eq!(answers, [false, false, false, true, true]);
        assert_eq!(beyond(9, "photo-app"), Some(LimitKind::ClientFailures));
        assert_eq!(beyond(9, "another-app"), None);
        assert_eq!(failures.spent_by(address("192.0.2.1"), now), None);
    }

    #[test]
    fn what_was_counted_goes_on_where_the_terms_are_the_same() {
        let before = Failures::new(settings(2, 2), None);
        let (from, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..3 {
            before.note(from, Some("photo-app"), now);
        }
        let counts = |settings| {
            let failures = Failures::new(settings, Some(&before));
            let spent = failures.spent_by(from, now).is_some();
            (spent, failures.note(from, Some("photo-app"), now).beyond.is_some())
        };
        assert_eq!(
            counts(FailureSettings { mode: LimitMode::Shadow, ..settings(2, 2) }),
            (true, true)
        );
        assert_eq!(counts(settings(3, 2)), (false, true));
        assert_eq!(counts(settings(2, 3)), (true, false));
        assert_eq!(counts(FailureSettings { address: None, ..settings(2, 2) }), (false, true));
    }
}
