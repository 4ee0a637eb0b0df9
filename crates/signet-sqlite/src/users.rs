use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, QueryResult,
    RunQueryDsl, SelectableHelper, SqliteConnection,
};
use signet_domain::{
    PartnerId, User, UserChange, UserId,
    ports::{CommitError, Page, StoreError, UserPage, UserRepository},
};
use signet_turn::Operation;

use crate::{
    SqliteStore, audit,
    errors::{Failure, is_email_taken, refused, transaction, unexpected},
    pool::Pool,
    rows::{CountRow, HolderRow, UserRow},
    schema::{partners, users},
    updates::{NextOrdinal, Replace},
    with,
};

type Outcome = Result<User, CommitError>;

/// A change on its way to the writer.
pub(crate) struct Commit(UserChange);

/// A user that is looked for.
pub(crate) struct Find(PartnerId, UserId);

#[async_trait]
impl UserRepository for SqliteStore {
    async fn commit(&self, change: UserChange) -> Outcome {
        self.commits.call(Commit(change)).await.map_err(refused)?
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        let row = self.finds.call(Find(partner_id, user_id)).await.map_err(refused)??;
        row.map(|row| row.into_user(partner_id)).transpose()
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        let rows = self.read(partner_id, move |connection| Ok(list(connection, partner_id, page)?)).await?;
        page_of(partner_id, rows)
    }
}

impl Operation<Pool> for Commit {
    type Answer = Outcome;
    type Owner = PartnerId;

    fn owner(&self) -> PartnerId {
        self.0.user.partner_id
    }

    fn answer(batch: &[&Self], pool: &Pool) -> Option<Vec<Outcome>> {
        let changes: Vec<_> = batch.iter().map(|commit| &commit.0).collect();
        match with(pool, |connection| commit(connection, &changes)) {
            Ok(outcomes) => Some(outcomes),
            // One statement of one member was refused, and the transaction was rolled back.
            Err(StoreError::Unexpected { .. }) => None,
            Err(error) => Some(batch.iter().map(|_| Err(error.clone().into())).collect()),
        }
    }

    fn answer_alone(&self, pool: &Pool) -> Outcome {
        let mut outcomes = with(pool, |connection| commit(connection, &[&self.0]))?;
        outcomes.pop().unwrap_or_else(|| Err(unexpected("a commit without an outcome").into()))
    }
}

/// Answers with rows. The callers turn them into users, each in its own task: the few database threads must not spend their
/// time on that.
impl Operation<Pool> for Find {
    type Answer = Result<Option<UserRow>, StoreError>;
    type Owner = PartnerId;

    fn owner(&self) -> PartnerId {
        self.0
    }

    fn answer(batch: &[&Self], pool: &Pool) -> Option<Vec<Self::Answer>> {
        let keys: Vec<_> = batch.iter().map(|find| (find.0, find.1)).collect();
        // One snapshot takes its locks once: they cost more than a look-up.
        let found =
            with(pool, |connection| Ok(connection.transaction(|connection| QueryResult::Ok(find(connection, &keys)))?));
        Some(found.unwrap_or_else(|error| batch.iter().map(|_| Err(error.clone())).collect()))
    }

    fn answer_alone(&self, pool: &Pool) -> Self::Answer {
        with(pool, |connection| Ok(find_one(connection, self.0, self.1)?))
    }
}

/// Commits all changes in one transaction, in their order; a change that is refused by its outcome writes nothing.
/// An error means that none of them was committed, if it is [`StoreError::Unexpected`].
pub(crate) fn commit(connection: &mut SqliteConnection, changes: &[&UserChange]) -> Result<Vec<Outcome>, Failure> {
    transaction(connection, |connection| changes.iter().map(|change| write(connection, change)).collect())
}

fn write(connection: &mut SqliteConnection, change: &UserChange) -> Result<Outcome, Failure> {
    let written = match change.replaces() {
        None => insert(connection, &change.user)?,
        Some(version) => replace(connection, &change.user, version.number())?,
    };
    if written.is_ok() {
        audit::insert(connection, &change.audit)?;
    }
    Ok(written.map(|()| change.user.clone()))
}

fn insert(connection: &mut SqliteConnection, user: &User) -> Result<Result<(), CommitError>, Failure> {
    // Nobody else writes until this transaction ends, so what is free now stays free.
    if let Some(refusal) = taken_address(connection, user)? {
        return Ok(Err(refusal));
    }
    let ordinal =
        NextOrdinal { partner_id: user.partner_id.uuid().into_bytes() }.get_result::<i64>(connection).optional()?;
    let ordinal = ordinal.ok_or_else(|| unexpected("an unknown partner"))?;
    diesel::insert_into(users::table)
        .values((
            users::partner_id.eq(user.partner_id.uuid().as_bytes()),
            users::user_id.eq(user.id.uuid().as_bytes()),
            users::ordinal.eq(ordinal),
            users::name.eq(user.name.as_str()),
            users::email.eq(user.email.as_str()),
            users::email_key.eq(user.email.key()),
            users::status.eq(user.status.as_str()),
            users::metadata.eq(user.metadata.as_json()),
            users::registered_at.eq(user.registered_at.unix_millis()),
            users::updated_at.eq(user.updated_at.unix_millis()),
            users::removed_at.eq(user.removed_at.map(signet_domain::Timestamp::unix_millis)),
            users::version.eq(user.version.number()),
        ))
        .execute(connection)?;
    Ok(Ok(()))
}

