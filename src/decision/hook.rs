//! Asks the hook about a request, or takes what it said about one of the same bytes.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use quick_cache::sync::Cache;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::DecisionError;
use super::hook_answer::HookDecision;
use super::hook_client::{HookClient, HookTlsError};
use super::hook_request::{HookRequest, PreparedCall};
use super::hook_settings::{HookMode, HookSettings, ListedHeader, OnError};
use crate::outbound::Egress;
use crate::single_flight::{Entry, InFlightCalls};
use crate::telemetry::{DecisionMetrics, DecisionOutcome, Span, with_causes};
use appserver_domain::GrantName;
use appserver_domain::clock::Clock;

/// Decisions, some 150 bytes each. Beyond it the least used are dropped, and the hook is asked again.
const MAX_CACHED: usize = 50_000;
/// Calls at once. Callers beyond it are not kept waiting: the hook is too slow for them.
const MAX_CALLS: usize = 512;
/// Of requests that do not wait for their answers.
const MAX_SHADOW_REQUESTS: usize = 128;

/// The result of a call, for all callers that share it.
type CallResult = Result<HookDecision, DecisionError>;

/// The hook of a configuration.
#[derive(Debug)]
pub(crate) struct DecisionHook {
    settings: HookSettings,
    headers: Vec<HeaderName>,
    /// The listed headers in one text, as preflights are answered with them.
    header_list: String,
    client: HookClient,
    cache: Cache<[u8; 32], CachedDecision>,
    in_flight: Arc<InFlightCalls<[u8; 32], CallResult, (), RandomState>>,
    pub(super) calls: Arc<Semaphore>,
    pub(super) shadow_requests: Arc<Semaphore>,
    metrics: DecisionMetrics,
}

#[derive(Clone, Debug)]
struct CachedDecision {
    decision: HookDecision,
    ends: Instant,
}

/// Why no call starts.
enum NoCall {
    Known(HookDecision),
    Busy,
}

impl DecisionHook {
    pub(crate) fn new(
        settings: HookSettings,
        secret: SecretString,
        egress: &Egress,
        clock: Clock,
        metrics: DecisionMetrics,
    ) -> Result<Self, HookTlsError> {
        let (url, timeout) = (settings.url.clone(), settings.timeout);
        let client = HookClient::new(url, timeout, secret, egress, clock, metrics.clone())?;
        let header_list: Vec<_> = settings.headers.iter().map(ListedHeader::as_str).collect();
        Ok(Self {
            headers: settings.headers.iter().map(ListedHeader::to_header_name).collect(),
            header_list: header_list.join(", "),
            settings,
            client,
            cache: Cache::new(MAX_CACHED),
            in_flight: Arc::default(),
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            shadow_requests: Arc::new(Semaphore::new(MAX_SHADOW_REQUESTS)),
            metrics,
        })
    }

    /// Whether it decides about requests for this grant.
    pub(crate) fn decides(&self, grant: &GrantName) -> bool {
        self.settings.grants.is_empty() || self.settings.grants.contains(grant)
    }

    /// Those of a request's headers that the hook gets.
    pub(crate) fn listed(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let named = |name: &HeaderName| {
            let values = headers.get_all(name).iter();
            values.map(|value| (name.clone(), value.clone())).collect::<Vec<_>>()
        };
        self.headers.iter().flat_map(named).collect()
    }

    /// The names of those headers, separated by commas.
    pub(crate) fn header_list(&self) -> &str {
        &self.header_list
    }

    /// Decides about a request, or allows it where the hook only watches.
    pub(crate) async fn decide(
        self: &Arc<Self>,
        request: &HookRequest<'_>,
        request_id: &str,
    ) -> CallResult {
        let call = request.prepare(request_id);
        let requested = call.bounds.requested;
        if self.settings.mode == HookMode::Shadow {
            self.watch(call);
            return Ok(HookDecision::Allowed(requested));
        }
        let request_id = call.request_id.clone();
        let result = self.ask(call, Span::current()).await;
        let is_without = self.settings.on_error == OnError::Allow
            && result.as_ref().err().is_some_and(DecisionError::is_silence);
        let outcome = match &result {
            Err(_) if is_without => DecisionOutcome::AllowedOnError,
            result => outcome_of(result, requested),
        };
        self.metrics.decided("enforce", outcome);
        match result {
            Err(error) if is_without => {
                tracing::warn!(
                    request.id = request_id,
                    error.reason = error.reason(),
                    "allowed without a decision: {}",
                    with_causes(&error),
                );
                Ok(HookDecision::Allowed(requested))
            }
            result => result,
        }
    }

