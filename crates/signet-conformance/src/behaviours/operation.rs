use signet_domain::{
    AuditEntry, AuditPosition, PartnerId, User, UserChange, UserId,
    ports::{AuditFilter, CommitError, Page, StoreError, UserPage},
};

use crate::Adapter;

/// What can be asked of a store about users.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Commit(Box<UserChange>),
    Find(PartnerId, UserId),
    List(PartnerId, Page),
    Trail(PartnerId, AuditFilter, Option<AuditPosition>, u32),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Commit(Result<User, CommitError>),
    Find(Result<Option<User>, StoreError>),
    List(Result<UserPage, StoreError>),
    Trail(Result<Vec<AuditEntry>, StoreError>),
}

pub(crate) async fn ask(adapter: &Adapter, operation: Operation) -> Answer {
    match operation {
        Operation::Commit(change) => Answer::Commit(adapter.users.commit(*change).await),
        Operation::Find(partner_id, user_id) => Answer::Find(adapter.users.find(partner_id, user_id).await),
        Operation::List(partner_id, page) => Answer::List(adapter.users.list(partner_id, page).await),
        Operation::Trail(partner_id, filter, before, limit) => {
            Answer::Trail(adapter.audit.entries(partner_id, filter, before, limit).await)
        }
    }
}

impl Answer {
    /// A word for it; "failed" for what no store may answer that works.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Commit(Ok(_)) => "committed",
            Self::Commit(Err(CommitError::EmailTaken { .. })) => "taken",
            Self::Commit(Err(CommitError::Stale)) => "stale",
            Self::Commit(Err(CommitError::Store(StoreError::Unexpected { .. }))) => "refused",
            Self::Find(Ok(Some(_))) => "found",
            Self::Find(Ok(None)) => "missing",
            Self::List(Ok(_)) => "page",
            Self::Trail(Ok(_)) => "trail",
            _ => "failed",
        }
    }
}
