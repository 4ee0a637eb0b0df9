use std::{
    collections::HashMap,
    fmt,
    ops::AddAssign,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use signet_domain::{Status, User, UserId};
use tokio::sync::watch;

use crate::{NoReply, Reply, Stores, Times};

/// Keeps what the service has acknowledged, and what must be in the database therefore. Clones share it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    acknowledged: watch::Sender<usize>,
}

#[derive(Default)]
struct Kept {
    users: HashMap<UserId, Expected>,
    /// The user that each acknowledged change was made to, by the id of its request.
    changes: HashMap<String, UserId>,
    complaints: Vec<String>,
    traffic: Traffic,
}

/// What a user must be, after all acknowledged changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The status.
    pub status: Status,
    /// Whether it is removed.
    pub removed: bool,
    /// The metadata.
    pub metadata: Map<String, Value>,
    /// How many changes made it so.
    pub version: i64,
}

/// How the attempts went.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// How long each answer took, whatever it was.
    pub answers: Times,
    /// How many of them were `503`.
    pub unavailable: usize,
    /// How often there was none: the connection was refused, or ended, or nothing came.
    pub unanswered: usize,
}

/// What a comparison of the ledger with the database found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many changes were acknowledged.
    pub acknowledged: usize,
    /// How many of them are not on the trail.
    pub lost: usize,
    /// How many changes are on it more than once.
    pub doubled: usize,
    /// How many entries on it were never acknowledged.
    pub unasked: usize,
    /// How many users are not what they must be.
    pub different: usize,
    /// How many users the trail does not rebuild.
    pub not_rebuilt: usize,
    /// How many users there are.
    pub users: usize,
}

impl Ledger {
    /// Notes that a change was acknowledged: what `apply` makes of the user it was made to, or what a new user is.
    ///
    /// # Panics
    /// Where `apply` is given for a user that nobody knows.
    pub fn acknowledge(&self, request_id: &str, user_id: UserId, change: impl FnOnce(Option<&Expected>) -> Expected) {
        let mut kept = self.lock();
        let expected = change(kept.users.get(&user_id));
        kept.users.insert(user_id, expected);
        kept.changes.insert(request_id.to_owned(), user_id);
        let count = kept.changes.len();
        drop(kept);
        self.0.acknowledged.send_replace(count);
    }

    /// Notes an attempt.
    pub fn attempted(&self, answer: &Result<Reply, NoReply>) {
        let mut kept = self.lock();
        match answer {
            Ok(reply) => {
                kept.traffic.answers.add(reply.took);
                kept.traffic.unavailable += usize::from(reply.status == 503);
            }
            Err(_) => kept.traffic.unanswered += 1,
        }
    }

    /// Notes something that the service must not do.
    pub fn complain(&self, complaint: String) {
        self.lock().complaints.push(complaint);
    }

    /// What the user must be, as far as is known.
    #[must_use]
    pub fn expected(&self, user_id: UserId) -> Option<Expected> {
        self.lock().users.get(&user_id).cloned()
    }

    /// How many changes were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        *self.0.acknowledged.borrow()
    }

    /// Returns once so many changes are acknowledged, in all.
    ///
    /// # Panics
    /// Where there was none for a minute and a half.
    pub async fn reached(&self, goal: usize) {
        const STANDSTILL: Duration = Duration::from_secs(90);
        let mut acknowledged = self.0.acknowledged.subscribe();
        while *acknowledged.borrow_and_update() < goal {
            let moved = tokio::time::timeout(STANDSTILL, acknowledged.changed()).await;
            let moved = moved.is_ok();
            assert!(moved, "nothing was acknowledged for {STANDSTILL:?}; complaints: {:?}", self.complaints());
        }
    }

    /// What the service did that it must not do.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    /// How the attempts went.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.lock().traffic.clone()
    }

    /// Compares with the database. All writers must have stopped, or what they do meanwhile is unasked for.
    ///
    /// # Panics
    /// Where the database does not answer.
    pub async fn compare(&self, stores: &Stores) -> Comparison {
        let users = stores.users().await.expect("a list");
        let entries = stores.entries().await.expect("a trail");
        let replayed = stores.replay().await.expect("a trail");
        let kept = self.lock();

        let mut on_trail: HashMap<&str, usize> = HashMap::new();
        for entry in &entries {
            *on_trail.entry(entry.request_id.as_str()).or_default() += 1;
        }
        let mut found = Comparison {
            acknowledged: kept.changes.len(),
            not_rebuilt: usize::try_from(replayed.findings).unwrap_or(usize::MAX),
            users: users.len(),
            ..Comparison::default()
        };
        found.lost = kept.changes.keys().filter(|id| !on_trail.contains_key(id.as_str())).count();
        found.doubled = on_trail.values().filter(|count| **count > 1).count();
        found.unasked = on_trail.keys().filter(|id| !kept.changes.contains_key(**id)).count();
        let by_id: HashMap<UserId, &User> = users.iter().map(|user| (user.id, user)).collect();
        let equals = |(id, expected): (&UserId, &Expected)| by_id.get(id).is_some_and(|user| expected.equals(user));
        found.different = kept.users.iter().filter(|one| !equals(*one)).count()
            + by_id.keys().filter(|id| !kept.users.contains_key(*id)).count();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    /// A user that was registered without metadata, and not changed since.
    #[must_use]
    pub fn registered(name: String, email: String) -> Self {
        Self { name, email, status: Status::Active, removed: false, metadata: Map::new(), version: 1 }
    }

    fn equals(&self, user: &User) -> bool {
        let Self { name, email, status, removed, metadata, version } = self;
        user.name.as_str() == name
            && user.email.as_str() == email
            && user.status == *status
            && user.removed_at.is_some() == *removed
            && user.metadata.to_object() == *metadata
            && user.version.number() == *version
    }
}

