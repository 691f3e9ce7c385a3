//! The open connections of one listener: count per address, estimated memory, idle time. At a limit, it picks the
//! connection to evict.
//!
//! A connection with an open request is never evicted. One with an authenticated caller is evicted only for a new
//! connection of its own address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limit::{Network, network};
use crate::telemetry::{ConnectionLimit, Connections};

/// How many connections are compared to find the one that is idle the longest: enough to find one of the longest, few
/// enough to stay cheap when many new connections arrive.
const SCAN_LIMIT: usize = 128;
/// At most one warning per limit and interval.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// The limits of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections of one address; `None`: not limited.
    pub(super) per_address: Option<usize>,
    /// Bytes of memory that all connections are estimated at together.
    pub(super) memory: usize,
}

/// The open connections of one listener.
#[derive(Clone, Debug)]
pub(super) struct ConnectionTable(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    metrics: Connections,
    started: Instant,
    /// Held to look at or change the maps, never across an await. Requests do not take it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of their arrival.
    all: BTreeMap<u64, Row>,
    by_address: HashMap<Network, BTreeSet<u64>>,
    memory: usize,
    last_warnings: [Option<Instant>; 3],
}

#[derive(Debug)]
struct Row {
    connection: Arc<OpenConnection>,
    network: Option<Network>,
    memory: usize,
}

/// A limit is reached and no connection can be evicted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LimitReached(pub(super) ConnectionLimit);

/// One connection. Dropping its [`Entry`] removes it from the table.
#[derive(Debug)]
pub(super) struct OpenConnection {
    id: u64,
    table: ConnectionTable,
    open_requests: AtomicUsize,
    /// Whether a caller has authenticated on it.
    authenticated: AtomicBool,
    /// Whether it counts for its client's address. A trusted proxy's connection does not: its clients share it.
    counted: AtomicBool,
    /// Milliseconds from `started`.
    idle_since: AtomicU64,
    evicted: Notify,
}

/// Keeps a connection in the table until it is dropped.
#[derive(Debug)]
pub(super) struct Entry(Arc<OpenConnection>);

impl ConnectionTable {
    pub(super) fn new(limits: Limits, metrics: Connections) -> Self {
        let (started, state) = (Instant::now(), Mutex::default());
        Self(Arc::new(Shared { limits, metrics, started, state }))
    }

    /// Adds a connection with its estimated memory.
    pub(super) fn open(&self, memory: usize) -> Result<Entry, LimitReached> {
        let mut state = self.state();
        self.evict_for_memory(&mut state, memory, None)?;
        let id = state.next;
        state.next += 1;
        let connection = Arc::new(OpenConnection {
            id,
            table: self.clone(),
            open_requests: AtomicUsize::new(0),
            authenticated: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            idle_since: AtomicU64::new(self.now()),
            evicted: Notify::new(),
        });
        let row = Row { connection: Arc::clone(&connection), network: None, memory };
        state.all.insert(id, row);
        state.memory += memory;
        Ok(Entry(connection))
    }

    /// Evicts a connection for a new one; returns whether there was one to evict.
    pub(super) fn evict_for_new(&self) -> bool {
        let mut state = self.state();
        state.warn(ConnectionLimit::Server);
        self.evict_any(&mut state, None, ConnectionLimit::Server)
    }

    fn count_for_address(&self, id: u64, address: IpAddr) -> Result<(), LimitReached> {
        let Some(most) = self.0.limits.per_address else { return Ok(()) };
        let network = network(address);
        let mut state = self.state();
        let own = state.by_address.get(&network);
        if let Some(own) = own.filter(|own| own.len() >= most) {
            let start = scan_start(own.first().copied(), own.last().copied(), own.len());
            let ids = own.range(start..).chain(own.range(..start)).copied();
            let longest = state.longest_idle(ids);
            state.warn(ConnectionLimit::Address);
            self.evict(
                &mut state,
                longest.ok_or(LimitReached(ConnectionLimit::Address))?,
                ConnectionLimit::Address,
            );
        }
        if let Some(row) = state.all.get_mut(&id) {
            row.network = Some(network);
            state.by_address.entry(network).or_default().insert(id);
        }
        Ok(())
    }

    fn charge(&self, id: u64, memory: usize) -> Result<(), LimitReached> {
        let mut state = self.state();
        self.evict_for_memory(&mut state, memory, Some(id))?;
        // It may have been evicted meanwhile.
        if let Some(row) = state.all.get_mut(&id) {
            row.memory += memory;
            state.memory += memory;
        }
        Ok(())
    }

    fn release(&self, id: u64, memory: usize) {
        let mut state = self.state();
        if let Some(row) = state.all.get_mut(&id) {
            let released = memory.min(row.memory);
            row.memory -= released;
            state.memory -= released;
        }
    }

