//! Control of an emulator from the same process.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::calls::{Call, Calls, Totals};
use super::clock::MovableClock;
use super::faults::{Faults, ScriptedFault};
use appserver_domain::clock::Clock;

/// Scripts an emulator's faults, shows its recorded calls and moves its clock. Clones control the same emulator.
#[derive(Clone)]
pub struct EmulatorControl {
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) oss_calls: Arc<Calls>,
    pub(crate) ram_faults: Arc<Faults>,
    pub(crate) ram_calls: Arc<Calls>,
    pub(crate) metadata_faults: Arc<Faults>,
    pub(crate) metadata_calls: Arc<Calls>,
    pub(crate) clock: MovableClock,
}

impl EmulatorControl {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            faults: Arc::default(),
            calls: Arc::default(),
            oss_calls: Arc::default(),
            ram_faults: Arc::default(),
            ram_calls: Arc::default(),
            metadata_faults: Arc::default(),
            metadata_calls: Arc::default(),
            clock: MovableClock::of(clock),
        }
    }

    /// Adds a fault. Of faults that decide the answer each call gets the oldest; the others (slow, skewed clock, shorter
    /// lifetime, quota) all apply to the same call.
    pub fn script(&self, fault: ScriptedFault) {
        self.faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// The active faults, with the number of calls that each still applies to.
    pub fn faults(&self) -> Vec<ScriptedFault> {
        self.faults.list()
    }

    /// The latest 10,000 calls to STS, oldest first, including those without an answer.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.list()
    }

    /// The number of ended calls since the log was cleared, by action and outcome.
    pub fn totals(&self) -> Totals {
        self.calls.totals()
    }

    /// The first 1,000 AssumeRole calls without a narrowing session policy: `Policy` was absent, malformed, or allowed nothing that
    /// it names. Clearing the log keeps them.
    pub fn unrestricted_calls(&self) -> Vec<Call> {
        self.calls.unrestricted()
    }

    /// Clears the log of calls to STS, except the unrestricted calls.
    pub fn clear_calls(&self) {
        self.calls.clear();
    }

    /// The latest 10,000 requests to OSS, oldest first; their action is the operation, such as `PutObject`.
    pub fn oss_calls(&self) -> Vec<Call> {
        self.oss_calls.list()
    }

    /// The number of ended requests to OSS since its log was cleared, by operation and outcome.
    pub fn oss_totals(&self) -> Totals {
        self.oss_calls.totals()
    }

    /// Clears the log of requests to OSS.
    pub fn clear_oss_calls(&self) {
        self.oss_calls.clear();
    }

    /// Adds a fault of RAM and IMS. A closed connection loses the answer of a call that was carried out.
    pub fn script_ram(&self, fault: ScriptedFault) {
        self.ram_faults.add(fault);
    }

    /// Removes all faults of RAM and IMS.
    pub fn clear_ram_faults(&self) {
        self.ram_faults.clear();
    }

    /// The active faults of RAM and IMS.
    pub fn ram_faults(&self) -> Vec<ScriptedFault> {
        self.ram_faults.list()
    }

    /// The latest 10,000 calls to RAM and IMS, oldest first.
    pub fn ram_calls(&self) -> Vec<Call> {
        self.ram_calls.list()
    }

    /// The number of ended calls to RAM and IMS since their log was cleared, by action and outcome.
    pub fn ram_totals(&self) -> Totals {
        self.ram_calls.totals()
    }

    /// Clears the log of calls to RAM and IMS.
    pub fn clear_ram_calls(&self) {
        self.ram_calls.clear();
    }

    /// Adds a fault of the metadata server; its actions are `CreateToken`, `GetRoleName` and `GetCredentials`. Throttled requests get 429.
    pub fn script_metadata(&self, fault: ScriptedFault) {
        self.metadata_faults.add(fault);
    }

    /// Removes all faults of the metadata server.
    pub fn clear_metadata_faults(&self) {
        self.metadata_faults.clear();
    }

    /// The active faults of the metadata server.
    pub fn metadata_faults(&self) -> Vec<ScriptedFault> {
        self.metadata_faults.list()
    }

    /// The latest 10,000 requests to the metadata server, oldest first.
    pub fn metadata_calls(&self) -> Vec<Call> {
        self.metadata_calls.list()
    }

    /// The number of ended requests to the metadata server since its log was cleared, by operation and outcome.
    pub fn metadata_totals(&self) -> Totals {
        self.metadata_calls.totals()
    }

    /// Clears the log of requests to the metadata server.
    pub fn clear_metadata_calls(&self) {
        self.metadata_calls.clear();
    }

    /// The emulator's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// How many seconds the emulator's clock is ahead of the one it was started with; negative if behind.
    pub fn clock_offset_seconds(&self) -> i64 {
        self.clock.offset_seconds()
    }

    /// Moves the emulator's clock forward, or back if negative, at most a hundred years from the one the emulator was started
    /// with.
    pub fn advance_clock(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Resets the clock to the one the emulator was started with.
    pub fn reset_clock(&self) {
        self.clock.reset();
    }
}
