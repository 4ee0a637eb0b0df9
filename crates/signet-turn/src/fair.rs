//! Who goes first when more waits than one batch can hold.

use std::{collections::VecDeque, time::Duration};

/// What waits, by owner. The owners take turns, so that no one's flood keeps another out, now or later.
///
/// A turn is one item, as long as items cost about the same. Where their cost is [charged](Self::charge), the owner that
/// was charged least is next: an owner of expensive items gets fewer of them done, and the same time.
pub(crate) struct Shares<K, T> {
    /// None of them empty. Of those that were charged the same, the first one is next.
    owners: VecDeque<Share<K, T>>,
    len: usize,
}

struct Share<K, T> {
    owner: K,
    items: VecDeque<T>,
    /// Cost of its items, counted while it waits; only the differences between owners matter.
    charged: Duration,
}

impl<K: PartialEq, T> Shares<K, T> {
    pub(crate) fn new() -> Self {
        Self { owners: VecDeque::new(), len: 0 }
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many of them are that owner's.
    pub(crate) fn len_of(&self, owner: &K) -> usize {
        self.owners.iter().find(|share| share.owner == *owner).map_or(0, |share| share.items.len())
    }

    pub(crate) fn push(&mut self, owner: K, item: T) {
        self.len += 1;
        if let Some(share) = self.owners.iter_mut().find(|share| share.owner == owner) {
            share.items.push_back(item);
        } else {
            // A newcomer has neither credit nor debt from the past.
            let charged = self.owners.iter().map(|share| share.charged).min().unwrap_or_default();
            self.owners.push_back(Share { owner, items: VecDeque::from([item]), charged });
        }
    }

    /// Adds to what an owner was charged. An owner of which nothing waits any more is forgotten with what it was charged.
    pub(crate) fn charge(&mut self, owner: &K, cost: Duration) {
        if let Some(share) = self.owners.iter_mut().find(|share| share.owner == *owner) {
            share.charged += cost;
        }
    }

    /// Takes up to `limit` items out, one of each owner in turn; those of one owner stay in their order.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<T> {
        let mut batch = Vec::with_capacity(limit.min(self.len));
        while batch.len() < limit
            && let Some(mut share) = self.next()
        {
            batch.extend(share.items.pop_front());
            if !share.items.is_empty() {
                self.owners.push_back(share);
            }
        }
        self.len -= batch.len();
        batch
    }

    /// Takes out the first of the owners that were charged least.
    fn next(&mut self) -> Option<Share<K, T>> {
        let (index, _) = self.owners.iter().enumerate().min_by_key(|(_, share)| share.charged)?;
        self.owners.remove(index)
    }

    /// Takes out the latest item of the owner that has the most, where that has at least two more than `owner`: then the
    /// place is better used by one of `owner`'s.
    pub(crate) fn make_room_for(&mut self, owner: &K) -> Option<T> {
        let own = self.len_of(owner);
        let largest = self.owners.iter_mut().max_by_key(|share| share.items.len())?;
        if largest.items.len() < own + 2 {
            return None;
        }
        self.len -= 1;
        largest.items.pop_back()
    }

    /// Drops what is not to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for share in &mut self.owners {
            share.items.retain(&mut keep);
        }
        self.owners.retain(|share| !share.items.is_empty());
        self.len = self.owners.iter().map(|share| share.items.len()).sum();
    }

    /// All items, owner by owner.
    pub(crate) fn into_owners(self) -> impl ExactSizeIterator<Item = Vec<T>> {
        self.owners.into_iter().map(|share| share.items.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(items: &str) -> Shares<char, (char, usize)> {
        let mut shares = Shares::new();
        for (number, owner) in items.chars().enumerate() {
            shares.push(owner, (owner, number));
        }
        shares
    }

    /// The owners in the order in which they are served, batch by batch.
    fn batches(items: &str, limit: usize) -> Vec<String> {
        let mut shares = waiting(items);
        let mut batches = Vec::new();
        while shares.len() > 0 {
            batches.push(shares.take(limit).into_iter().map(|(owner, _)| owner).collect());
        }
        batches
    }

    #[test]
    fn a_flood_leaves_room_for_the_others() {
        assert_eq!(batches("aab", 3), ["aba"]);
        assert_eq!(batches("aaaaaab", 4), ["abaa", "aaa"]);
        assert_eq!(batches("aaaaaabbbb", 4), ["abab", "abab", "aa"]);
    }

    #[test]
    fn one_at_a_time_or_fewer_than_there_are_owners_everybody_has_a_turn() {
        assert_eq!(batches("aaabc", 1), ["a", "b", "c", "a", "a"]);
        assert_eq!(batches("aaabcde", 2), ["ab", "cd", "ea", "a"]);
    }

    #[test]
    fn the_items_of_one_owner_stay_in_their_order() {
        let numbers: Vec<usize> = waiting("abaab").take(5).into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, [0, 1, 2, 4, 3]);
    }

    #[test]
    fn owners_of_expensive_items_take_fewer_turns() {
        let mut shares = waiting("aaaabbbbbbbbbb");
        let mut served = String::new();
        while let [(owner, _)] = shares.take(1)[..] {
            served.push(owner);
            shares.charge(&owner, Duration::from_millis(if owner == 'a' { 40 } else { 10 }));
        }
        assert_eq!(served, "abbbbabbbbabba");
    }

    #[test]
    fn owner_with_the_most_items_gives_up_its_latest() {
        let mut shares = waiting("aabaab");
        assert_eq!(shares.make_room_for(&'c'), Some(('a', 4)));
        assert_eq!(shares.make_room_for(&'b'), None, "it has two, and the largest has three");
        assert_eq!(shares.make_room_for(&'c'), Some(('a', 3)));
        assert_eq!((shares.len(), shares.len_of(&'a'), shares.len_of(&'b')), (4, 2, 2));
    }

    #[test]
    fn newcomer_has_neither_credit_nor_debt() {
        let mut shares = waiting("aabb");
        shares.charge(&'a', Duration::from_secs(3));
        shares.charge(&'b', Duration::from_secs(2));
        shares.push('c', ('c', 0));
        let owners: String = (0..5).flat_map(|_| shares.take(1)).map(|(owner, _)| owner).collect();
        assert_eq!(owners, "bcbaa");
        shares.push('a', ('a', 0));
        shares.push('b', ('b', 0));
        assert_eq!(shares.take(1), [('a', 0)], "nothing is remembered of who has nothing that waits");
    }

    #[test]
    fn what_is_dropped_is_not_counted() {
        let mut shares = waiting("aabab");
        shares.retain(|(owner, number)| *owner == 'a' && *number > 0);
        assert_eq!((shares.len(), shares.len_of(&'a'), shares.len_of(&'b')), (2, 2, 0));
        let left: Vec<_> = shares.into_owners().collect();
        assert_eq!(left, [[('a', 1), ('a', 3)]]);
    }
}
