//! The policies of tokens, by hash.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use super::entry::Entry;
use crate::telemetry::escaped;

/// The policies that are kept, at most 2 KB each, for later lines that refer to them; and those that are printed.
const KEPT_POLICIES: usize = 10_000;
const PRINTED_POLICIES: usize = 1_000;

#[derive(Default)]
pub(super) struct Policies {
    texts: BTreeMap<String, String>,
    /// Their hashes, the oldest first.
    order: VecDeque<String>,
    /// The policies to print, by hash; with their text, if a line had it.
    wanted: BTreeMap<String, Option<String>>,
    /// Whether more were found than are printed.
    more: bool,
}

impl Policies {
    /// Keeps the policy of a line, which other lines may refer to.
    pub(super) fn remember(&mut self, entry: &Entry<'_>) {
        let (Some(hash), Some(text)) = (&entry.policy_sha256, &entry.policy) else { return };
        if let Some(wanted) = self.wanted.get_mut(&**hash) {
            wanted.get_or_insert_with(|| text.to_string());
        }
        if self.texts.insert(hash.to_string(), text.to_string()).is_none() {
            self.order.push_back(hash.to_string());
        }
        if self.order.len() > KEPT_POLICIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.texts.remove(&oldest);
        }
    }

    /// Marks the policy of a printed line for printing.
    pub(super) fn want(&mut self, entry: &Entry<'_>) {
        let Some(hash) = entry.policy_sha256.as_deref() else { return };
        if self.wanted.contains_key(hash) {
            return;
        }
        if self.wanted.len() == PRINTED_POLICIES {
            self.more = true;
            return;
        }
        self.wanted.insert(hash.to_owned(), self.texts.get(hash).cloned());
    }

    /// Prints the marked policies.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (hash, text) in &self.wanted {
            writeln!(out, "\nWhat it could do (PolicySha256 {}):", escaped(hash))?;
            match text {
                Some(text) => writeln!(out, "{}", escaped(text))?,
                None => writeln!(
                    out,
                    "  the policy's text is not in these files; look at earlier ones"
                )?,
            }
        }
        if self.more {
            writeln!(
                out,
                "\n(More policies than {PRINTED_POLICIES} were found; search for less to read them all.)"
            )?;
        }
        Ok(())
    }
}
