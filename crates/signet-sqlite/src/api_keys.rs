use async_trait::async_trait;
use diesel::{
    Connection, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
    SqliteConnection,
    result::{DatabaseErrorKind, Error},
};
use signet_domain::{
    ApiKey, ApiKeyId, PartnerId, Timestamp,
    ports::{ApiKeyRepository, KeyLookup, KeyRecord, StoreError},
};
use signet_turn::Operation;

use crate::{
    SqliteStore,
    errors::{Failure, refused, transaction},
    pool::Pool,
    rows::ApiKeyRow,
    schema::{api_keys, partners},
    with,
};

/// A key that is looked for.
pub(crate) struct Find(ApiKeyId);

/// The key's row, and whether its partner is disabled.
type Found = Option<(ApiKeyRow, bool)>;

impl Operation<Pool> for Find {
    type Answer = Result<Found, StoreError>;
    /// Whose key it is has to be found out.
    type Owner = ();

    const MAX_BATCH: usize = 256;

    fn owner(&self) {}

    fn answer(batch: &[&Self], pool: &Pool) -> Option<Vec<Self::Answer>> {
        // One snapshot takes its locks once: they cost more than a look-up.
        let found = with(pool, |connection| {
            connection.transaction(|connection| {
                Ok(batch.iter().map(|key| find(connection, key).map_err(|failure| failure.0)).collect())
            })
        });
        Some(found.unwrap_or_else(|error| batch.iter().map(|_| Err(error.clone())).collect()))
    }

    fn answer_alone(&self, pool: &Pool) -> Self::Answer {
        with(pool, |connection| find(connection, self))
    }
}

fn find(connection: &mut SqliteConnection, key: &Find) -> Result<Found, Failure> {
    let row: Option<(ApiKeyRow, Option<i64>)> = api_keys::table
        .inner_join(partners::table.on(partners::partner_id.eq(api_keys::partner_id)))
        .filter(api_keys::key_id.eq(key.0.as_str()))
        .select((ApiKeyRow::as_select(), partners::disabled_at))
        // Not `first`, see the look-up of a user.
        .get_result(connection)
        .optional()?;
    Ok(row.map(|(row, disabled_at)| (row, disabled_at.is_some())))
}

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

    async fn find(&self, id: ApiKeyId, lookup: KeyLookup) -> Result<Option<KeyRecord>, StoreError> {
        let lane = match lookup {
            KeyLookup::FirstUse => &self.first_uses,
            KeyLookup::Refresh => &self.refreshes,
        };
        let row = lane.call(Find(id)).await.map_err(refused)??;
        row.map(|(row, partner_disabled)| Ok(KeyRecord { key: row.try_into()?, partner_disabled })).transpose()
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
