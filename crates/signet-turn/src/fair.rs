//! Who goes first when more waits than one batch can hold.

use std::collections::VecDeque;

/// Takes up to `limit` items from the queue, so that no owner's flood keeps another out.
///
/// Each owner that waits gets an equal share of the batch first, in the order of arrival; what the small ones leave
/// over goes to the others. Costs one walk over the queue, which its bound keeps short, and nothing where all fit.
pub(crate) fn take<T, K: PartialEq + Copy>(queue: &mut VecDeque<T>, limit: usize, owner: impl Fn(&T) -> K) -> Vec<T> {
    if queue.len() <= limit {
        return queue.drain(..).collect();
    }
    let mut owners: Vec<(K, usize)> = Vec::new();
    for item in queue.iter() {
        let key = owner(item);
        // Past `limit` owners each share is one anyway, and those first in line get it.
        if owners.len() < limit && !owners.iter().any(|(known, _)| *known == key) {
            owners.push((key, 0));
        }
    }
    let share = (limit / owners.len().max(1)).max(1);

    let mut chosen = vec![false; queue.len()];
    let mut left = limit;
    for (item, chosen) in queue.iter().zip(&mut chosen) {
        let key = owner(item);
        if let Some((_, taken)) = owners.iter_mut().find(|(known, _)| *known == key)
            && left > 0
            && *taken < share
        {
            *taken += 1;
            *chosen = true;
            left -= 1;
        }
    }
    for chosen in chosen.iter_mut().filter(|chosen| !**chosen).take(left) {
        *chosen = true;
    }

    let mut batch = Vec::with_capacity(limit);
    let mut rest = VecDeque::with_capacity(queue.len() - limit);
    for (item, chosen) in queue.drain(..).zip(chosen) {
        if chosen {
            batch.push(item);
        } else {
            rest.push_back(item);
        }
    }
    *queue = rest;
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(waiting: &[char], limit: usize) -> (String, String) {
        let mut queue: VecDeque<char> = waiting.iter().copied().collect();
        let batch = take(&mut queue, limit, |item| *item);
        (batch.into_iter().collect(), queue.into_iter().collect())
    }

    #[test]
    fn all_are_taken_where_all_fit() {
        assert_eq!(taken(&['a', 'a', 'b'], 3), ("aab".into(), String::new()));
    }

    #[test]
    fn a_flood_leaves_room_for_the_others() {
        let waiting: Vec<char> = "aaaaaaaaaab".chars().collect();
        assert_eq!(taken(&waiting, 4), ("aaab".into(), "aaaaaaa".into()));
        let waiting: Vec<char> = "aaaaaaaaaabbbbbb".chars().collect();
        assert_eq!(taken(&waiting, 4), ("aabb".into(), "aaaaaaaabbbb".into()));
    }

    #[test]
    fn more_owners_than_places_are_served_in_the_order_of_arrival() {
        let waiting: Vec<char> = "aaabcde".chars().collect();
        assert_eq!(taken(&waiting, 2), ("ab".into(), "aacde".into()));
    }
}
