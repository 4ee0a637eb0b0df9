use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{future::Cache, policy::EvictionPolicy};
use sha2::{Digest, Sha256};
use signet_domain::{ApiKeyId, SecretHash, Timestamp};

use crate::{Caller, api_keys::VerifyError};

/// Keys that were verified a moment ago, so that the next request of the same partner costs no Argon2 and no query.
///
/// Bounded in number, and a verdict in age; keyed by the SHA-256 of the whole token. It holds no secret. A success is
/// remembered for [`MAX_AGE`](Self::MAX_AGE), and that a token is no key for [`REJECTION_AGE`](Self::REJECTION_AGE).
pub struct VerifiedKeys {
    entries: Cache<[u8; 32], Verified>,
    /// The hash that each token was found to fit. That stays true, so it is remembered beyond the verdict: what becomes
    /// of a key is read from the store each time, but the tens of milliseconds of Argon2 are paid once, and not every
    /// 30 seconds for each key in use, which would be all that a machine with a thousand of them does.
    proven: Cache<[u8; 32], SecretHash>,
    /// When each token was last found to be no key: its id is unknown or its secret wrong. Apart from the others, so that
    /// made-up keys push no good one out.
    rejected: Cache<[u8; 32], Instant>,
    /// Keys revoked through this process, which only a process that revokes has. An entry that was being made while its
    /// key was revoked is caught by it. As bounded as `entries`, and the oldest go first: to lose one takes 10,000
    /// revocations in the two minutes that it is kept, and then the key lives on here no longer than elsewhere.
    revoked: Cache<ApiKeyId, ()>,
    /// Spares the hot path the look into `revoked` for as long as that is empty.
    any_revoked: AtomicBool,
    /// In milliseconds of Unix time.
    latest: AtomicI64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A key found good, by what the store held at `read_at`.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) read_at: Instant,
    /// Whether somebody has its [`Renewal`].
    pub(super) in_renewal: Arc<AtomicBool>,
}

/// What is known about a token.
pub(super) enum Known {
    Nothing,
    Good(Verified),
    /// It is good, and old enough that whoever gets this is to verify it anew.
    Due(Renewal),
}

/// Held by the one who verifies a known token anew, with what is known. Who gives up leaves it to the next.
pub(super) struct Renewal(pub(super) Verified);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.in_renewal.store(false, Ordering::Release);
    }
}

/// How the memory of verified keys is used; the counts start with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedKeysState {
    /// How many keys it holds, roughly.
    pub entries: u64,
    /// How many requests it spared the verification.
    pub hits: u64,
    /// How many it did not.
    pub misses: u64,
}

impl VerifiedKeys {
    /// How long a verified key is trusted, counted from the moment its record was read: the longest that a revocation,
    /// or the disabling of a partner, can take to reach another process.
    pub const MAX_AGE: Duration = Duration::from_secs(30);

    /// From which age on one request with a key in use verifies it anew, while the others still go by what is known.
    /// Else all of them would wait for the store together at the end of [`MAX_AGE`](Self::MAX_AGE), and what is to be
    /// refused at once would be refused after that wait. It leaves more time than the store ever takes.
    pub(super) const RENEWAL_AGE: Duration = Duration::from_secs(20);

    /// How long a token is remembered to be no key. A client that repeats a wrong key costs nothing meanwhile. A key that
    /// was used before it existed works this much later.
    pub const REJECTION_AGE: Duration = Duration::from_secs(1);

    /// How many keys are remembered at most; the least used are forgotten first. Rejected tokens have as many places.
    pub const MAX_ENTRIES: u64 = 10_000;

