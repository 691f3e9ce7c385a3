//! The hand on the emulator: what tests script and look at.

use std::sync::Arc;

use super::calls::{Call, Calls, Totals};
use super::faults::{Faults, ScriptedFault};

/// Scripts the faults of an emulator and shows the calls that reached it. Clones are of the same emulator.
#[derive(Clone, Default)]
pub struct Handle {
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
}

impl Handle {
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
}
