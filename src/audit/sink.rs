//! The destinations of lines: standard output or files.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use super::file::{AuditFile, FileLimits};
use super::maintenance::{self, Retention};
use super::rotation::RotatedFiles;
use super::settings::{Durability, FileSettings, SinkSettings, refusals_file};
#[cfg(feature = "emulator")]
use crate::telemetry::RecentLines;
use appserver_domain::clock::Clock;

/// The sink of tokens and tickets, and that of refusals: two files, or one stream.
#[derive(Debug)]
pub(super) struct Sinks {
    granted: Sink,
    refused: Option<Sink>,
}

#[derive(Debug)]
pub(super) enum Sink {
    /// A copy of the descriptor: the buffer of `std::io::stdout` would hide what was written.
    Stdout(Option<File>),
    File(AuditFile),
    #[cfg(feature = "emulator")]
    Recent(RecentLines),
    #[cfg(test)]
    Scripted(tests::Scripted),
}

impl Sinks {
    pub(super) fn new(settings: SinkSettings, durability: Durability, clock: &Clock) -> Self {
        let settings = match settings {
            SinkSettings::Stdout => return Self { granted: Sink::Stdout(None), refused: None },
            SinkSettings::File(settings) => settings,
            #[cfg(feature = "emulator")]
            SinkSettings::Recent(lines) => {
                return Self { granted: Sink::Recent(lines), refused: None };
            }
        };
        let FileSettings { path, max_bytes, max_age, .. } = settings;
        let refused = RotatedFiles::new(refusals_file(&path), settings.max_refused_files);
        let granted = RotatedFiles::new(path, settings.max_files);
        let [granted, refused] = [granted, refused].map(Arc::new);
        let retention =
            Retention { compress: settings.compress, max_rotated_age: settings.max_rotated_age };
        let both = vec![Arc::clone(&granted), Arc::clone(&refused)];
        let rotated = maintenance::start(both, retention, clock.clone());
        let file = |files, synced| {
            let limits = FileLimits { max_bytes, max_age };
            Sink::File(AuditFile::new(files, limits, synced, clock.clone(), rotated.clone()))
        };
        let synced = durability == Durability::Disk;
        Self { granted: file(granted, synced), refused: Some(file(refused, false)) }
    }

    pub(super) fn granted(&mut self) -> &mut Sink {
        &mut self.granted
    }

    /// A pipe or a device is not rotated and receives all lines.
    pub(super) fn refused(&mut self) -> &mut Sink {
        match &mut self.refused {
            Some(refused) if self.granted.is_rotated() => refused,
            Some(_) | None => &mut self.granted,
        }
    }
}

impl Sink {
    /// Opens the sink if needed. Returns whether later lines go to another file than earlier ones.
    pub(super) fn ready(&mut self, coming: u64) -> io::Result<bool> {
        match self {
            Self::Stdout(Some(_)) => Ok(false),
            Self::Stdout(out @ None) => {
                *out = Some(io::stdout().as_fd().try_clone_to_owned()?.into());
                Ok(true)
            }
            Self::File(file) => file.ready(coming),
            #[cfg(feature = "emulator")]
            Self::Recent(_) => Ok(false),
            #[cfg(test)]
            Self::Scripted(script) => script.ready(),
        }
    }

    /// Rotates a file that is too old, although no line comes. Returns whether it is another file than before.
    pub(super) fn rotate_if_old(&mut self) -> io::Result<bool> {
        match self {
            Self::File(file) => file.rotate_if_old(),
            Self::Stdout(_) => Ok(false),
            #[cfg(feature = "emulator")]
            Self::Recent(_) => Ok(false),
            #[cfg(test)]
            Self::Scripted(_) => Ok(false),
        }
    }

    /// Writes as much as the sink accepts, at least one byte.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Stdout(Some(out)) => out.write(bytes)?,
            Self::Stdout(None) => return Err(io::ErrorKind::NotFound.into()),
            Self::File(file) => file.write(bytes)?,
            #[cfg(feature = "emulator")]
            Self::Recent(lines) => lines.write(bytes)?,
            #[cfg(test)]
            Self::Scripted(script) => script.write(bytes)?,
        };
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    /// Syncs written lines to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(file) => file.sync(),
            #[cfg(feature = "emulator")]
            Self::Recent(_) => Ok(()),
            #[cfg(test)]
            Self::Scripted(script) => script.sync(),
        }
    }

    /// The last write failed.
    pub(super) fn write_failed(&mut self) {
        match self {
            Self::Stdout(_) => {}
            Self::File(file) => file.write_failed(),
            #[cfg(feature = "emulator")]
            Self::Recent(_) => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Its name in the log.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Stdout(_) => Cow::Borrowed("standard output"),
            Self::File(file) => file.path().to_string_lossy(),
            #[cfg(feature = "emulator")]
            Self::Recent(_) => Cow::Borrowed("memory"),
            #[cfg(test)]
            Self::Scripted(_) => Cow::Borrowed("a script"),
        }
    }

    /// The most bytes to write at once.
    pub(super) fn max_write(&self) -> usize {
        match self {
            Self::File(file) => file.max_write(),
            Self::Stdout(_) => usize::MAX,
            #[cfg(feature = "emulator")]
            Self::Recent(_) => usize::MAX,
            #[cfg(test)]
            Self::Scripted(_) => usize::MAX,
        }
    }

    fn is_rotated(&self) -> bool {
        match self {
            Self::File(file) => file.is_regular(),
            Self::Stdout(_) => false,
            #[cfg(feature = "emulator")]
            Self::Recent(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Follows a script and records the calls.
    #[derive(Clone, Debug, Default)]
    pub(in crate::audit) struct Scripted(pub(in crate::audit) Arc<Mutex<Script>>);

    #[derive(Debug, Default)]
    pub(in crate::audit) struct Script {
        pub(in crate::audit) did: Vec<String>,
        /// For each call of `ready`: whether the sink becomes another file.
        pub(in crate::audit) fresh: VecDeque<bool>,
        /// The results of the next syncs.
        pub(in crate::audit) syncs: VecDeque<io::Result<()>>,
    }

    impl Scripted {
        pub(in crate::audit) fn sinks(&self) -> Sinks {
            Sinks { granted: Sink::Scripted(self.clone()), refused: None }
        }

        pub(super) fn ready(&self) -> io::Result<bool> {
            let mut script = self.0.lock().unwrap();
            let fresh = script.fresh.pop_front().unwrap_or_default();
            if fresh {
                script.did.push("another file".to_owned());
            }
            Ok(fresh)
        }

        pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().did.push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            let mut script = self.0.lock().unwrap();
            script.did.push("sync".to_owned());
            script.syncs.pop_front().unwrap_or(Ok(()))
        }
    }
}
