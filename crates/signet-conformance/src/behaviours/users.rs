//! What is found is what was committed.

use serde_json::{Map, Value, json};
use signet_domain::{
    EmailAddress, Metadata, MetadataPatch, Name, Status, User, UserChange, UserPatch, UserState, ports::IdGenerator,
};

use crate::{Scene, email, instant, metadata, name};

async fn finds_what_was_committed(scene: &Scene, change: UserChange) {
    let committed = change.user.clone();
    assert_eq!(scene.commit(change).await.expect("committed"), committed, "commit returns the user of the change");
    assert_eq!(scene.find(&committed).await, Some(committed));
}

async fn keeps_metadata(scene: &Scene, metadata: Metadata) {
    let partner_id = scene.partner().await;
    let (id, context) = (scene.build.ids.user_id(), scene.build.context(partner_id));
    let change = User::register(id, name("Ada"), email("ada@example.com"), metadata, context);
    finds_what_was_committed(scene, change).await;
}

/// A registration is found as it was committed.
pub async fn a_registration_is_found_as_committed(scene: Scene) {
    let partner_id = scene.partner().await;
    finds_what_was_committed(&scene, scene.build.registration(partner_id, "John.Doe@Example.COM")).await;
}

/// Every kind of JSON value survives, at any depth that the domain allows.
pub async fn metadata_of_every_kind_survives(scene: Scene) {
    let object = json!({
        "null": null, "true": true, "false": false, "text": "x", "empty": "", "array": [1, "two", null, [], {}],
        "object": {"a": {"b": {"c": {"d": {"e": {"f": [1]}}}}}}, "integers": [0, -1, i64::MIN, i64::MAX, u64::MAX],
    });
    keeps_metadata(&scene, metadata(&object)).await;
}

/// A number is read back as the same number, to the last bit.
pub async fn numbers_survive_to_the_last_bit(scene: Scene) {
    let mut bits: u64 = 0x3ff0_0000_0000_0001;
    let mut numbers = vec![0.1, -0.0, 1.0, 1e300, 5e-324, f64::MAX, f64::MIN_POSITIVE, 0.1 + 0.2, 1e16, 1e-7];
    for _ in 0..500 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.extend(Some(f64::from_bits(bits)).filter(|number| number.is_finite()));
    }
    keeps_metadata(&scene, metadata(&json!({ "numbers": numbers }))).await;
}

/// Text of every script, and what is special to SQL, JSON, `LIKE` and arrays, survives.
pub async fn text_of_every_script_survives(scene: Scene) {
    let partner_id = scene.partner().await;
    let text = "Ωμέγα 名前 שלום 👩‍👩‍👧 ' \" \\ % _ ; -- {a,b} $1 ?1 :a \u{feff} \u{10ffff} NULL";
    let john = scene.register(partner_id, "o'brien+{x}@bücher.example").await;
    let notes = json!([text, "\u{1}\t\r\n\u{7f}\u{2028}", "\\u0041", "{}", ""]);
    let metadata = MetadataPatch::new(Map::from_iter([("ключ \"'{},\\".to_owned(), notes)])).expect("a valid patch");
    let patch = UserPatch { name: Some(name(text)), metadata: Some(metadata), ..UserPatch::default() };
    finds_what_was_committed(&scene, scene.build.change(&john, &patch)).await;
}

