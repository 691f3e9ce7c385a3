//! What the process was started with: its environment variables and its mode.

use std::collections::BTreeMap;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// This process's environment variables: the only place that reads them.
pub fn environment() -> Environment {
    // A variable that is not Unicode is skipped: no key or value needs one, and `vars` would panic on it.
    let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let variables = std::env::vars_os();
    variables.filter_map(readable).collect()
}

/// Whether the demo's published secrets are accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `appserver dev` and tests: on loopback, against the emulator.
    Demo,
    /// Everything else.
    Production,
}
