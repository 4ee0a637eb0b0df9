//! The API keys of all partners.

use futures_util::future::join_all;
use signet_domain::{
    ApiKey, ApiKeyId, KeyMode, KeyScope, PartnerId,
    ports::{IdGenerator, KeyLookup, KeyRecord, StoreError},
};

use crate::{Scene, instant, name};

async fn insert(scene: &Scene, key: &ApiKey) {
    assert_eq!(scene.adapter.api_keys.insert(key.clone()).await, Ok(true));
}

async fn found(scene: &Scene, id: &ApiKeyId) -> Option<KeyRecord> {
    let [first, refresh] =
        [KeyLookup::FirstUse, KeyLookup::Refresh].map(|lookup| scene.adapter.api_keys.find(id.clone(), lookup));
    let record = first.await.expect("an answer");
    assert_eq!(refresh.await, Ok(record.clone()), "why a key is looked up changes no answer");
    record
}

async fn listed(scene: &Scene, partner_id: PartnerId) -> Vec<ApiKey> {
    scene.adapter.api_keys.list(partner_id).await.expect("an answer")
}

/// A key is found as it was inserted, with every mode, scope and time.
pub async fn a_key_is_found_as_inserted(scene: Scene) {
    let partner_id = scene.partner().await;
    let plain = scene.build.api_key(partner_id);
    let odd = ApiKey {
        name: name("Ключ 'CI' 👩"),
        mode: KeyMode::Test,
        scope: KeyScope::ReadOnly,
        created_at: instant("0001-01-01T00:00:00.001Z"),
        expires_at: Some(instant("9999-12-31T23:59:59.999Z")),
        revoked_at: Some(instant("2026-02-03T04:05:06.007Z")),
        ..scene.build.api_key(partner_id)
    };
    for key in [plain, odd] {
        insert(&scene, &key).await;
        assert_eq!(found(&scene, &key.id).await, Some(KeyRecord { key, partner_disabled: false }));
    }
}

/// A key of a partner that does not exist is not written.
pub async fn a_key_needs_its_partner(scene: Scene) {
    let key = scene.build.api_key(scene.build.ids.partner_id());
    assert_eq!(scene.adapter.api_keys.insert(key.clone()).await, Ok(false));
    assert_eq!(found(&scene, &key.id).await, None);
    assert_eq!(listed(&scene, key.partner_id).await, []);
}

/// A used id is refused, and its key stays what it is.
pub async fn a_used_key_id_is_refused(scene: Scene) {
    let key = scene.build.api_key(scene.partner().await);
    insert(&scene, &key).await;
    let twin = ApiKey { name: name("Twin"), ..key.clone() };
    let outcome = scene.adapter.api_keys.insert(twin).await;
    assert!(matches!(outcome, Err(StoreError::Unexpected { .. })), "{outcome:?}");
    assert_eq!(listed(&scene, key.partner_id).await, [key]);
}

/// An unknown id finds nothing; ids that differ in case are different.
pub async fn an_unknown_key_is_not_found(scene: Scene) {
    let mut key = scene.build.api_key(scene.partner().await);
    key.id = ApiKeyId::parse(&format!("z{}", &key.id.as_str()[1..])).expect("valid");
    insert(&scene, &key).await;
    let other_case = ApiKeyId::parse(&key.id.as_str().to_uppercase()).expect("valid");
    for unknown in [other_case, scene.build.ids.api_key_id()] {
        assert_eq!(found(&scene, &unknown).await, None);
    }
}

/// Look-ups that wait together get an answer each: known, unknown, repeated and of several partners, in any mix.
pub async fn look_ups_at_once_get_an_answer_each(scene: Scene) {
    let (one, other) = (scene.partner().await, scene.partner().await);
    let keys = [one, other, one].map(|partner_id| scene.build.api_key(partner_id));
    for key in &keys {
        insert(&scene, key).await;
    }
    let at = scene.build.clock.advance(1);
    scene.adapter.partners.set_disabled(other, Some(at)).await.expect("an answer");
    let record = |key: &ApiKey| Some(KeyRecord { key: key.clone(), partner_disabled: key.partner_id == other });
    let asked: Vec<(ApiKeyId, Option<KeyRecord>)> = (0..200)
        .map(|number| match keys.get(number % 5) {
            Some(key) => (key.id.clone(), record(key)),
            None => (scene.build.ids.api_key_id(), None),
        })
        .collect();
    for lookup in [KeyLookup::FirstUse, KeyLookup::Refresh] {
        let answers = join_all(asked.iter().map(|(id, _)| scene.adapter.api_keys.find(id.clone(), lookup))).await;
        for (answer, (id, expected)) in answers.into_iter().zip(&asked) {
            assert_eq!(answer.as_ref(), Ok(expected), "{id}");
        }
    }
}

