//! The connection to Redis. It is used only while Redis answers; a background task reconnects.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use redis::{ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::connector::{Connection, Connector};
use crate::backoff::Backoff;
use crate::telemetry::{StoreMetrics, StoreOperation};

/// Between attempts to reconnect. It does not grow: degraded operation costs more than one attempt per second.
const RECONNECT_DELAY: Backoff = Backoff::constant(Duration::from_secs(1), 0.5);
/// Between probes: while all requests are served from memory nothing else would notice a lost Redis.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// A connection to Redis with a circuit breaker.
///
/// One call that fails or times out takes the connection down. Calls then return at once, so that no caller waits for
/// a Redis that is slow or gone, until a task has opened a new connection that can run scripts.
pub(super) struct RedisConnection {
    connector: Connector,
    timeout: Duration,
    probe: Probe,
    metrics: StoreMetrics,
    /// Held to read or to replace the state, never across an await.
    state: Mutex<State>,
    /// Notified when a connection is lost or opened.
    changes: watch::Sender<()>,
}

/// A script that shows that Redis can be used, and not only reached.
pub(super) struct Probe {
    pub(super) script: Script,
    pub(super) keys: [String; 2],
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// The last error, if the server refused this user or what it did, until a connection is opened.
    refusal: Option<String>,
    /// Counts connections: a failure on an earlier one must not take the present one down.
    number: u64,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl CallError {
    /// The error's text, if Redis answered that this user may not do that.
    fn refusal(&self) -> Option<String> {
        let Self::Redis(error) = self else { return None };
        let is_refusal = error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOPERM" | "WRONGPASS" | "NOAUTH"));
        is_refusal.then(|| error.to_string())
    }
}

impl RedisConnection {
    /// Connects. If that fails, the connection starts down and a task reconnects until the connection is dropped.
    pub(super) async fn open(
        connector: Connector,
        timeout: Duration,
        probe: Probe,
        metrics: StoreMetrics,
    ) -> Arc<Self> {
        let state = Mutex::default();
        let changes = watch::Sender::new(());
        let this = Arc::new(Self { connector, timeout, probe, metrics, state, changes });
        this.metrics.degraded(true);
        match this.connect().await {
            Ok(connection) => this.go_up(connection),
            Err(error) => this.go_down(&error),
        }
        tokio::spawn(probe_periodically(Arc::downgrade(&this)));
        this
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Why Redis refuses this user, if that is why the connection is down.
    pub(super) fn refusal(&self) -> Option<String> {
        self.state().refusal.clone()
    }

    /// The number of the present connection, or of the last one while Redis does not answer.
    pub(super) fn number(&self) -> u64 {
        self.state().number
    }

    /// Resolves when the connection is lost or a new one opened after this call, even before the first poll.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.changes.subscribe();
        async move {
            // An error means that `self` was dropped, which is a change too.
            let _ = changes.changed().await;
        }
    }

    /// Runs a script. Returns `None` if the connection is down, or if the call fails and so takes it down.
    pub(super) async fn run<T: FromRedisValue>(
        self: &Arc<Self>,
        operation: StoreOperation,
        script: &ScriptInvocation<'_>,
    ) -> Option<T> {
        let (mut connection, number) = {
            let state = self.state();
            (state.connection.clone()?, state.number)
        };
        let began = Instant::now();
        let outcome = self.within_timeout(script.invoke_async(&mut connection)).await;
        self.metrics.called(operation, outcome.is_ok(), began.elapsed());
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                let mut state = self.state();
                let is_present = state.number == number && state.connection.take().is_some();
                drop(state);
                if is_present {
                    self.go_down(&error);
                }
                None
            }
        }
    }

    async fn within_timeout<T>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, CallError> {
        Ok(timeout(self.timeout, call).await.map_err(|_| CallError::Timeout(self.timeout))??)
    }

    /// Opens a new connection and runs the probe on it. An old connection is never tried again: after a failover it may
    /// stay silent for a quarter of an hour.
    async fn connect(&self) -> Result<Connection, CallError> {
        let limit = self.connector.timeout();
        let mut connection = timeout(limit, self.connector.connect())
            .await
            .map_err(|_| CallError::Timeout(limit))??;
        // Of a cluster, every master must answer: calls for the keys of one that does not would take the connection down.
        self.within_timeout(cmd("PING").query_async::<()>(&mut connection)).await?;
        self.within_timeout(self.probe.invocation().invoke_async::<()>(&mut connection)).await?;
        Ok(connection)
    }

    fn go_up(&self, connection: Connection) {
        let mut state = self.state();
        state.number += 1;
        state.refusal = None;
        state.connection = Some(connection);
        drop(state);
        self.changes.send_replace(());
        self.metrics.degraded(false);
        tracing::info!("connected to Redis; sharing tokens and the budget with the other replicas");
    }

    fn go_down(self: &Arc<Self>, error: &CallError) {
        let refusal = error.refusal();
        let event = if refusal.is_some() { "refuses this user" } else { "does not answer" };
        self.state().refusal = refusal;
        self.changes.send_replace(());
        self.metrics.degraded(true);
        tracing::warn!(
            "store_degraded: Redis {event}; this replica works alone with its part of the budget: {error}"
        );
        tokio::spawn(reconnect(Arc::downgrade(self), error.to_string()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is an assignment or two, neither of which can panic.
        self.state.lock()
    }
}

impl Probe {
    fn invocation(&self) -> ScriptInvocation<'_> {
        self.script.key(&self.keys)
    }
}

/// Runs the probe at intervals until the connection is dropped.
async fn probe_periodically(connection: Weak<RedisConnection>) {
    loop {
        sleep(PROBE_INTERVAL).await;
        let Some(connection) = connection.upgrade() else { return };
        let _: Option<()> =
            connection.run(StoreOperation::Probe, &connection.probe.invocation()).await;
    }
}

/// Tries to connect until it succeeds or the connection is dropped.
async fn reconnect(down: Weak<RedisConnection>, mut last_error: String) {
    loop {
        sleep(RECONNECT_DELAY.wait_after(1)).await;
        let Some(down) = down.upgrade() else { return };
        match down.connect().await {
            Ok(connection) => return down.go_up(connection),
            // Logged once, and not at each attempt.
            Err(error) if error.to_string() == last_error => {}
            Err(error) => {
                last_error = error.to_string();
                tracing::warn!("Redis still does not answer; trying again: {last_error}");
            }
        }
    }
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connector contains the password.
        f.debug_struct("RedisConnection").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}
