use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use async_trait::async_trait;
use signet_domain::{
    ApiKeyId, AuditEntryId, PartnerId, RequestId, Secret, SecretHash, Timestamp, UserId,
    ports::{Clock, HashError, IdGenerator, SecretHasher},
};
use uuid::Uuid;

use crate::instant;

/// A clock that stands still until it is moved, forwards or backwards. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_millis())))
    }

    /// Makes it show `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_millis(), Ordering::SeqCst);
    }

    /// Moves it by so many milliseconds and returns what it shows then.
    ///
    /// # Panics
    /// Outside the years 0001 to 9999.
    #[expect(clippy::must_use_candidate, reason = "moving it is the point")]
    pub fn advance(&self, millis: i64) -> Timestamp {
        let before = self.0.fetch_add(millis, Ordering::SeqCst);
        Timestamp::from_unix_millis(before + millis).expect("the clock is in the years 0001 to 9999")
    }
}

impl Default for ManualClock {
    /// Shows 2025-09-30T15:01:53.188Z.
    fn default() -> Self {
        Self::new(instant("2025-09-30T15:01:53.188Z"))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.advance(0)
    }
}

/// Ids in ascending order, the same ones for the same seed; ids of different seeds differ. Clones share the sequence.
#[derive(Debug, Clone)]
pub struct SequentialIds {
    seed: u32,
    next: Arc<AtomicU64>,
}

impl SequentialIds {
    /// The sequence of that seed, from its start.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self { seed, next: Arc::new(AtomicU64::new(1)) }
    }

    /// What the sequence was made from.
    pub(crate) fn seed(&self) -> u32 {
        self.seed
    }

    /// How each id of the sequence is written begins with this: the seed.
    pub(crate) fn prefix(&self) -> String {
        format!("{:08x}", self.seed)
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// A UUID of version 7 in form (RFC 9562, section 5.7), with the seed where the time would be.
    fn uuid(&self) -> Uuid {
        let number = (u128::from(self.seed) << 96) | u128::from(self.next());
        uuid::Builder::from_u128(number)
            .with_version(uuid::Version::SortRand)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }
}

impl IdGenerator for SequentialIds {
    fn user_id(&self) -> UserId {
        UserId::new(self.uuid())
    }

    fn partner_id(&self) -> PartnerId {
        PartnerId::new(self.uuid())
    }

    fn audit_entry_id(&self) -> AuditEntryId {
        AuditEntryId::new(self.uuid())
    }

    fn request_id(&self) -> RequestId {
        RequestId::parse(&format!("request-{}", self.next())).expect("of the right alphabet")
    }

    fn api_key_id(&self) -> ApiKeyId {
        ApiKeyId::parse(&format!("{}{:08x}", self.prefix(), self.next())).expect("16 digits")
    }

    fn secret(&self) -> Secret {
        Secret::parse(&format!("{:016x}{:016x}", self.seed, self.next())).expect("32 digits")
    }
}

/// A hasher that hashes nothing, and so takes no time: the hash carries the secret in clear.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainHasher;

impl PlainHasher {
    fn phc(secret: &Secret) -> SecretHash {
        // The prefix is what schemas check before they store a hash.
        SecretHash::new(format!("$argon2id$plain${}", secret.expose()))
    }
}

#[async_trait]
impl SecretHasher for PlainHasher {
    async fn hash(&self, secret: Secret) -> Result<SecretHash, HashError> {
        Ok(Self::phc(&secret))
    }

    async fn verify(&self, secret: Secret, hash: SecretHash) -> Result<bool, HashError> {
        Ok(Self::phc(&secret) == hash)
    }
}
