mod batch;
mod find;
mod list;
mod register;
mod update;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::{PgConnection, QueryResult};
use signet_domain::{
    PartnerId, User, UserChange, UserId,
    ports::{CommitError, Page, StoreError, UserPage, UserRepository},
};
use signet_turn::{Lane, Operation, Turn};

use crate::{
    PostgresStore,
    errors::{is_connection_lost, store_error},
    pool::{Attempt, Pool},
    store::refusal,
};

/// The operations that are answered many at a time.
#[derive(Clone)]
pub(crate) struct Lanes {
    finds: Lane<Arc<Pool>, Find>,
    registrations: Lane<Arc<Pool>, Registration>,
    replacements: Lane<Arc<Pool>, Replacement>,
}

impl Lanes {
    pub(crate) fn new(reads: &Turn<Arc<Pool>>, writes: &Turn<Arc<Pool>>) -> Self {
        Self { finds: reads.lane(), registrations: writes.lane(), replacements: writes.lane() }
    }
}

#[async_trait]
impl UserRepository for PostgresStore {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let user = change.user.clone();
        let answer = match change.replaces() {
            None => self.lanes.registrations.call(Registration(change)).await,
            Some(_) => self.lanes.replacements.call(Replacement(change)).await,
        };
        answer.map_err(refusal)??;
        Ok(user)
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        self.lanes.finds.call(Find(partner_id, user_id)).await.map_err(refusal)?
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        self.read(move |connection| list::list_users(connection, partner_id, page)).await?
    }
}

/// What became of one change of a batch.
type Outcome = Result<(), CommitError>;

struct Find(PartnerId, UserId);
struct Registration(UserChange);
struct Replacement(UserChange);

/// An operation is answered by a function over any number of its kind.
macro_rules! answered_by {
    ($operation:ty: $answer:ty, $owner:expr, $answers:expr) => {
        impl Operation<Arc<Pool>> for $operation {
            type Answer = $answer;
            type Owner = PartnerId;

            fn owner(&self) -> PartnerId {
                $owner(self)
            }

            fn answer(batch: &[&Self], pool: &Arc<Pool>) -> Option<Vec<$answer>> {
                Some($answers(batch, pool))
            }

            fn answer_alone(&self, pool: &Arc<Pool>) -> $answer {
                $answers(&[self], pool).pop().unwrap_or_else(|| Err(no_answer().into()))
            }
        }
    };
}

answered_by!(Find: Result<Option<User>, StoreError>, |find: &Find| find.0, find);
answered_by!(Registration: Outcome, |one: &Registration| one.0.user.partner_id, |batch: &[&Registration], pool| {
    commit(&batch.iter().map(|one| &one.0).collect::<Vec<_>>(), pool, register::register_users)
});
answered_by!(Replacement: Outcome, |one: &Replacement| one.0.user.partner_id, |batch: &[&Replacement], pool| {
    commit(&batch.iter().map(|one| &one.0).collect::<Vec<_>>(), pool, update::update_users)
});

fn find(batch: &[&Find], pool: &Arc<Pool>) -> Vec<Result<Option<User>, StoreError>> {
    let asked: Vec<_> = batch.iter().map(|find| (find.0, find.1)).collect();
    pool.run(|connection, _| find::find_users(connection, &asked)).unwrap_or_else(|error| vec![Err(error); batch.len()])
}

type Statement = fn(&mut PgConnection, &[&UserChange]) -> QueryResult<Vec<Outcome>>;

fn commit(changes: &[&UserChange], pool: &Arc<Pool>, statement: Statement) -> Vec<Outcome> {
    pool.run(|connection, attempt| {
        let mut outcomes = together_or_apart(connection, changes, statement)?;
        if attempt == Attempt::Second {
            recognise(connection, changes, &mut outcomes)?;
        }
        Ok(outcomes)
    })
    .unwrap_or_else(|error| vec![Err(error.into()); changes.len()])
}

/// Commits the changes by one statement. Where that fails, hence as a whole, each is committed by itself, so that what
/// is wrong with one harms no other.
fn together_or_apart(
    connection: &mut PgConnection,
    changes: &[&UserChange],
    statement: Statement,
) -> QueryResult<Vec<Outcome>> {
    match statement(connection, changes) {
        Err(error) if is_connection_lost(&error) => Err(error),
        Err(_) if changes.len() > 1 => {
            let apart = changes.iter().map(|change| together_or_apart(connection, &[*change], statement));
            Ok(apart.collect::<QueryResult<Vec<_>>>()?.into_iter().flatten().collect())
        }
        Err(error) => Ok(vec![Err(store_error(&error).into())]),
        outcomes => outcomes,
    }
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
