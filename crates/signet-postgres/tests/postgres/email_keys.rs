//! The migration that recomputes the keys of addresses.

use signet_domain::{
    EmailAddress,
    ports::{EmailCollision, Migrated},
};

use crate::support::Database;

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

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_recomputed_and_collisions_reported() {
    let database = Database::migrated().await;
    let (partner, other) = (database.partner().await, database.partner().await);
    let mut ids = Vec::new();
    for (number, (address, key, _)) in USERS.into_iter().enumerate() {
        let user = database.user(partner, &format!("{number}@example.com")).await;
        let set = format!("UPDATE users SET email = '{address}', email_key = '{key}' WHERE user_id = '{}'", user.id);
        database.sql.execute(&set);
        ids.push(user.id);
    }
    let elsewhere = database.user(other, "a@strasse.example").await;
    database.sql.execute("DELETE FROM __diesel_schema_migrations WHERE version = '20261128100000'");

    let collision =
        |user: usize, holder: usize| EmailCollision { partner_id: partner, user_id: ids[user], holder_id: ids[holder] };
    let expected = Migrated { applied: 1, collisions: vec![collision(3, 4), collision(6, 5)] };
    assert_eq!(database.store.migrate().await, Ok(expected));
    assert_eq!(database.store.migrate().await, Ok(Migrated::default()));
    for ((address, _, key), id) in USERS.into_iter().zip(ids) {
        let user = database.find(partner, id).await.expect("readable").expect("there");
        let lost = || EmailAddress::key_of_collision(&EmailAddress::key_of_stored(address), id);
        assert_eq!((user.email.as_str(), user.email.key()), (address, &*key.map_or_else(lost, str::to_owned)));
    }
    assert_eq!(database.find(other, elsewhere.id).await, Ok(Some(elsewhere)));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_more_users_than_are_held_at_a_time_are_recomputed() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    database.user(partner, "first@example.com").await;
    database.sql.execute(
        "INSERT INTO users (partner_id, user_id, ordinal, name, email, email_key, status, metadata, registered_at,
            updated_at, removed_at, version)
         SELECT partner_id, gen_random_uuid(), number, name, number || '@bücher.example', number || '@bücher.example',
            status, metadata, registered_at, updated_at, removed_at, version
         FROM users CROSS JOIN generate_series(2, 2500) AS number",
    );
    database.sql.execute("DELETE FROM __diesel_schema_migrations WHERE version = '20261128100000'");
    assert_eq!(database.store.migrate().await, Ok(Migrated { applied: 1, collisions: Vec::new() }));
    let keys = "SELECT count(*) FROM users WHERE email_key = ordinal || '@xn--bcher-kva.example'";
    assert_eq!(database.sql.query(keys), "2499");
}
