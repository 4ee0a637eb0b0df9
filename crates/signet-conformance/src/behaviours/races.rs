//! What holds when many commit at the same time.

use std::collections::HashSet;

use signet_domain::{
    MetadataPatch, User, UserPatch, Version,
    ports::{AuditFilter, CommitError, Page},
};

use crate::{Adapter, Builder, Scene};

const RACERS: usize = 16;

/// Of many registrations with one address one wins; all others are told who.
pub async fn one_of_many_registrations_with_an_address_wins(scene: Scene) {
    for round in 0..5 {
        let partner_id = scene.partner().await;
        let spellings = ["john@example.com", "John@Example.com", "JOHN@EXAMPLE.COM"];
        let registrations = (0..RACERS).map(|racer| scene.build.registration(partner_id, spellings[racer % 3]));
        let outcomes = scene.race(registrations).await;
        let winners: Vec<_> = outcomes.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let lost = Err(CommitError::email_taken(winners[0]));
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), RACERS - 1, "{outcomes:?}");
        let page = scene.list(partner_id, 100, 0).await;
        assert_eq!((page.total, page.users.as_slice()), (1, &[winners[0].clone()][..]));
        assert_eq!(scene.trail(partner_id).await.len(), 1);
    }
}

/// Of many updates of one version one wins; all others are stale.
pub async fn one_of_many_updates_of_a_version_wins(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut user = scene.register(partner_id, "john@example.com").await;
    for round in 0..5 {
        let updates = (0..RACERS).map(|racer| scene.build.renaming(&user, &format!("John {round} {racer}")));
        let outcomes = scene.race(updates).await;
        let winners: Vec<_> = outcomes.iter().flatten().cloned().collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let stale = outcomes.iter().filter(|outcome| **outcome == Err(CommitError::Stale)).count();
        assert_eq!(stale, RACERS - 1, "{outcomes:?}");
        assert_eq!(scene.find(&user).await, Some(winners[0].clone()));
        user = winners[0].clone();
    }
    assert_eq!(scene.trail(partner_id).await.len(), 6);
}

/// Of many users that want one free address one gets it; all others are told who.
pub async fn one_of_many_updates_to_an_address_wins(scene: Scene) {
    let partner_id = scene.partner().await;
    let mut updates = Vec::new();
    for racer in 0..RACERS {
        let user = scene.register(partner_id, &format!("racer{racer}@example.com")).await;
        updates.push(scene.build.readdressing(&user, "prize@example.com"));
    }
    let outcomes = scene.race(updates).await;
    let winners: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let lost = Err(CommitError::email_taken(winners[0]));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), RACERS - 1, "{outcomes:?}");
    assert_eq!(scene.trail(partner_id).await.len(), RACERS + 1);
}

/// Of registrations and updates that want one free address at the same time one gets it; all others are told who.
pub async fn one_of_registrations_and_updates_to_an_address_wins(scene: Scene) {
    for round in 0..5 {
        let partner_id = scene.partner().await;
        let mut changes = Vec::new();
        for racer in 0..RACERS / 2 {
            let user = scene.register(partner_id, &format!("racer{racer}@example.com")).await;
            let update = scene.build.readdressing(&user, "Prize@example.com");
            let registration = scene.build.registration(partner_id, "prize@example.com");
            // Both through each adapter.
            changes.extend(if racer % 2 == 0 { [update, registration] } else { [registration, update] });
        }
        let outcomes = scene.race(changes).await;
        let winners: Vec<_> = outcomes.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let lost = Err(CommitError::email_taken(winners[0]));
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), RACERS - 1, "{outcomes:?}");
        let total = RACERS / 2 + usize::from(winners[0].version == Version::FIRST);
        assert_eq!(scene.list(partner_id, 100, 0).await.users.len(), total, "round {round}");
        assert_eq!(scene.trail(partner_id).await.len(), RACERS / 2 + 1);
    }
}

/// Registrations of many partners at the same time all succeed, and each gets its own place in its list.
pub async fn many_registrations_all_get_a_place(scene: Scene) {
    let partners = [scene.partner().await, scene.partner().await, scene.partner().await];
    let registrations: Vec<_> = (0..60)
        .map(|number| scene.build.registration(partners[number % 3], &format!("user{number}@example.com")))
        .collect();
    let expected: Vec<_> = registrations.iter().map(|change| change.user.clone()).collect();
    assert_eq!(scene.race(registrations).await.into_iter().collect::<Result<Vec<_>, _>>().as_ref(), Ok(&expected));
    for partner_id in partners {
        let whole = scene.list(partner_id, 100, 0).await;
        assert_eq!(whole.total, 20);
        let mut paged = Vec::new();
        for offset in [0, 7, 14] {
            paged.extend(scene.list(partner_id, 7, offset).await.users);
        }
        assert_eq!(paged, whole.users, "no gap and no overlap between pages");
        let listed: HashSet<_> = paged.iter().map(|user| user.id).collect();
        let registered = expected.iter().filter(|user| user.partner_id == partner_id).map(|user| user.id);
        assert_eq!(listed, registered.collect());
    }
}

