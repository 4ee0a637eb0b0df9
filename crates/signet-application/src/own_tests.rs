//! The stores' barrier is off: a store that mixes partners up answers with another partner's data. None of it leaves.

use std::sync::Arc;

use signet_domain::{
    KeyScope, Metadata, Status, Timestamp, UserPatch,
    ports::{AuditFilter, CommitError, MockAuditTrail, MockUserRepository, Page, UserRepository},
};

use super::*;
use crate::{
    audit::{AuditQuery, ListAuditTrail},
    testing::*,
    users::{GetUser, ListUsers, NewUser, RegisterUser, RemoveUser, UpdateUser},
};

fn user_of(partner_id: PartnerId) -> User {
    registration(partner_id).user
}

/// A store that finds that user, whoever is asked for, and answers each commit so; `None` where there must be none.
fn store(found: User, committed: Option<Result<User, CommitError>>) -> Arc<dyn UserRepository> {
    let mut users = MockUserRepository::new();
    users.expect_find().returning(move |_, _| Ok(Some(found.clone())));
    if let Some(committed) = committed {
        users.expect_commit().once().returning(move |_| committed.clone());
    }
    Arc::new(users)
}

/// What a store that mixes partners up may answer to a change.
fn mix_ups() -> [Result<User, CommitError>; 2] {
    let removed = user_of(OTHER_PARTNER).remove(context(5)).expect("a change").user;
    let taken = CommitError::email_taken(&removed);
    [Ok(removed), Err(taken)]
}

async fn register(users: Arc<dyn UserRepository>) -> Result<User, Error> {
    let new = NewUser { name: name("Jane"), email: email("jane@example.com"), metadata: Metadata::default() };
    RegisterUser::new(users, Hands::at(5), ids()).execute(&request(KeyScope::ReadWrite), new).await
}

async fn update(users: Arc<dyn UserRepository>) -> Result<User, Error> {
    let suspend = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
    UpdateUser::new(users, Hands::at(5), ids()).execute(&request(KeyScope::ReadWrite), USER, &suspend).await
}

async fn remove(users: Arc<dyn UserRepository>) -> Result<Timestamp, Error> {
    RemoveUser::new(users, Hands::at(5), ids()).execute(&request(KeyScope::ReadWrite), USER).await
}

#[tokio::test]
async fn another_partner_s_user_is_not_got() {
    let get = GetUser::new(store(user_of(OTHER_PARTNER), None));
    assert_eq!(get.execute(&request(KeyScope::ReadOnly), USER).await, Err(Error::Foreign));
}

#[tokio::test]
async fn another_partner_s_users_are_not_listed_nor_counted() {
    let page = |partner_id, users| UserPage { partner_id, users, total: 7 };
    for mixed_up in [
        page(OTHER_PARTNER, vec![user_of(OTHER_PARTNER)]),
        page(PARTNER, vec![user_of(PARTNER), user_of(OTHER_PARTNER)]),
        page(OTHER_PARTNER, vec![]),
    ] {
        let mut users = MockUserRepository::new();
        users.expect_list().once().returning(move |_, _| Ok(mixed_up.clone()));
        let list = ListUsers::new(Arc::new(users));
        let page = Page::new(20, 0).expect("valid");
        assert_eq!(list.execute(&request(KeyScope::ReadOnly), page).await, Err(Error::Foreign));
    }
}

#[tokio::test]
async fn another_partner_s_user_is_neither_changed_nor_removed() {
    // No commit is expected: a mock that is touched panics.
    assert_eq!(update(store(user_of(OTHER_PARTNER), None)).await, Err(Error::Foreign));
    assert_eq!(remove(store(user_of(OTHER_PARTNER), None)).await, Err(Error::Foreign));
    // Nor is it told since when one is removed, where there is nothing to commit.
    let removed = user_of(OTHER_PARTNER).remove(context(5)).expect("a change").user;
    assert_eq!(remove(store(removed, None)).await, Err(Error::Foreign));
}

#[tokio::test]
async fn what_a_commit_answers_of_another_partner_is_not_told() {
    for mix_up in mix_ups() {
        let users = || store(user_of(PARTNER), Some(mix_up.clone()));
        assert_eq!(register(users()).await, Err(Error::Foreign));
        assert_eq!(update(users()).await, Err(Error::Foreign));
        assert_eq!(remove(users()).await, Err(Error::Foreign));
    }
}

#[tokio::test]
async fn another_partner_s_entries_are_not_listed_nor_told_of() {
    let (ours, theirs) = (registration(PARTNER).audit, registration(OTHER_PARTNER).audit);
    // The second one is past the limit: that there is a next page is something to tell, too.
    for mixed_up in [vec![theirs.clone()], vec![ours, theirs]] {
        let mut trail = MockAuditTrail::new();
        trail.expect_entries().once().returning(move |_, _, _, _| Ok(mixed_up.clone()));
        let query = AuditQuery { filter: AuditFilter::default(), limit: 1, cursor: None };
        let listed = ListAuditTrail::new(Arc::new(trail)).execute(&request(KeyScope::ReadOnly), query).await;
        assert_eq!(listed, Err(Error::Foreign));
    }
}