/// The longest values that the domain allows survive.
pub async fn the_longest_values_survive(scene: Scene) {
    let partner_id = scene.partner().await;
    let address = email(&format!("{}@{}", "a".repeat(64), [60, 60, 60, 6].map(|length| "b".repeat(length)).join(".")));
    assert_eq!(address.as_str().len(), EmailAddress::MAX_BYTES);
    let metadata = metadata(&json!({ "a": "ä".repeat((Metadata::MAX_BYTES - r#"{"a":""}"#.len()) / "ä".len()) }));
    assert_eq!(metadata.as_json().len(), Metadata::MAX_BYTES);
    let name = name(&"👩".repeat(Name::MAX_CHARS));
    let change = User::register(scene.build.ids.user_id(), name, address, metadata, scene.build.context(partner_id));
    finds_what_was_committed(&scene, change).await;
}

/// A stored name and address are read as they are, whatever today's rules say of them, and a change of something else
/// keeps the stored key.
pub async fn values_that_later_rules_reject_are_read_and_kept(scene: Scene) {
    let partner_id = scene.partner().await;
    let (invisible, literal) = ("\u{3164}", "root@[192.0.2.1]");
    assert!(Name::parse(invisible).is_err() && EmailAddress::parse(literal).is_err());
    let address = EmailAddress::from_stored(literal.to_owned(), "a key of another rule".to_owned());
    let (id, name) = (scene.build.ids.user_id(), Name::from_stored(invisible.to_owned()));
    let registration = User::register(id, name, address, Metadata::default(), scene.build.context(partner_id));
    let user = scene.commit(registration).await.expect("committed");
    let suspend = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
    let user = scene.commit(scene.build.change(&user, &suspend)).await.expect("committed");
    let found = scene.find(&user).await.expect("there");
    assert_eq!(found, user);
    assert_eq!((found.email.as_str(), found.email.key()), (literal, "a key of another rule"));
    assert_eq!(scene.trail(partner_id).await.len(), 2);
}

/// Metadata with as many keys as the domain allows, each as long as it allows, survives.
pub async fn many_long_keys_survive(scene: Scene) {
    let keys = (0..Metadata::MAX_KEYS).map(|number| format!("{number:0>width$}", width = Metadata::MAX_KEY_CHARS));
    keeps_metadata(&scene, metadata(&Value::Object(keys.map(|key| (key, Value::Null)).collect()))).await;
}

/// The first and the last instant that the domain knows survive, to the millisecond.
pub async fn the_first_and_the_last_instant_survive(scene: Scene) {
    let partner_id = scene.partner().await;
    let at = |mut change: UserChange, registered: &str, updated: &str, removed: Option<&str>| {
        let state = UserState {
            registered_at: instant(registered),
            updated_at: instant(updated),
            removed_at: removed.map(instant),
            ..(*change.user).clone()
        };
        change.user = User::from_stored(state).expect("consistent");
        change.audit.occurred_at = change.user.updated_at;
        change
    };
    let (first, last) = ("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z");
    let registration = at(scene.build.registration(partner_id, "a@example.com"), first, first, None);
    finds_what_was_committed(&scene, registration.clone()).await;
    finds_what_was_committed(&scene, at(scene.build.removal(&registration.user), first, last, Some(last))).await;
    let leap = at(
        scene.build.registration(partner_id, "b@example.com"),
        "1969-12-31T23:59:59.999Z",
        "2000-02-29T23:59:59.001Z",
        None,
    );
    finds_what_was_committed(&scene, leap).await;
}

/// Each status, a removal and a restoration are found as they were committed.
pub async fn each_step_of_a_life_is_found(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut user = scene.register(partner_id, "john@example.com").await;
    for status in [Status::Suspended, Status::Inactive, Status::Active] {
        let change = scene.build.change(&user, &UserPatch { status: Some(status), ..UserPatch::default() });
        user = change.user.clone();
        finds_what_was_committed(&scene, change).await;
    }
    let removal = scene.build.removal(&user);
    let removed = removal.user.clone();
    finds_what_was_committed(&scene, removal).await;
    let patch = UserPatch { status: Some(Status::Active), ..UserPatch::default() };
    finds_what_was_committed(&scene, scene.build.change(&removed, &patch)).await;
}

/// A find sees every change that was acknowledged before it, by whichever adapter.
pub async fn a_find_sees_every_acknowledged_change(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut user = scene.register(partner_id, "john@example.com").await;
    for round in 0..50 {
        user = scene.commit(scene.build.renaming(&user, &format!("John {round}"))).await.expect("committed");
        for adapter in scene.adapters() {
            let found = adapter.users.find(partner_id, user.id).await.expect("an answer");
            assert_eq!(found.as_ref(), Some(&user));
        }
    }
}

/// An unknown id, and an unknown partner, find nothing.
pub async fn an_unknown_user_is_not_found(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let (nobody, nowhere) = (scene.build.ids.user_id(), scene.build.ids.partner_id());
    assert_eq!(scene.find_id(partner_id, nobody).await, None);
    assert_eq!(scene.find_id(nowhere, john.id).await, None);
}

/// Another partner's user is not found.
pub async fn another_partners_user_is_not_found(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let john = scene.register(theirs, "john@example.com").await;
    scene.register(ours, "john@example.com").await;
    assert_eq!(scene.find_id(ours, john.id).await, None);
    assert_eq!(scene.find_id(theirs, john.id).await, Some(john));
}
