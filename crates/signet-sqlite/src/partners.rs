use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use signet_domain::{
    Partner, PartnerId, Timestamp,
    ports::{PartnerRepository, StoreError},
};

use crate::{SqliteStore, errors::transaction, rows::PartnerRow, schema::partners};

#[async_trait]
impl PartnerRepository for SqliteStore {
    async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
        self.write(move |connection| {
            diesel::insert_into(partners::table)
                .values((
                    partners::partner_id.eq(partner.id.uuid().as_bytes()),
                    partners::name.eq(partner.name.as_str()),
                    partners::created_at.eq(partner.created_at.unix_millis()),
                    partners::disabled_at.eq(partner.disabled_at.map(Timestamp::unix_millis)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Partner>, StoreError> {
        self.look_up(|connection| {
            let oldest_first = partners::table.order((partners::created_at, partners::partner_id));
            let rows: Vec<_> = oldest_first.select(PartnerRow::as_select()).load(connection)?;
            Ok(rows.into_iter().map(Partner::try_from).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn set_disabled(&self, id: PartnerId, disabled_at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
        self.write(move |connection| {
            transaction(connection, |connection| {
                let this = partners::table.find(id.uuid().into_bytes());
                let enabled = partners::disabled_at.is_null();
                match disabled_at.map(Timestamp::unix_millis) {
                    Some(at) => {
                        diesel::update(this.filter(enabled)).set(partners::disabled_at.eq(at)).execute(connection)?
                    }
                    None => diesel::update(this).set(partners::disabled_at.eq(None::<i64>)).execute(connection)?,
                };
                let row = this.select(PartnerRow::as_select()).first(connection).optional()?;
                Ok(row.map(Partner::try_from).transpose()?)
            })
        })
        .await
    }
}
