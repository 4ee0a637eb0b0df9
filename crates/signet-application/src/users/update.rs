use std::sync::Arc;

use signet_domain::{
    User, UserId, UserPatch,
    ports::{Clock, IdGenerator, UserRepository},
};

use crate::{Error, Request, changes::Changes};

/// Changes a user, or restores a removed one.
pub struct UpdateUser {
    changes: Changes,
}

impl UpdateUser {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self { changes: Changes { users, clock, ids } }
    }

    /// The user after the patch, once that and its audit entry are durable; as it was, where the patch changes nothing.
    ///
    /// Concurrent patches of one user are applied one after the other, each to what the one before left, so patches of
    /// different fields or metadata keys all survive.
    ///
    /// Fails with [`Error::NothingToChange`] for an empty patch, [`Error::UserNotFound`], [`Error::EmailTaken`],
    /// [`Error::InvalidField`] where the merged metadata breaks a limit, [`Error::InsufficientScope`].
    pub async fn execute(&self, request: &Request, user_id: UserId, patch: &UserPatch) -> Result<User, Error> {
        request.require_write()?;
        if patch.is_empty() {
            return Err(Error::NothingToChange);
        }
        self.changes
            .apply(request, user_id, |user, context| user.change(patch, context).map_err(|reason| ("metadata", reason)))
            .await
    }
}
