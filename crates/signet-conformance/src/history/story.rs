use std::collections::HashMap;

use signet_domain::{
    AuditEntry, AuditEntryId, User, UserChange, UserId,
    ports::{CommitError, StoreError},
    replay,
};

use super::{Event, window::Window};
use crate::behaviours::operation::{Answer, Operation};

/// What the trail of a partner tells: of each user all versions, and when each may have been the one that is held.
pub(crate) struct Story {
    pub(super) lives: HashMap<UserId, Vec<Version>>,
    /// In the order of their registration.
    pub(super) order: Vec<UserId>,
    /// Newest first.
    pub(super) trail: Vec<AuditEntry>,
}

/// A version that was committed.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) user: User,
    pub(super) entry: AuditEntry,
    /// When its commit was begun.
    began: u64,
    /// When its commit was acknowledged; never, where the store gave no answer.
    acknowledged: u64,
}

impl Story {
    /// Puts the story together from all that is held in the end, and all that was asked.
    ///
    /// # Panics
    /// Where the trail is not the whole truth: it does not rebuild what is held, a version is missing or there twice, one
    /// is in it that was refused or that nobody wanted, or two users had one address at a time.
    pub(crate) fn new(users: &[User], trail: Vec<AuditEntry>, events: &[Event]) -> Self {
        assert!(trail.windows(2).all(|pair| pair[0].position() > pair[1].position()), "newest first");
        let mut commits = commits(events);
        let mut lives: HashMap<UserId, Vec<Version>> = HashMap::new();
        for entry in trail.iter().rev() {
            let (change, event) = commits.remove(&entry.id).expect("an entry of a change that was asked for, once");
            assert_eq!(change.audit, *entry, "an entry as it was committed");
            let acknowledged = match &event.answer {
                Answer::Commit(Ok(_)) => event.ended,
                Answer::Commit(Err(CommitError::Store(StoreError::Unavailable { .. }))) => u64::MAX,
                other => panic!("it is in the trail, and was answered with {other:?}"),
            };
            let (user, began) = (change.user.clone(), event.began);
            lives.entry(user.id).or_default().push(Version { user, entry: entry.clone(), began, acknowledged });
        }
        assert_eq!(lives.len(), users.len(), "each user has entries, and no other has");
        for user in users {
            assert_rebuilt(user, lives.get(&user.id).map_or(&[], Vec::as_slice));
        }
        let order: Vec<_> = users.iter().map(|user| user.id).collect();
        assert_in_order(order.iter().map(|id| &lives[id][0]));
        let story = Self { lives, order, trail };
        story.assert_addresses_are_unique();
        story
    }

    /// The user's version with that number.
    pub(super) fn version(&self, user_id: UserId, number: i64) -> Option<&Version> {
        self.lives.get(&user_id)?.get(usize::try_from(number - 1).ok()?)
    }

    /// When that version may have been the one that is held.
    pub(super) fn held(&self, version: &Version) -> Window {
        let next = self.version(version.user.id, version.user.version.number() + 1);
        Window { after: version.began, before: next.map_or(u64::MAX, |next| next.acknowledged) }
    }

    /// When the user may not have been there yet.
    pub(super) fn absent(&self, user_id: UserId) -> Window {
        self.version(user_id, 1).map_or(Window::ALWAYS, Version::to_come)
    }

    /// Two must not have been sure to hold one address at one time.
    fn assert_addresses_are_unique(&self) {
        let mut holders: HashMap<&str, Vec<(UserId, Window)>> = HashMap::new();
        for version in self.lives.values().flatten() {
            let id = version.user.id;
            let next = self.version(id, version.user.version.number() + 1);
            let surely = Window { after: version.acknowledged, before: next.map_or(u64::MAX, |next| next.began) };
            let same = holders.entry(version.user.email.key()).or_default();
            for (other, held) in &*same {
                assert!(*other == id || !held.and(surely).is_open(), "{other} and {id} had one address");
            }
            same.push((id, surely));
        }
    }
}

impl Version {
    /// When it may have been in the trail.
    pub(super) fn is_told(&self) -> Window {
        Window { after: self.began, ..Window::ALWAYS }
    }

    /// When it may not have been there yet.
    pub(super) fn to_come(&self) -> Window {
        Window { before: self.acknowledged, ..Window::ALWAYS }
    }
}

/// Every change that was asked for, by the id of its entry.
fn commits(events: &[Event]) -> HashMap<AuditEntryId, (&UserChange, &Event)> {
    let commits = events.iter().filter_map(|event| match &event.operation {
        Operation::Commit(change) => Some((change.audit.id, (&**change, event))),
        _ => None,
    });
    commits.collect()
}

/// The versions are 1 to n, each is what the trail up to it rebuilds, and the last one is what is held.
fn assert_rebuilt(user: &User, life: &[Version]) {
    for (index, version) in life.iter().enumerate() {
        assert_eq!(
            i64::try_from(index + 1),
            Ok(version.entry.version.number()),
            "a gap in the versions of {}",
            user.id
        );
        let rebuilt = replay(life[..=index].iter().map(|version| &version.entry));
        assert_eq!(rebuilt.as_ref(), Ok(&version.user), "the trail rebuilds what was committed");
    }
    assert_eq!(life.last().map(|version| &version.user), Some(user), "the trail rebuilds what is held");
    assert_in_order(life.iter());
}

/// None may stand behind one that was begun after it had been acknowledged.
fn assert_in_order<'a>(versions: impl Iterator<Item = &'a Version>) {
    let mut latest = 0;
    for version in versions {
        assert!(version.acknowledged > latest, "it was acknowledged before one that it comes after: {version:?}");
        latest = latest.max(version.began);
    }
}
