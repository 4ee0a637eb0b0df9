use std::sync::Arc;

use signet_domain::{
    AuditEntry, AuditEntryId, EmailAddress, Metadata, Partner, Status, User, UserId, UserPatch, UserState, Version,
    ports::{MockAuditTrail, MockPartnerRepository, MockUserRepository, Page, StoreError, UserPage},
};
use uuid::Uuid;

use super::{verify::PAGE_OF_TRAIL, *};
use crate::testing::*;

/// A user with that number and two entries: it was registered and suspended.
fn suspended(number: u32) -> (User, Vec<AuditEntry>) {
    let context = || signet_domain::ChangeContext {
        entry_id: AuditEntryId::new(Uuid::from_u128(rand(number))),
        ..context(i64::from(number))
    };
    let address = EmailAddress::parse(&format!("{number}@example.com")).expect("valid");
    let id = UserId::new(Uuid::from_u128(number.into()));
    let first = User::register(id, name("John Doe"), address, Metadata::default(), context());
    let patch = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
    let second = first.user.change(&patch, context()).expect("valid").expect("a change");
    let mut entries = vec![first.audit, second.audit];
    entries[1].id = AuditEntryId::new(Uuid::from_u128(rand(number) + 1));
    (second.user, entries)
}

fn rand(number: u32) -> u128 {
    u128::from(number) << 32
}

/// What a store holds, and how it may have been tampered with.
#[derive(Default)]
struct Tables {
    /// By their ordinals, which may have gaps.
    rows: Vec<(u64, User)>,
    /// The ordinals of rows that cannot be read.
    corrupt: Vec<u64>,
    /// What a look-up finds instead of a row, because it has changed since.
    fresh: Vec<User>,
    entries: Vec<AuditEntry>,
    user_count: u64,
}

impl Tables {
    /// Users of that number, nothing wrong with them.
    fn sound(number: u32) -> Self {
        let mut tables = Self { user_count: number.into(), ..Self::default() };
        for number in 1..=number {
            let (user, entries) = suspended(number);
            tables.rows.push((number.into(), user));
            tables.entries.extend(entries);
        }
        tables
    }

    fn user(&mut self, number: u32) -> &mut User {
        let found = self.rows.iter_mut().find(|(ordinal, _)| *ordinal == u64::from(number));
        &mut found.expect("there").1
    }

    fn edit(&mut self, number: u32, change: fn(&mut UserState)) {
        let user = self.user(number);
        let mut state = UserState::clone(user);
        change(&mut state);
        *user = User::from_stored(state).expect("valid");
    }

    /// What a verification finds, and what it tells besides.
    async fn verify(self) -> (Verification, Vec<(Option<UserId>, String)>) {
        let Self { rows, corrupt, fresh, mut entries, user_count } = self;
        let partner = Partner { id: PARTNER, name: name("Club"), created_at: at(0), disabled_at: None };
        let mut partners = MockPartnerRepository::new();
        partners.expect_list().returning(move || Ok(vec![partner.clone()]));
        let mut users = MockUserRepository::new();
        let listed = rows.clone();
        users.expect_list().returning(move |_, page| {
            let mut shown: Vec<_> = listed.iter().map(|(ordinal, user)| (*ordinal, Some(user))).collect();
            shown.extend(corrupt.iter().map(|ordinal| (*ordinal, None)));
            shown.sort_by_key(|(ordinal, _)| *ordinal);
            let limit = usize::try_from(page.limit()).expect("small");
            let of_page = shown.into_iter().filter(|(ordinal, _)| *ordinal > page.offset()).take(limit);
            let row = |(ordinal, user): (u64, Option<&User>)| {
                let error = StoreError::Corrupt { table: "users", column: "name", key: format!("row/{ordinal}") };
                user.cloned().ok_or(error)
            };
            let users = of_page.map(row).collect::<Result<_, _>>()?;
            Ok(UserPage { partner_id: PARTNER, users, total: user_count })
        });
        users.expect_find().returning(move |_, id| {
            let now = fresh.iter().chain(rows.iter().map(|(_, user)| user));
            Ok(now.into_iter().find(|user| user.id == id).cloned())
        });
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
        let mut trail = MockAuditTrail::new();
        trail.expect_entries().returning(move |_, filter, before, limit| {
            // Nothing is asked for without a bound that holds for its memory.
            assert!(limit <= if filter.user_id.is_some() { PAGE_OF_TRAIL } else { Page::MAX_LIMIT });
            let wanted = |entry: &&AuditEntry| {
                before.is_none_or(|before| entry.position() < before)
                    && filter.user_id.is_none_or(|user_id| entry.user_id == user_id)
            };
            Ok(entries.iter().filter(wanted).take(usize::try_from(limit).expect("small")).cloned().collect())
        });
        let verify = VerifyAuditTrail::new(Arc::new(partners), Arc::new(users), Arc::new(trail));
        let (mut findings, mut progress) = (Vec::new(), (0, 0));
        let told = |told| match told {
            Told::Finding(Finding { partner_id, user_id, reason }) => {
                assert_eq!(partner_id, PARTNER);
                findings.push((user_id, reason));
            }
            Told::Progress { done, total } => {
                assert!(progress.0 <= done && done <= total, "{progress:?} {done} {total}");
                progress = (done, total);
            }
        };
        let verified = is_send(verify.execute(told)).await.expect("the store answers");
        assert_eq!(verified.findings, u64::try_from(findings.len()).expect("few"));
        if findings.is_empty() {
            assert_eq!(progress.0, progress.1, "it comes to its end");
        }
        (verified, findings)
    }
}