/// A key tells at once whether its partner is disabled.
pub async fn a_key_tells_whether_its_partner_is_disabled(scene: Scene) {
    let key = scene.build.api_key(scene.partner().await);
    insert(&scene, &key).await;
    scene.partner().await;
    let at = scene.build.clock.advance(1);
    for (disabled_at, partner_disabled) in [(Some(at), true), (None, false)] {
        scene.adapter.partners.set_disabled(key.partner_id, disabled_at).await.expect("an answer");
        assert_eq!(found(&scene, &key.id).await, Some(KeyRecord { key: key.clone(), partner_disabled }));
    }
}

/// A partner's keys are listed oldest first, those of one millisecond by the bytes of their ids, and no one else's.
pub async fn keys_are_listed_oldest_first(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let digits = scene.build.api_key(ours).id.as_str()[1..].to_owned();
    let mut keys: Vec<_> = ["b", "A", "a", "0"]
        .map(|first| ApiKey {
            id: ApiKeyId::parse(&format!("{first}{digits}")).expect("valid"),
            created_at: instant("2026-01-01T00:00:00.000Z"),
            ..scene.build.api_key(ours)
        })
        .into();
    keys.push(ApiKey { created_at: instant("2025-12-31T23:59:59.999Z"), ..scene.build.api_key(ours) });
    for key in &keys {
        insert(&scene, key).await;
    }
    insert(&scene, &scene.build.api_key(theirs)).await;
    let order: Vec<_> = [4, 3, 1, 2, 0].map(|index: usize| keys[index].clone()).into();
    assert_eq!(listed(&scene, ours).await, order);
    assert_eq!(listed(&scene, scene.build.ids.partner_id()).await, []);
}

/// Expired and revoked keys are still listed and found.
pub async fn dead_keys_are_still_there(scene: Scene) {
    let partner_id = scene.partner().await;
    let past = instant("2020-01-01T00:00:00.000Z");
    let expired = ApiKey { expires_at: Some(past), ..scene.build.api_key(partner_id) };
    let revoked = ApiKey { revoked_at: Some(past), ..scene.build.api_key(partner_id) };
    for key in [&expired, &revoked] {
        insert(&scene, key).await;
        assert_eq!(found(&scene, &key.id).await.map(|record| record.key).as_ref(), Some(key));
    }
    assert_eq!(listed(&scene, partner_id).await, [expired, revoked]);
}

/// Revoking gives the key with the time, keeps the first one, and touches no other key.
pub async fn revoking_keeps_the_first_time(scene: Scene) {
    let partner_id = scene.partner().await;
    let (key, bystander) = (scene.build.api_key(partner_id), scene.build.api_key(partner_id));
    insert(&scene, &key).await;
    insert(&scene, &bystander).await;
    let (first, second) = (scene.build.clock.advance(1), scene.build.clock.advance(1));
    let revoked = ApiKey { revoked_at: Some(first), ..key.clone() };
    for at in [first, second] {
        assert_eq!(scene.adapter.api_keys.revoke(key.id.clone(), at).await, Ok(Some(revoked.clone())));
        let record = KeyRecord { key: revoked.clone(), partner_disabled: false };
        assert_eq!(found(&scene, &key.id).await, Some(record));
    }
    assert_eq!(listed(&scene, partner_id).await, [revoked, bystander]);
}

/// A key that does not exist is not revoked.
pub async fn an_unknown_key_is_not_revoked(scene: Scene) {
    let at = scene.build.clock.advance(0);
    assert_eq!(scene.adapter.api_keys.revoke(scene.build.ids.api_key_id(), at).await, Ok(None));
}

/// Of many who revoke a key at the same time one gives the time; all are told that one.
pub async fn revoking_at_the_same_time_keeps_one_time(scene: Scene) {
    let key = scene.build.api_key(scene.partner().await);
    insert(&scene, &key).await;
    let times = (0..16).map(|_| (key.id.clone(), scene.build.clock.advance(1)));
    let outcomes = scene.at_once(times, |adapter, (id, at)| async move { adapter.api_keys.revoke(id, at).await }).await;
    let held = found(&scene, &key.id).await.expect("the key").key;
    assert!(held.revoked_at.is_some());
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Some(held.clone()))), "{held:?}: {outcomes:?}");
}
