//! Numbers that cannot be out of their bounds.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A number of `U` from `MIN` to `MAX`.
pub(crate) struct Bounded<U, const MIN: u64, const MAX: u64>(u64, PhantomData<U>);

/// What is counted, as messages call it.
pub(crate) trait Unit {
    const NAME: &'static str;
}

macro_rules! units {
    ($($unit:ident: $name:literal),* $(,)?) => {$(
        pub(crate) enum $unit {}

        impl Unit for $unit {
            const NAME: &'static str = $name;
        }
    )*};
}

units! {
    Attempts: "attempts",
    Bytes: "bytes",
    Callers: "callers",
    Calls: "calls",
    Connections: "connections",
    Failures: "failures",
    FileCount: "files",
    Lines: "lines",
    Milliseconds: "milliseconds",
    Percent: "percent",
    Replicas: "replicas",
    Requests: "requests",
    Seconds: "seconds",
    Spans: "spans",
    Tokens: "tokens",
}

pub(crate) type Millis<const MIN: u64, const MAX: u64> = Bounded<Milliseconds, MIN, MAX>;
pub(crate) type Secs<const MIN: u64, const MAX: u64> = Bounded<Seconds, MIN, MAX>;

impl<U, const MIN: u64, const MAX: u64> Bounded<U, MIN, MAX> {
    /// A default. Out of bounds, it does not compile where it is used in a `const`.
    pub(crate) const fn new(number: u64) -> Self {
        assert!(MIN <= number && number <= MAX);
        Self(number, PhantomData)
    }

    /// The number as its user's type, which must hold `MAX`.
    pub(crate) fn get<N: TryFrom<u64, Error: fmt::Debug>>(self) -> N {
        self.0.try_into().expect("the type holds the upper bound")
    }

    /// For bounds that begin at 1.
    pub(crate) fn non_zero(self) -> NonZeroU32 {
        NonZeroU32::new(self.get()).expect("the lower bound is not 0")
    }
}

impl<'de, U: Unit, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<U, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The unit too: `100MiB` and `5s` are what other keys and other programs take.
        let number = i64::deserialize(deserializer)
            .map_err(|error| de::Error::custom(format_args!("{error}: a number of {}", U::NAME)))?;
        match u64::try_from(number) {
            Ok(within) if (MIN..=MAX).contains(&within) => Ok(Self(within, PhantomData)),
            Ok(_) | Err(_) => Err(de::Error::custom(message(number, (MIN, MAX), U::NAME))),
        }
    }
}

fn message(number: i64, (min, max): (u64, u64), unit: &str) -> String {
    format!("{number} is not between {min} and {max} {unit}")
}

/// The bounds that [`message`] names: an error has no other way to tell them to the schema.
pub(super) fn in_message(message: &str) -> Option<(u64, u64)> {
    let (_, bounds) = message.split_once(" is not between ")?;
    let (min, rest) = bounds.split_once(" and ")?;
    let (max, _) = rest.split_once(' ')?;
    Some((min.parse().ok()?, max.parse().ok()?))
}

impl<const MIN: u64, const MAX: u64> From<Millis<MIN, MAX>> for Duration {
    fn from(millis: Millis<MIN, MAX>) -> Self {
        Self::from_millis(millis.0)
    }
}

impl<const MIN: u64, const MAX: u64> From<Secs<MIN, MAX>> for Duration {
    fn from(secs: Secs<MIN, MAX>) -> Self {
        Self::from_secs(secs.0)
    }
}

impl<U, const MIN: u64, const MAX: u64> Clone for Bounded<U, MIN, MAX> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<U, const MIN: u64, const MAX: u64> Copy for Bounded<U, MIN, MAX> {}

impl<U, const MIN: u64, const MAX: u64> fmt::Debug for Bounded<U, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
