//! Limits of failed authentications, by address and by client name.
//!
//! Each replica counts for itself: the limits bound work and noise, and strangers must not be able to cause calls to Redis.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::time::Instant;

use super::sketch::Sketch;
use super::{LimitKind, LimitMode, LimitTerms, Per, Throttled};

/// The configured limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureSettings {
    pub(crate) mode: LimitMode,
    /// `None` where callers' addresses are unknown: all would have the proxy's, and one caller could lock out all.
    pub(crate) address: Option<LimitTerms>,
    pub(crate) client: LimitTerms,
}

/// Signature verifications for an address beyond its limit: some milliseconds of one core in each second.
const VERIFICATIONS: LimitTerms = LimitTerms {
    requests: NonZeroU32::new(100).expect("it is not zero"),
    per: Per::Second,
    burst: NonZeroU32::new(100).expect("it is not zero"),
};

/// The counted failures.
#[derive(Debug)]
pub(crate) struct Failures {
    mode: LimitMode,
    addresses: Option<Arc<Sketch>>,
    /// Signature verifications for addresses beyond their limits.
    verifications: Arc<Sketch>,
    /// By the presented name, registered or not, so that callers do not learn which exist.
    clients: Arc<Sketch>,
}

/// The result of recording a failure.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The exceeded limit, of the client's name or of the address's requests without a credential.
    pub(crate) beyond: Option<Throttled>,
    /// The limits that this failure reached, if not reported recently.
    pub(crate) reached: [Option<LimitKind>; 2],
}

impl Failures {
    /// Builds the limits. Counts of `previous` continue where the terms are the same.
    pub(crate) fn new(settings: FailureSettings, previous: Option<&Self>) -> Self {
        let FailureSettings { mode, address, client } = settings;
        let sketch = |terms, same: Option<&Arc<Sketch>>| {
            let same = same.filter(|sketch| sketch.terms() == terms).map(Arc::clone);
            same.unwrap_or_else(|| Arc::new(Sketch::new(terms)))
        };
        let previous_of = |address: fn(&Self) -> Option<&Arc<Sketch>>| previous.and_then(address);
        Self {
            mode,
            addresses: address
                .map(|terms| sketch(terms, previous_of(|previous| previous.addresses.as_ref()))),
            verifications: sketch(
                VERIFICATIONS,
                previous_of(|previous| Some(&previous.verifications)),
            ),
            clients: sketch(client, previous_of(|previous| Some(&previous.clients))),
        }
    }

    pub(crate) fn mode(&self) -> LimitMode {
        self.mode
    }

    /// The address's limit, if the address is beyond it: then it gets the same answer whatever it tries.
    pub(crate) fn exceeded_by(&self, address: IpAddr, now: Instant) -> Option<Throttled> {
        let sketch = self.addresses.as_deref()?;
        let retry_after = sketch.wait(&FailureKind::WrongCredential.from(address), now);
        (!retry_after.is_zero()).then(|| Throttled {
            limit: LimitKind::AddressFailures,
            terms: sketch.terms(),
            retry_after,
        })
    }

    /// Counts a signature verification for an address beyond its limit, and returns whether it is allowed.
    pub(crate) fn may_verify(&self, address: IpAddr, now: Instant) -> bool {
        self.verifications.count(&network(address), now).wait.is_zero()
    }

    /// Records a request without a credential. It does not count against the limit of wrong credentials.
    pub(crate) fn record_missing(&self, address: IpAddr, now: Instant) -> Recorded {
        let Some(sketch) = self.addresses.as_deref() else {
            return Recorded { beyond: None, reached: [None; 2] };
        };
        let counted = sketch.count(&FailureKind::NoCredential.from(address), now);
        let beyond = (!counted.wait.is_zero()).then(|| Throttled {
            limit: LimitKind::AddressFailures,
            terms: sketch.terms(),
            retry_after: counted.wait,
        });
        let reached = counted.reached.then_some(LimitKind::AddressFailures);
        Recorded { beyond, reached: [reached, None] }
    }