/// Whoever embeds it may run it on any thread.
fn is_send<F: Future + Send>(future: F) -> F {
    future
}

fn id(number: u32) -> UserId {
    UserId::new(Uuid::from_u128(number.into()))
}

#[tokio::test]
async fn a_trail_that_tells_the_truth_gives_no_finding() {
    for number in [0, 1, 99, 100, 101, 250] {
        let (verified, _) = Tables::sound(number).verify().await;
        let users = u64::from(number);
        assert_eq!(verified, Verification { partners: 1, users, entries: 2 * users, findings: 0 });
    }
}

#[tokio::test]
async fn a_change_made_meanwhile_is_no_finding() {
    let mut tables = Tables::sound(3);
    let now = tables.user(2).clone();
    tables.fresh.push(now.clone());
    // The page was read before it was suspended.
    let first = tables.entries.iter().filter(|entry| entry.user_id == now.id).take(1);
    *tables.user(2) = signet_domain::replay(first).expect("a registration");
    assert_eq!(tables.verify().await.1, []);
}

type Tamper = fn(&mut Tables);

#[tokio::test]
async fn a_row_or_a_trail_that_was_tampered_with_is_found() {
    let rebuilds = "its trail rebuilds another state than its row";
    let cases: [(Tamper, &str); 7] = [
        (|tables| tables.edit(2, |row| row.name = name("Jane Doe")), rebuilds),
        (|tables| tables.edit(2, |row| row.updated_at = at(99)), rebuilds),
        (|tables| drop(tables.entries.remove(3)), rebuilds),
        (|tables| drop(tables.entries.remove(2)), "its trail does not begin with a registration"),
        (|tables| drop(tables.entries.drain(2..4)), "its trail has no entries"),
        (
            |tables| tables.entries[3].version = Version::new(3).expect("valid"),
            "its trail has an entry that is missing or out of order",
        ),
        (|tables| drop(tables.rows.remove(1)), "has entries and no row"),
    ];
    for (tamper, expected) in cases {
        let mut tables = Tables::sound(3);
        tamper(&mut tables);
        let (_, findings) = tables.verify().await;
        let of_the_user: Vec<_> = findings.iter().filter(|(user, _)| user.is_some()).collect();
        assert_eq!(of_the_user, [&(Some(id(2)), expected.to_owned())]);
    }
}

#[tokio::test]
async fn users_that_are_gone_are_told_once_and_nobody_else_with_them() {
    let mut tables = Tables::sound(700);
    let gone = |ordinal: u64| (2..=5).contains(&ordinal) || (100..=420).contains(&ordinal) || ordinal == 700;
    tables.rows.retain(|(ordinal, _)| !gone(*ordinal));
    let (verified, mut findings) = tables.verify().await;
    assert_eq!(verified.users, 700 - 326);
    assert_eq!(findings.remove(0), (None, "700 users were registered, and 374 are there".to_owned()));
    findings.sort();
    let expected: Vec<_> = (1..=700).filter(|number| gone(u64::from(*number))).map(|number| Some(id(number))).collect();
    assert_eq!(findings.iter().map(|(user, _)| *user).collect::<Vec<_>>(), expected);
    assert!(findings.iter().all(|(_, reason)| reason == "has entries and no row"));
}

