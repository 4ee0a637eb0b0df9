use serde_json::json;

use super::*;
use crate::{Actor, ApiKeyId, AuditEntryId, RequestId};

fn context(millis: i64) -> ChangeContext {
    ChangeContext {
        partner_id: PartnerId::new(uuid::Uuid::from_u128(1)),
        entry_id: AuditEntryId::new(uuid::Uuid::from_u128(2)),
        actor: Actor::ApiKey {
            id: ApiKeyId::parse("0123456789abcdef").expect("valid"),
            name: Name::parse("CI").expect("valid"),
        },
        request_id: RequestId::parse("r-1").expect("valid"),
        ip_address: None,
        at: Timestamp::from_unix_millis(millis).expect("in range"),
    }
}

fn john(millis: i64) -> UserChange {
    User::register(
        UserId::new(uuid::Uuid::from_u128(3)),
        Name::parse("John Doe").expect("valid"),
        EmailAddress::parse("john@example.com").expect("valid"),
        Metadata::default(),
        context(millis),
    )
}

fn status(status: Status) -> UserPatch {
    UserPatch { status: Some(status), ..UserPatch::default() }
}

#[test]
fn a_registration_tells_every_field() {
    let change = john(5);
    assert_eq!((change.replaces(), change.audit.action), (None, Action::Registered));
    assert_eq!(
        (change.user.status, change.user.registered_at, change.user.updated_at),
        (Status::Active, context(5).at, context(5).at)
    );
    assert_eq!(
        json!(change.audit.changes),
        json!({
            "name": {"from": null, "to": "John Doe"}, "email": {"from": null, "to": "john@example.com"},
            "status": {"from": null, "to": "active"}, "metadata": {"from": null, "to": {}},
        })
    );
}

#[test]
fn an_update_that_changes_nothing_is_none() {
    let user = john(5).user;
    assert_eq!(user.change(&status(Status::Active), context(9)), Ok(None));
    let same = UserPatch { name: Some(user.name.clone()), email: Some(user.email.clone()), ..UserPatch::default() };
    assert_eq!(user.change(&same, context(9)), Ok(None));
}

#[test]
fn a_clock_that_goes_backwards_takes_nothing_with_it() {
    let user = john(100).user;
    let change = user.change(&status(Status::Suspended), context(7)).expect("valid").expect("changed");
    assert_eq!(change.replaces(), Some(Version::FIRST));
    assert_eq!((change.user.updated_at, change.audit.occurred_at), (context(100).at, context(100).at));
    let removed = change.user.remove(context(8)).expect("changed").user;
    assert_eq!(removed.removed_at, Some(context(100).at));
}

#[test]
fn removing_is_told_once_and_restoring_clears_it() {
    let removed = john(5).user.remove(context(6)).expect("changed");
    assert_eq!((removed.user.status, removed.user.removed_at), (Status::Inactive, Some(context(6).at)));
    assert_eq!(removed.audit.action, Action::Removed);
    assert_eq!(removed.user.remove(context(7)), None);
    assert_eq!(removed.user.change(&status(Status::Inactive), context(7)), Ok(None));

    let restored = removed.user.change(&status(Status::Suspended), context(8)).expect("valid").expect("changed");
    assert_eq!((restored.user.status, restored.user.removed_at), (Status::Suspended, None));
    assert_eq!(restored.audit.action, Action::Restored);
    assert_eq!(
        json!(restored.audit.changes),
        json!({
            "status": {"from": "inactive", "to": "suspended"},
            "removedAt": {"from": "1970-01-01T00:00:00.006Z", "to": null},
        })
    );
}

#[test]
fn an_inactive_user_can_still_be_removed() {
    let inactive = john(5).user.change(&status(Status::Inactive), context(6)).expect("valid").expect("changed").user;
    let removed = inactive.remove(context(7)).expect("changed");
    assert_eq!(json!(removed.audit.changes), json!({"removedAt": {"from": null, "to": "1970-01-01T00:00:00.007Z"}}));
}

#[test]
fn stored_nonsense_is_refused() {
    let mut state = john(5).user.0;
    state.removed_at = Some(state.updated_at);
    assert!(User::from_stored(state).is_err(), "removed but active");
}
