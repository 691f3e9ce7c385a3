//! The configured form of a limit: rate, burst and mode.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

/// A token bucket's size and rate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct LimitTerms {
    pub(crate) requests: NonZeroU32,
    pub(crate) per: Per,
    pub(crate) burst: NonZeroU32,
}

/// The unit of a rate: seconds for clients, minutes for users.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Per {
    Second,
    Minute,
}

/// What happens to a request beyond a limit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LimitMode {
    /// It is refused.
    Enforce,
    /// It is counted and served, to show whom the limit would refuse.
    Shadow,
}

/// A configured limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) terms: LimitTerms,
    pub(crate) mode: LimitMode,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LimitKind {
    /// A client's requests.
    Client,
    /// One user's requests of a client.
    Subject,
    /// Failed authentications from an address.
    AddressFailures,
    /// Failed authentications in a client's name.
    ClientFailures,
}

impl LimitTerms {
    /// The time between two requests at the full rate.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(self.per.secs()) / self.requests.get()
    }

    /// Requests per second.
    pub(super) fn per_second(self) -> f64 {
        f64::from(self.requests.get()) / self.per.secs() as f64
    }

    /// The seconds in which an empty bucket fills.
    pub(crate) fn window_secs(self) -> u64 {
        let burst = u64::from(self.burst.get());
        (burst * self.per.secs()).div_ceil(u64::from(self.requests.get()))
    }
}

impl fmt::Display for LimitTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.requests.get() == 1 { "request" } else { "requests" };
        write!(f, "{} {noun} a {}", self.requests, self.per.as_str())
    }
}

impl Per {
    fn secs(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
        }
    }
}

impl LimitMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

impl LimitKind {
    /// The name in metrics and in the `RateLimit` header fields.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Subject => "subject",
            Self::AddressFailures => "address-failures",
            Self::ClientFailures => "client-failures",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_a_rate_an_interval_and_a_time_in_which_its_burst_fills() {
        for (requests, per, burst, rate, millis, window) in [
            (120, Per::Minute, 30, 2.0, 500, 15),
            (8, Per::Second, 15, 8.0, 125, 2),
            (3, Per::Minute, 1, 0.05, 20_000, 20),
        ] {
            let [requests, burst] = [requests, burst].map(|n| NonZeroU32::new(n).unwrap());
            let terms = LimitTerms { requests, per, burst };
            let interval = Duration::from_millis(millis);
            assert_eq!((terms.per_second(), terms.interval()), (rate, interval), "{terms}");
            assert_eq!(terms.window_secs(), window, "{terms}");
        }
    }
}
