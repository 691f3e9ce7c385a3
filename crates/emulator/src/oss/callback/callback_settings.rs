//! The configuration of upload callbacks.

use std::time::Duration;

use serde::Deserialize;

/// Which servers upload callbacks may reach, and how long they wait. The configuration reads it, the sender obeys it; it is no part of
/// either.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct CallbackSettings {
    /// Lets callbacks reach this machine, which the real OSS never does. Other private addresses are refused in any case.
    #[serde(default)]
    pub(crate) allow_loopback: bool,
    /// How long each URL may take. Files cannot set it, because OSS has one value; tests do.
    #[serde(skip, default = "timeout")]
    pub(crate) timeout: Duration,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self { allow_loopback: false, timeout: timeout() }
    }
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}
