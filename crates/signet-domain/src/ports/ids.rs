use crate::{ApiKeyId, AuditEntryId, PartnerId, RequestId, Secret, UserId};

/// Makes identifiers and secrets. Injected, so that tests can.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait IdGenerator: Send + Sync {
    /// A new user id: UUID version 7 (RFC 9562, section 5.7).
    fn user_id(&self) -> UserId;
    /// A new partner id: UUID version 7.
    fn partner_id(&self) -> PartnerId;
    /// A new id for an audit entry: UUID version 7.
    fn audit_entry_id(&self) -> AuditEntryId;
    /// An id for a request that came without one.
    fn request_id(&self) -> RequestId;
    /// A random key id.
    fn api_key_id(&self) -> ApiKeyId;
    /// A random secret; MUST come from a cryptographically secure source.
    fn secret(&self) -> Secret;
}
