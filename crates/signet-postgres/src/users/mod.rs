mod batch;
mod find;
mod list;
mod register;
mod update;

use async_trait::async_trait;
use diesel::{PgConnection, QueryResult};
use signet_domain::{
    PartnerId, User, UserChange, UserId,
    ports::{CommitError, Page, StoreError, UserPage, UserRepository},
};

use crate::{
    PostgresStore,
    errors::{is_connection_lost, store_error},
    pool::Attempt,
};

#[async_trait]
impl UserRepository for PostgresStore {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let user = change.user.clone();
        let outcomes = self
            .run(move |connection, attempt| {
                let changes = [&change];
                match change.replaces() {
                    None => commit(connection, &changes, attempt, register::register_users),
                    Some(_) => commit(connection, &changes, attempt, update::update_users),
                }
            })
            .await?;
        outcomes.into_iter().next().unwrap_or_else(|| Err(no_answer().into())).map(|()| user)
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        let found = self.run(move |connection, _| find::find_users(connection, &[(partner_id, user_id)])).await?;
        found.into_iter().next().unwrap_or_else(|| Err(no_answer()))
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        self.run(move |connection, _| list::list_users(connection, partner_id, page)).await?
    }
}

/// What became of one change of a batch.
type Outcome = Result<(), CommitError>;

/// Commits the changes by one statement. Where that fails as a whole, each is committed by itself, so that what is
/// wrong with one harms no other.
fn commit(
    connection: &mut PgConnection,
    changes: &[&UserChange],
    attempt: Attempt,
    statement: fn(&mut PgConnection, &[&UserChange]) -> QueryResult<Vec<Outcome>>,
) -> QueryResult<Vec<Outcome>> {
    let mut outcomes = match statement(connection, changes) {
        Err(error) if is_connection_lost(&error) => return Err(error),
        Err(_) if changes.len() > 1 => {
            let each = changes.iter().map(|change| commit(connection, &[*change], Attempt::First, statement));
            each.collect::<QueryResult<Vec<_>>>()?.into_iter().flatten().collect()
        }
        Err(error) => vec![Err(store_error(&error).into())],
        Ok(outcomes) => outcomes,
    };
    if attempt == Attempt::Second {
        recognise(connection, changes, &mut outcomes)?;
    }
    Ok(outcomes)
}

/// Turns the refusals of a second attempt into the success of the first: a connection may be lost after the commit and
/// before its answer. The change is in the store if its very audit entry is.
fn recognise(connection: &mut PgConnection, changes: &[&UserChange], outcomes: &mut [Outcome]) -> QueryResult<()> {
    if outcomes.iter().all(Result::is_ok) {
        return Ok(());
    }
    let committed = batch::committed(connection, changes)?;
    for (outcome, committed) in outcomes.iter_mut().zip(committed) {
        if committed {
            *outcome = Ok(());
        }
    }
    Ok(())
}

fn no_answer() -> StoreError {
    StoreError::Unexpected { reason: "a statement answered less than it was asked".into() }
}
