//! The connection to Redis, while there is one that answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, ScriptInvocation};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::telemetry::{StoreMetrics, StoreOperation};

/// For a new connection: name, TCP, TLS, password.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// Between attempts to reconnect. It does not grow: vending degraded costs more than an attempt a second.
const RECONNECT: Backoff = Backoff::constant(Duration::from_secs(1), 0.5);
/// Between looks whether Redis is still there: where all is served from memory nobody else asks.
const WATCH: Duration = Duration::from_secs(5);

/// A Redis that is asked only while it answers.
///
/// One call that fails or comes too late takes the connection down, and from then on nobody asks, so that no caller
/// pays for a Redis that is slow or gone. A task tries until a new connection can run scripts.
pub(super) struct RedisConnection {
    client: Client,
    timeout: Duration,
    probe: Probe,
    metrics: StoreMetrics,
    /// Held to look or to swap, never across an await.
    state: Mutex<State>,
    /// Told when a connection goes or comes.
    changes: watch::Sender<()>,
}

/// What shows that Redis can be used: not only that it is there.
pub(super) struct Probe {
    pub(super) script: Script,
    pub(super) key: String,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections: what failed on an old one says nothing of the present one.
    number: u64,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no answer within {0:?}")]
    Slow(Duration),
}

impl RedisConnection {
    /// A link that is up if Redis can be used at once; otherwise it is tried for as long as the link is there.
    pub(super) async fn open(
        client: Client,
        timeout: Duration,
        probe: Probe,
        metrics: StoreMetrics,
    ) -> Arc<Self> {
        let state = Mutex::default();
        let changes = watch::Sender::new(());
        let link = Arc::new(Self { client, timeout, probe, metrics, state, changes });
        link.metrics.degraded(true);
        match link.connect().await {
            Ok(connection) => link.is_back(connection),
            Err(lost) => link.go_down(&lost),
        }
        tokio::spawn(keep_watch(Arc::downgrade(&link)));
        link
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Of the present connection, or of the last one.
    pub(super) fn number(&self) -> u64 {
        self.state().number
    }

    /// Comes when a connection goes or comes after this call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.changes.subscribe();
        async move {
            // The sender is gone where the link is: that is a change as well.
            let _ = changes.changed().await;
        }
    }

    /// Runs a script; nothing comes of it if the link is down, or goes down over it.
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
        let outcome = self.in_time(script.invoke_async(&mut connection)).await;
        self.metrics.called(operation, outcome.is_ok(), began.elapsed());
        match outcome {
            Ok(value) => Some(value),
            Err(lost) => {
                let mut state = self.state();
                let is_present = state.number == number && state.connection.take().is_some();
                drop(state);
                if is_present {
                    self.go_down(&lost);
                }
                None
            }
        }
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Lost> {
        Ok(timeout(self.timeout, call).await.map_err(|_| Lost::Slow(self.timeout))??)
    }

    /// A new connection on which scripts run. Always a new one: on an old one, after a failover, nothing may come
    /// for a quarter of an hour.
    async fn connect(&self) -> Result<MultiplexedConnection, Lost> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            // `run` has the one time-out.
            .set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection =
            timeout(CONNECT, connecting).await.map_err(|_| Lost::Slow(CONNECT))??;
        self.in_time(self.probe.invocation().invoke_async::<()>(&mut connection)).await?;
        Ok(connection)
    }

    fn is_back(&self, connection: MultiplexedConnection) {
        let mut state = self.state();
        state.number += 1;
        state.connection = Some(connection);
        drop(state);
        self.changes.send_replace(());
        self.metrics.degraded(false);
        tracing::info!("Redis answers: tokens and the budget are shared");
    }

    fn go_down(self: &Arc<Self>, lost: &Lost) {
        self.changes.send_replace(());
        self.metrics.degraded(true);
        tracing::warn!(
            "store_degraded: Redis does not answer, this replica goes on by itself with its part of the budget: {lost}"
        );
        tokio::spawn(recover(Arc::downgrade(self), lost.to_string()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is an assignment or two, neither of which can panic.
        self.state.lock()
    }
}

impl Probe {
    fn invocation(&self) -> ScriptInvocation<'_> {
        self.script.key(&self.key)
    }
}

/// Looks from time to time whether Redis is still there, for as long as the link is.
async fn keep_watch(link: Weak<RedisConnection>) {
    loop {
        sleep(WATCH).await;
        let Some(link) = link.upgrade() else { return };
        let _: Option<()> = link.run(StoreOperation::Probe, &link.probe.invocation()).await;
    }
}

/// Tries until the link is up again, or nobody needs it any more.
async fn recover(link: Weak<RedisConnection>, mut told: String) {
    loop {
        sleep(RECONNECT.wait_after(1)).await;
        let Some(link) = link.upgrade() else { return };
        match link.connect().await {
            Ok(connection) => return link.is_back(connection),
            // The same reason twice a second would drown the log.
            Err(lost) if lost.to_string() == told => {}
            Err(lost) => {
                told = lost.to_string();
                tracing::warn!("Redis still cannot be used: {told}");
            }
        }
    }
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client holds the password.
        f.debug_struct("RedisConnection").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}
