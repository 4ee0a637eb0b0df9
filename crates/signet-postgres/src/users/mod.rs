mod batch;
mod find;
mod list;
mod register;
mod update;

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use diesel::{PgConnection, QueryResult};
use signet_domain::{
    PartnerId, User, UserChange, UserId,
    ports::{CommitError, Page, StoreError, UserPage, UserRepository},
};
use signet_turn::{Lane, Operation, Turn};

use crate::{
    PostgresStore,
    api_keys::Lookups,
    errors::{is_connection_lost, store_error},
    isolation::Isolation,
    pool::{Attempt, Pool},
    rows::UserRow,
};

/// The operations that are answered many at a time.
#[derive(Clone)]
pub(crate) struct Lanes {
    finds: Lane<Arc<Pool>, Find>,
    registrations: Lane<Arc<Pool>, Registration>,
    replacements: Lane<Arc<Pool>, Replacement>,
    pub(crate) keys: Lookups,
}

impl Lanes {
    pub(crate) fn new(reads: &Turn<Arc<Pool>>, writes: &Turn<Arc<Pool>>, queue: usize) -> Self {
        let keys = Lookups::new(reads, queue);
        Self { finds: reads.lane(), registrations: writes.lane(), replacements: writes.lane(), keys }
    }

    pub(crate) fn queue_lengths(&self) -> [usize; 3] {
        [self.finds.len(), self.registrations.len(), self.replacements.len()]
    }
}

#[async_trait]
impl UserRepository for PostgresStore {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let user = change.user.clone();
        let answer = match change.replaces() {
            None => self.call(|lanes| &lanes.registrations, Registration(change)).await,
            Some(_) => self.call(|lanes| &lanes.replacements, Replacement(change)).await,
        };
        answer??;
        Ok(user)
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        let row = self.call(|lanes| &lanes.finds, Find(partner_id, user_id)).await??;
        row.map(|row| row.into_user(partner_id)).transpose()
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        let rows = self.read(partner_id, move |connection| list::list_users(connection, partner_id, page)).await?;
        list::page_of(partner_id, rows)
    }
}

/// What became of one change of a batch.
type Outcome = Result<(), CommitError>;

/// Answered with a row. The caller turns it into a user, in its own task: the few database threads must not spend their
/// time on that.
struct Find(PartnerId, UserId);
struct Registration(UserChange);
struct Replacement(UserChange);

/// The answers to a batch, in its order. An error inside is that of a statement, which had no effect.
type Answers<T> = Result<QueryResult<Vec<T>>, StoreError>;

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
                let begun = Instant::now();
                let answers: Answers<$answer> = $answers(batch, pool);
                let error = match answers {
                    Ok(Ok(answers)) => return Some(answers),
                    // In smaller batches, what is wrong with one harms no other. But a partner that kept the others
                    // waiting, for a lock that somebody holds, is not waited for again, once for each member.
                    Ok(Err(_)) if has_several_owners(batch) || !pool.took_long(begun) => return None,
                    Ok(Err(error)) => store_error(&error),
                    Err(error) => error,
                };
                Some(batch.iter().map(|_| Err(error.clone().into())).collect())
            }

            fn answer_alone(&self, pool: &Arc<Pool>) -> $answer {
                let answers: Answers<$answer> = $answers(&[self], pool);
                let answers = answers?.map_err(|error| store_error(&error))?;
                answers.into_iter().next().unwrap_or_else(|| Err(no_answer().into()))
            }
        }
    };
}

answered_by!(Find: Result<Option<UserRow>, StoreError>, |find: &Find| find.0, find);
answered_by!(Registration: Outcome, |one: &Registration| one.0.user.partner_id, |batch: &[&Registration], pool| {
    commit(&batch.iter().map(|one| &one.0).collect::<Vec<_>>(), pool, register::register_users)
});
answered_by!(Replacement: Outcome, |one: &Replacement| one.0.user.partner_id, |batch: &[&Replacement], pool| {
    let changes: Vec<_> = batch.iter().map(|one| &one.0).collect();
    commit(&changes[..update::independent(&changes)], pool, update::update_users)
});

fn has_several_owners<O: Operation<Arc<Pool>>>(batch: &[&O]) -> bool {
    batch.windows(2).any(|pair| pair[0].owner() != pair[1].owner())
}

fn find(batch: &[&Find], pool: &Arc<Pool>) -> Answers<Result<Option<UserRow>, StoreError>> {
    let asked: Vec<_> = batch.iter().map(|find| (find.0, find.1)).collect();
    let found = pool.run(|connection, _| find::find_users(connection, &asked))?;
    Ok(found.map(|rows| rows.into_iter().map(Ok).collect()))
}

type Statement = fn(&mut PgConnection, Isolation, &[&UserChange]) -> QueryResult<Vec<Outcome>>;

fn commit(changes: &[&UserChange], pool: &Arc<Pool>, statement: Statement) -> Answers<Outcome> {
    pool.run(|connection, attempt| match attempt {
        Attempt::First => statement(connection, pool.isolation, changes),
        Attempt::Second => commit_again(connection, pool.isolation, changes, statement),
    })
}

/// Turns the refusals of a second attempt into the success of the first: a connection may be lost after the commit and
/// before its answer. The change is in the store if its very audit entry is. Where any is, all were answered for good
/// by the first attempt, and no third one follows.
fn commit_again(
    connection: &mut PgConnection,
    isolation: Isolation,
    changes: &[&UserChange],
    statement: Statement,
) -> QueryResult<Vec<Outcome>> {
    let done = statement(connection, isolation, changes);
    match &done {
        Ok(outcomes) if outcomes.iter().all(Result::is_ok) => return done,
        Err(error) if is_connection_lost(error) => return done,
        _ => {}
    }
    let committed = batch::committed(connection, changes)?;
    if !committed.contains(&true) {
        return done;
    }
    let outcomes = done.unwrap_or_else(|error| vec![Err(store_error(&error).into()); changes.len()]);
    Ok(outcomes
        .into_iter()
        .zip(committed)
        .map(|(outcome, committed)| if committed { Ok(()) } else { outcome })
        .collect())
}

fn no_answer() -> StoreError {
    StoreError::Unexpected { reason: "a statement answered less than it was asked".into() }
}
