//! The state that STS, OSS and RAM share.

use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};

use super::state::Ram;

/// The current state. Readers take a snapshot without a lock; a change replaces it as a whole, and every later request sees it.
#[derive(Debug)]
pub(crate) struct SharedRam {
    current: ArcSwap<Ram>,
    /// A plain mutex that one change at a time holds.
    changes: Mutex<()>,
}

impl SharedRam {
    pub(crate) fn new(ram: Ram) -> Self {
        Self { current: ArcSwap::from_pointee(ram), changes: Mutex::default() }
    }

    /// The state as it is now.
    pub(crate) fn load(&self) -> Guard<Arc<Ram>> {
        self.current.load()
    }

    /// Changes the state; on an error nothing changes.
    pub(crate) fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Ram) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one = self.changes.lock().expect("nothing panics while it is held");
        let mut changed = Ram::clone(&self.current.load());
        let output = change(&mut changed)?;
        self.current.store(Arc::new(changed));
        Ok(output)
    }
}
