//! Tickets, key by key.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::Field;

/// URLs that vend one grant, for SDKs that cannot send a header.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawTickets {
    /// Holds the key that seals tickets; without it there are none. White space at its end is trimmed.
    pub(in crate::config) key_file: Field<PathBuf>,
    /// Holds a key that opens and does not seal, while keys are changed.
    pub(in crate::config) previous_key_file: Field<PathBuf>,
    /// Seconds, 60 to 86400, default 86400. Asking for a longer life is refused.
    pub(in crate::config) max_lifetime_secs: Field<i64>,
}
