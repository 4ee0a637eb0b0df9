//! The audit trail, newest first.

use std::{collections::BTreeSet, net::IpAddr};

use signet_domain::{
    Action, AuditEntry, AuditPosition, PartnerId, RequestId, Status, User, UserPatch,
    ports::{AuditFilter, IdGenerator},
};

use crate::{Scene, name};

/// A trail with every action, three users, and many entries in one millisecond; newest first.
async fn write_a_trail(scene: &Scene, partner_id: PartnerId) -> Vec<AuditEntry> {
    let build = &scene.build;
    let at = build.clock.advance(0);
    let mut entries = Vec::new();
    for number in 0..3 {
        let mut change = build.registration(partner_id, &format!("user{number}@example.com"));
        for step in 0..5 {
            entries.push(change.audit.clone());
            let user = scene.commit(change).await.expect("committed");
            if step % 2 == 0 {
                build.clock.set(at); // the next change falls into the same millisecond
            }
            change = match step {
                0 => build.renaming(&user, "Johnny"),
                1 => build.removal(&user),
                2 => build.change(&user, &UserPatch { status: Some(Status::Active), ..UserPatch::default() }),
                _ => build.renaming(&user, &format!("Jack {step}")),
            };
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
    entries
}

async fn read(
    scene: &Scene,
    partner_id: PartnerId,
    filter: AuditFilter,
    before: Option<AuditPosition>,
    limit: u32,
) -> Vec<AuditEntry> {
    scene.adapter.audit.entries(partner_id, filter, before, limit).await.expect("an answer")
}

/// Entries come in descending order of their position, also those of one millisecond.
pub async fn entries_come_newest_first(scene: Scene) {
    let partner_id = scene.partner().await;
    let expected = write_a_trail(&scene, partner_id).await;
    assert_eq!(scene.trail(partner_id).await, expected);
}

/// The changes of one user in one millisecond stay in the order of their commits, whatever their ids say.
pub async fn versions_come_before_ids(scene: Scene) {
    let partner_id = scene.partner().await;
    let ids = [scene.build.ids.audit_entry_id(), scene.build.ids.audit_entry_id(), scene.build.ids.audit_entry_id()];
    let at = scene.build.clock.advance(0);
    let mut change = scene.build.registration(partner_id, "john@example.com");
    let mut expected = Vec::new();
    for (step, id) in ids.into_iter().rev().enumerate() {
        change.audit.id = id;
        expected.insert(0, change.audit.clone());
        let user = scene.commit(change).await.expect("committed");
        scene.build.clock.set(at);
        change = scene.build.renaming(&user, &format!("John {step}"));
    }
    assert_eq!(expected[0].occurred_at, expected[2].occurred_at, "the fixture is one millisecond");
    assert_eq!(scene.trail(partner_id).await, expected);
}

/// A limit cuts the trail off; nothing is at most nothing, and more than there is is all there is.
pub async fn a_limit_cuts_the_trail(scene: Scene) {
    let partner_id = scene.partner().await;
    let expected = write_a_trail(&scene, partner_id).await;
    for limit in [0, 1, 4, 15, 16, u32::MAX] {
        let entries = read(&scene, partner_id, AuditFilter::default(), None, limit).await;
        let cut = usize::try_from(limit).expect("fits").min(expected.len());
        assert_eq!(entries, expected[..cut], "limit {limit}");
    }
}

/// Pages by position cover every entry once, with every filter.
pub async fn pages_cover_every_entry_once(scene: Scene) {
    let partner_id = scene.partner().await;
    let trail = write_a_trail(&scene, partner_id).await;
    let users = [None, Some(trail[0].user_id), Some(trail[14].user_id)];
    for user_id in users {
        for action in [None].into_iter().chain(Action::ALL.map(Some)) {
            let filter = AuditFilter { user_id, action };
            let expected: Vec<_> = trail
                .iter()
                .filter(|entry| user_id.is_none_or(|user_id| entry.user_id == user_id))
                .filter(|entry| action.is_none_or(|action| entry.action == action))
                .cloned()
                .collect();
            assert!(!expected.is_empty(), "the fixture has {filter:?}");
            for limit in [1, 2, 4] {
                let mut paged: Vec<AuditEntry> = Vec::new();
                loop {
                    let before = paged.last().map(AuditEntry::position);
                    let page = read(&scene, partner_id, filter, before, limit).await;
                    assert!(page.len() <= usize::try_from(limit).expect("small"));
                    if page.is_empty() {
                        break;
                    }
                    paged.extend(page);
                    assert!(paged.len() <= expected.len(), "an entry twice: {filter:?}, {limit} a page");
                }
                assert_eq!(paged, expected, "{filter:?}, {limit} a page");
            }
        }
    }
}

/// A position that no entry has cuts the trail like any other, and so does that of an entry that is not asked for.
pub async fn any_position_cuts_the_trail(scene: Scene) {
    let partner_id = scene.partner().await;
    let trail = write_a_trail(&scene, partner_id).await;
    let users: BTreeSet<_> = trail.iter().map(|entry| entry.user_id).collect();
    for entry in &trail {
        for entry_id in [uuid::Uuid::nil(), uuid::Uuid::max()].map(signet_domain::AuditEntryId::new) {
            let before = AuditPosition { entry_id, ..entry.position() };
            let entries = read(&scene, partner_id, AuditFilter::default(), Some(before), 100).await;
            let expected: Vec<_> = trail.iter().filter(|entry| entry.position() < before).cloned().collect();
            assert_eq!(entries, expected);
            for user_id in users.clone() {
                for action in [None, Some(entry.action)] {
                    let filter = AuditFilter { user_id: Some(user_id), action };
                    let entries = read(&scene, partner_id, filter, Some(before), 100).await;
                    let asked = |other: &&AuditEntry| {
                        other.user_id == user_id && action.is_none_or(|action| other.action == action)
                    };
                    assert_eq!(entries, expected.iter().filter(asked).cloned().collect::<Vec<_>>());
                }
            }
        }
    }
}

/// New entries do not shift a page that starts before a position.
pub async fn new_entries_shift_no_page(scene: Scene) {
    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let john = scene.commit(scene.build.renaming(&john, "Johnny")).await.expect("committed");
    let trail = scene.trail(partner_id).await;
    scene.commit(scene.build.removal(&john)).await.expect("committed");
    let filter = AuditFilter::default();
    assert_eq!(read(&scene, partner_id, filter, Some(trail[0].position()), 10).await, trail[1..]);
}

/// Another partner's entries are not read, neither at large nor by the id of its user.
pub async fn another_partners_entries_are_not_read(scene: Scene) {
    let (ours, theirs) = (scene.partner().await, scene.partner().await);
    let mine = scene.register(ours, "john@example.com").await;
    let john = scene.register(theirs, "john@example.com").await;
    scene.commit(scene.build.removal(&john)).await.expect("committed");
    let trail = scene.trail(ours).await;
    assert_eq!(trail.iter().map(|entry| entry.user_id).collect::<Vec<_>>(), [mine.id]);
    let filter = AuditFilter { user_id: Some(john.id), action: None };
    assert_eq!(scene.entries(ours, filter).await, []);
    assert_eq!(scene.entries(theirs, filter).await.len(), 2);
}

/// What does not exist has no entries.
pub async fn what_does_not_exist_has_no_entries(scene: Scene) {
    let partner_id = scene.partner().await;
    scene.register(partner_id, "john@example.com").await;
    let nobody = AuditFilter { user_id: Some(scene.build.ids.user_id()), action: None };
    assert_eq!(scene.entries(partner_id, nobody).await, []);
    assert_eq!(scene.trail(scene.build.ids.partner_id()).await, []);
    let restored = AuditFilter { user_id: None, action: Some(Action::Restored) };
    assert_eq!(scene.entries(partner_id, restored).await, []);
}

/// An entry is read as it was committed: its actor, its request, its changes, and where it came from.
pub async fn an_entry_is_read_as_committed(scene: Scene) {
    let partner_id = scene.partner().await;
    let addresses = ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::", "0.0.0.0", "255.255.255.255"];
    let mut expected = Vec::new();
    let places = [None].into_iter().chain(addresses.map(|text| Some(text.parse::<IpAddr>().expect("an address"))));
    for (number, ip_address) in places.enumerate() {
        let mut context = scene.build.context(partner_id);
        context.ip_address = ip_address;
        context.request_id = RequestId::parse(&"A.b_c-9".repeat(18)).expect("126 characters");
        context.actor =
            signet_domain::Actor::ApiKey { id: scene.build.ids.api_key_id(), name: name("Ключ 'CI' \"{},\\ 👩") };
        let metadata = crate::metadata(&serde_json::json!({"a": [1.5, null, "\u{1}ä\"", {"b": 0.1}], "'": "{}"}));
        let address = crate::email(&format!("o'brien{number}@example.com"));
        let change = User::register(scene.build.ids.user_id(), name("O'Brien \\ \""), address, metadata, context);
        expected.insert(0, change.audit.clone());
        scene.commit(change).await.expect("committed");
    }
    assert_eq!(scene.trail(partner_id).await, expected);
}

/// A trail sees every change that was acknowledged before it, by whichever adapter.
pub async fn a_trail_sees_every_acknowledged_change(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut user = scene.register(partner_id, "john@example.com").await;
    for round in 0..20 {
        user = scene.commit(scene.build.renaming(&user, &format!("John {round}"))).await.expect("committed");
        for adapter in scene.adapters() {
            let newest = adapter.audit.entries(partner_id, AuditFilter::default(), None, 1).await.expect("an answer");
            assert_eq!(newest[0].version, user.version);
        }
    }
}