    fn evict_for_memory(
        &self,
        state: &mut State,
        more: usize,
        of: Option<u64>,
    ) -> Result<(), LimitReached> {
        while state.memory + more > self.0.limits.memory {
            state.warn(ConnectionLimit::Memory);
            if !self.evict_any(state, of, ConnectionLimit::Memory) {
                return Err(LimitReached(ConnectionLimit::Memory));
            }
        }
        Ok(())
    }

    /// Evicts the connection without an authenticated caller that is idle the longest of those scanned.
    fn evict_any(&self, state: &mut State, except: Option<u64>, limit: ConnectionLimit) -> bool {
        let all = &state.all;
        let ends = [all.first_key_value(), all.last_key_value()];
        let [first, last] = ends.map(|end| end.map(|(id, _)| *id));
        let start = scan_start(first, last, all.len());
        let ids = all.range(start..).chain(all.range(..start)).map(|(id, _)| *id);
        let longest = state.longest_idle(ids.filter(|id| Some(*id) != except));
        // Authenticated callers keep their connections: a new one finds another replica.
        let evicted = longest.filter(|id| !state.all[id].connection.is_authenticated());
        evicted.inspect(|id| self.evict(state, *id, limit)).is_some()
    }

    fn evict(&self, state: &mut State, id: u64, limit: ConnectionLimit) {
        if let Some(row) = state.remove(id) {
            row.connection.evicted.notify_one();
            self.0.metrics.evicted(limit);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// The idle connection to evict first: one without an authenticated caller, then the longest idle.
    fn longest_idle(&self, ids: impl Iterator<Item = u64>) -> Option<u64> {
        let idle = ids.take(SCAN_LIMIT).filter_map(|id| {
            let connection = &self.all.get(&id)?.connection;
            let since = connection.idle_since.load(Ordering::Relaxed);
            (!connection.is_busy()).then_some((connection.is_authenticated(), since, id))
        });
        idle.min().map(|(_, _, id)| id)
    }

    fn remove(&mut self, id: u64) -> Option<Row> {
        let row = self.all.remove(&id)?;
        self.memory -= row.memory;
        if let Some(network) = row.network
            && let Some(own) = self.by_address.get_mut(&network)
        {
            own.remove(&id);
            if own.is_empty() {
                self.by_address.remove(&network);
            }
        }
        Some(row)
    }

    fn warn(&mut self, limit: ConnectionLimit) {
        let (index, key) = match limit {
            ConnectionLimit::Server => (0, "server.max_connections"),
            ConnectionLimit::Address => (1, "server.max_connections_per_address"),
            ConnectionLimit::Memory => (2, "server.max_connection_memory_bytes"),
        };
        if self.last_warnings[index].is_none_or(|last| last.elapsed() >= WARN_INTERVAL) {
            self.last_warnings[index] = Some(Instant::now());
            tracing::warn!(
                config.key = key,
                "connection limit reached; evicting idle connections without an authenticated caller, and refusing new ones \
                 where there are none"
            );
        }
    }
}

/// Where a scan begins: at a random connection, if it does not cover all.
fn scan_start(first: Option<u64>, last: Option<u64>, count: usize) -> u64 {
    match (first, last) {
        (Some(first), Some(last)) if count > SCAN_LIMIT => rand::random_range(first..=last),
        (first, _) => first.unwrap_or_default(),
    }
}

impl Entry {
    pub(super) fn connection(&self) -> &Arc<OpenConnection> {
        &self.0
    }

    /// Counts the connection for its client's address.
    pub(super) fn count_for_address(&self, address: IpAddr) -> Result<(), LimitReached> {
        self.0.counted.store(true, Ordering::Relaxed);
        self.0.table.count_for_address(self.0.id, address)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let removed = self.0.table.state().remove(self.0.id);
        // After the lock is released.
        drop(removed);
    }
}

impl OpenConnection {
    /// A request head is complete.
    pub(super) fn begin(&self) {
        self.open_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is answered or abandoned.
    pub(super) fn end(&self) {
        self.idle_since.store(self.table.now(), Ordering::Relaxed);
        self.open_requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.open_requests.load(Ordering::Relaxed) > 0
    }

    /// Records that a caller has authenticated.
    pub(super) fn mark_authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    /// Whether it is a client's own connection on which no caller has authenticated. Of a trusted proxy's connection
    /// that is not known.
    pub(super) fn is_unauthenticated_client(&self) -> bool {
        self.counted.load(Ordering::Relaxed) && !self.is_authenticated()
    }

    /// Adds to its estimated memory.
    pub(super) fn charge(&self, memory: usize) -> Result<(), LimitReached> {
        self.table.charge(self.id, memory)
    }

    /// Subtracts from its estimated memory.
    pub(super) fn release(&self, memory: usize) {
        self.table.release(self.id, memory);
    }

    /// Closes it after its open requests are answered.
    pub(super) fn close(&self) {
        self.evicted.notify_one();
    }

    /// Resolves, once, when it is to be closed: evicted, or because its client certificate is no longer valid.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn for_tests() -> Arc<Self> {
        let limits = Limits { per_address: None, memory: usize::MAX / 2 };
        let table = ConnectionTable::new(limits, Connections::default());
        let entry = table.open(0).expect("the table is not full");
        Arc::clone(entry.connection())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MANY: usize = 1 << 40;

    fn table(per_address: usize, memory: usize) -> ConnectionTable {
        let limits = Limits { per_address: Some(per_address), memory };
        ConnectionTable::new(limits, Connections::default())
    }

    fn from(table: &ConnectionTable, address: &str) -> Result<Entry, LimitReached> {
        let entry = table.open(10)?;
        entry.count_for_address(address.parse().unwrap())?;
        Ok(entry)
    }

    fn evicted(entry: &Entry) -> bool {
        entry.connection().evicted().now_or_never().is_some()
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_address_limit_its_longest_idle_unauthenticated_connection_is_evicted() {
        let table = table(3, MANY);
        let other = from(&table, "192.0.2.9").unwrap();
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(from(&table, "192.0.2.1").unwrap());
            pass(1).await;
        }
        // The first has had a request since; on the second a caller has authenticated.
        own[0].connection().begin();
        own[0].connection().end();
        own[1].connection().mark_authenticated();
        pass(1).await;
        own.push(from(&table, "::ffff:192.0.2.1").unwrap());
        assert_eq!(own.iter().map(evicted).collect::<Vec<_>>(), [false, false, true, false]);
        own.push(from(&table, "192.0.2.1").unwrap());
        assert_eq!(own.iter().map(evicted).collect::<Vec<_>>(), [true, false, false, false, false]);
        assert!(!evicted(&other));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_host_counts_as_one_address() {
        let table = table(2, MANY);
        let own = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3", "2001:db8:1:3::1"];
        let own = own.map(|address| from(&table, address).unwrap());
        assert_eq!(own.each_ref().map(evicted), [true, false, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn authenticated_connections_are_evicted_for_their_own_address_only_and_busy_ones_never()
    {
        let table = table(2, 20);
        let own = [from(&table, "192.0.2.1").unwrap(), from(&table, "192.0.2.1").unwrap()];
        for entry in &own {
            entry.connection().mark_authenticated();
        }
        own[0].connection().begin();
        assert_eq!(table.open(10).unwrap_err(), LimitReached(ConnectionLimit::Memory));
        assert!(!table.evict_for_new());
        let [busy, idle] = own;
        // Without a memory limit.
        let table = self::table(2, MANY);
        let third = table.open(10).unwrap();
        let both = [from(&table, "192.0.2.1").unwrap(), from(&table, "192.0.2.1").unwrap()];
        for entry in &both {
            entry.connection().mark_authenticated();
        }
        both[0].connection().begin();
        third.count_for_address("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(both.each_ref().map(evicted), [false, true]);
        third.connection().begin();
        let fourth = table.open(10).unwrap();
        let refused = fourth.count_for_address("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(refused, LimitReached(ConnectionLimit::Address));
        drop((busy, idle));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_memory_limit_the_longest_idle_unauthenticated_connection_is_evicted() {
        let table = table(100, 35);
        let mut open = Vec::new();
        for host in 1..=3 {
            open.push(from(&table, &format!("192.0.2.{host}")).unwrap());
            pass(1).await;
        }
        open.push(from(&table, "192.0.2.4").unwrap());
        assert_eq!(open.iter().map(evicted).collect::<Vec<_>>(), [true, false, false, false]);
        // Not the charged connection itself, though it is idle the longest.
        open[1].connection().charge(15).unwrap();
        open[1].connection().release(5);
        assert_eq!(open.iter().map(evicted).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(table.state().memory, 30);
        open.clear();
        assert_eq!(table.state().memory, 0);
        assert!(table.state().all.is_empty() && table.state().by_address.is_empty());
        assert_eq!(table.open(36).unwrap_err(), LimitReached(ConnectionLimit::Memory));
    }

    #[tokio::test(start_paused = true)]
    async fn among_many_connections_an_idle_one_is_found() {
        let table = table(MANY, MANY);
        let open: Vec<_> = (0..1_000).map(|_| from(&table, "192.0.2.1").unwrap()).collect();
        for _ in 0..500 {
            assert!(table.evict_for_new());
        }
        assert_eq!(open.iter().filter(|entry| evicted(entry)).count(), 500);
        assert_eq!(table.state().all.len(), 500);
    }
}
