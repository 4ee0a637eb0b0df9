use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use signet_domain::{
    ApiKey, ApiKeyId, AuditEntry, AuditPosition, Partner, PartnerId, Timestamp, User, UserChange, UserId,
    ports::{
        ApiKeyRepository, AuditFilter, AuditTrail, CommitError, KeyLookup, KeyRecord, Page, PartnerRepository,
        StoreError, UserPage, UserRepository,
    },
};

/// A store that forgets everything when its last clone is dropped. It keeps the whole contract of the ports.
#[derive(Debug, Clone, Default)]
pub struct InMemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    partners: BTreeMap<PartnerId, Tenant>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
}

#[derive(Debug)]
struct Tenant {
    partner: Partner,
    /// In the order of registration; nothing is ever deleted, so an index stays what it is.
    users: Vec<User>,
    by_id: HashMap<UserId, usize>,
    by_email_key: HashMap<String, UserId>,
    /// In the order of time; the user is there so that no entry takes the place of another.
    trail: BTreeMap<(AuditPosition, UserId), AuditEntry>,
}

impl InMemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // No statement below panics between two writes, so what a poisoned lock guards is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenant {
    fn new(partner: Partner) -> Self {
        Self { partner, users: Vec::new(), by_id: HashMap::new(), by_email_key: HashMap::new(), trail: BTreeMap::new() }
    }

    fn commit(&mut self, change: UserChange) -> Result<User, CommitError> {
        let replaces = change.replaces();
        let UserChange { user, audit, .. } = change;
        let held = self.by_id.get(&user.id).copied();
        if replaces.is_some() && replaces != held.map(|index| self.users[index].version) {
            return Err(CommitError::Stale);
        }
        if let Some(existing) = self.by_email_key.get(user.email.key())
            && (*existing != user.id || replaces.is_none())
            && let Some(&index) = self.by_id.get(existing)
        {
            return Err(CommitError::email_taken(&self.users[index]));
        }
        match held {
            Some(_) if replaces.is_none() => return Err(refused("a used user id").into()),
            Some(index) => {
                self.by_email_key.remove(self.users[index].email.key());
                self.users[index] = user.clone();
            }
            None => {
                self.by_id.insert(user.id, self.users.len());
                self.users.push(user.clone());
            }
        }
        self.by_email_key.insert(user.email.key().to_owned(), user.id);
        self.trail.insert((audit.position(), audit.user_id), audit);
        Ok(user)
    }
}

fn refused(what: &str) -> StoreError {
    StoreError::Unexpected { reason: what.to_owned() }
}

#[async_trait]
impl UserRepository for InMemoryStore {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let mut state = self.state();
        match state.partners.get_mut(&change.user.partner_id) {
            Some(tenant) => tenant.commit(change),
            None if change.replaces().is_some() => Err(CommitError::Stale),
            None => Err(refused("an unknown partner").into()),
        }
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        let state = self.state();
        let tenant = state.partners.get(&partner_id);
        Ok(tenant.and_then(|tenant| tenant.by_id.get(&user_id).map(|&index| tenant.users[index].clone())))
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        let state = self.state();
        let users = state.partners.get(&partner_id).map_or(&[][..], |tenant| &tenant.users);
        let (offset, limit) = (saturating(page.offset()), saturating(page.limit().into()));
        Ok(UserPage {
            partner_id,
            users: users.iter().skip(offset).take(limit).cloned().collect(),
            total: u64::try_from(users.len()).unwrap_or(u64::MAX),
        })
    }
}

#[async_trait]
impl AuditTrail for InMemoryStore {
    async fn entries(
        &self,
        partner_id: PartnerId,
        filter: AuditFilter,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let state = self.state();
        let Some(tenant) = state.partners.get(&partner_id) else { return Ok(Vec::new()) };
        let passes = |entry: &&AuditEntry| {
            before.is_none_or(|before| entry.position() < before)
                && filter.user_id.is_none_or(|user_id| entry.user_id == user_id)
                && filter.action.is_none_or(|action| entry.action == action)
        };
        Ok(tenant.trail.values().rev().filter(passes).take(saturating(limit.into())).cloned().collect())
    }
}

#[async_trait]
impl PartnerRepository for InMemoryStore {
    async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.partners.contains_key(&partner.id) {
            return Err(refused("a used partner id"));
        }
        state.partners.insert(partner.id, Tenant::new(partner));
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Partner>, StoreError> {
        let mut partners: Vec<_> = self.state().partners.values().map(|tenant| tenant.partner.clone()).collect();
        partners.sort_by_key(|partner| (partner.created_at, partner.id));
        Ok(partners)
    }

    async fn set_disabled(&self, id: PartnerId, disabled_at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
        let mut state = self.state();
        let Some(Tenant { partner, .. }) = state.partners.get_mut(&id) else { return Ok(None) };
        partner.disabled_at = disabled_at.map(|at| partner.disabled_at.unwrap_or(at));
        Ok(Some(partner.clone()))
    }
}

#[async_trait]
impl ApiKeyRepository for InMemoryStore {
    async fn insert(&self, key: ApiKey) -> Result<bool, StoreError> {
        let mut state = self.state();
        if !state.partners.contains_key(&key.partner_id) {
            return Ok(false);
        }
        if state.api_keys.contains_key(&key.id) {
            return Err(refused("a used key id"));
        }
        state.api_keys.insert(key.id.clone(), key);
        Ok(true)
    }

    async fn find(&self, id: ApiKeyId, _lookup: KeyLookup) -> Result<Option<KeyRecord>, StoreError> {
        let state = self.state();
        Ok(state.api_keys.get(&id).cloned().map(|key| {
            let tenant = state.partners.get(&key.partner_id);
            KeyRecord { key, partner_disabled: tenant.is_some_and(|tenant| tenant.partner.disabled_at.is_some()) }
        }))
    }

    async fn list(&self, partner_id: PartnerId) -> Result<Vec<ApiKey>, StoreError> {
        let state = self.state();
        let mut keys: Vec<_> = state.api_keys.values().filter(|key| key.partner_id == partner_id).cloned().collect();
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(keys)
    }

    async fn revoke(&self, id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        let mut state = self.state();
        Ok(state.api_keys.get_mut(&id).map(|key| {
            key.revoked_at.get_or_insert(at);
            key.clone()
        }))
    }
}

fn saturating(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
