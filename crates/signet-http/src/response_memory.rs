use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;
use signet_domain::PartnerId;

use crate::error::{Failure, Shed};

/// How many bytes of large responses may be in memory at once, until their clients have read them. No partner may hold
/// more than half of them.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// A page of 100 audit entries, each with two metadata objects of 16 KiB, is hardly larger.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// The large responses that are in memory: clients that do not read what they asked for must not fill it.
pub(crate) struct ResponseMemory {
    held: Mutex<Held>,
    gauge: Gauge,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_partner: HashMap<PartnerId, usize>,
}

/// The bytes of one response, given back when dropped.
pub(crate) struct HeldBytes {
    memory: Arc<ResponseMemory>,
    partner: PartnerId,
    bytes: usize,
}

impl ResponseMemory {
    pub(crate) fn new(gauge: Gauge) -> Self {
        Self { held: Mutex::default(), gauge }
    }

    /// Fails while there is no room for the largest page: before one is read from the database for nothing.
    pub(crate) fn ensure_room(&self, partner: PartnerId) -> Result<(), Failure> {
        if self.lock().has_room(partner, LARGEST_PAGE) { Ok(()) } else { Err(full()) }
    }

    /// Holds a response that has this length, if there is room for it.
    pub(crate) fn hold(self: &Arc<Self>, partner: PartnerId, bytes: usize) -> Result<HeldBytes, Failure> {
        let mut held = self.lock();
        if !held.has_room(partner, bytes) {
            return Err(full());
        }
        held.total += bytes;
        *held.by_partner.entry(partner).or_default() += bytes;
        self.gauge.set(i64::try_from(held.total).unwrap_or(i64::MAX));
        Ok(HeldBytes { memory: Arc::clone(self), partner, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn has_room(&self, partner: PartnerId, bytes: usize) -> bool {
        let own = self.by_partner.get(&partner).copied().unwrap_or_default();
        self.total + bytes <= MAX_HELD && own + bytes <= MAX_HELD / 2
    }
}

impl HeldBytes {
    /// The response became smaller.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        let mut held = self.memory.lock();
        held.total -= bytes;
        if let Some(own) = held.by_partner.get_mut(&self.partner) {
            *own -= bytes;
            if *own == 0 {
                held.by_partner.remove(&self.partner);
            }
        }
        self.memory.gauge.set(i64::try_from(held.total).unwrap_or(i64::MAX));
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

fn full() -> Failure {
    Failure::unavailable(Shed::ResponseMemory, &"too many large responses wait for their clients to read them")
}

#[cfg(test)]
mod tests {
    use signet_conformance::Builder;

    use super::*;

    #[test]
    fn partner_may_hold_half_and_all_of_them_the_whole() {
        let memory = Arc::new(ResponseMemory::new(Gauge::default()));
        let build = Builder::new(1);
        let [one, other, third] = [(); 3].map(|()| build.partner().id);
        let (half, quarter) = (MAX_HELD / 2, MAX_HELD / 4);
        memory.ensure_room(one).expect("nothing is held");
        let mut first = memory.hold(one, half).expect("room");
        assert!(memory.ensure_room(one).is_err() && memory.hold(one, 1).is_err());
        memory.ensure_room(other).expect("room for another");
        let second = memory.hold(other, half).expect("room for another");
        assert!(memory.ensure_room(third).is_err());
        first.shrink_to(quarter);
        let last = memory.hold(third, quarter).expect("room again");
        assert!(memory.hold(one, 1).is_err());
        drop((first, second, last));
        assert_eq!((memory.gauge.get(), memory.lock().by_partner.len()), (0, 0));
    }
}
