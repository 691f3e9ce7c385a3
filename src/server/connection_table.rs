//! The open connections of one listener: how many each address has, what memory they may take, how long each has had no
//! request, and so which is closed where there is no room for another.
//!
//! An idle connection costs its owner nothing and may not cost others theirs. One with a request under way is never
//! closed for another, and one whose caller has proven itself only for others of its own address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limit::{Network, network};
use crate::telemetry::{Bound, Connections};

/// So many connections are looked at for the one that has been idle the longest: enough that it is one of the longest,
/// and few enough that a flood of new ones does not make us count.
const LOOKED_AT: usize = 128;
/// A full bound is one warning in so long.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What the table has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of one address; none where that is not known or not bounded.
    pub(super) per_address: Option<usize>,
    /// Bytes that all of them together may take, by what they are reckoned at.
    pub(super) memory: usize,
}

/// The open connections of one listener.
#[derive(Clone, Debug)]
pub(super) struct ConnectionTable(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    counts: Connections,
    began: Instant,
    /// Held to look at or change the maps, never across an await. Requests do not take it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order in which they came.
    all: BTreeMap<u64, Row>,
    of_addresses: HashMap<Network, BTreeSet<u64>>,
    memory: usize,
    warned: [Option<Instant>; 3],
}

#[derive(Debug)]
struct Row {
    connection: Arc<OpenConnection>,
    network: Option<Network>,
    memory: usize,
}

/// There is no room, and nobody to make some.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full(pub(super) Bound);

/// One connection. It leaves the table when its [`Entry`] is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection {
    id: u64,
    table: ConnectionTable,
    under_way: AtomicUsize,
    /// Somebody has proven itself on it.
    authenticated: AtomicBool,
    /// It is known to be a caller's own, and not a proxy's that others share.
    counted: AtomicBool,
    /// Since the table began, in milliseconds.
    idle_since: AtomicU64,
    evicted: Notify,
}

/// Keeps a connection in the table.
#[derive(Debug)]
pub(super) struct Entry(Arc<OpenConnection>);

impl ConnectionTable {
    pub(super) fn new(bounds: Bounds, counts: Connections) -> Self {
        let (began, state) = (Instant::now(), Mutex::default());
        Self(Arc::new(Shared { bounds, counts, began, state }))
    }

