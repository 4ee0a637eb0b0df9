use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mockall::predicate::eq;
use signet_domain::{
    Action, Invalid, KeyScope, Metadata, MetadataPatch, Status, User, UserPatch,
    ports::{CommitError, MockUserRepository, Page, StoreError, UserPage},
};

use super::*;
use crate::{Error, testing::*};

fn new_user() -> NewUser {
    NewUser { name: name("John Doe"), email: email("john@example.com"), metadata: Metadata::default() }
}

fn suspend() -> UserPatch {
    UserPatch { status: Some(Status::Suspended), ..UserPatch::default() }
}

fn register(users: MockUserRepository) -> RegisterUser {
    RegisterUser::new(Arc::new(users), Hands::at(5), ids())
}

fn update(users: MockUserRepository) -> UpdateUser {
    UpdateUser::new(Arc::new(users), Hands::at(5), ids())
}

/// A store that holds one user of the partner and accepts nothing.
fn holding(user: User) -> MockUserRepository {
    let mut users = MockUserRepository::new();
    users.expect_find().with(eq(PARTNER), eq(USER)).returning(move |_, _| Ok(Some(user.clone())));
    users
}

/// A store that holds no such user.
fn empty() -> MockUserRepository {
    let mut users = MockUserRepository::new();
    users.expect_find().with(eq(PARTNER), eq(USER)).returning(|_, _| Ok(None));
    users
}

fn remove(users: MockUserRepository, now: i64) -> RemoveUser {
    RemoveUser::new(Arc::new(users), Hands::at(now), ids())
}

#[tokio::test]
async fn a_registration_commits_an_active_user_with_its_audit_entry() {
    let mut users = MockUserRepository::new();
    users
        .expect_commit()
        .withf(|change| {
            change.replaces().is_none()
                && change.user.partner_id == PARTNER
                && change.user.status == Status::Active
                && change.user.registered_at == at(5)
                && change.audit.action == Action::Registered
                && change.audit.actor == request(KeyScope::ReadWrite).actor()
                && change.audit.occurred_at == at(5)
                && change.audit.request_id.as_str() == "request-1"
                && change.audit.ip_address.is_some()
        })
        .once()
        .returning(|change| Ok(change.user));
    let user = register(users).execute(&request(KeyScope::ReadWrite), new_user()).await.expect("registered");
    assert_eq!(user.id, USER);
}

#[tokio::test]
async fn a_read_only_key_changes_nothing() {
    // No call is expected: a mock that is touched panics.
    let request = request(KeyScope::ReadOnly);
    let refused = register(MockUserRepository::new()).execute(&request, new_user()).await;
    assert_eq!(refused, Err(Error::InsufficientScope));
    let refused = update(MockUserRepository::new()).execute(&request, USER, &suspend()).await;
    assert_eq!(refused, Err(Error::InsufficientScope));
    let refused = remove(MockUserRepository::new(), 5).execute(&request, USER).await;
    assert_eq!(refused, Err(Error::InsufficientScope));
}

#[tokio::test]
async fn what_the_store_refuses_reaches_the_caller() {
    let holder = registration(PARTNER).user.remove(context(5)).expect("a change").user;
    for (refusal, expected) in [
        (CommitError::email_taken(&holder), Error::EmailTaken { holder: (&holder).into() }),
        (CommitError::Store(unavailable()), Error::Store(unavailable())),
    ] {
        let mut users = MockUserRepository::new();
        let answer = refusal.clone();
        users.expect_commit().once().returning(move |_| Err(answer.clone()));
        let refused = register(users).execute(&request(KeyScope::ReadWrite), new_user()).await;
        assert_eq!(refused, Err(expected.clone()));

        let mut users = holding(registration(PARTNER).user);
        users.expect_commit().once().returning(move |_| Err(refusal.clone()));
        let refused = update(users).execute(&request(KeyScope::ReadWrite), USER, &suspend()).await;
        assert_eq!(refused, Err(expected));
    }
}

#[tokio::test]
async fn a_new_id_that_is_taken_is_a_defect_and_no_race() {
    let mut users = MockUserRepository::new();
    users.expect_commit().once().returning(|_| Err(CommitError::Stale));
    let refused = register(users).execute(&request(KeyScope::ReadWrite), new_user()).await;
    assert_eq!(
        refused,
        Err(Error::Store(StoreError::Unexpected { reason: "a new user id exists already".to_owned() }))
    );
}

