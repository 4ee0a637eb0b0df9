use async_trait::async_trait;

use super::StoreError;
use crate::{Action, AuditEntry, AuditPosition, PartnerId, UserId};

/// Which entries are asked for; `None` means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AuditFilter {
    /// Of this user only.
    pub user_id: Option<UserId>,
    /// With this action only.
    pub action: Option<Action>,
}

/// The audit trail, to read. It is written by [`UserRepository::commit`](super::UserRepository::commit) alone.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// At most `limit` of that partner's entries that pass `filter`, strictly before `before` where that is given, in
    /// descending order of [`AuditPosition`]. A user id of another partner finds nothing.
    async fn entries(
        &self,
        partner_id: PartnerId,
        filter: AuditFilter,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError>;
}
