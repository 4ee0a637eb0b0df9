use async_trait::async_trait;
use diesel::prelude::*;
use signet_domain::{
    ApiKey, ApiKeyId, PartnerId, Timestamp,
    ports::{ApiKeyRepository, KeyLookup, KeyRecord, StoreError},
};

mod find;

pub(crate) use find::Lookups;

use crate::{PostgresStore, errors::lacks_reference, pool::Attempt, rows::ApiKeyRow, schema::api_keys};
use find::Find;

#[async_trait]
impl ApiKeyRepository for PostgresStore {
    async fn insert(&self, key: ApiKey) -> Result<bool, StoreError> {
        self.write(move |connection, attempt| {
            let insert = diesel::insert_into(api_keys::table).values(ApiKeyRow::from(&key));
            // The id is new, so on a second attempt a row that exists already is the first one's.
            let inserted = match attempt {
                Attempt::First => insert.execute(connection),
                Attempt::Second => insert.on_conflict_do_nothing().execute(connection),
            };
            match inserted {
                Ok(_) => Ok(true),
                Err(error) if lacks_reference(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn find(&self, id: ApiKeyId, lookup: KeyLookup) -> Result<Option<KeyRecord>, StoreError> {
        let row = self.call(|lanes| lanes.keys.of(lookup), Find(id)).await??;
        row.map(|(row, partner_disabled)| Ok(KeyRecord { key: row.try_into()?, partner_disabled })).transpose()
    }

    async fn list(&self, partner_id: PartnerId) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<ApiKeyRow> = self
            .read(partner_id, move |connection| {
                let query = api_keys::table.filter(api_keys::partner_id.eq(partner_id.uuid()));
                query.order((api_keys::created_at, api_keys::key_id)).select(ApiKeyRow::as_select()).load(connection)
            })
            .await?;
        rows.into_iter().map(|row| row.into_key(partner_id)).collect()
    }

    async fn revoke(&self, id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        let row: Option<ApiKeyRow> = self
            .write(move |connection, _| {
                let key = api_keys::table.filter(api_keys::key_id.eq(id.as_str()));
                let live = key.filter(api_keys::revoked_at.is_null());
                // Whoever revokes it second finds the first time and changes nothing.
                diesel::update(live).set(api_keys::revoked_at.eq(at.to_datetime())).execute(connection)?;
                key.select(ApiKeyRow::as_select()).first(connection).optional()
            })
            .await?;
        row.map(ApiKey::try_from).transpose()
    }
}