    /// Asks beside the request, which does not wait, and logs what would have become of it.
    fn watch(self: &Arc<Self>, call: PreparedCall) {
        let Ok(permit) = Arc::clone(&self.shadow_requests).try_acquire_owned() else {
            self.metrics.decided("shadow", DecisionOutcome::Failed);
            return;
        };
        let (hook, span) = (Arc::clone(self), Span::current());
        tokio::spawn(async move {
            let _permit = permit;
            let (request_id, requested) = (call.request_id.clone(), call.bounds.requested);
            let result = hook.ask(call, span).await;
            hook.metrics.decided("shadow", outcome_of(&result, requested));
            match result {
                Ok(HookDecision::Allowed(secs)) if secs < requested => tracing::info!(
                    request.id = request_id,
                    decision.duration_secs = secs,
                    "the decision hook would have shortened the request; it only watches"
                ),
                Ok(HookDecision::Allowed(_)) => {}
                Ok(HookDecision::Refused(reason)) => tracing::info!(
                    request.id = request_id,
                    decision.reason = reason.as_deref(),
                    "the decision hook would have refused the request; it only watches"
                ),
                Err(error) => tracing::warn!(
                    request.id = request_id,
                    error.reason = error.reason(),
                    "no decision about a request; the hook only watches: {}",
                    with_causes(&error),
                ),
            }
        });
    }

    /// The decision about these bytes: known, of a call in flight, or of a new one.
    async fn ask(self: &Arc<Self>, call: PreparedCall, span: Option<Span>) -> CallResult {
        let key = call.key;
        if let Some(decision) = self.known(&key) {
            return Ok(decision);
        }
        // No call of the key ends while this runs: one that has just ended is in the cache.
        let entry = self.in_flight.join_or_start(&key, || {
            if let Some(decision) = self.known(&key) {
                return Err(NoCall::Known(decision));
            }
            let permit = Arc::clone(&self.calls).try_acquire_owned();
            permit.map(|permit| ((), permit)).map_err(|_| NoCall::Busy)
        });
        let waiter = match entry {
            Err(NoCall::Known(decision)) => return Ok(decision),
            Err(NoCall::Busy) => return Err(DecisionError::Busy),
            Ok(Entry::Joined(waiter, _)) => waiter,
            Ok(Entry::Started(waiter, in_flight, permit)) => {
                let hook = Arc::clone(self);
                // A task of its own: callers that leave do not end the call of the others.
                tokio::spawn(async move {
                    let _permit = permit;
                    let result = hook.client.call(call, span.as_ref()).await;
                    if let Ok(decision) = &result {
                        hook.remember(key, decision);
                    }
                    in_flight.complete(result);
                });
                waiter
            }
        };
        waiter.result().await.unwrap_or(Err(DecisionError::Lost))
    }

    fn known(&self, key: &[u8; 32]) -> Option<HookDecision> {
        if self.settings.cache_lifetime.is_zero() {
            return None;
        }
        let CachedDecision { decision, ends } = self.cache.get(key)?;
        if Instant::now() < ends {
            return Some(decision);
        }
        self.cache.remove(key);
        None
    }

    fn remember(&self, key: [u8; 32], decision: &HookDecision) {
        if !self.settings.cache_lifetime.is_zero() {
            let ends = Instant::now() + self.settings.cache_lifetime;
            self.cache.insert(key, CachedDecision { decision: decision.clone(), ends });
        }
    }
}

fn outcome_of(result: &CallResult, requested: u32) -> DecisionOutcome {
    match result {
        Ok(HookDecision::Allowed(secs)) if *secs < requested => DecisionOutcome::Shortened,
        Ok(HookDecision::Allowed(_)) => DecisionOutcome::Allowed,
        Ok(HookDecision::Refused(_)) => DecisionOutcome::Refused,
        Err(_) => DecisionOutcome::Failed,
    }
}
