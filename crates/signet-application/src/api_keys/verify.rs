use std::{sync::Arc, time::Instant};

use signet_domain::{
    ApiKey, ApiKeyToken, Timestamp,
    ports::{ApiKeyRepository, Clock, HashError, KeyLookup, SecretHasher, StoreError},
};

use super::{
    KeyState, VerifiedKeys,
    verified::{Known, Verified},
};
use crate::Caller;

/// Why a token does not authenticate anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The text is no API key, or has a typo in it.
    #[error("not an API key")]
    Malformed,
    /// There is no such key, or its secret is another.
    #[error("no such API key")]
    Unknown,
    /// The key is good, but its time is over.
    #[error("the API key has expired")]
    Expired,
    /// The key is good, but was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// The key is good, but its partner is disabled.
    #[error("the partner is disabled")]
    PartnerDisabled,
    /// The secret could not be verified.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds out who holds an API key.
pub struct VerifyApiKey {
    keys: Arc<dyn ApiKeyRepository>,
    hasher: Arc<dyn SecretHasher>,
    clock: Arc<dyn Clock>,
    verified: Arc<VerifiedKeys>,
}

impl VerifyApiKey {
    /// Wires the use case to its ports and to the memory that it shares with [`RevokeApiKey`](super::RevokeApiKey).
    #[must_use]
    pub fn new(
        keys: Arc<dyn ApiKeyRepository>,
        hasher: Arc<dyn SecretHasher>,
        clock: Arc<dyn Clock>,
        verified: Arc<VerifiedKeys>,
    ) -> Self {
        Self { keys, hasher, clock, verified }
    }

    /// The caller that holds the token.
    ///
    /// In the order of what it costs: the memory of verified keys and that of rejected ones, format and checksum, the
    /// store, Argon2. That a key has expired, is revoked or belongs to a disabled partner is told only to a holder of its
    /// secret. Where the store or Argon2 cannot tell, a known verdict holds until it is too old.
    pub async fn execute(&self, token: &str) -> Result<Arc<Caller>, VerifyError> {
        let digest = VerifiedKeys::digest(token);
        let renewal = match self.verified.get(&digest).await? {
            Known::Nothing => None,
            Known::Due(renewal) => Some(renewal),
            Known::Good(known) if !self.has_expired(&known) => return Ok(known.caller),
            Known::Good(_expired) => {
                self.verified.remove(&digest).await;
                None
            }
        };
        if renewal.is_none() && self.verified.is_rejected(&digest).await {
            return Err(VerifyError::Unknown);
        }
        let token = ApiKeyToken::parse(token).map_err(|_malformed| VerifyError::Malformed)?;
        let verify = self.verify(digest, token);
        let outcome = match renewal {
            Some(renewal) => self.verified.renew(digest, renewal, verify).await,
            None => self.verified.insert_with(digest, verify).await,
        };
        match outcome {
            // Its time was over while the store was asked in vain.
            Ok(verified) if self.has_expired(&verified) => Err(VerifyError::Expired),
            Ok(verified) => Ok(verified.caller),
            Err(error) => {
                if error == VerifyError::Unknown {
                    self.verified.reject(digest).await;
                }
                Err(error)
            }
        }
    }

    async fn verify(&self, digest: [u8; 32], token: ApiKeyToken) -> Result<Verified, VerifyError> {
        let read_at = Instant::now();
        let lookup = if self.verified.was_good(&digest) { KeyLookup::Refresh } else { KeyLookup::FirstUse };
        let record = self.keys.find(token.id, lookup).await?.ok_or(VerifyError::Unknown)?;
        let key = record.key;
        // The mode is part of the text, hence of what its holder must get right.
        if key.mode != token.mode {
            return Err(VerifyError::Unknown);
        }
        if !self.verified.is_proven(&digest, &key.secret_hash).await {
            if !self.hasher.verify(token.secret, key.secret_hash.clone()).await? {
                return Err(VerifyError::Unknown);
            }
            self.verified.prove(digest, key.secret_hash.clone()).await;
        }
        // Only a key that expires depends on the time, and moves on the latest one.
        let now = if key.expires_at.is_some() { self.now() } else { self.clock.now() };
        match KeyState::of(&key, now) {
            KeyState::Revoked => return Err(VerifyError::Revoked),
            KeyState::Expired => {
                self.bury(&key).await;
                return Err(VerifyError::Expired);
            }
            KeyState::Active if record.partner_disabled => return Err(VerifyError::PartnerDisabled),
            KeyState::Active => {}
        }
        let caller = Caller { partner_id: key.partner_id, key_id: key.id, key_name: key.name, scope: key.scope };
        let (caller, in_renewal) = (Arc::new(caller), Arc::default());
        Ok(Verified { caller, expires_at: key.expires_at, read_at, in_renewal })
    }

    /// Has the store remember that the key's time is over, for processes to come and for those with another clock. Where
    /// the store cannot, the next refusal does; this process remembers the time by itself.
    async fn bury(&self, key: &ApiKey) {
        if let (Some(expiry), None) = (key.expires_at, key.revoked_at) {
            drop(self.keys.revoke(key.id.clone(), expiry).await);
        }
    }

    fn has_expired(&self, verified: &Verified) -> bool {
        verified.expires_at.is_some_and(|expiry| expiry <= self.now())
    }

    /// The latest time at which the end of a key was looked at: a clock that goes backwards revives no key.
    fn now(&self) -> Timestamp {
        self.verified.latest(self.clock.now())
    }
}
