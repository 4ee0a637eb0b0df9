use std::sync::Arc;

use signet_domain::{
    ChangeContext, Invalid, User, UserChange, UserId,
    ports::{Clock, CommitError, IdGenerator, StoreError, UserRepository},
};

use crate::{Error, Request, own::own};

/// How often a change is tried again on fresh data. Of any number of writers on one user one succeeds each time, so
/// this is also how many others may win before this one gives up.
const MAX_ATTEMPTS: usize = 100;

/// What every use case that changes users does the same way.
pub(crate) struct Changes {
    pub(crate) users: Arc<dyn UserRepository>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
}

impl Changes {
    pub(crate) fn context(&self, request: &Request) -> ChangeContext {
        ChangeContext {
            partner_id: request.partner_id(),
            entry_id: self.ids.audit_entry_id(),
            actor: request.actor(),
            request_id: request.request_id.clone(),
            ip_address: request.ip_address,
            at: self.clock.now(),
        }
    }

    /// Reads the user, has `decide` say what becomes of it, and commits that; `None` leaves the user as it is. Where
    /// somebody else was faster, it all happens again with what they left behind.
    pub(crate) async fn apply<D>(&self, request: &Request, user_id: UserId, decide: D) -> Result<User, Error>
    where
        D: Fn(&User, ChangeContext) -> Result<Option<UserChange>, (&'static str, Invalid)> + Send + Sync,
    {
        for _attempt in 0..MAX_ATTEMPTS {
            let user = find_own(&*self.users, request, user_id).await?;
            let decided = decide(&user, self.context(request));
            let Some(change) = decided.map_err(|(field, reason)| Error::InvalidField { field, reason })? else {
                return Ok(user);
            };
            if let Some(user) = self.commit(request, change).await? {
                return Ok(user);
            }
        }
        Err(Error::Store(StoreError::Overloaded))
    }

    /// The user once it is durable; `None` where the store holds another version than the change replaces.
    pub(crate) async fn commit(&self, request: &Request, change: UserChange) -> Result<Option<User>, Error> {
        match self.users.commit(change).await {
            Ok(user) => own(request.partner_id(), user).map(Some),
            Err(CommitError::Stale) => Ok(None),
            Err(CommitError::EmailTaken { partner_id, holder }) => {
                own(request.partner_id(), partner_id)?;
                Err(Error::EmailTaken { holder })
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// The partner's own user with that id.
pub(crate) async fn find_own(users: &dyn UserRepository, request: &Request, user_id: UserId) -> Result<User, Error> {
    let found = users.find(request.partner_id(), user_id).await?;
    own(request.partner_id(), found.ok_or(Error::UserNotFound)?)
}