    /// Records a failure of the address and of the client name that it presented, if any.
    pub(crate) fn record(&self, address: IpAddr, named: Option<&str>, now: Instant) -> Recorded {
        let of_address = self.addresses.as_deref();
        let of_address =
            of_address.map(|sketch| sketch.count(&FailureKind::WrongCredential.from(address), now));
        let of_client = named.map(|name| self.clients.count(&name, now));
        let reached = [
            of_address.filter(|counted| counted.reached).map(|_| LimitKind::AddressFailures),
            of_client.filter(|counted| counted.reached).map(|_| LimitKind::ClientFailures),
        ];
        let beyond = of_client.filter(|counted| !counted.wait.is_zero());
        let beyond = beyond.map(|counted| Throttled {
            limit: LimitKind::ClientFailures,
            terms: self.clients.terms(),
            retry_after: counted.wait,
        });
        Recorded { beyond, reached }
    }
}

/// Kinds of failures of an address. Each is counted for itself in the same sketch.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum FailureKind {
    WrongCredential,
    NoCredential,
}

impl FailureKind {
    fn from(self, address: IpAddr) -> (Self, (bool, u64)) {
        (self, network(address))
    }
}

/// An IPv4 address, or the /64 of an IPv6 address: a host may use every address of its /64.
pub(crate) type Network = (bool, u64);

/// The network that limits count for an address.
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

    /// This many requests per minute, and the same burst.
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
    fn all_ipv6_addresses_of_a_64_are_counted_together() {
        let failures = Failures::new(settings(4, 1000), None);
        let now = Instant::now();
        for host in 0..4_u32 {
            failures.record(address(&format!("2001:db8:1:2::{host:x}")), None, now);
        }
        let spent = |text| failures.exceeded_by(address(text), now).map(|spent| spent.retry_after);
        assert_eq!(spent("2001:db8:1:2:ffff::9"), Some(Duration::from_secs(15)));
        assert_eq!(spent("2001:db8:1:3::1"), None);
        for _ in 0..4 {
            failures.record(address("192.0.2.1"), None, now);
        }
        assert!(spent("192.0.2.1").is_some());
        assert_eq!(spent("192.0.2.1"), spent("::ffff:192.0.2.1"));
        assert_eq!(spent("192.0.2.2"), None);
    }

    #[test]
    fn requests_without_credential_are_counted_separately_and_verifications_are_bounded() {
        let failures = Failures::new(settings(3, 1000), None);
        let (from, now) = (address("192.0.2.1"), Instant::now());
        let beyond: Vec<_> =
            (0..5).map(|_| failures.record_missing(from, now).beyond.is_some()).collect();
        assert_eq!(beyond, [false, false, false, true, true]);
        assert_eq!(failures.exceeded_by(from, now), None, "nothing was tried");
        let verified = (0..500).filter(|_| failures.may_verify(from, now)).count();
        assert_eq!(verified, 100);
        assert!(failures.may_verify(from, now + Duration::from_millis(10)));
        assert!(failures.may_verify(address("192.0.2.2"), now));
    }

    #[test]
    fn a_client_name_is_counted_across_addresses() {
        let failures = Failures::new(settings(1000, 3), None);
        let now = Instant::now();
        let beyond = |host: u32, name| {
            let from = address(&format!("192.0.2.{host}"));
            failures.record(from, Some(name), now).beyond.map(|beyond| beyond.limit)
        };
        let answers: Vec<_> = (0..5).map(|host| beyond(host, "photo-app").is_some()).collect();
        assert_eq!(answers, [false, false, false, true, true]);
        assert_eq!(beyond(9, "photo-app"), Some(LimitKind::ClientFailures));
        assert_eq!(beyond(9, "another-app"), None);
        assert_eq!(failures.exceeded_by(address("192.0.2.1"), now), None);
    }

    #[test]
    fn counts_continue_after_a_reload_where_the_terms_are_the_same() {
        let previous = Failures::new(settings(2, 2), None);
        let (from, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..3 {
            previous.record(from, Some("photo-app"), now);
        }
        let counts = |settings| {
            let failures = Failures::new(settings, Some(&previous));
            let spent = failures.exceeded_by(from, now).is_some();
            (spent, failures.record(from, Some("photo-app"), now).beyond.is_some())
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
