//! The partners of an installation.

use signet_domain::{
    Partner, PartnerId,
    ports::{IdGenerator, StoreError},
};

use crate::{Scene, instant, name};

async fn listed(scene: &Scene, ids: &[PartnerId]) -> Vec<Partner> {
    let partners = scene.adapter.partners.list().await.expect("an answer");
    partners.into_iter().filter(|partner| ids.contains(&partner.id)).collect()
}

/// A partner is listed as it was inserted.
pub async fn a_partner_is_listed_as_inserted(scene: Scene) {
    let plain = scene.build.partner();
    let odd = Partner {
        name: name(&"👩".repeat(200)),
        created_at: instant("9999-12-31T23:59:59.998Z"),
        disabled_at: Some(instant("9999-12-31T23:59:59.999Z")),
        ..scene.build.partner()
    };
    for partner in [&plain, &odd] {
        scene.adapter.partners.insert(partner.clone()).await.expect("inserted");
    }
    assert_eq!(listed(&scene, &[plain.id, odd.id]).await, [plain, odd]);
}

/// Partners are listed oldest first, those of one millisecond by their ids.
pub async fn partners_are_listed_oldest_first(scene: Scene) {
    let (second, mut third, mut first) = (scene.build.partner(), scene.build.partner(), scene.build.partner());
    third.created_at = second.created_at;
    first.created_at = instant("2020-01-01T00:00:00.000Z");
    for partner in [&third, &second, &first] {
        scene.adapter.partners.insert(partner.clone()).await.expect("inserted");
    }
    assert_eq!(listed(&scene, &[first.id, second.id, third.id]).await, [first, second, third]);
}

/// A used id is refused, and its partner stays what it is.
pub async fn a_used_partner_id_is_refused(scene: Scene) {
    let partner = scene.build.partner();
    scene.adapter.partners.insert(partner.clone()).await.expect("inserted");
    let twin = Partner { name: name("Twin"), ..partner.clone() };
    let outcome = scene.adapter.partners.insert(twin).await;
    assert!(matches!(outcome, Err(StoreError::Unexpected { .. })), "{outcome:?}");
    assert_eq!(listed(&scene, &[partner.id]).await, [partner]);
}

/// Disabling gives the time, keeps the first one, and is undone by enabling; no other partner changes.
pub async fn disabling_keeps_the_first_time(scene: Scene) {
    let (partner, bystander) = (scene.build.partner(), scene.build.partner());
    for partner in [&partner, &bystander] {
        scene.adapter.partners.insert(partner.clone()).await.expect("inserted");
    }
    let (first, second) = (instant("2026-01-01T00:00:00.001Z"), instant("2026-01-01T00:00:00.002Z"));
    for (asked, held) in [
        (Some(first), Some(first)),
        (Some(second), Some(first)),
        (None, None),
        (None, None),
        (Some(second), Some(second)),
    ] {
        let expected = Partner { disabled_at: held, ..partner.clone() };
        let outcome = scene.adapter.partners.set_disabled(partner.id, asked).await;
        assert_eq!(outcome, Ok(Some(expected.clone())), "asked for {asked:?}");
        assert_eq!(listed(&scene, &[partner.id, bystander.id]).await, [expected, bystander.clone()]);
    }
}

/// A partner that does not exist is neither disabled nor made.
pub async fn an_unknown_partner_is_not_disabled(scene: Scene) {
    let nobody = scene.build.ids.partner_id();
    let at = scene.build.clock.advance(0);
    assert_eq!(scene.adapter.partners.set_disabled(nobody, Some(at)).await, Ok(None));
    assert_eq!(scene.adapter.partners.set_disabled(nobody, None).await, Ok(None));
    assert_eq!(listed(&scene, &[nobody]).await, []);
}

/// Disabling a partner leaves its users and their trail as they are.
pub async fn disabling_leaves_the_users(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let at = scene.build.clock.advance(1);
    scene.adapter.partners.set_disabled(partner_id, Some(at)).await.expect("disabled");
    assert_eq!(scene.list(partner_id, 10, 0).await.users, [john]);
    assert_eq!(scene.trail(partner_id).await.len(), 1);
}

/// Of many who disable a partner at the same time one gives the time; all are told that one.
pub async fn disabling_at_the_same_time_keeps_one_time(scene: Scene) {
    let partner = scene.build.partner();
    scene.adapter.partners.insert(partner.clone()).await.expect("inserted");
    let times = (0..16).map(|_| (partner.id, scene.build.clock.advance(1)));
    let outcomes =
        scene.at_once(times, |adapter, (id, at)| async move { adapter.partners.set_disabled(id, Some(at)).await });
    let outcomes = outcomes.await;
    let held = listed(&scene, &[partner.id]).await.pop().expect("the partner");
    assert!(held.disabled_at.is_some());
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Some(held.clone()))), "{held:?}: {outcomes:?}");
}