/// A page that was read stays what it is while others register: a user never appears before one already seen.
pub async fn a_list_never_grows_in_the_middle(scene: Scene) {
    let partner_id = scene.partner().await;
    let changes: Vec<_> =
        (0..60).map(|number| scene.build.registration(partner_id, &format!("user{number}@example.com"))).collect();
    let stores: Vec<_> = scene.adapters().map(|adapter| adapter.users.clone()).collect();
    let reader = tokio::spawn(async move {
        let page = Page::new(100, 0).expect("a page");
        let mut seen = Vec::new();
        for users in stores.iter().cycle() {
            let now = users.list(partner_id, page).await.expect("an answer");
            assert_eq!(u64::try_from(now.users.len()), Ok(now.total), "the total of the same instant");
            assert!(now.users.starts_with(&seen), "what was seen is still at its place");
            seen = now.users;
            if seen.len() == 60 {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    for outcome in scene.race(changes).await {
        outcome.expect("committed");
    }
    reader.await.expect("every reading was a prefix of the next");
}

/// Many different updates of one user, each made again on fresh data when it was stale, all survive.
pub async fn updates_made_again_on_fresh_data_all_survive(scene: Scene) {
    const WRITERS: usize = 8;

    /// One of the others succeeds whenever this one is stale, so it is so at most once for each of them.
    async fn write(adapter: Adapter, (build, john, writer): (Builder, User, usize)) {
        let mark = serde_json::Map::from_iter([(format!("writer{writer}"), true.into())]);
        let metadata = Some(MetadataPatch::new(mark).expect("a valid patch"));
        let patch = UserPatch { metadata, ..UserPatch::default() };
        for _ in 0..WRITERS {
            let held = adapter.users.find(john.partner_id, john.id).await.expect("an answer").expect("the user");
            match adapter.users.commit(build.change(&held, &patch)).await {
                Ok(_) => return,
                Err(CommitError::Stale) => {}
                Err(other) => panic!("{other}"),
            }
        }
        panic!("stale more often than others can have succeeded");
    }

    let partner_id = scene.partner().await;
    let john = scene.register(partner_id, "john@example.com").await;
    let writers = (0..WRITERS).map(|writer| (scene.build.clone(), john.clone(), writer));
    scene.at_once(writers, write).await;
    let held = scene.find(&john).await.expect("the user");
    assert_eq!((held.metadata.to_object().len(), held.version.number()), (8, 9));
    assert_eq!(scene.trail(partner_id).await.len(), 9);
}

/// Nobody ever sees a change without its entry, or an entry without its change, however the reading falls.
pub async fn a_change_and_its_entry_are_seen_together(scene: Scene) {
    const CHANGES: i64 = 40;
    let partner_id = scene.partner().await;
    let registration = scene.build.registration(partner_id, "john@example.com");
    let user_id = registration.user.id;
    let filter = AuditFilter { user_id: Some(user_id), action: None };
    let mut readers = Vec::new();
    for adapter in scene.adapters().cloned() {
        let (rounds, round) = tokio::sync::watch::channel(());
        let reader = tokio::spawn(async move {
            let version = async || {
                let found = adapter.users.find(partner_id, user_id).await.expect("an answer");
                found.map_or(0, |user| user.version.number())
            };
            let entry = async || {
                let newest = adapter.audit.entries(partner_id, filter, None, 1).await.expect("an answer");
                newest.first().map_or(0, |entry| entry.version.number())
            };
            loop {
                let (changed, told) = (version().await, entry().await);
                assert!(changed <= told, "the user has version {changed}, the trail ends at {told}");
                let (told, changed) = (entry().await, version().await);
                assert!(told <= changed, "the trail ends at {told}, the user has version {changed}");
                if told == CHANGES {
                    return;
                }
                rounds.send_replace(());
                tokio::task::yield_now().await;
            }
        });
        readers.push((reader, round));
    }
    let mut change = registration;
    for number in 1..=CHANGES {
        // Each reader is at its next round, unless it has found something.
        for (reader, round) in &mut readers {
            if round.changed().await.is_err() {
                reader.await.expect("both at every instant");
            }
        }
        let user = scene.commit(change).await.expect("committed");
        change = scene.build.renaming(&user, &format!("John {number}"));
    }
    for (reader, _) in readers {
        reader.await.expect("both at every instant");
    }
}
