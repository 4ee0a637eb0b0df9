//! The migration that recomputes the keys of addresses.

use diesel::connection::SimpleConnection;
use signet_domain::{
    EmailAddress,
    ports::{EmailCollision, Migrated, PartnerRepository, UserRepository},
};

use crate::support::{File, blob, lines};

/// Addresses with the keys that version 0.1.0 gave them, in the order of registration, and with those that they get now.
const USERS: [(&str, &str, Option<&str>); 8] = [
    // The first one is about to give up the key that the second one needs.
    ("a@straße.example", "a@strasse.example", Some("a@xn--strae-oqa.example")),
    ("\"a\"@strasse.example", "\"a\"@strasse.example", Some("a@strasse.example")),
    ("B@example.com", "b@example.com", Some("b@example.com")),
    // The second one has the right key already.
    ("info@bücher.example", "info@bücher.example", None),
    ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example", Some("info@xn--bcher-kva.example")),
    // Neither has it.
    ("\"y\"@bücher.example", "\"y\"@bücher.example", Some("y@xn--bcher-kva.example")),
    ("y@bücher.example", "y@bücher.example", None),
    ("root@[192.0.2.1]", "root@[192.0.2.1]", Some("root@[192.0.2.1]")),
];

const FORGET: &str = "DELETE FROM __diesel_schema_migrations WHERE version = '20261128100000'";

#[tokio::test]
async fn keys_are_recomputed_and_collisions_reported() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let other = build.partner();
    PartnerRepository::insert(&store, other.clone()).await.expect("inserted");
    let mut sql = file.connect();
    let mut ids = Vec::new();
    for (number, (address, key, _)) in USERS.into_iter().enumerate() {
        let change = build.registration(partner_id, &format!("{number}@example.com"));
        let id = store.commit(change).await.expect("registered").id;
        let (key, id_blob) = (key.to_owned(), blob(id.uuid()));
        let set = format!("UPDATE users SET email = '{address}', email_key = '{key}' WHERE user_id = {id_blob}");
        sql.batch_execute(&set).expect("an older version's row");
        ids.push(id);
    }
    let elsewhere = store.commit(build.registration(other.id, "a@strasse.example")).await.expect("registered");
    sql.batch_execute(FORGET).expect("forgotten");

    let collision =
        |user: usize, holder: usize| EmailCollision { partner_id, user_id: ids[user], holder_id: ids[holder] };
    let expected = Migrated { applied: 1, collisions: vec![collision(3, 4), collision(6, 5)] };
    assert_eq!(store.migrate().await, Ok(expected));
    assert_eq!(store.migrate().await, Ok(Migrated::default()));
    for ((address, _, key), id) in USERS.into_iter().zip(ids) {
        let user = UserRepository::find(&store, partner_id, id).await.expect("readable").expect("there");
        let lost = || EmailAddress::key_of_collision(&EmailAddress::key_of_stored(address), id);
        assert_eq!((user.email.as_str(), user.email.key()), (address, &*key.map_or_else(lost, str::to_owned)));
    }
    assert_eq!(UserRepository::find(&store, other.id, elsewhere.id).await, Ok(Some(elsewhere)));
}

#[tokio::test]
async fn keys_of_more_users_than_are_held_at_a_time_are_recomputed() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    store.commit(build.registration(partner_id, "first@example.com")).await.expect("registered");
    let mut sql = file.connect();
    sql.batch_execute(
        "WITH RECURSIVE numbers (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM numbers WHERE number < 2500)
         INSERT INTO users (partner_id, user_id, ordinal, name, email, email_key, status, metadata, registered_at,
            updated_at, removed_at, version)
         SELECT partner_id, randomblob(16), number, name, number || '@bücher.example', number || '@bücher.example',
            status, metadata, registered_at, updated_at, removed_at, version
         FROM users CROSS JOIN numbers",
    )
    .expect("inserted");
    sql.batch_execute(FORGET).expect("forgotten");
    assert_eq!(store.migrate().await, Ok(Migrated { applied: 1, collisions: Vec::new() }));
    let keys = "SELECT CAST(count(*) AS TEXT) AS line FROM users WHERE email_key = ordinal || '@xn--bcher-kva.example'";
    assert_eq!(lines(&mut sql, keys), ["2499"]);
}
