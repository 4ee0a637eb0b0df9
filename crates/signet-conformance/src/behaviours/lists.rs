//! A partner's users in the order of their registration.

use signet_domain::{
    PartnerId, User, UserState,
    ports::{CommitError, IdGenerator, Page},
};

use crate::Scene;

/// Registers so many users whose ids descend and whose clocks stand still, so that neither can pass for the order.
async fn register_against_the_ids(scene: &Scene, partner_id: PartnerId, count: usize) -> Vec<User> {
    let mut ids: Vec<_> = (0..count).map(|_| scene.build.ids.user_id()).collect();
    let at = scene.build.clock.advance(0);
    let mut users = Vec::new();
    while let Some(id) = ids.pop() {
        scene.build.clock.set(at);
        let mut change = scene.build.registration(partner_id, &format!("user{}@example.com", users.len()));
        change.user = User::from_stored(UserState { id, ..(*change.user).clone() }).expect("consistent");
        change.audit.user_id = id;
        users.push(scene.commit(change).await.expect("committed"));
    }
    users
}

/// The list is in the order of registration, whatever ids and clocks say, and the total counts all.
pub async fn users_are_listed_in_the_order_of_registration(scene: Scene) {
    let partner_id = scene.partner().await;
    let users = register_against_the_ids(&scene, partner_id, 7).await;
    let page = scene.list(partner_id, 100, 0).await;
    assert_eq!((page.users, page.total), (users, 7));
}

/// A clock that goes backwards between two registrations does not change their order.
pub async fn a_clock_that_goes_backwards_changes_no_order(scene: Scene) {
    let partner_id = scene.partner().await;
    let first = scene.register(partner_id, "first@example.com").await;
    scene.build.clock.advance(-60_000);
    let second = scene.register(partner_id, "second@example.com").await;
    assert!(second.registered_at < first.registered_at);
    assert_eq!(scene.list(partner_id, 100, 0).await.users, [first, second]);
}

/// Every limit and offset gives exactly its window, and the total each time.
pub async fn every_page_is_its_window(scene: Scene) {
    let partner_id = scene.partner().await;
    let users = register_against_the_ids(&scene, partner_id, 5).await;
    for limit in 1..=6 {
        for offset in 0..=6 {
            let page = scene.list(partner_id, limit, offset).await;
            let skipped = users.iter().skip(usize::try_from(offset).expect("small"));
            let window: Vec<_> = skipped.take(usize::try_from(limit).expect("small")).cloned().collect();
            assert_eq!((page.users, page.total), (window, 5), "limit {limit}, offset {offset}");
        }
    }
}

/// An offset past the end, however far, gives no users and the total.
pub async fn an_offset_past_the_end_gives_the_total(scene: Scene) {
    let partner_id = scene.partner().await;
    scene.register(partner_id, "john@example.com").await;
    for offset in [1, 2, 1 << 32, (1 << 63) - 101, (1 << 63) - 100, (1 << 63) - 1] {
        let page = scene.list(partner_id, 100, offset).await;
        assert_eq!((page.users, page.total), (Vec::new(), 1), "offset {offset}");
    }
}

/// A partner without users, and one that does not exist, have an empty list.
pub async fn no_users_are_an_empty_list(scene: Scene) {
    for partner_id in [scene.partner().await, scene.build.ids.partner_id()] {
        let page = scene.list(partner_id, 20, 0).await;
        assert_eq!((page.users, page.total), (Vec::new(), 0));
    }
}

/// A list shows no other partner's users.
pub async fn a_list_is_one_partners(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let mut our_users = Vec::new();
    for number in 0..4 {
        our_users.push(scene.register(ours, &format!("user{number}@example.com")).await);
        scene.register(theirs, &format!("user{number}@example.com")).await;
    }
    let page = scene.list(ours, 100, 0).await;
    assert_eq!((page.users, page.total), (our_users.clone(), 4));
    assert_eq!(scene.list(ours, 2, 1).await.users, our_users[1..3]);
}

/// A user keeps its place when it is changed or removed, and is listed as it is now.
pub async fn a_changed_user_keeps_its_place(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut users = register_against_the_ids(&scene, partner_id, 3).await;
    users[0] = scene.commit(scene.build.readdressing(&users[0], "zzz@example.com")).await.expect("committed");
    users[1] = scene.commit(scene.build.removal(&users[1])).await.expect("committed");
    let page = scene.list(partner_id, 100, 0).await;
    assert_eq!((page.users, page.total), (users, 3));
}

/// A new registration goes to the end: pages already read stay what they were.
pub async fn a_registration_shifts_no_page(scene: Scene) {
    let partner_id = scene.partner().await;
    register_against_the_ids(&scene, partner_id, 4).await;
    let (first, second) = (scene.list(partner_id, 2, 0).await.users, scene.list(partner_id, 2, 2).await.users);
    let late = scene.register(partner_id, "late@example.com").await;
    assert_eq!(scene.list(partner_id, 2, 0).await.users, first);
    assert_eq!(scene.list(partner_id, 2, 2).await.users, second);
    assert_eq!(scene.list(partner_id, 2, 4).await.users, [late]);
}

/// A refused registration leaves no gap in the pages and does not count.
pub async fn a_refused_registration_takes_no_place(scene: Scene) {
    let partner_id = scene.partner().await;
    let first = scene.register(partner_id, "first@example.com").await;
    for _ in 0..3 {
        let again = scene.build.registration(partner_id, "first@example.com");
        assert_eq!(scene.commit(again).await, Err(CommitError::email_taken(&first)));
    }
    let second = scene.register(partner_id, "second@example.com").await;
    let page = scene.list(partner_id, 1, 1).await;
    assert_eq!((page.users, page.total), (vec![second], 2));
}

/// A list sees every registration that was acknowledged before it, by whichever adapter.
pub async fn a_list_sees_every_acknowledged_registration(scene: Scene) {
    let partner_id = scene.partner().await;
    for number in 1..=20 {
        let user = scene.register(partner_id, &format!("user{number}@example.com")).await;
        for adapter in scene.adapters() {
            let page = Page::new(1, number - 1).expect("a page");
            let page = adapter.users.list(partner_id, page).await.expect("an answer");
            assert_eq!((page.users.as_slice(), page.total), (&[user.clone()][..], number));
        }
    }
}
