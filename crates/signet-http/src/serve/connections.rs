use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use ipnet::IpNet;

use super::Limits;
use crate::{connection_events::ConnectionEvent, metrics::Metrics};

/// How many connections may be closing to make room, beyond the limit. Their workers close them at once unless stuck.
const MAX_CLOSING: usize = 256;

/// How many of the longest idle ones are noted in one search, and how soon the next search may follow: a search looks at
/// every connection.
const CANDIDATES: usize = 256;
const SEARCH_EVERY: Duration = Duration::from_millis(5);

/// A state of a [`Slot`]. Others are times since the start, in milliseconds, and then `INCOMPLETE` may be added.
const BUSY: u64 = 0;
const EVICTED: u64 = u64::MAX;
/// No request is complete, but something is under way: a handshake or a head. It makes room after all that are idle.
const INCOMPLETE: u64 = 1 << 62;

/// The connections that are open, and which of them makes room for a new one when there are too many.
pub(super) struct Connections {
    limit: usize,
    limit_per_address: Option<NonZeroUsize>,
    /// Proxies, which have many clients behind one address.
    exempt: Vec<IpNet>,
    started: Instant,
    metrics: Metrics,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    open: BTreeMap<u64, Arc<Slot>>,
    by_address: HashMap<IpAddr, usize>,
    next_id: u64,
    /// How many were evicted and are still open.
    closing: usize,
    /// States and ids of the longest idle ones in the last search, the longest last.
    candidates: Vec<(u64, u64)>,
    searched: Option<Instant>,
}

/// What others know of a connection.
struct Slot {
    state: AtomicU64,
    task: AtomicWaker,
}

/// The right to be open, given back when dropped.
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    id: u64,
    slot: Arc<Slot>,
    address: Option<IpAddr>,
}

impl Connections {
    pub(super) fn new(limits: &Limits, exempt: &[IpNet], metrics: Metrics) -> Self {
        Self {
            limit: limits.connections,
            limit_per_address: limits.connections_per_address,
            exempt: exempt.to_vec(),
            started: Instant::now(),
            metrics,
            registry: Mutex::default(),
        }
    }

    /// Lets a connection in, if need be by closing the longest idle one. `true` with the permit says that one was closed.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Result<(ConnectionPermit, bool), ConnectionEvent> {
        let address = address.and_then(|address| self.counted(address));
        let now = self.now();
        let slot = Arc::new(Slot { state: AtomicU64::new(now | INCOMPLETE), task: AtomicWaker::new() });
        let mut registry = self.lock();
        if let (Some(limit), Some(address)) = (self.limit_per_address, &address)
            && registry.by_address.get(address).is_some_and(|count| *count >= limit.get())
        {
            return Err(ConnectionEvent::FullForAddress);
        }
        let is_full = registry.open.len() - registry.closing >= self.limit;
        if is_full && !registry.evict() {
            return Err(ConnectionEvent::Full);
        }
        let id = registry.next_id;
        registry.next_id += 1;
        registry.open.insert(id, Arc::clone(&slot));
        if let Some(address) = address {
            *registry.by_address.entry(address).or_default() += 1;
        }
        self.metrics.connections.open.inc();
        Ok((ConnectionPermit { connections: Arc::clone(self), id, slot, address }, is_full))
    }

    /// What is counted as one address, if that is limited: a network of 64 bits is one customer's (RFC 6177).
    fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        self.limit_per_address?;
        let address = address.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&address)) {
            return None;
        }
        Some(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        })
    }

    /// Never `BUSY`.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(INCOMPLETE) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Closes the longest idle connection; says whether there is one.
    fn evict(&mut self) -> bool {
        if self.closing >= MAX_CLOSING {
            return false;
        }
        if self.evict_candidate() {
            return true;
        }
        if self.searched.is_some_and(|searched| searched.elapsed() < SEARCH_EVERY) {
            return false;
        }
        self.search();
        self.evict_candidate()
    }

    fn evict_candidate(&mut self) -> bool {
        while let Some((state, id)) = self.candidates.pop() {
            let Some(slot) = self.open.get(&id) else { continue };
            // It may have been used since the search.
            if slot.state.compare_exchange(state, EVICTED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.closing += 1;
                slot.task.wake();
                return true;
            }
        }
        false
    }

    fn search(&mut self) {
        let states = self.open.iter().map(|(id, slot)| (slot.state.load(Ordering::Relaxed), *id));
        let mut found: Vec<_> = states.filter(|(state, _)| !matches!(*state, BUSY | EVICTED)).collect();
        if found.len() > CANDIDATES {
            found.select_nth_unstable(CANDIDATES);
            found.truncate(CANDIDATES);
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        self.candidates = found;
        self.searched = Some(Instant::now());
    }
}

