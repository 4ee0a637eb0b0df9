use async_trait::async_trait;

use crate::{Secret, SecretHash};

/// Why a secret was neither hashed nor verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many secrets wait to be hashed")]
    Overloaded,
    /// The stored hash is no PHC string, or the hasher failed.
    #[error("hashing failed: {reason}")]
    Failed {
        /// What went wrong, without the secret.
        reason: String,
    },
}

/// Hashes the secrets of API keys with Argon2id (RFC 9106), away from the threads that answer requests.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SecretHasher: Send + Sync {
    /// A salted hash of the secret.
    async fn hash(&self, secret: Secret) -> Result<SecretHash, HashError>;

    /// Whether the hash was made from the secret.
    async fn verify(&self, secret: Secret, hash: SecretHash) -> Result<bool, HashError>;
}