fn replace(connection: &mut SqliteConnection, user: &User, version: i64) -> Result<Result<(), CommitError>, Failure> {
    match Replace::new(user, version).execute(connection) {
        Ok(0) => Ok(Err(CommitError::Stale)),
        Ok(_) => Ok(Ok(())),
        // The statement alone was undone; the transaction goes on.
        Err(error) if is_email_taken(&error) => Ok(Err(taken_address(connection, user)?.ok_or(error)?)),
        Err(error) => Err(error.into()),
    }
}

/// Why the user cannot have its address, where another one has it.
fn taken_address(connection: &mut SqliteConnection, user: &User) -> Result<Option<CommitError>, Failure> {
    let row: Option<HolderRow> = users::table
        .filter(users::partner_id.eq(user.partner_id.uuid().as_bytes()))
        .filter(users::email_key.eq(user.email.key()))
        .select(HolderRow::as_select())
        .get_result(connection)
        .optional()?;
    Ok(row.map(|row| row.into_refusal(user.partner_id)))
}

fn find(connection: &mut SqliteConnection, keys: &[(PartnerId, UserId)]) -> Vec<Result<Option<UserRow>, StoreError>> {
    keys.iter()
        .map(|&(partner_id, user_id)| find_one(connection, partner_id, user_id).map_err(|error| Failure::from(error).0))
        .collect()
}

pub(crate) fn find_one(
    connection: &mut SqliteConnection,
    partner_id: PartnerId,
    user_id: UserId,
) -> QueryResult<Option<UserRow>> {
    users::table
        .filter(users::partner_id.eq(partner_id.uuid().as_bytes()))
        .filter(users::user_id.eq(user_id.uuid().as_bytes()))
        .select(UserRow::as_select())
        // Not `first`: a statement with a bound LIMIT is planned anew each time that another value is bound.
        .get_result(connection)
        .optional()
}

/// A row for each user of a page, each with the partner's count; one row without a user if the page is empty.
type PageRows = Vec<(CountRow, Option<UserRow>)>;

/// One statement, hence one snapshot: the total is that of the page's instant.
pub(crate) fn list(connection: &mut SqliteConnection, partner_id: PartnerId, page: Page) -> QueryResult<PageRows> {
    let after = i64::try_from(page.offset()).unwrap_or(i64::MAX);
    let of_page = users::partner_id.eq(partners::partner_id).and(users::ordinal.gt(after));
    partners::table
        .left_join(users::table.on(of_page))
        .filter(partners::partner_id.eq(partner_id.uuid().as_bytes()))
        .order(users::ordinal)
        .limit(page.limit().into())
        .select((CountRow::as_select(), Option::<UserRow>::as_select()))
        .load(connection)
}

pub(crate) fn page_of(partner_id: PartnerId, rows: PageRows) -> Result<UserPage, StoreError> {
    let mut page = UserPage { partner_id, users: Vec::with_capacity(rows.len()), total: 0 };
    for (count, user) in rows {
        page.total = count.into_total(partner_id)?;
        page.users.extend(user.map(|user| user.into_user(partner_id)).transpose()?);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use signet_conformance::Builder;
    use signet_domain::ports::{IdGenerator, PartnerRepository};

    use super::*;
    use crate::SqliteOptions;

    #[tokio::test]
    async fn those_who_look_for_users_together_are_answered_together() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("signet.db");
        let store = SqliteStore::open(path.to_str().expect("UTF-8"), SqliteOptions::default()).expect("opens");
        store.migrate().await.expect("migrates");
        let build = Builder::new(1);
        let partner = build.partner();
        PartnerRepository::insert(&store, partner.clone()).await.expect("inserted");
        let john = store.commit(build.registration(partner.id, "john@example.com")).await.expect("registered");

        let reading = &store.pools.read;
        let (here, nowhere) = (Find(partner.id, john.id), Find(build.ids.partner_id(), john.id));
        let answers = Find::answer(&[&here, &nowhere], reading).expect("answered together");
        let found: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
        let [Some(row), None] = <[_; 2]>::try_from(found).ok().expect("two answers") else { panic!("found otherwise") };
        assert_eq!(row.into_user(partner.id), Ok(john));
    }
}
