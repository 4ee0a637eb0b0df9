use std::sync::Arc;

use signet_domain::{
    EmailAddress, Metadata, Name, User,
    ports::{Clock, IdGenerator, StoreError, UserRepository},
};

use crate::{Error, Request, changes::Changes};

/// What a registration says about the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The display name.
    pub name: Name,
    /// The e-mail address; no other user of the partner may have it.
    pub email: EmailAddress,
    /// What the partner notes about the user.
    pub metadata: Metadata,
}

/// Registers a user.
pub struct RegisterUser {
    changes: Changes,
}

impl RegisterUser {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self { changes: Changes { users, clock, ids } }
    }

    /// A new, active user of the caller's partner, once it and its audit entry are durable.
    ///
    /// Fails with [`Error::EmailTaken`] where the partner has a user with the same address, removed ones included, and
    /// with [`Error::InsufficientScope`] for a key that may only read.
    pub async fn execute(&self, request: &Request, new: NewUser) -> Result<User, Error> {
        request.require_write()?;
        let id = self.changes.ids.user_id();
        let change = User::register(id, new.name, new.email, new.metadata, self.changes.context(request));
        self.changes
            .commit(request, change)
            .await?
            .ok_or_else(|| Error::Store(StoreError::Unexpected { reason: "a new user id exists already".to_owned() }))
    }
}
