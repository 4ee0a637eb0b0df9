use std::sync::Arc;

use signet_domain::{
    Timestamp, UserId,
    ports::{Clock, IdGenerator, StoreError, UserRepository},
};

use crate::{Error, Request, changes::Changes};

/// Removes a user: a soft delete that update-user can undo.
pub struct RemoveUser {
    changes: Changes,
}

impl RemoveUser {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self { changes: Changes { users, clock, ids } }
    }

    /// Since when the user is removed. Removing a removed user again succeeds with the first time, and writes nothing.
    ///
    /// Fails with [`Error::UserNotFound`] and [`Error::InsufficientScope`].
    pub async fn execute(&self, request: &Request, user_id: UserId) -> Result<Timestamp, Error> {
        request.require_write()?;
        let user = self.changes.apply(request, user_id, |user, context| Ok(user.remove(context))).await?;
        user.removed_at.ok_or_else(|| {
            Error::Store(StoreError::Unexpected { reason: "a removed user has no time of removal".to_owned() })
        })
    }
}
