use std::sync::Arc;

use signet_domain::ports::{Page, UserPage, UserRepository};

use crate::{Error, Request, own::own};

/// Lists a partner's users.
pub struct ListUsers {
    users: Arc<dyn UserRepository>,
}

impl ListUsers {
    /// Wires the use case to its port.
    #[must_use]
    pub fn new(users: Arc<dyn UserRepository>) -> Self {
        Self { users }
    }

    /// One page of the caller's users in the order of registration, oldest first, removed ones included.
    pub async fn execute(&self, request: &Request, page: Page) -> Result<UserPage, Error> {
        own(request.partner_id(), self.users.list(request.partner_id(), page).await?)
    }
}
