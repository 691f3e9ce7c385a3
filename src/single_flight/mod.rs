//! Single flight: callers that need the same thing at the same time share one call.
//!
//! A call ends once, for all of its waiters, and however it ends its key is free again. The code is in a file of its own, so
//! that `vend::cache::tests::token_schedules` can compile it with other locks.

mod calls;

mod sync {
    pub(super) use parking_lot::{Mutex, MutexGuard};
}

pub(crate) use calls::{Entry, InFlightCall, InFlightCalls, Waiter};

#[cfg(test)]
mod tests;