    /// Takes a new connection in that will need so much memory.
    pub(super) fn open(&self, memory: usize) -> Result<Entry, Full> {
        let mut state = self.state();
        self.make_memory(&mut state, memory, None)?;
        let id = state.next;
        state.next += 1;
        let connection = Arc::new(OpenConnection {
            id,
            table: self.clone(),
            under_way: AtomicUsize::new(0),
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

    /// Closes a connection for a new one; whether there was one to close.
    pub(super) fn make_room(&self) -> bool {
        let mut state = self.state();
        state.warn(Bound::Server);
        self.evict_any(&mut state, None, Bound::Server)
    }

    /// The connection belongs to this address, which may have room for it or not.
    fn join(&self, id: u64, address: IpAddr) -> Result<(), Full> {
        let Some(most) = self.0.bounds.per_address else { return Ok(()) };
        let network = network(address);
        let mut state = self.state();
        let own = state.of_addresses.get(&network);
        if let Some(own) = own.filter(|own| own.len() >= most) {
            let start = start_of(own.first().copied(), own.last().copied(), own.len());
            let ids = own.range(start..).chain(own.range(..start)).copied();
            let longest = state.longest_idle(ids);
            state.warn(Bound::Address);
            self.evict(&mut state, longest.ok_or(Full(Bound::Address))?, Bound::Address);
        }
        if let Some(row) = state.all.get_mut(&id) {
            row.network = Some(network);
            state.of_addresses.entry(network).or_default().insert(id);
        }
        Ok(())
    }

    fn charge(&self, id: u64, memory: usize) -> Result<(), Full> {
        let mut state = self.state();
        self.make_memory(&mut state, memory, Some(id))?;
        // One that was closed for another has nothing more to pay.
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

    fn make_memory(&self, state: &mut State, more: usize, of: Option<u64>) -> Result<(), Full> {
        while state.memory + more > self.0.bounds.memory {
            state.warn(Bound::Memory);
            if !self.evict_any(state, of, Bound::Memory) {
                return Err(Full(Bound::Memory));
            }
        }
        Ok(())
    }

    /// Closes the one of those without a proven caller that has been idle the longest, as far as was looked.
    fn evict_any(&self, state: &mut State, but: Option<u64>, bound: Bound) -> bool {
        let all = &state.all;
        let ends = [all.first_key_value(), all.last_key_value()];
        let [first, last] = ends.map(|end| end.map(|(id, _)| *id));
        let start = start_of(first, last, all.len());
        let ids = all.range(start..).chain(all.range(..start)).map(|(id, _)| *id);
        let longest = state.longest_idle(ids.filter(|id| Some(*id) != but));
        // Proven callers keep theirs: a new one finds another replica.
        let stranger = longest.filter(|id| !state.all[id].connection.is_authenticated());
        stranger.inspect(|id| self.evict(state, *id, bound)).is_some()
    }

    fn evict(&self, state: &mut State, id: u64, bound: Bound) {
        if let Some(row) = state.remove(id) {
            row.connection.evicted.notify_one();
            self.0.counts.evicted(bound);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// The idle one that is missed the least: without a proven caller before with one, and then the longest idle.
    fn longest_idle(&self, ids: impl Iterator<Item = u64>) -> Option<u64> {
        let idle = ids.take(LOOKED_AT).filter_map(|id| {
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
            && let Some(own) = self.of_addresses.get_mut(&network)
        {
            own.remove(&id);
            if own.is_empty() {
                self.of_addresses.remove(&network);
            }
        }
        Some(row)
    }

    fn warn(&mut self, bound: Bound) {
        let (index, key) = match bound {
            Bound::Server => (0, "server.max_connections"),
            Bound::Address => (1, "server.max_connections_per_address"),
            Bound::Memory => (2, "server.max_connection_memory_bytes"),
        };
        if self.warned[index].is_none_or(|last| last.elapsed() >= WARN_EVERY) {
            self.warned[index] = Some(Instant::now());
            tracing::warn!(
                config.key = key,
                "a bound of connections is reached: idle ones without an authenticated caller are closed for new ones, \
                 and new ones refused where there are none"
            );
        }
    }
}

/// Where among so many to begin looking: anywhere, if not all are looked at.
fn start_of(first: Option<u64>, last: Option<u64>, count: usize) -> u64 {
    match (first, last) {
        (Some(first), Some(last)) if count > LOOKED_AT => rand::random_range(first..=last),
        (first, _) => first.unwrap_or_default(),
    }
}

impl Entry {
    pub(super) fn connection(&self) -> &Arc<OpenConnection> {
        &self.0
    }

    /// It is this address's own, and counted as such.
    pub(super) fn join(&self, address: IpAddr) -> Result<(), Full> {
        self.0.counted.store(true, Ordering::Relaxed);
        self.0.table.join(self.0.id, address)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let removed = self.0.table.state().remove(self.0.id);
        // After the lock.
        drop(removed);
    }
}

impl OpenConnection {
    /// A request's head is complete.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// It is answered, or will not be.
    pub(super) fn end(&self) {
        self.idle_since.store(self.table.now(), Ordering::Relaxed);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Somebody has proven itself on it.
    pub(super) fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    /// Whether its only user is a caller who has not proven itself. Behind a proxy nobody can tell.
    pub(super) fn is_a_strangers(&self) -> bool {
        self.counted.load(Ordering::Relaxed) && !self.is_authenticated()
    }

    /// It takes so much memory more, until it ends.
    pub(super) fn charge(&self, memory: usize) -> Result<(), Full> {
        self.table.charge(self.id, memory)
    }

    /// Of what it was charged, so much is free again.
    pub(super) fn release(&self, memory: usize) {
        self.table.release(self.id, memory);
    }

    /// It is to be closed once its requests are answered.
    pub(super) fn close(&self) {
        self.evicted.notify_one();
    }

    /// Resolves, once, when it is to be closed: for another, or because its caller may not keep it.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    #[cfg(test)]
    pub(super) fn alone() -> Arc<Self> {
        let bounds = Bounds { per_address: None, memory: usize::MAX / 2 };
        let table = ConnectionTable::new(bounds, Connections::default());
        let entry = table.open(0).expect("there is room");
        Arc::clone(entry.connection())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MANY: usize = 1 << 40;

    fn table(per_address: usize, memory: usize) -> ConnectionTable {
        let bounds = Bounds { per_address: Some(per_address), memory };
        ConnectionTable::new(bounds, Connections::default())
    }

    fn from(table: &ConnectionTable, address: &str) -> Result<Entry, Full> {
        let entry = table.open(10)?;
        entry.join(address.parse().unwrap())?;
        Ok(entry)
    }

    fn evicted(entry: &Entry) -> bool {
        entry.connection().evicted().now_or_never().is_some()
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn at_an_addresss_cap_its_longest_idle_stranger_is_closed_and_nobody_elses() {
        let table = table(3, MANY);
        let other = from(&table, "192.0.2.9").unwrap();
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(from(&table, "192.0.2.1").unwrap());
            pass(1).await;
        }
        // The first had a request since, the second's caller has proven itself.
        own[0].connection().begin();
        own[0].connection().end();
        own[1].connection().authenticated();
        pass(1).await;
        own.push(from(&table, "::ffff:192.0.2.1").unwrap());
        assert_eq!(own.iter().map(evicted).collect::<Vec<_>>(), [false, false, true, false]);
        own.push(from(&table, "192.0.2.1").unwrap());
        assert_eq!(own.iter().map(evicted).collect::<Vec<_>>(), [true, false, false, false, false]);
        assert!(!evicted(&other));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_host_is_one_address_whichever_of_its_own_it_uses() {
        let table = table(2, MANY);
        let own = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3", "2001:db8:1:3::1"];
        let own = own.map(|address| from(&table, address).unwrap());
        assert_eq!(own.each_ref().map(evicted), [true, false, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn proven_callers_give_way_to_their_own_address_and_to_nobody_else_and_busy_ones_never() {
        let table = table(2, 20);
        let own = [from(&table, "192.0.2.1").unwrap(), from(&table, "192.0.2.1").unwrap()];
        for entry in &own {
            entry.connection().authenticated();
        }
        own[0].connection().begin();
        assert_eq!(table.open(10).unwrap_err(), Full(Bound::Memory));
        assert!(!table.make_room());
        let [busy, idle] = own;
        // Without a bound of memory in the way.
        let table = self::table(2, MANY);
        let third = table.open(10).unwrap();
        let both = [from(&table, "192.0.2.1").unwrap(), from(&table, "192.0.2.1").unwrap()];
        both.iter().for_each(|entry| entry.connection().authenticated());
        both[0].connection().begin();
        third.join("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(both.each_ref().map(evicted), [false, true]);
        third.connection().begin();
        let fourth = table.open(10).unwrap();
        let refused = fourth.join("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(refused, Full(Bound::Address));
        drop((busy, idle));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_memorys_bound_the_longest_idle_stranger_is_closed() {
        let table = table(100, 35);
        let mut open = Vec::new();
        for host in 1..=3 {
            open.push(from(&table, &format!("192.0.2.{host}")).unwrap());
            pass(1).await;
        }
        open.push(from(&table, "192.0.2.4").unwrap());
        assert_eq!(open.iter().map(evicted).collect::<Vec<_>>(), [true, false, false, false]);
        // Not itself, though it has been idle the longest.
        open[1].connection().charge(15).unwrap();
        open[1].connection().release(5);
        assert_eq!(open.iter().map(evicted).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(table.state().memory, 30);
        open.clear();
        assert_eq!(table.state().memory, 0);
        assert!(table.state().all.is_empty() && table.state().of_addresses.is_empty());
        assert_eq!(table.open(36).unwrap_err(), Full(Bound::Memory));
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_connections_one_of_the_idle_strangers_is_found() {
        let table = table(MANY, MANY);
        let open: Vec<_> = (0..1_000).map(|_| from(&table, "192.0.2.1").unwrap()).collect();
        for _ in 0..500 {
            assert!(table.make_room());
        }
        assert_eq!(open.iter().filter(|entry| evicted(entry)).count(), 500);
        assert_eq!(table.state().all.len(), 500);
    }
}
