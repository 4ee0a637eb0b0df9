//! Partners are apart by what the store does alone: whatever the one knows of the other, and whatever both have alike.

use signet_domain::{
    Action, AuditEntry, PartnerId, User, UserChange,
    ports::{AuditFilter, CommitError, UserPage},
};

use super::{claimed_by, under_id};
use crate::Scene;

/// All that a partner has.
async fn everything(scene: &Scene, partner_id: PartnerId) -> (UserPage, Vec<AuditEntry>) {
    (scene.list(partner_id, 100, 0).await, scene.trail(partner_id).await)
}

/// A user with two entries.
async fn renamed(scene: &Scene, partner_id: PartnerId, address: &str) -> User {
    let user = scene.register(partner_id, address).await;
    scene.commit(scene.build.renaming(&user, "Johnny")).await.expect("committed")
}

/// Ids, addresses and positions of another partner read nothing, change nothing and are not in the way.
pub async fn who_knows_another_partners_ids_gets_and_changes_nothing(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let john = renamed(&scene, theirs, "john@example.com").await;
    let jane = renamed(&scene, theirs, "jane@example.com").await;
    let before = everything(&scene, theirs).await;

    assert_eq!(scene.find_id(ours, john.id).await, None);
    let nothing = UserPage { partner_id: ours, users: Vec::new(), total: 0 };
    assert_eq!(everything(&scene, ours).await, (nothing, Vec::new()));
    for user_id in [None, Some(john.id), Some(jane.id)] {
        for action in [None, Some(Action::Registered), Some(Action::Updated)] {
            for cursor in [None].into_iter().chain(before.1.iter().map(|entry| Some(entry.position()))) {
                let filter = AuditFilter { user_id, action };
                let entries = scene.adapter.audit.entries(ours, filter, cursor, 100).await;
                assert_eq!(entries, Ok(Vec::new()), "{filter:?} {cursor:?}");
            }
        }
    }
    let changes: [fn(&Scene, &User) -> UserChange; 3] = [
        |scene, user| scene.build.renaming(user, "Ours"),
        |scene, user| scene.build.readdressing(user, "ours@example.com"),
        |scene, user| scene.build.removal(user),
    ];
    for change in changes {
        let outcome = scene.commit(claimed_by(ours, change(&scene, &john))).await;
        assert_eq!(outcome, Err(CommitError::Stale));
    }
    let twin = under_id(john.id, scene.build.registration(ours, "JOHN@example.com"));
    let ours_too = scene.commit(twin).await.expect("both id and address are free here");
    assert_eq!(scene.find_id(ours, john.id).await, Some(ours_too));
    assert_eq!(everything(&scene, theirs).await, before);
}

/// A user of each of two partners, with the same id, address, entry ids and times.
async fn twins(scene: &Scene) -> [User; 2] {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let registration = scene.build.registration(ours, "john@example.com");
    let twin = scene.commit(claimed_by(theirs, registration.clone())).await.expect("committed");
    [scene.commit(registration).await.expect("committed"), twin]
}

/// What happens to one of two users that are alike but for their partner happens to that one, and is told of that one.
pub async fn twins_under_two_partners_live_their_own_lives(scene: Scene) {
    for (changed, other) in [(0, 1), (1, 0)] {
        let twins = twins(&scene).await;
        let (mut user, twin) = (twins[changed].clone(), twins[other].clone());
        let before = everything(&scene, twin.partner_id).await;
        let mut entries = scene.trail(user.partner_id).await;
        let changes: [fn(&Scene, &User) -> UserChange; 3] = [
            |scene, user| scene.build.renaming(user, "Johnny"),
            |scene, user| scene.build.readdressing(user, "johnny@example.com"),
            |scene, user| scene.build.removal(user),
        ];
        for change in changes {
            let change = change(&scene, &user);
            entries.insert(0, change.audit.clone());
            user = scene.commit(change).await.expect("committed");
            assert_eq!(scene.find(&user).await.as_ref(), Some(&user));
            let page = UserPage { partner_id: user.partner_id, users: vec![user.clone()], total: 1 };
            assert_eq!(everything(&scene, user.partner_id).await, (page, entries.clone()));
            assert_eq!(everything(&scene, twin.partner_id).await, before);
        }
        let of_user = AuditFilter { user_id: Some(user.id), action: None };
        assert_eq!(scene.entries(user.partner_id, of_user).await, entries);
        assert_eq!(scene.entries(twin.partner_id, of_user).await, before.1);
        // The address that the one gave up is still that of the other.
        let refused = scene.commit(scene.build.registration(twin.partner_id, "JOHN@example.com")).await;
        assert_eq!(refused, Err(CommitError::email_taken(&twin)));
        scene.register(user.partner_id, "john@example.com").await;
    }
}

/// Of what is asked for at once, and may be answered together, each partner gets its own.
pub async fn twins_that_are_asked_for_at_once_are_told_apart(scene: Scene) {
    let twins = twins(&scene).await;
    let asked = twins.iter().cycle().take(32).map(|user| (user.partner_id, user.id));
    let found =
        scene.at_once(asked, |adapter, (partner_id, id)| async move { adapter.users.find(partner_id, id).await });
    for (found, user) in found.await.into_iter().zip(twins.iter().cycle()) {
        assert_eq!(found, Ok(Some(user.clone())));
    }
    let again = twins.iter().cycle().take(32).map(|user| scene.build.registration(user.partner_id, "John@Example.com"));
    for (refused, user) in scene.race(again).await.into_iter().zip(twins.iter().cycle()) {
        assert_eq!(refused, Err(CommitError::email_taken(user)));
    }
    let renamings: Vec<UserChange> = twins.iter().map(|user| scene.build.renaming(user, "Johnny")).collect();
    for (outcome, change) in scene.race(renamings.clone()).await.into_iter().zip(renamings) {
        assert_eq!(outcome, Ok(change.user.clone()));
        assert_eq!(scene.find(&change.user).await, Some(change.user));
    }
}
