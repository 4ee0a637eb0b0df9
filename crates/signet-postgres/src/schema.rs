diesel::table! {
    partners (partner_id) {
        partner_id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    api_keys (partner_id, key_id) {
        partner_id -> Uuid,
        key_id -> Text,
        name -> Text,
        mode -> Text,
        scope -> Text,
        secret_hash -> Text,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(api_keys -> partners (partner_id));
diesel::allow_tables_to_appear_in_same_query!(api_keys, partners);
