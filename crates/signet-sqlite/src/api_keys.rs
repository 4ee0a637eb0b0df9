use async_trait::async_trait;
use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
    result::{DatabaseErrorKind, Error},
};
use signet_domain::{
    ApiKey, ApiKeyId, PartnerId, Timestamp,
    ports::{ApiKeyRepository, KeyRecord, StoreError},
};

use crate::{
    SqliteStore,
    errors::transaction,
    rows::ApiKeyRow,
    schema::{api_keys, partners},
};

#[async_trait]
impl ApiKeyRepository for SqliteStore {
    async fn insert(&self, key: ApiKey) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let inserted = diesel::insert_into(api_keys::table)
                .values((
                    api_keys::partner_id.eq(key.partner_id.uuid().as_bytes()),
                    api_keys::key_id.eq(key.id.as_str()),
                    api_keys::name.eq(key.name.as_str()),
                    api_keys::mode.eq(key.mode.as_str()),
                    api_keys::scope.eq(key.scope.as_str()),
                    api_keys::secret_hash.eq(key.secret_hash.as_str()),
                    api_keys::created_at.eq(key.created_at.unix_millis()),
                    api_keys::expires_at.eq(key.expires_at.map(Timestamp::unix_millis)),
                    api_keys::revoked_at.eq(key.revoked_at.map(Timestamp::unix_millis)),
                ))
                .execute(connection);
            match inserted {
                Ok(_) => Ok(true),
                Err(Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn find(&self, id: ApiKeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.look_up(move |connection| {
            let row: Option<(ApiKeyRow, Option<i64>)> = api_keys::table
                .inner_join(partners::table.on(partners::partner_id.eq(api_keys::partner_id)))
                .filter(api_keys::key_id.eq(id.as_str()))
                .select((ApiKeyRow::as_select(), partners::disabled_at))
                .first(connection)
                .optional()?;
            let Some((row, disabled_at)) = row else { return Ok(None) };
            Ok(Some(KeyRecord { key: row.try_into()?, partner_disabled: disabled_at.is_some() }))
        })
        .await
    }

    async fn list(&self, partner_id: PartnerId) -> Result<Vec<ApiKey>, StoreError> {
        self.read(partner_id, move |connection| {
            let rows: Vec<ApiKeyRow> = api_keys::table
                .filter(api_keys::partner_id.eq(partner_id.uuid().as_bytes()))
                .order((api_keys::created_at, api_keys::key_id))
                .select(ApiKeyRow::as_select())
                .load(connection)?;
            Ok(rows.into_iter().map(|row| row.into_key(partner_id)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke(&self, id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        self.write(move |connection| {
            transaction(connection, |connection| {
                let this = api_keys::table.filter(api_keys::key_id.eq(id.as_str()));
                diesel::update(this.filter(api_keys::revoked_at.is_null()))
                    .set(api_keys::revoked_at.eq(at.unix_millis()))
                    .execute(connection)?;
                let row = this.select(ApiKeyRow::as_select()).first(connection).optional()?;
                Ok(row.map(ApiKey::try_from).transpose()?)
            })
        })
        .await
    }
}
