//! Versions, addresses and the unit that a change and its entry make.

use signet_domain::{
    Status, User, UserPatch,
    ports::{CommitError, IdGenerator},
};

use super::{claimed_by, is_refused, under_id};
use crate::Scene;

/// Asserts that the user and the partner's trail are still what they were after `entries` changes.
async fn nothing_was_written(scene: &Scene, user: &User, entries: usize) {
    assert_eq!(scene.find(user).await.as_ref(), Some(user));
    assert_eq!(scene.trail(user.partner_id).await.len(), entries);
}

/// An update replaces its user and no other.
pub async fn an_update_replaces_its_user_alone(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let jane = scene.register(partner_id, "jane@example.com").await;
    let renamed = scene.commit(scene.build.renaming(&john, "Johnny")).await.expect("committed");
    assert_eq!(scene.find(&john).await, Some(renamed));
    assert_eq!(scene.find(&jane).await, Some(jane));
}

/// A change to a version that is no longer held is stale and changes nothing.
pub async fn a_stale_change_changes_nothing(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let (first, second) = (scene.build.renaming(&john, "First"), scene.build.renaming(&john, "Second"));
    let held = scene.commit(first).await.expect("committed");
    assert_eq!(scene.commit(second).await, Err(CommitError::Stale));
    nothing_was_written(&scene, &held, 2).await;
}

/// A change to a version that does not exist yet is stale.
pub async fn a_change_to_a_version_to_come_is_stale(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let second = scene.build.renaming(&john, "Second").user;
    let third = scene.build.renaming(&second, "Third");
    assert_eq!(scene.commit(third).await, Err(CommitError::Stale));
    nothing_was_written(&scene, &john, 1).await;
}

/// A change to a user that does not exist is stale and makes none.
pub async fn a_change_to_an_unknown_user_is_stale(scene: Scene) {
    let partner_id = scene.partner().await;
    let never = scene.build.registration(partner_id, "john@example.com").user;
    assert_eq!(scene.commit(scene.build.renaming(&never, "Nobody")).await, Err(CommitError::Stale));
    assert_eq!(scene.find(&never).await, None);
    assert_eq!(scene.trail(partner_id).await, []);
}

/// A change to a user of an unknown partner is stale.
pub async fn a_change_under_an_unknown_partner_is_stale(scene: Scene) {
    let john = scene.build.registration(scene.build.ids.partner_id(), "john@example.com").user;
    assert_eq!(scene.commit(scene.build.renaming(&john, "Nobody")).await, Err(CommitError::Stale));
}

/// A change to another partner's user is stale and changes it for neither.
pub async fn a_change_to_another_partners_user_is_stale(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let john = scene.register(theirs, "john@example.com").await;
    let theft = claimed_by(ours, scene.build.renaming(&john, "Ours"));
    assert_eq!(scene.commit(theft).await, Err(CommitError::Stale));
    nothing_was_written(&scene, &john, 1).await;
    assert_eq!(scene.find_id(ours, john.id).await, None);
    assert_eq!(scene.trail(ours).await, []);
}

/// A taken address is refused in any case and any Unicode form, with the user that has it.
pub async fn a_taken_address_is_refused_in_any_spelling(scene: Scene) {
    let partner_id = scene.partner().await;
    for (address, spellings) in [
        (
            "José.Ångström@Example.com",
            &[
                "José.Ångström@Example.com",
                "josé.ångström@example.com",
                "JOSÉ.ÅNGSTRÖM@EXAMPLE.COM",
                "Jose\u{301}.A\u{30a}ngstro\u{308}m@example.com",
                "JOSE\u{301}.\u{212b}NGSTRÖM@example.com",
            ][..],
        ),
        // A sigma in lower case is another letter at the end of a word.
        ("ΝΙΚΟΣ.ΠΑΠΑΣ@example.com", &["νικος.παπας@example.com", "Νικοσ.Παπας@example.com"]),
        ("weiß@example.com", &["WEISS@example.com", "WEIẞ@example.com"]),
    ] {
        let holder = scene.register(partner_id, address).await;
        for spelling in spellings {
            let registration = scene.build.registration(partner_id, spelling);
            let refused = registration.user.clone();
            let taken = Err(CommitError::email_taken(&holder));
            assert_eq!(scene.commit(registration).await, taken, "{spelling}");
            assert_eq!(scene.find(&refused).await, None);
        }
        assert_eq!(scene.find(&holder).await, Some(holder));
    }
    assert_eq!(scene.trail(partner_id).await.len(), 3);
}

/// Addresses that differ in more than case and form are different, whatever a database's collation thinks.
pub async fn similar_addresses_are_different(scene: Scene) {
    let partner_id = scene.partner().await;
    let similar = ["jose@example.com", "josé@example.com", "jo_e@example.com", "jo%e@example.com", "joße@example.com"];
    for address in similar {
        scene.register(partner_id, address).await;
    }
    assert_eq!(scene.list(partner_id, 100, 0).await.total, 5);
}

