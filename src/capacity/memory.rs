//! The memory of a replica and its cache.

/// A cached token with what refreshes it: docs/performance.md.
pub(crate) const BYTES_PER_TOKEN: f64 = 4_096.0;
/// The process without tokens and connections: "memory at the start" in docs/performance.md.
pub(crate) const BYTES_OF_PROCESS: f64 = 23e6;
/// `vend.max_cached_tokens` unless it is configured, and at most.
const DEFAULT_MAX_CACHED_TOKENS: f64 = 100_000.0;
const LARGEST_MAX_CACHED_TOKENS: f64 = 10_000_000.0;

/// What one replica needs without connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplicaMemory {
    /// Valid tokens that it holds, at most.
    pub(crate) tokens: f64,
    /// `vend.max_cached_tokens`, so that it keeps them. Each account, which is an upstream, has a cache of its own.
    pub(crate) max_cached_tokens: f64,
    /// What the process takes when its cache is full. Expired tokens stay in it.
    pub(crate) bytes: f64,
}

impl ReplicaMemory {
    /// Of a replica that holds this many valid tokens, of `keys` different ones.
    pub(super) fn new(tokens: f64, keys: f64, accounts: u32) -> Self {
        let (tokens, accounts) = (tokens.ceil(), f64::from(accounts));
        let max_cached_tokens =
            (tokens / accounts).ceil().clamp(DEFAULT_MAX_CACHED_TOKENS, LARGEST_MAX_CACHED_TOKENS);
        let cached = keys.max(tokens).min(max_cached_tokens * accounts);
        Self { tokens, max_cached_tokens, bytes: BYTES_OF_PROCESS + cached * BYTES_PER_TOKEN }
    }

    /// Whether no account needs a larger cache than there can be.
    pub(crate) fn holds_all(&self) -> bool {
        self.max_cached_tokens < LARGEST_MAX_CACHED_TOKENS
    }
}
