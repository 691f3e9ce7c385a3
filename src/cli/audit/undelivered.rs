//! Lists the uploads that OSS reported and that the app's backend does not have.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

use chrono::{DateTime, Utc};

use super::entry::Entry;
use super::listed::Listed;
use crate::telemetry::escaped;

#[derive(Default)]
pub(super) struct Undelivered {
    /// The last line of each upload that was not delivered so far.
    last: BTreeMap<String, (DateTime<Utc>, Vec<u8>)>,
    delivered: HashSet<String>,
    /// Whether a line matched, whatever became of its upload.
    any_matched: bool,
}

impl Undelivered {
    /// Clocks of replicas differ, so the line of a delivery may come before that of an earlier failure.
    pub(super) fn note(
        &mut self,
        entry: &Entry<'_>,
        matches: bool,
        raw: Option<&str>,
    ) -> io::Result<()> {
        let (Some("Uploaded"), Some(id)) = (entry.event.as_deref(), entry.upload_id.as_deref())
        else {
            return Ok(());
        };
        self.any_matched |= matches;
        if entry.decision == "Delivered" {
            self.last.remove(id);
            self.delivered.insert(id.to_owned());
        } else if matches
            && !self.delivered.contains(id)
            && self.last.get(id).is_none_or(|(time, _)| *time <= entry.time)
        {
            let mut line = Vec::new();
            match raw {
                Some(text) => writeln!(line, "{}", escaped(text))?,
                None => Listed::default().write(&mut line, entry)?,
            }
            self.last.insert(id.to_owned(), (entry.time, line));
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// What there is to say if it is empty.
    pub(super) fn nothing(&self) -> &'static str {
        if self.any_matched {
            "no upload is missing: the backend has all that OSS reported"
        } else {
            "OSS reported no such upload in these files"
        }
    }

    /// The lines by their times.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut lines: Vec<_> = self.last.values().collect();
        lines.sort();
        lines.into_iter().try_for_each(|(_, line)| out.write_all(line))
    }
}
