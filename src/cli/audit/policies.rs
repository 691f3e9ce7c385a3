//! What tokens could do: policies by their hashes, as they come by.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use super::entry::{Entry, shown};

/// So many policies are remembered, 2 KB each at the most, in case that a later line names them; and so many are told.
const REMEMBERED: usize = 10_000;
const TOLD: usize = 1_000;

#[derive(Default)]
pub(super) struct Policies {
    texts: BTreeMap<String, String>,
    /// Their hashes, the oldest first.
    order: VecDeque<String>,
    /// Those that were found, by hash; a text if it came by.
    wanted: BTreeMap<String, Option<String>>,
    /// Whether more were found than can be told.
    more: bool,
}

impl Policies {
    /// Any line may have one that another line names.
    pub(super) fn learn(&mut self, entry: &Entry<'_>) {
        let (Some(hash), Some(text)) = (&entry.policy_sha256, &entry.policy) else { return };
        if let Some(wanted) = self.wanted.get_mut(&**hash) {
            wanted.get_or_insert_with(|| text.to_string());
        }
        if self.texts.insert(hash.to_string(), text.to_string()).is_none() {
            self.order.push_back(hash.to_string());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.texts.remove(&oldest);
        }
    }

    /// A line that is told names one.
    pub(super) fn want(&mut self, entry: &Entry<'_>) {
        let Some(hash) = entry.policy_sha256.as_deref() else { return };
        if self.wanted.contains_key(hash) {
            return;
        }
        if self.wanted.len() == TOLD {
            self.more = true;
            return;
        }
        self.wanted.insert(hash.to_owned(), self.texts.get(hash).cloned());
    }

    /// All that were wanted.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (hash, text) in &self.wanted {
            writeln!(out, "\nWhat it could do (PolicySha256 {}):", shown(hash))?;
            match text {
                Some(text) => writeln!(out, "{}", shown(text))?,
                None => writeln!(
                    out,
                    "  the policy's text is not in these files; look at earlier ones"
                )?,
            }
        }
        if self.more {
            writeln!(
                out,
                "\n(More policies than {TOLD} were found; search for less to read them all.)"
            )?;
        }
        Ok(())
    }
}
