//! The files of secrets, read for those who want to know all that is wrong with a configuration that is wrong anyway.

use super::problems::Problems;

/// Readings to be done, or not. Each is of what is known of its files, whatever else is wrong beside them.
#[derive(Default)]
pub(super) struct Readings(Vec<Box<dyn FnOnce() -> Option<Problems>>>);

impl Readings {
    pub(super) fn add<T>(&mut self, read: impl FnOnce() -> Result<T, Problems> + 'static) {
        self.0.push(Box::new(|| read().err()));
    }

    /// Reads, and notes what is wrong.
    pub(super) fn run(self, problems: &mut Problems) {
        self.0.into_iter().filter_map(|read| read()).for_each(|found| problems.add_all(found));
    }
}
