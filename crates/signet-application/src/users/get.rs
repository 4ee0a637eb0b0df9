use std::sync::Arc;

use signet_domain::{User, UserId, ports::UserRepository};

use crate::{Error, Request, changes::find_own};

/// Looks one user up.
pub struct GetUser {
    users: Arc<dyn UserRepository>,
}

impl GetUser {
    /// Wires the use case to its port.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>) -> Self {
        Self { users }
    }

    /// The caller's user with that id, removed or not; else [`Error::UserNotFound`].
    pub async fn execute(&self, request: &Request, user_id: UserId) -> Result<User, Error> {
        find_own(&*self.users, request, user_id).await
    }
}
