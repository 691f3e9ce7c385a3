//! Durations of role sessions.

use std::time::Duration;

/// A role's `MaxSessionDuration`: 3600 to 43200 seconds, 3600 unless the role was changed.
///
/// Source: RAM `CreateRole` and `UpdateRole`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxSessionDuration(u32);

impl MaxSessionDuration {
    /// The default of RAM.
    pub const DEFAULT: Self = Self(3600);

    /// A role's setting, if the seconds are in its range.
    pub fn from_secs(secs: u32) -> Option<Self> {
        (3600..=43200).contains(&secs).then_some(Self(secs))
    }

    /// A duration that the role can be assumed for, if the seconds are one.
    pub fn admit(self, secs: u32) -> Option<SessionDuration> {
        (SessionDuration::SHORTEST_SECS..=self.0).contains(&secs).then_some(SessionDuration(secs))
    }

    /// The role's maximum, in seconds.
    pub fn as_secs(self) -> u32 {
        self.0
    }
}

/// `DurationSeconds` of an AssumeRole call: 900 seconds to the role's maximum.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionDuration(u32);

impl SessionDuration {
    /// The minimum of STS.
    pub const SHORTEST_SECS: u32 = 900;

    /// A duration, if the seconds are within the two bounds.
    pub fn between(shortest: Self, longest: Self, secs: u64) -> Option<Self> {
        let secs = u32::try_from(secs).ok()?;
        (shortest.0..=longest.0).contains(&secs).then_some(Self(secs))
    }

    /// This duration, shortened to so many seconds if it is longer; `None` if they are below the minimum.
    pub fn at_most(self, secs: u64) -> Option<Self> {
        let secs = u32::try_from(secs).unwrap_or(u32::MAX);
        (secs >= Self::SHORTEST_SECS).then_some(Self(self.0.min(secs)))
    }

    /// The duration in seconds.
    pub fn as_secs(self) -> u32 {
        self.0
    }
}

impl From<SessionDuration> for Duration {
    fn from(duration: SessionDuration) -> Self {
        Self::from_secs(duration.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_from_900_seconds_to_the_roles_maximum() {
        let default = MaxSessionDuration::DEFAULT;
        let admitted = [899, 900, 3600, 3601].map(|secs| default.admit(secs).is_some());
        assert_eq!(admitted, [false, true, true, false]);
    }

    #[test]
    fn a_roles_maximum_is_one_to_twelve_hours() {
        let set =
            [3599, 3600, 43200, 43201].map(|secs| MaxSessionDuration::from_secs(secs).is_some());
        assert_eq!(set, [false, true, true, false]);
    }
}