impl Comparison {
    /// Whether the database is exactly what was acknowledged.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let Self { lost, doubled, unasked, different, not_rebuilt, .. } = self;
        [lost, doubled, unasked, different, not_rebuilt].iter().all(|count| **count == 0)
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        let Self { answers, unavailable, unanswered } = other;
        self.answers.append(answers);
        self.unavailable += unavailable;
        self.unanswered += unanswered;
    }
}

impl AddAssign for Comparison {
    fn add_assign(&mut self, other: Self) {
        let Self { acknowledged, lost, doubled, unasked, different, not_rebuilt, users } = other;
        self.acknowledged += acknowledged;
        self.lost += lost;
        self.doubled += doubled;
        self.unasked += unasked;
        self.different += different;
        self.not_rebuilt += not_rebuilt;
        self.users += users;
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, lost, doubled, unasked, different, not_rebuilt, users } = self;
        write!(
            formatter,
            "of {acknowledged} acknowledged changes {lost} lost, {doubled} doubled, {unasked} unasked for; of {users} users \
             {different} not as acknowledged, {not_rebuilt} not rebuilt by their trail"
        )
    }
}

#[cfg(test)]
mod tests {
    use signet_conformance::{Builder, InMemoryStore};
    use signet_domain::{
        PartnerId, RequestId, UserChange,
        ports::{PartnerRepository, UserRepository},
    };

    use super::*;

    struct Scene {
        store: InMemoryStore,
        build: Builder,
        partner: PartnerId,
        ledger: Ledger,
    }

    impl Scene {
        async fn new() -> Self {
            let (store, build) = (InMemoryStore::default(), Builder::new(1));
            let partner = build.partner();
            let id = partner.id;
            PartnerRepository::insert(&store, partner).await.expect("a partner");
            Self { store, build, partner: id, ledger: Ledger::default() }
        }

        fn registration(&self, address: &str) -> UserChange {
            self.build.registration(self.partner, address)
        }

        async fn commit(&self, mut change: UserChange, request_id: &str) -> User {
            change.audit.request_id = RequestId::parse(request_id).expect("an id");
            self.store.commit(change).await.expect("committed")
        }

        fn acknowledge(&self, user: &User, request_id: &str) {
            self.ledger.acknowledge(request_id, user.id, |_| Expected {
                version: user.version.number(),
                ..Expected::registered(user.name.as_str().to_owned(), user.email.as_str().to_owned())
            });
        }

        async fn compare(&self) -> Comparison {
            self.ledger.compare(&Stores::new(self.store.clone())).await
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_once_or_it_is_told() {
        let scene = Scene::new().await;
        let john = scene.commit(scene.registration("john@example.com"), "one").await;
        scene.acknowledge(&john, "one");
        let jack = scene.commit(scene.build.renaming(&john, "Jack"), "two").await;
        scene.acknowledge(&jack, "two");
        let exact = Comparison { acknowledged: 2, users: 1, ..Comparison::default() };
        assert_eq!(scene.compare().await, exact);
        assert!(exact.is_exact());

        let jill = scene.commit(scene.build.renaming(&jack, "Jill"), "two").await;
        let doubled = Comparison { doubled: 1, different: 1, ..exact };
        assert_eq!(scene.compare().await, doubled);
        scene.acknowledge(&jill, "two");
        assert_eq!(scene.compare().await, Comparison { different: 0, ..doubled });

        let never = scene.registration("jane@example.com").user;
        scene.acknowledge(&never, "three");
        let lost = Comparison { acknowledged: 3, lost: 1, different: 1, ..doubled };
        assert_eq!(scene.compare().await, lost);
        scene.commit(scene.registration("joe@example.com"), "four").await;
        let unasked = Comparison { unasked: 1, different: 2, users: 2, ..lost };
        assert_eq!(scene.compare().await, unasked);
        assert!(!unasked.is_exact());
    }
}
