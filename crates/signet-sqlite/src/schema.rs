use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    partners (partner_id) {
        partner_id -> Binary,
        name -> Text,
        created_at -> BigInt,
        disabled_at -> Nullable<BigInt>,
        user_count -> BigInt,
    }
}

table! {
    api_keys (partner_id, key_id) {
        partner_id -> Binary,
        key_id -> Text,
        name -> Text,
        mode -> Text,
        scope -> Text,
        secret_hash -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

table! {
    users (partner_id, user_id) {
        partner_id -> Binary,
        user_id -> Binary,
        ordinal -> BigInt,
        name -> Text,
        email -> Text,
        email_key -> Text,
        status -> Text,
        metadata -> Text,
        registered_at -> BigInt,
        updated_at -> BigInt,
        removed_at -> Nullable<BigInt>,
        version -> BigInt,
    }
}

table! {
    audit_entries (partner_id, user_id, version) {
        partner_id -> Binary,
        user_id -> Binary,
        version -> BigInt,
        entry_id -> Binary,
        action -> Text,
        actor_type -> Text,
        actor_id -> Text,
        actor_name -> Text,
        changes -> Text,
        request_id -> Text,
        ip_address -> Nullable<Text>,
        occurred_at -> BigInt,
    }
}

table! {
    __diesel_schema_migrations (version) {
        version -> Text,
        run_on -> Timestamp,
    }
}

allow_tables_to_appear_in_same_query!(partners, api_keys);
allow_tables_to_appear_in_same_query!(partners, users);