impl ConnectionPermit {
    /// It waits for a request.
    pub(super) fn is_idle(&self) {
        self.enter(self.connections.now());
    }

    /// A request begins to come, or the last answer was given.
    pub(super) fn is_incomplete(&self) {
        self.enter(self.connections.now() | INCOMPLETE);
    }

    /// It serves a request, and makes room for nobody.
    pub(super) fn is_busy(&self) {
        self.enter(BUSY);
    }

    /// One that was evicted serves what it has, and closes when it is idle again.
    fn enter(&self, state: u64) {
        let enter = |before| (before != EVICTED).then_some(state);
        // The error is that of an evicted one.
        let _ = self.slot.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter);
    }

    /// Whether it has to close; else its task is woken when it has to.
    pub(super) fn is_evicted(&self, task: &Waker) -> bool {
        self.slot.task.register(task);
        self.slot.state.load(Ordering::Acquire) == EVICTED
    }

    /// Ready when it has to close.
    pub(super) fn poll_evicted(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_evicted(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut registry = self.connections.lock();
        registry.open.remove(&self.id);
        // Under the lock, since that is where it is evicted.
        if self.slot.state.load(Ordering::Acquire) == EVICTED {
            registry.closing -= 1;
        }
        if let Some(address) = self.address
            && let Some(count) = registry.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                registry.by_address.remove(&address);
            }
        }
        self.connections.metrics.connections.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(limit: usize, per_address: Option<usize>) -> Arc<Connections> {
        let limits = Limits {
            connections: limit,
            connections_per_address: per_address.and_then(NonZeroUsize::new),
            ..Limits::default()
        };
        Arc::new(Connections::new(&limits, &["10.0.0.0/8".parse().expect("a network")], Metrics::default()))
    }

    fn evicted(permits: &[ConnectionPermit]) -> Vec<usize> {
        let places = permits.iter().enumerate();
        places.filter(|(_, permit)| permit.is_evicted(Waker::noop())).map(|(place, _)| place).collect()
    }

    #[test]
    fn longest_idle_connection_makes_room_and_a_busy_one_never_does() {
        let connections = connections(4, None);
        let admit = || connections.admit(None);
        let mut permits: Vec<_> = (0..4).map(|_| admit().expect("room").0).collect();
        // As if each had changed at another time.
        for (place, state) in [(0, INCOMPLETE + 40), (1, BUSY), (2, 60), (3, 50)] {
            permits[place].slot.state.store(state, Ordering::Relaxed);
        }
        for expected in [&[3][..], &[2, 3], &[0, 2, 3]] {
            let (new, made_room) = admit().expect("room");
            new.is_busy();
            assert!(made_room);
            permits.push(new);
            assert_eq!(evicted(&permits), expected);
        }
        assert_eq!(admit().err(), Some(ConnectionEvent::Full));
        // One that was evicted counts no more, and frees no second place.
        permits.drain(..1);
        assert_eq!(admit().err(), Some(ConnectionEvent::Full));
        permits.drain(..1);
        assert!(!admit().expect("room").1);
    }

    #[test]
    fn evicted_connection_stays_evicted_whatever_it_does() {
        let connections = connections(1, None);
        let (old, _) = connections.admit(None).expect("room");
        old.is_idle();
        let _new = connections.admit(None).expect("room");
        old.is_busy();
        old.is_idle();
        assert!(old.is_evicted(Waker::noop()));
    }

    #[test]
    fn address_has_its_own_limit_unless_it_is_a_proxy() {
        let connections = connections(100, Some(2));
        let admit = |text: &str| connections.admit(Some(text.parse().expect("an address")));
        for [one, same, other] in
            [["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"], ["2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"]]
        {
            let first = admit(one).expect("room");
            let _second = admit(same).expect("room");
            assert_eq!(admit(one).err(), Some(ConnectionEvent::FullForAddress), "{one}");
            let _other = admit(other).expect("room");
            drop(first);
            admit(same).expect("room again");
        }
        let _proxied: Vec<_> = (0..10).map(|_| admit("10.0.0.1").expect("a proxy")).collect();
    }
}