/// A removed user keeps its address.
pub async fn a_removed_user_keeps_its_address(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let john = scene.commit(scene.build.removal(&john)).await.expect("committed");
    let outcome = scene.commit(scene.build.registration(partner_id, "JOHN@example.com")).await;
    assert_eq!(outcome, Err(CommitError::email_taken(&john)));
    let jane = scene.register(partner_id, "jane@example.com").await;
    let outcome = scene.commit(scene.build.readdressing(&jane, "John@example.com")).await;
    assert_eq!(outcome, Err(CommitError::email_taken(&john)), "with its state, also to an update");
    let suspend = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
    let john = scene.commit(scene.build.change(&john, &suspend)).await.expect("committed");
    let outcome = scene.commit(scene.build.registration(partner_id, "JOHN@example.com")).await;
    assert_eq!(outcome, Err(CommitError::email_taken(&john)), "as it is now");
}

/// The same address may exist under two partners.
pub async fn an_address_is_free_under_another_partner(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let our_john = scene.register(ours, "john@example.com").await;
    let their_john = scene.register(theirs, "john@example.com").await;
    let jane = scene.register(theirs, "jane@example.com").await;
    scene.commit(scene.build.readdressing(&our_john, "jane@example.com")).await.expect("free under ours");
    assert_eq!(scene.find(&their_john).await, Some(their_john));
    assert_eq!(scene.find(&jane).await, Some(jane));
}

/// An update to a taken address is refused, and neither user nor entry is written.
pub async fn an_update_to_a_taken_address_writes_nothing(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let jane = scene.register(partner_id, "jane@example.com").await;
    let outcome = scene.commit(scene.build.readdressing(&jane, "JOHN@example.com")).await;
    assert_eq!(outcome, Err(CommitError::email_taken(&john)));
    nothing_was_written(&scene, &jane, 2).await;
    scene.commit(scene.build.renaming(&jane, "Jane")).await.expect("the version is still the first");
}

/// An update that is stale and to a taken address is stale: what is held has to be read again anyway.
pub async fn stale_comes_before_a_taken_address(scene: Scene) {
    let partner_id = scene.partner().await;
    scene.register(partner_id, "john@example.com").await;
    let jane = scene.register(partner_id, "jane@example.com").await;
    let late = scene.build.readdressing(&jane, "john@example.com");
    scene.commit(scene.build.renaming(&jane, "Jane")).await.expect("committed");
    assert_eq!(scene.commit(late).await, Err(CommitError::Stale));
}

/// A user may spell its own address differently.
pub async fn a_user_may_respell_its_own_address(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let respelt = scene.commit(scene.build.readdressing(&john, "John@Example.com")).await.expect("its own");
    assert_eq!(scene.find(&john).await, Some(respelt));
}

/// An address that its user gave up is free, and the new one is taken.
pub async fn an_address_given_up_is_free(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    scene.commit(scene.build.readdressing(&john, "johnny@example.com")).await.expect("free");
    scene.register(partner_id, "john@example.com").await;
    let outcome = scene.commit(scene.build.registration(partner_id, "johnny@example.com")).await;
    assert_eq!(outcome, Err(CommitError::email_taken(&john)));
}

/// Every change that was committed has its entry, and none that was refused has one.
pub async fn a_change_and_its_entry_are_one(scene: Scene) {
    let partner_id = scene.partner().await;
    let registration = scene.build.registration(partner_id, "john@example.com");
    let renaming = scene.build.renaming(&registration.user, "Johnny");
    let removal = scene.build.removal(&renaming.user);
    let active = UserPatch { status: Some(Status::Active), ..UserPatch::default() };
    let restoration = scene.build.change(&removal.user, &active);
    let mut expected = Vec::new();
    for change in [registration, renaming, removal, restoration] {
        expected.insert(0, change.audit.clone());
        scene.commit(change.clone()).await.expect("committed");
        assert_eq!(scene.trail(partner_id).await, expected);
        let again = match change.replaces() {
            None => CommitError::email_taken(&change.user),
            Some(_) => CommitError::Stale,
        };
        assert_eq!(scene.commit(change).await, Err(again), "the same once more");
        assert_eq!(scene.trail(partner_id).await, expected);
    }
}

/// A registration under a partner that does not exist is refused, and nothing is written.
pub async fn a_registration_under_an_unknown_partner_is_refused(scene: Scene) {
    let partner_id = scene.build.ids.partner_id();
    let registration = scene.build.registration(partner_id, "john@example.com");
    let refused = registration.user.clone();
    assert!(is_refused(&scene.commit(registration).await));
    assert_eq!(scene.find(&refused).await, None);
    assert_eq!(scene.list(partner_id, 10, 0).await.total, 0);
    assert_eq!(scene.trail(partner_id).await, []);
}

/// A registration under an id that the partner's user has is refused, and nothing is written.
pub async fn a_registration_under_a_used_id_is_refused(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let registration = scene.build.registration(partner_id, "jane@example.com");
    assert!(is_refused(&scene.commit(under_id(john.id, registration.clone())).await));
    nothing_was_written(&scene, &john, 1).await;
    assert_eq!(scene.list(partner_id, 10, 0).await.total, 1);
    scene.commit(registration).await.expect("the address was not taken by the refused one");
}
