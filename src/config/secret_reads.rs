//! Deferred reads of secret files: `appserver check` runs them even when the configuration has other problems.

use super::problems::Problems;
use appserver_domain::UpstreamName;

/// Whether the files of secrets are read although the configuration has problems.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SecretsToo {
    Yes,
    No,
}

/// Reads that may be run later. Each needs only the keys of its own files.
#[derive(Default)]
pub(crate) struct SecretReads(Vec<Box<dyn FnOnce() -> Option<Problems>>>);

impl SecretReads {
    pub(crate) fn add<T>(&mut self, read: impl FnOnce() -> Result<T, Problems> + 'static) {
        self.0.push(Box::new(|| read().err()));
    }

    /// Adds the reads of the identity of this upstream.
    pub(crate) fn add_all_of(&mut self, reads: Self, upstream: &UpstreamName) {
        for read in reads.0 {
            let upstream = upstream.clone();
            self.0.push(Box::new(move || read().map(|found| found.of_upstream(&upstream))));
        }
    }

    /// Reads the files and adds their problems.
    pub(crate) fn run(self, problems: &mut Problems) {
        self.0.into_iter().filter_map(|read| read()).for_each(|found| problems.add_all(found));
    }
}