    /// How it is used.
    #[must_use]
    pub fn state(&self) -> VerifiedKeysState {
        VerifiedKeysState {
            entries: self.entries.entry_count(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// What the memory goes by: not the token itself, so that a copy of the memory gives no key away.
    pub(super) fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    /// What is known about the token with that digest.
    pub(super) async fn get(&self, digest: &[u8; 32]) -> Result<Known, VerifyError> {
        let Some(found) = self.entries.get(digest).await else { return Ok(Known::Nothing) };
        let age = found.read_at.elapsed();
        if age >= Self::MAX_AGE {
            // The cache counts from the insertion, which came after the reading.
            self.remove(digest).await;
            return Ok(Known::Nothing);
        }
        if age >= Self::RENEWAL_AGE && !found.in_renewal.swap(true, Ordering::Acquire) {
            return Ok(Known::Due(Renewal(found)));
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.unless_revoked(found).map(Known::Good)
    }

    /// Remembers what `verify` finds out in place of what is known, or forgets that if it is bad. Where `verify` cannot
    /// tell, the known verdict is the answer, and is kept for the rest of its time.
    pub(super) async fn renew<F>(&self, digest: [u8; 32], held: Renewal, verify: F) -> Result<Verified, VerifyError>
    where
        F: Future<Output = Result<Verified, VerifyError>>,
    {
        self.misses.fetch_add(1, Ordering::Relaxed);
        match verify.await {
            Ok(found) => {
                self.entries.insert(digest, found.clone()).await;
                self.unless_revoked(found)
            }
            Err(VerifyError::Store(_) | VerifyError::Hash(_)) if held.0.read_at.elapsed() < Self::MAX_AGE => {
                self.unless_revoked(held.0.clone())
            }
            Err(error) => {
                self.remove(&digest).await;
                Err(error)
            }
        }
    }

    /// Remembers what `verify` finds out, if it is good; concurrent requests with one token share one run.
    pub(super) async fn insert_with<F>(&self, digest: [u8; 32], verify: F) -> Result<Verified, VerifyError>
    where
        F: Future<Output = Result<Verified, VerifyError>>,
    {
        self.misses.fetch_add(1, Ordering::Relaxed);
        let found = self.entries.try_get_with(digest, verify).await.map_err(|error| VerifyError::clone(&error))?;
        self.unless_revoked(found)
    }

    /// Forgets what is known about the token with that digest.
    pub(super) async fn remove(&self, digest: &[u8; 32]) {
        self.entries.invalidate(digest).await;
    }

    /// Whether the token with that digest was found to be no key a moment ago.
    pub(super) async fn is_rejected(&self, digest: &[u8; 32]) -> bool {
        self.rejected.get(digest).await.is_some_and(|at| at.elapsed() < Self::REJECTION_AGE)
    }

    /// Remembers for a moment that the token with that digest is no key.
    pub(super) async fn reject(&self, digest: [u8; 32]) {
        self.rejected.insert(digest, Instant::now()).await;
    }

    /// Whether the token with that digest was ever found to fit a stored hash.
    pub(super) fn was_good(&self, digest: &[u8; 32]) -> bool {
        self.proven.contains_key(digest)
    }

    /// Whether the token with that digest was found to fit that very hash before.
    pub(super) async fn is_proven(&self, digest: &[u8; 32], hash: &SecretHash) -> bool {
        self.proven.get(digest).await.is_some_and(|proven| proven == *hash)
    }

    /// Remembers that it does.
    pub(super) async fn prove(&self, digest: [u8; 32], hash: SecretHash) {
        self.proven.insert(digest, hash).await;
    }

    /// Has that much time pass for the verdicts.
    #[cfg(test)]
    pub(super) async fn age(&self, by: Duration) {
        for (digest, found) in &self.entries {
            let read_at = found.read_at.checked_sub(by).expect("the machine runs for longer");
            self.entries.insert(*digest, Verified { read_at, ..found }).await;
        }
        for (digest, at) in &self.rejected {
            self.rejected.insert(*digest, at.checked_sub(by).expect("the machine runs for longer")).await;
        }
    }

    /// Forgets the key, which was just revoked.
    pub(super) async fn forget(&self, id: ApiKeyId) {
        self.revoked.insert(id, ()).await;
        self.any_revoked.store(true, Ordering::Release);
    }

    /// The latest time that it was told, `now` included.
    pub(super) fn latest(&self, now: Timestamp) -> Timestamp {
        let before = self.latest.fetch_max(now.unix_millis(), Ordering::Relaxed);
        if before > now.unix_millis() { Timestamp::from_unix_millis(before).unwrap_or(now) } else { now }
    }

    fn unless_revoked(&self, found: Verified) -> Result<Verified, VerifyError> {
        if self.any_revoked.load(Ordering::Acquire) && self.revoked.contains_key(&found.caller.key_id) {
            return Err(VerifyError::Revoked);
        }
        Ok(found)
    }
}

impl Default for VerifiedKeys {
    fn default() -> Self {
        Self {
            entries: Cache::builder().max_capacity(Self::MAX_ENTRIES).time_to_live(Self::MAX_AGE).build(),
            proven: Cache::builder().max_capacity(Self::MAX_ENTRIES).build(),
            // The latest are the ones that are repeated.
            rejected: Cache::builder()
                .max_capacity(Self::MAX_ENTRIES)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(Self::REJECTION_AGE)
                .build(),
            // Longer than any verification that read the key before it was revoked can stay in `entries`.
            revoked: Cache::builder()
                .max_capacity(Self::MAX_ENTRIES)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(Self::MAX_AGE * 4)
                .build(),
            any_revoked: AtomicBool::new(false),
            latest: AtomicI64::new(i64::MIN),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for VerifiedKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifiedKeys").field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use signet_domain::KeyScope;

    use super::*;
    use crate::testing::*;

    fn read_at(read_at: Instant) -> Verified {
        Verified { caller: request(KeyScope::ReadOnly).caller, expires_at: None, read_at, in_renewal: Arc::default() }
    }

    #[tokio::test]
    async fn a_key_is_trusted_for_thirty_seconds_from_its_reading() {
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).expect("the machine runs for longer");
        for (seconds, trusted) in [(19, true), (31, false)] {
            let keys = VerifiedKeys::default();
            let digest = VerifiedKeys::digest("token");
            // Inserted just now, whatever time it took since the reading.
            keys.insert_with(digest, async { Ok(read_at(ago(seconds))) }).await.expect("verified");
            let is_known = !matches!(keys.get(&digest).await, Ok(Known::Nothing));
            assert_eq!(is_known, trusted, "{seconds} s");
            assert_eq!((keys.state().hits, keys.state().misses), (u64::from(trusted), 1));
        }
    }

    #[tokio::test]
    async fn one_at_a_time_verifies_an_older_key_anew() {
        let keys = VerifiedKeys::default();
        let digest = VerifiedKeys::digest("token");
        keys.insert_with(digest, async { Ok(read_at(Instant::now())) }).await.expect("verified");
        keys.age(VerifiedKeys::RENEWAL_AGE).await;
        let gives_up = keys.get(&digest).await;
        assert!(matches!(gives_up, Ok(Known::Due(_))));
        assert!(matches!(keys.get(&digest).await, Ok(Known::Good(_))));
        drop(gives_up);
        let unavailable = VerifyError::Store(unavailable());
        let overloaded = VerifyError::Hash(signet_domain::ports::HashError::Overloaded);
        for (error, is_kept) in [(unavailable, true), (overloaded, true), (VerifyError::Revoked, false)] {
            let Ok(Known::Due(renewal)) = keys.get(&digest).await else { panic!("before {error}: nobody renews it") };
            let expected = if is_kept { Ok(()) } else { Err(error.clone()) };
            assert_eq!(keys.renew(digest, renewal, async { Err(error) }).await.map(drop), expected);
            assert_eq!(!matches!(keys.get(&digest).await, Ok(Known::Nothing)), is_kept);
        }
        assert_eq!((keys.state().hits, keys.state().misses), (1, 4));
    }

    #[tokio::test]
    async fn no_more_keys_are_held_than_there_is_room_for() {
        let keys = VerifiedKeys::default();
        for number in 0..VerifiedKeys::MAX_ENTRIES + 500 {
            let digest = VerifiedKeys::digest(&number.to_string());
            keys.insert_with(digest, async { Ok(read_at(Instant::now())) }).await.expect("verified");
            keys.forget(signet_domain::ApiKeyId::parse(&format!("{number:016}")).expect("valid")).await;
            keys.prove(digest, SecretHash::new(number.to_string())).await;
            keys.reject(digest).await;
        }
        keys.entries.run_pending_tasks().await;
        keys.revoked.run_pending_tasks().await;
        keys.proven.run_pending_tasks().await;
        keys.rejected.run_pending_tasks().await;
        assert!(keys.rejected.iter().count() <= usize::try_from(VerifiedKeys::MAX_ENTRIES).expect("fits"));
        let held = [keys.entries.entry_count(), keys.revoked.entry_count(), keys.proven.entry_count()];
        assert_eq!(held, [VerifiedKeys::MAX_ENTRIES; 3]);
    }
}
