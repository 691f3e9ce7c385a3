//! The state that STS, OSS and RAM share.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};

use super::state::Ram;
use super::state_file::{StateFile, StateFileProblem};

/// The current state. Readers take a snapshot without a lock; a change replaces it as a whole, and every later request sees it.
#[derive(Debug)]
pub(crate) struct SharedRam {
    current: ArcSwap<Ram>,
    /// A plain mutex that one change at a time holds, also while it writes the file: changes are few.
    file: Mutex<Option<StateFile>>,
}

impl SharedRam {
    pub(crate) fn new(ram: Ram) -> Self {
        Self { current: ArcSwap::from_pointee(ram), file: Mutex::default() }
    }

    /// Keeps the state in a folder; the state that is there already takes the place of the current one.
    pub(crate) fn keep_in(&self, folder: &Path) -> Result<(), StateFileProblem> {
        let (file, kept) = StateFile::open(folder)?;
        *self.file.lock().expect("nothing panics while it is held") = Some(file);
        if let Some(ram) = kept {
            self.current.store(Arc::new(ram));
        }
        Ok(())
    }

    /// The state as it is now.
    pub(crate) fn load(&self) -> Guard<Arc<Ram>> {
        self.current.load()
    }

    /// Changes the state; on an error, also of the file, nothing changes.
    pub(crate) fn change<T, E: From<StateFileProblem>>(
        &self,
        change: impl FnOnce(&mut Ram) -> Result<T, E>,
    ) -> Result<T, E> {
        let file = self.file.lock().expect("nothing panics while it is held");
        let mut changed = Ram::clone(&self.current.load());
        let output = change(&mut changed)?;
        if let Some(file) = &*file {
            file.write(&changed)?;
        }
        self.current.store(Arc::new(changed));
        Ok(output)
    }
}
