//! Who goes first when more waits than one batch can hold.

use std::collections::VecDeque;

/// What waits, by owner. The owners take turns, so that no one's flood keeps another out, now or later.
pub(crate) struct Shares<K, T> {
    /// None of them empty, and whoever comes next in front.
    owners: VecDeque<(K, VecDeque<T>)>,
    len: usize,
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
        self.owners.iter().find(|(known, _)| known == owner).map_or(0, |(_, items)| items.len())
    }

    pub(crate) fn push(&mut self, owner: K, item: T) {
        self.len += 1;
        match self.owners.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, items)) => items.push_back(item),
            None => self.owners.push_back((owner, VecDeque::from([item]))),
        }
    }

    /// Takes up to `limit` items out, one of each owner in turn; those of one owner stay in their order.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<T> {
        let mut batch = Vec::with_capacity(limit.min(self.len));
        while batch.len() < limit
            && let Some((owner, mut items)) = self.owners.pop_front()
        {
            batch.extend(items.pop_front());
            if !items.is_empty() {
                self.owners.push_back((owner, items));
            }
        }
        self.len -= batch.len();
        batch
    }

    /// Drops what is not to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for (_, items) in &mut self.owners {
            items.retain(&mut keep);
        }
        self.owners.retain(|(_, items)| !items.is_empty());
        self.len = self.owners.iter().map(|(_, items)| items.len()).sum();
    }

    /// All items, owner by owner.
    pub(crate) fn into_owners(self) -> impl ExactSizeIterator<Item = Vec<T>> {
        self.owners.into_iter().map(|(_, items)| items.into())
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
    fn what_is_dropped_is_not_counted() {
        let mut shares = waiting("aabab");
        shares.retain(|(owner, number)| *owner == 'a' && *number > 0);
        assert_eq!((shares.len(), shares.len_of(&'a'), shares.len_of(&'b')), (2, 2, 0));
        let left: Vec<_> = shares.into_owners().collect();
        assert_eq!(left, [[('a', 1), ('a', 3)]]);
    }
}
