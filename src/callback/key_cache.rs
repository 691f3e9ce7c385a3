//! The public keys of OSS, fetched when a callback names one and then kept.
//!
//! Callers are unauthenticated: there is one fetch of a key at a time, a failure is remembered for some seconds, and
//! [`KeyName`] admits few different keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::key_url::{KeyName, KeySource};
use super::signature::{CallbackKey, InvalidKey};
use crate::outbound::{BodyError, read_body};

/// A key in PEM has some hundred bytes.
const MAX_KEY_BYTES: usize = 8 << 10;
/// How long a key is used before it is fetched again. OSS documents that it does not change.
const LIFETIME: Duration = Duration::from_hours(24);
/// How long a failed fetch is not repeated.
const PAUSE: Duration = Duration::from_secs(5);

/// The keys that were fetched from one source.
#[derive(Debug)]
pub(super) struct KeyCache {
    source: KeySource,
    http: Client,
    /// Held to find or insert a slot, never across an await.
    slots: Mutex<HashMap<KeyName, Arc<Slot>>>,
}

/// One key. Held across a fetch on purpose: callers that need the key wait for that fetch.
type Slot = tokio::sync::Mutex<Cached>;

#[derive(Debug, Default)]
struct Cached {
    key: Option<(CallbackKey, Instant)>,
    failed_at: Option<Instant>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the key source does not have this key")]
    OtherSource,
    #[error("its host cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error(
        "its host answered with HTTP status {0}; it must be 200, and redirects are not followed"
    )]
    Status(u16),
    #[error(transparent)]
    Body(BodyError),
    #[error(transparent)]
    Invalid(#[from] InvalidKey),
    #[error("its host did not answer in time")]
    TimedOut,
    #[error("the last fetch failed less than {} seconds ago", PAUSE.as_secs())]
    JustFailed,
}

impl KeyCache {
    pub(super) fn new(source: KeySource, http: Client) -> Self {
        Self { source, http, slots: Mutex::default() }
    }

    pub(super) fn source(&self) -> &KeySource {
        &self.source
    }

    /// The key, fetched until the deadline if it is not cached.
    pub(super) async fn key(
        &self,
        name: KeyName,
        deadline: Instant,
    ) -> Result<CallbackKey, KeyError> {
        let url = self.source.url(name).ok_or(KeyError::OtherSource)?;
        let slot = Arc::clone(self.slots.lock().entry(name).or_default());
        let mut cached = timeout_at(deadline, slot.lock()).await.map_err(|_| KeyError::TimedOut)?;
        let now = Instant::now();
        if let Some((key, fetched_at)) = &cached.key
            && now.duration_since(*fetched_at) < LIFETIME
        {
            return Ok(key.clone());
        }
        let error = if cached.failed_at.is_some_and(|at| now.duration_since(at) < PAUSE) {
            KeyError::JustFailed
        } else {
            // Recorded before the fetch: a caller that goes away during it must not cause another one.
            cached.failed_at = Some(now);
            match timeout_at(deadline, self.fetch(url)).await {
                Ok(Ok(key)) => {
                    *cached = Cached { key: Some((key.clone(), now)), failed_at: None };
                    return Ok(key);
                }
                Ok(Err(error)) => error,
                Err(_) => KeyError::TimedOut,
            }
        };
        // An old key of OSS is better than none: a failed fetch says nothing against it.
        cached.key.as_ref().map(|(key, _)| key.clone()).ok_or(error)
    }

    async fn fetch(&self, url: Url) -> Result<CallbackKey, KeyError> {
        let mut response = self.http.get(url).send().await.map_err(KeyError::Unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(KeyError::Status(response.status().as_u16()));
        }
        let pem = read_body(&mut response, MAX_KEY_BYTES).await.map_err(KeyError::Body)?;
        Ok(CallbackKey::from_pem(&pem)?)
    }
}