#[tokio::test]
async fn a_user_that_went_with_its_trail_is_missed_by_the_count() {
    let mut tables = Tables::sound(3);
    tables.rows.remove(1);
    tables.entries.drain(2..4);
    assert_eq!(tables.verify().await.1, [(None, "3 users were registered, and 2 are there".to_owned())]);
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_and_hide_no_other() {
    let mut tables = Tables::sound(300);
    tables.corrupt = vec![3, 150, 151, 300];
    tables.fresh = tables.rows.iter().map(|(_, user)| user.clone()).collect();
    tables.rows.retain(|(ordinal, _)| ![3, 150, 151, 300, 10, 11].contains(ordinal));
    tables.edit(299, |row| row.name = name("Jane Doe"));
    let (verified, findings) = tables.verify().await;
    assert_eq!(verified.users, 294);
    let reasons: Vec<_> = findings.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "corrupt row in users, key row/3, column name",
            "corrupt row in users, key row/150, column name",
            "corrupt row in users, key row/151, column name",
            "its trail rebuilds another state than its row",
            "corrupt row in users, key row/300, column name",
            "300 users were registered, and 298 are there",
        ]
    );
}

#[tokio::test]
async fn email_key_of_another_address_is_found() {
    let (address, key) = ("2@example.com", EmailAddress::key_of_stored("2@example.com"));
    for (stored, reason) in [
        (key.clone(), None),
        (EmailAddress::key_of_collision(&key, id(2)), None),
        (EmailAddress::key_of_collision(&key, id(3)), Some("its e-mail key is not that of its address")),
        ("jane@example.com".to_owned(), Some("its e-mail key is not that of its address")),
    ] {
        let mut tables = Tables::sound(3);
        let mut state = UserState::clone(tables.user(2));
        state.email = EmailAddress::from_stored(address.to_owned(), stored);
        *tables.user(2) = User::from_stored(state).expect("valid");
        let expected: Vec<_> = reason.into_iter().map(|reason| (Some(id(2)), reason.to_owned())).collect();
        assert_eq!(tables.verify().await.1, expected);
    }
}

/// A user that was renamed that often.
fn renamed(times: u32) -> (User, Vec<AuditEntry>) {
    let (mut user, mut entries) = suspended(1);
    for number in 0..times {
        let patch = UserPatch { name: Some(name(&format!("John {number}"))), ..UserPatch::default() };
        let change = user.change(&patch, context(10 + i64::from(number))).expect("valid").expect("a change");
        user = change.user;
        entries.push(AuditEntry { id: AuditEntryId::new(Uuid::from_u128((10 + number).into())), ..change.audit });
    }
    (user, entries)
}

#[tokio::test]
async fn long_trail_is_replayed_page_by_page() {
    // Around the ends of pages.
    for times in [22, 23, 24, 48, 49, 1000] {
        let (user, entries) = renamed(times);
        let sound =
            || Tables { rows: vec![(1, user.clone())], entries: entries.clone(), user_count: 1, ..Tables::default() };
        let (verified, findings) = sound().verify().await;
        assert_eq!((verified.entries, findings), (u64::from(times) + 2, vec![]));
        for (lost, reason) in [
            (0, "its trail does not begin with a registration"),
            (20, "its trail has an entry that is missing or out of order"),
            (entries.len() - 1, "its trail rebuilds another state than its row"),
        ] {
            let mut tampered = sound();
            tampered.entries.remove(lost);
            assert_eq!(tampered.verify().await.1, [(Some(id(1)), reason.to_owned())], "{times} without {lost}");
        }
    }
}

#[tokio::test]
async fn user_at_a_place_beyond_the_count_is_found() {
    let beyond = "is registered at a place beyond the partner's count";
    for ordinal in [4, 200, u64::MAX / 2] {
        let mut tables = Tables::sound(3);
        // A gap, and as many users as the partner counts.
        tables.rows[1].0 = ordinal;
        assert_eq!(tables.verify().await.1, [(Some(id(2)), beyond.to_owned())], "{ordinal}");
        let mut tables = Tables::sound(101);
        tables.rows[100].0 = ordinal + 101;
        assert_eq!(tables.verify().await.1, [(Some(id(101)), beyond.to_owned())], "{ordinal}");
    }
}
