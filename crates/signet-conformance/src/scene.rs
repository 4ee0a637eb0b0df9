use std::{any::Any, fmt, sync::Arc};

use signet_domain::{
    AuditEntry, PartnerId, User, UserChange, UserId,
    ports::{
        ApiKeyRepository, AuditFilter, AuditTrail, CommitError, Page, PartnerRepository, UserPage, UserRepository,
    },
};

use crate::Builder;

/// The four ports of a store, as one adapter implements them.
#[derive(Clone)]
pub struct Adapter {
    /// Its users.
    pub users: Arc<dyn UserRepository>,
    /// Their audit trail.
    pub audit: Arc<dyn AuditTrail>,
    /// Its partners.
    pub partners: Arc<dyn PartnerRepository>,
    /// Their API keys.
    pub api_keys: Arc<dyn ApiKeyRepository>,
    peer: Option<Box<Self>>,
    kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl Adapter {
    /// The adapter whose ports one type implements.
    pub fn new<S>(store: S) -> Self
    where
        S: UserRepository + AuditTrail + PartnerRepository + ApiKeyRepository + 'static,
    {
        let store = Arc::new(store);
        Self::from_ports(store.clone(), store.clone(), store.clone(), store)
    }

    /// The adapter whose ports are types of their own, on one database.
    pub fn from_ports(
        users: Arc<dyn UserRepository>,
        audit: Arc<dyn AuditTrail>,
        partners: Arc<dyn PartnerRepository>,
        api_keys: Arc<dyn ApiKeyRepository>,
    ) -> Self {
        Self { users, audit, partners, api_keys, peer: None, kept: None }
    }

    /// The same with another adapter on the same database, as another process would have it.
    ///
    /// One adapter may keep its promises by doing one thing after the other. With a peer, those who race go through
    /// both, and what the one acknowledged the other has to see.
    #[must_use]
    pub fn with_peer(mut self, peer: Self) -> Self {
        self.peer = Some(Box::new(peer));
        self
    }

    /// Keeps `guard` alive until the test has ended: what deletes the database when it is dropped.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept = Some(Arc::new(guard));
        self
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Adapter").finish_non_exhaustive()
    }
}

/// What a behaviour is shown on: an adapter, and values that no other behaviour uses.
#[derive(Debug)]
pub struct Scene {
    /// The adapter.
    pub adapter: Adapter,
    /// Makes the values.
    pub build: Builder,
}

impl Scene {
    /// A new partner, stored.
    pub(crate) async fn partner(&self) -> PartnerId {
        let partner = self.build.partner();
        let id = partner.id;
        self.adapter.partners.insert(partner).await.expect("a new partner");
        id
    }

    /// The adapter and its peer.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = &Adapter> + Clone {
        [&self.adapter].into_iter().chain(self.adapter.peer.as_deref())
    }

    pub(crate) async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        self.adapter.users.commit(change).await
    }

    /// A new user with that address, stored.
    pub(crate) async fn register(&self, partner_id: PartnerId, address: &str) -> User {
        self.commit(self.build.registration(partner_id, address)).await.expect("a free address")
    }

    pub(crate) async fn find(&self, user: &User) -> Option<User> {
        self.find_id(user.partner_id, user.id).await
    }

    pub(crate) async fn find_id(&self, partner_id: PartnerId, user_id: UserId) -> Option<User> {
        self.adapter.users.find(partner_id, user_id).await.expect("an answer")
    }

    pub(crate) async fn list(&self, partner_id: PartnerId, limit: u32, offset: u64) -> UserPage {
        self.adapter.users.list(partner_id, Page::new(limit, offset).expect("a page")).await.expect("an answer")
    }

    /// All entries of a partner, newest first.
    pub(crate) async fn trail(&self, partner_id: PartnerId) -> Vec<AuditEntry> {
        self.entries(partner_id, AuditFilter::default()).await
    }

    pub(crate) async fn entries(&self, partner_id: PartnerId, filter: AuditFilter) -> Vec<AuditEntry> {
        self.adapter.audit.entries(partner_id, filter, None, 10_000).await.expect("an answer")
    }

    /// Commits all changes at the same time, in turns through the adapter and its peer, and returns the outcomes in the
    /// order of the changes.
    pub(crate) async fn race(&self, changes: impl IntoIterator<Item = UserChange>) -> Vec<Result<User, CommitError>> {
        self.at_once(changes, |adapter, change| async move { adapter.users.commit(change).await }).await
    }

    /// Does `work` with each item at the same time, in turns through the adapter and its peer.
    pub(crate) async fn at_once<I, T, W>(&self, items: impl IntoIterator<Item = I>, work: fn(Adapter, I) -> W) -> Vec<T>
    where
        I: Send + 'static,
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let items: Vec<_> = items.into_iter().collect();
        let start = Arc::new(tokio::sync::Barrier::new(items.len()));
        let racers: Vec<_> = items
            .into_iter()
            .zip(self.adapters().cycle().cloned())
            .map(|(item, adapter)| {
                let start = Arc::clone(&start);
                tokio::spawn(async move {
                    start.wait().await;
                    work(adapter, item).await
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for racer in racers {
            outcomes.push(racer.await.expect("no panic"));
        }
        outcomes
    }
}

/// Runs one behaviour on the adapter that `make` makes; what each test of [`suite!`](crate::suite) does.
///
/// # Panics
/// If the adapter breaks the promise.
pub fn run<M, B>(test: &str, make: impl FnOnce() -> M, behaviour: impl FnOnce(Scene) -> B)
where
    M: Future<Output = Adapter>,
    B: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads for a runtime");
    let kept = runtime.block_on(async {
        let adapter = make().await;
        let kept = adapter.kept.clone();
        behaviour(Scene { adapter, build: Builder::new(seed(test)) }).await;
        kept
    });
    // The adapter is gone before its database, and no runtime is left that could mind a guard that blocks.
    drop(runtime);
    drop(kept);
}

/// FNV-1a: another seed for each test, the same in each run.
pub(crate) fn seed(test: &str) -> u32 {
    test.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
