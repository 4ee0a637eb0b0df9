//! A team runs a club and keeps its members with the use cases, behind a store of its own that also writes welcome
//! letters. Nothing here listens on a port or needs a database.
//!
//! `cargo run -p signet-domain --example embedder`

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use signet_application::{
    Caller, Request,
    audit::{AuditQuery, ListAuditTrail, VerifyAuditTrail},
    users::{NewUser, RegisterUser, RemoveUser, UpdateUser},
};
use signet_conformance::{Builder, InMemoryStore, ManualClock, SequentialIds};
use signet_domain::{
    EmailAddress, KeyScope, Metadata, Name, PartnerId, RequestId, Status, User, UserChange, UserId, UserPatch,
    ports::{
        AuditFilter, Clock, CommitError, IdGenerator, Page, PartnerRepository, StoreError, UserPage, UserRepository,
    },
};

/// An adapter around another one: a member who joins gets a letter, and only if the registration is durable.
struct Welcoming {
    store: InMemoryStore,
    letters: Mutex<Vec<String>>,
}

#[async_trait]
impl UserRepository for Welcoming {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let joins = change.replaces().is_none();
        let user = self.store.commit(change).await?;
        if joins && let Ok(mut letters) = self.letters.lock() {
            letters.push(format!("Dear {}, welcome!", user.name));
        }
        Ok(user)
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        UserRepository::find(&self.store, partner_id, user_id).await
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        UserRepository::list(&self.store, partner_id, page).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in a_life().await? {
        println!("{line}");
    }
    Ok(())
}

/// A member joins, is suspended and leaves; returns what there is to tell about it.
async fn a_life() -> Result<Vec<String>, Box<dyn Error>> {
    let store = InMemoryStore::default();
    let members = Arc::new(Welcoming { store: store.clone(), letters: Mutex::default() });
    // A real service takes the time from the system and the ids from a generator of UUIDs.
    let (clock, ids) = (ManualClock::default(), SequentialIds::new(1));
    let ports = || -> (Arc<dyn Clock>, Arc<dyn IdGenerator>) { (Arc::new(clock.clone()), Arc::new(ids.clone())) };

    let club = Builder::new(2).partner();
    let key = Builder::new(3).api_key(club.id);
    PartnerRepository::insert(&store, club.clone()).await?;
    let caller = Caller { partner_id: club.id, key_id: key.id, key_name: key.name, scope: KeyScope::ReadWrite };
    let request = Request { caller: Arc::new(caller), request_id: RequestId::parse("example-1")?, ip_address: None };

    let (time, new_ids) = ports();
    let register = RegisterUser::new(members.clone(), time, new_ids);
    let (name, email) = (Name::parse("John Doe")?, EmailAddress::parse("john.doe@example.com")?);
    let john = register.execute(&request, NewUser { name, email, metadata: Metadata::default() }).await?;

    clock.advance(1_000);
    let (time, new_ids) = ports();
    let update = UpdateUser::new(members.clone(), time, new_ids);
    let suspend = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
    update.execute(&request, john.id, &suspend).await?;

    clock.advance(1_000);
    let (time, new_ids) = ports();
    RemoveUser::new(members.clone(), time, new_ids).execute(&request, john.id).await?;

    let mut lines = members.letters.lock().map_err(|_poisoned| "a letter writer panicked")?.clone();
    let query = AuditQuery { filter: AuditFilter::default(), limit: 20, cursor: None };
    let store = Arc::new(store);
    for entry in ListAuditTrail::new(store.clone()).execute(&request, query).await?.entries {
        let fields: Vec<_> = entry.changes.iter().map(|(field, _)| format!("{field:?}")).collect();
        lines.push(format!("{} {} ({})", entry.occurred_at, entry.action.as_str(), fields.join(", ")));
    }
    // Replaying the trail from nothing rebuilds every member: nothing happened that it does not tell.
    let verified = VerifyAuditTrail::new(store.clone(), members, store).execute(drop).await?;
    let (entries, findings) = (verified.entries, verified.findings);
    lines.push(format!("The trail has {entries} entries, and there are {findings} findings."));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_letter_and_the_trail_tell_the_life_of_a_member() {
        let lines = super::a_life().await.expect("a life");
        let expected = [
            "Dear John Doe, welcome!",
            "2025-09-30T15:01:55.188Z user.removed (Status, RemovedAt)",
            "2025-09-30T15:01:54.188Z user.updated (Status)",
            "2025-09-30T15:01:53.188Z user.registered (Name, Email, Status, Metadata)",
            "The trail has 3 entries, and there are 0 findings.",
        ];
        assert_eq!(lines, expected);
    }
}
