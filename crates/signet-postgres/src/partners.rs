use async_trait::async_trait;
use diesel::{prelude::*, sql_types::Bool};
use signet_domain::{
    Partner, PartnerId, Timestamp,
    ports::{PartnerRepository, StoreError},
};

use crate::{PostgresStore, pool::Attempt, rows::PartnerRow, schema::partners};

#[async_trait]
impl PartnerRepository for PostgresStore {
    async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
        self.write(move |connection, attempt| {
            let insert = diesel::insert_into(partners::table).values(PartnerRow::from(&partner));
            // The id is new, so on a second attempt a row that exists already is the first one's.
            match attempt {
                Attempt::First => insert.execute(connection),
                Attempt::Second => insert.on_conflict_do_nothing().execute(connection),
            }
        })
        .await?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Partner>, StoreError> {
        let rows: Vec<PartnerRow> = self
            .look_up(|connection| {
                let query = partners::table.select(PartnerRow::as_select());
                query.order((partners::created_at, partners::partner_id)).load(connection)
            })
            .await?;
        rows.into_iter().map(Partner::try_from).collect()
    }

    async fn set_disabled(&self, id: PartnerId, disabled_at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
        let disabled_at = disabled_at.map(Timestamp::to_datetime);
        let row: Option<PartnerRow> = self
            .write(move |connection, _| {
                let partner = partners::table.find(id.uuid());
                // The second is the first time again where there was one, so a repetition changes nothing.
                let disable = diesel::update(
                    partner.filter(partners::disabled_at.is_null().or(disabled_at.is_none().into_sql::<Bool>())),
                );
                disable.set(partners::disabled_at.eq(disabled_at)).execute(connection)?;
                partner.select(PartnerRow::as_select()).first(connection).optional()
            })
            .await?;
        row.map(Partner::try_from).transpose()
    }
}
