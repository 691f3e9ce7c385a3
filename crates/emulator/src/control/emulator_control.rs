//! The hand on the emulator: what tests script and look at.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::calls::{Call, Calls, Totals};
use super::clock::MovableClock;
use super::faults::{Faults, ScriptedFault};
use appserver_domain::clock::Clock;

/// Scripts the faults of an emulator, shows the calls that reached it and moves its clock. Clones are of the same emulator.
#[derive(Clone)]
pub struct EmulatorControl {
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) oss_calls: Arc<Calls>,
    pub(crate) clock: MovableClock,
}

impl EmulatorControl {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            faults: Arc::default(),
            calls: Arc::default(),
            oss_calls: Arc::default(),
            clock: MovableClock::of(clock),
        }
    }

    /// Adds a fault to those in force. Faults that decide the answer strike one call each, oldest first; the others
    /// (slow, skewed clock, shorter life, quota) all strike at once.
    pub fn script(&self, fault: ScriptedFault) {
        self.faults.add(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// The faults in force, with the number of calls that they still strike.
    pub fn faults(&self) -> Vec<ScriptedFault> {
        self.faults.list()
    }

    /// The latest 10,000 calls, oldest first, those without an answer included.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.list()
    }

    /// How many calls that came since the log was cleared have ended, by action and outcome.
    pub fn totals(&self) -> Totals {
        self.calls.totals()
    }

    /// The AssumeRole calls that asked for a whole role: their `Policy` was absent, not a policy, or allowed nothing that
    /// it names. The first 1,000 of them, whether or not they were answered or the log was cleared.
    pub fn narrowing_violations(&self) -> Vec<Call> {
        self.calls.violations()
    }

    /// Forgets all calls but the narrowing violations.
    pub fn clear_calls(&self) {
        self.calls.clear();
    }

    /// The latest 10,000 requests that reached OSS, oldest first. Their action is the operation's name, such as
    /// `PutObject`.
    pub fn oss_calls(&self) -> Vec<Call> {
        self.oss_calls.list()
    }

    /// How many requests to OSS that came since its log was cleared have ended, by operation and outcome.
    pub fn oss_totals(&self) -> Totals {
        self.oss_calls.totals()
    }

    /// Forgets the requests to OSS.
    pub fn clear_oss_calls(&self) {
        self.oss_calls.clear();
    }

    /// What time it is for the emulator.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// How many seconds the emulator is ahead of the clock that it was given; negative if it is behind.
    pub fn clock_offset_seconds(&self) -> i64 {
        self.clock.offset_seconds()
    }

    /// Moves the emulator's clock on, or back if negative, for STS and OSS alike; at most a hundred years away from the
    /// clock that it was given, which stays where it is.
    pub fn advance_clock(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Puts the emulator's clock back to the one that it was given.
    pub fn reset_clock(&self) {
        self.clock.reset();
    }
}