#[tokio::test]
async fn an_update_that_lost_a_race_is_decided_again_on_fresh_data() {
    let first = registration(PARTNER).user;
    let metadata = |key: &str| UserPatch {
        metadata: Some(MetadataPatch::new([(key.to_owned(), true.into())].into_iter().collect()).expect("valid")),
        ..UserPatch::default()
    };
    let context = context(5);
    let winner = first.change(&metadata("theirs"), context).expect("valid").expect("a change").user;

    let reads = Arc::new(AtomicUsize::new(0));
    let mut users = MockUserRepository::new();
    let (before, after) = (first, winner);
    users.expect_find().times(2).returning(move |_, _| {
        Ok(Some(if reads.fetch_add(1, Ordering::SeqCst) == 0 { before.clone() } else { after.clone() }))
    });
    let mut attempts = 0;
    users.expect_commit().times(2).returning(move |change| {
        attempts += 1;
        if attempts == 1 { Err(CommitError::Stale) } else { Ok(change.user) }
    });
    let user = update(users).execute(&request(KeyScope::ReadWrite), USER, &metadata("ours")).await.expect("updated");
    assert_eq!(user.metadata.as_json(), r#"{"ours":true,"theirs":true}"#);
}

#[tokio::test]
async fn an_update_that_never_wins_ends() {
    let mut users = holding(registration(PARTNER).user);
    users.expect_commit().returning(|_| Err(CommitError::Stale));
    let refused = update(users).execute(&request(KeyScope::ReadWrite), USER, &suspend()).await;
    assert_eq!(refused, Err(Error::Store(StoreError::Overloaded)));
}

#[tokio::test]
async fn an_update_must_change_something_that_exists() {
    let nothing =
        update(MockUserRepository::new()).execute(&request(KeyScope::ReadWrite), USER, &UserPatch::default()).await;
    assert_eq!(nothing, Err(Error::NothingToChange));

    let unknown = update(empty()).execute(&request(KeyScope::ReadWrite), USER, &suspend()).await;
    assert_eq!(unknown, Err(Error::UserNotFound));
}

#[tokio::test]
async fn a_user_is_got_by_its_partner_or_not_at_all() {
    let user = registration(PARTNER).user;
    let get = GetUser::new(Arc::new(holding(user.clone())));
    assert_eq!(get.execute(&request(KeyScope::ReadOnly), USER).await, Ok(user));
    let get = GetUser::new(Arc::new(empty()));
    assert_eq!(get.execute(&request(KeyScope::ReadOnly), USER).await, Err(Error::UserNotFound));
}

#[tokio::test]
async fn a_list_is_the_page_that_was_asked_for() {
    let found = UserPage { partner_id: PARTNER, users: vec![registration(PARTNER).user], total: 41 };
    let page = Page::new(1, 40).expect("valid");
    let mut users = MockUserRepository::new();
    let held = found.clone();
    users.expect_list().with(eq(PARTNER), eq(page)).once().returning(move |_, _| Ok(held.clone()));
    assert_eq!(ListUsers::new(Arc::new(users)).execute(&request(KeyScope::ReadOnly), page).await, Ok(found));
}

#[tokio::test]
async fn an_update_that_changes_nothing_commits_nothing() {
    let user = registration(PARTNER).user;
    let patch = UserPatch { name: Some(user.name.clone()), ..UserPatch::default() };
    let same = update(holding(user.clone())).execute(&request(KeyScope::ReadWrite), USER, &patch).await;
    assert_eq!(same, Ok(user));
}

#[tokio::test]
async fn merged_metadata_that_breaks_a_limit_is_the_metadata_s_fault() {
    let keys = |numbers: std::ops::Range<u8>| {
        let metadata = numbers.map(|number| (number.to_string(), 0.into())).collect();
        UserPatch { metadata: Some(MetadataPatch::new(metadata).expect("valid")), ..UserPatch::default() }
    };
    let full = registration(PARTNER).user.change(&keys(0..50), context(0)).expect("within limits").expect("a change");
    let refused = update(holding(full.user)).execute(&request(KeyScope::ReadWrite), USER, &keys(50..51)).await;
    let reason = Invalid::new("must have at most 50 keys");
    assert_eq!(refused, Err(Error::InvalidField { field: "metadata", reason }));
}

#[tokio::test]
async fn removing_twice_tells_the_first_time() {
    let user = registration(PARTNER).user;
    let mut users = holding(user.clone());
    users
        .expect_commit()
        .withf(|change| change.audit.action == Action::Removed && change.user.status == Status::Inactive)
        .once()
        .returning(|change| Ok(change.user));
    assert_eq!(remove(users, 5).execute(&request(KeyScope::ReadWrite), USER).await, Ok(at(5)));

    let removed = user.remove(context(5)).expect("a change").user;
    assert_eq!(remove(holding(removed), 99).execute(&request(KeyScope::ReadWrite), USER).await, Ok(at(5)));
}

#[tokio::test]
async fn what_does_not_exist_is_not_removed() {
    let unknown = remove(empty(), 5).execute(&request(KeyScope::ReadWrite), USER).await;
    assert_eq!(unknown, Err(Error::UserNotFound));
}

#[tokio::test]
async fn a_removal_that_lost_to_another_tells_the_time_of_the_other() {
    let user = registration(PARTNER).user;
    let removed = user.remove(context(5)).expect("a change").user;
    let mut users = MockUserRepository::new();
    let mut reads = [user, removed].into_iter();
    users
        .expect_find()
        .with(eq(PARTNER), eq(USER))
        .times(2)
        .returning(move |_, _| Ok(Some(reads.next().expect("two readings"))));
    users.expect_commit().once().returning(|_| Err(CommitError::Stale));
    assert_eq!(remove(users, 99).execute(&request(KeyScope::ReadWrite), USER).await, Ok(at(5)));
}
