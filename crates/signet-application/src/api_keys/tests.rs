use std::{sync::Arc, time::Duration};

use mockall::predicate::{always, eq};
use signet_domain::{
    ApiKey, ApiKeyToken, KeyMode, KeyScope, Partner, SecretHash,
    ports::{HashError, KeyLookup, KeyRecord, MockApiKeyRepository, MockPartnerRepository, MockSecretHasher},
};
use tokio::sync::Notify;

use super::*;
use crate::testing::*;

const HOUR: i64 = 3_600_000;

fn token() -> ApiKeyToken {
    let secret = signet_domain::Secret::parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345").expect("valid");
    ApiKeyToken { mode: KeyMode::Live, id: key_id(), secret }
}

fn key() -> ApiKey {
    ApiKey {
        id: key_id(),
        partner_id: PARTNER,
        name: name("backend"),
        mode: KeyMode::Live,
        scope: KeyScope::ReadWrite,
        secret_hash: SecretHash::new("hash of ABCDEFGHIJKLMNOPQRSTUVWXYZ012345".to_owned()),
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}

/// A store that is asked for the key exactly `times` times.
fn store(key: ApiKey, partner_disabled: bool, times: usize) -> MockApiKeyRepository {
    let mut keys = MockApiKeyRepository::new();
    keys.expect_find()
        .with(eq(key_id()), always())
        .times(times)
        .returning(move |_, _| Ok(Some(KeyRecord { key: key.clone(), partner_disabled })));
    keys
}

/// A hasher whose hash of a secret is `hash of <secret>`.
fn hasher() -> MockSecretHasher {
    let mut hasher = MockSecretHasher::new();
    let hash_of = |secret: &signet_domain::Secret| SecretHash::new(format!("hash of {}", secret.expose()));
    hasher.expect_hash().returning(move |secret| Ok(hash_of(&secret)));
    hasher.expect_verify().returning(move |secret, hash| Ok(hash_of(&secret) == hash));
    hasher
}

fn verify(keys: MockApiKeyRepository, hasher: MockSecretHasher, clock: &Arc<Hands>) -> VerifyApiKey {
    VerifyApiKey::new(Arc::new(keys), Arc::new(hasher), clock.clone(), Arc::default())
}

#[tokio::test]
async fn a_verified_key_is_remembered() {
    for key in [key(), ApiKey { expires_at: Some(at(HOUR)), ..key() }] {
        let verify = verify(store(key, false, 1), hasher(), &Hands::at(0));
        for _ in 0..3 {
            let caller = verify.execute(&token().expose()).await.expect("verified");
            assert_eq!((caller.partner_id, caller.scope), (PARTNER, KeyScope::ReadWrite));
        }
    }
}

#[tokio::test]
async fn a_secret_is_hashed_again_only_where_the_stored_hash_is_another() {
    let hashed_anew = ApiKey { secret_hash: SecretHash::new("another hash of it".to_owned()), ..key() };
    let records = [
        (key(), Ok(())),
        (key(), Ok(())),
        (ApiKey { revoked_at: Some(at(0)), ..key() }, Err(())),
        (hashed_anew, Ok(())),
    ];
    let verdicts = records.each_ref().map(|(_, verdict)| *verdict);
    let mut keys = MockApiKeyRepository::new();
    let mut sequence = mockall::Sequence::new();
    for (key, _) in records {
        let record = KeyRecord { key, partner_disabled: false };
        keys.expect_find().times(1).in_sequence(&mut sequence).return_once(|_, _| Ok(Some(record)));
    }
    let mut hasher = MockSecretHasher::new();
    hasher.expect_verify().times(2).returning(|_, _| Ok(true));
    let memory: Arc<VerifiedKeys> = Arc::default();
    let verify = VerifyApiKey::new(Arc::new(keys), Arc::new(hasher), Hands::at(0), Arc::clone(&memory));
    for verdict in verdicts {
        assert_eq!(verify.execute(&token().expose()).await.map(drop).map_err(drop), verdict);
        memory.age(VerifiedKeys::MAX_AGE).await;
    }
}

/// A hasher that says when it is asked, and answers when it is told to.
#[derive(Default)]
struct Slow {
    asked: Notify,
    told: Notify,
}

#[async_trait::async_trait]
impl signet_domain::ports::SecretHasher for Slow {
    async fn hash(&self, _secret: signet_domain::Secret) -> Result<SecretHash, HashError> {
        Err(HashError::Overloaded)
    }

    async fn verify(&self, _secret: signet_domain::Secret, _hash: SecretHash) -> Result<bool, HashError> {
        self.asked.notify_one();
        self.told.notified().await;
        Ok(true)
    }
}

#[tokio::test]
async fn one_request_verifies_a_key_in_use_anew_and_no_other_waits_for_it() {
    let hashed_anew = ApiKey { secret_hash: SecretHash::new("another hash of it".to_owned()), ..key() };
    let mut keys = MockApiKeyRepository::new();
    let mut sequence = mockall::Sequence::new();
    for key in [key(), hashed_anew] {
        let record = KeyRecord { key, partner_disabled: false };
        keys.expect_find().times(1).in_sequence(&mut sequence).return_once(|_, _| Ok(Some(record)));
    }
    let (slow, memory) = (Arc::<Slow>::default(), Arc::<VerifiedKeys>::default());
    let verify = VerifyApiKey::new(Arc::new(keys), slow.clone(), Hands::at(0), Arc::clone(&memory));
    let verify = Arc::new(verify);
    slow.told.notify_one();
    assert!(verify.execute(&token().expose()).await.is_ok());
    slow.asked.notified().await;

    memory.age(VerifiedKeys::RENEWAL_AGE).await;
    let renewing = tokio::spawn({
        let verify = Arc::clone(&verify);
        async move { verify.execute(&token().expose()).await }
    });
    slow.asked.notified().await;
    assert!(verify.execute(&token().expose()).await.is_ok());
    assert!(!renewing.is_finished());
    slow.told.notify_one();
    assert!(renewing.await.expect("joins").is_ok());
    memory.age(Duration::from_secs(15)).await;
    assert!(verify.execute(&token().expose()).await.is_ok(), "by what was read last");
}

#[tokio::test]
async fn concurrent_requests_with_one_key_share_one_verification() {
    let verify = Arc::new(verify(store(key(), false, 1), hasher(), &Hands::at(0)));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let verify = Arc::clone(&verify);
            tokio::spawn(async move { verify.execute(&token().expose()).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.expect("joins").is_ok());
    }
}

#[tokio::test]
async fn a_typo_is_refused_without_any_io() {
    let verify = verify(MockApiKeyRepository::new(), MockSecretHasher::new(), &Hands::at(0));
    let typo = token().expose().replace('A', "B");
    for text in ["", "Bearer", &typo, "signet_live_x_y"] {
        assert_eq!(verify.execute(text).await, Err(VerifyError::Malformed), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_rejected_from_memory_for_a_moment_only() {
    let wrong = ApiKey { secret_hash: SecretHash::new("hash of another".to_owned()), ..key() };
    let unknown_id = || {
        let mut keys = MockApiKeyRepository::new();
        keys.expect_find().times(2).returning(|_, _| Ok(None));
        keys
    };
    for keys in [store(wrong, false, 2), unknown_id()] {
        let memory: Arc<VerifiedKeys> = Arc::default();
        let verify = VerifyApiKey::new(Arc::new(keys), Arc::new(hasher()), Hands::at(0), Arc::clone(&memory));
        for _moment in 0..2 {
            for _ in 0..3 {
                assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Unknown));
            }
            memory.age(VerifiedKeys::REJECTION_AGE).await;
        }
    }
}

#[tokio::test]
async fn a_key_that_is_created_after_its_first_use_works_a_moment_later() {
    let mut keys = MockApiKeyRepository::new();
    let mut sequence = mockall::Sequence::new();
    keys.expect_find().times(1).in_sequence(&mut sequence).return_once(|_, _| Ok(None));
    let record = KeyRecord { key: key(), partner_disabled: false };
    keys.expect_find().times(1).in_sequence(&mut sequence).return_once(|_, _| Ok(Some(record)));
    let memory: Arc<VerifiedKeys> = Arc::default();
    let verify = VerifyApiKey::new(Arc::new(keys), Arc::new(hasher()), Hands::at(0), Arc::clone(&memory));
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Unknown));
    memory.age(VerifiedKeys::REJECTION_AGE).await;
    assert!(verify.execute(&token().expose()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_was_good_once_is_looked_up_apart_from_unknown_ones() {
    let mut keys = MockApiKeyRepository::new();
    let mut sequence = mockall::Sequence::new();
    for lookup in [KeyLookup::FirstUse, KeyLookup::Refresh, KeyLookup::Refresh] {
        let record = KeyRecord { key: key(), partner_disabled: false };
        keys.expect_find()
            .with(eq(key_id()), eq(lookup))
            .times(1)
            .in_sequence(&mut sequence)
            .return_once(|_, _| Ok(Some(record)));
    }
    let memory: Arc<VerifiedKeys> = Arc::default();
    let verify = VerifyApiKey::new(Arc::new(keys), Arc::new(hasher()), Hands::at(0), Arc::clone(&memory));
    for age in [VerifiedKeys::RENEWAL_AGE, VerifiedKeys::MAX_AGE, Duration::ZERO] {
        assert!(verify.execute(&token().expose()).await.is_ok());
        memory.age(age).await;
    }
}

/// A store that knows the key when it is first asked, and is away from then on.
fn away_after_the_first_use(key: ApiKey) -> MockApiKeyRepository {
    let mut keys = MockApiKeyRepository::new();
    let mut sequence = mockall::Sequence::new();
    let record = KeyRecord { key: key.clone(), partner_disabled: false };
    keys.expect_find().times(1).in_sequence(&mut sequence).return_once(|_, _| Ok(Some(record)));
    keys.expect_find().returning(|_, _| Err(unavailable()));
    keys.expect_revoke().returning(move |_, at| Ok(Some(ApiKey { revoked_at: Some(at), ..key.clone() })));
    keys
}

#[tokio::test]
async fn a_known_verdict_holds_for_its_time_while_the_store_is_away() {
    let memory: Arc<VerifiedKeys> = Arc::default();
    let keys = Arc::new(away_after_the_first_use(key()));
    let verify = VerifyApiKey::new(keys, Arc::new(hasher()), Hands::at(0), Arc::clone(&memory));
    assert!(verify.execute(&token().expose()).await.is_ok());
    memory.age(VerifiedKeys::RENEWAL_AGE).await;
    for _ in 0..3 {
        assert!(verify.execute(&token().expose()).await.is_ok());
    }
    memory.age(VerifiedKeys::MAX_AGE.saturating_sub(VerifiedKeys::RENEWAL_AGE)).await;
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Store(unavailable())));
}

#[tokio::test]
async fn a_known_verdict_outlives_neither_the_key_nor_its_revocation() {
    let clock = Hands::at(0);
    let memory: Arc<VerifiedKeys> = Arc::default();
    let keys = Arc::new(away_after_the_first_use(ApiKey { expires_at: Some(at(HOUR)), ..key() }));
    let verify = VerifyApiKey::new(keys, Arc::new(hasher()), clock.clone(), Arc::clone(&memory));
    assert!(verify.execute(&token().expose()).await.is_ok());
    memory.age(VerifiedKeys::RENEWAL_AGE).await;
    clock.set(HOUR);
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Expired));

    let memory: Arc<VerifiedKeys> = Arc::default();
    let keys = Arc::new(away_after_the_first_use(key()));
    let verify = VerifyApiKey::new(keys.clone(), Arc::new(hasher()), clock.clone(), Arc::clone(&memory));
    assert!(verify.execute(&token().expose()).await.is_ok());
    memory.age(VerifiedKeys::RENEWAL_AGE).await;
    assert!(RevokeApiKey::new(keys, clock, memory).execute(key_id()).await.expect("revoked").is_some());
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Revoked));
}

#[tokio::test]
async fn only_a_holder_of_the_secret_learns_the_state_of_a_key() {
    let revoked = ApiKey { revoked_at: Some(at(0)), expires_at: Some(at(1)), ..key() };
    let expired = ApiKey { expires_at: Some(at(HOUR)), ..key() };
    for (key, disabled, refusal) in [
        (revoked, true, VerifyError::Revoked),
        (expired, true, VerifyError::Expired),
        (key(), true, VerifyError::PartnerDisabled),
    ] {
        let mut keys = store(key.clone(), disabled, 1);
        keys.expect_revoke().returning(|_, _| Err(unavailable()));
        let good = verify(keys, hasher(), &Hands::at(HOUR));
        assert_eq!(good.execute(&token().expose()).await, Err(refusal));

        let guessed = ApiKey { secret_hash: SecretHash::new("hash of another".to_owned()), ..key };
        let guess = verify(store(guessed, disabled, 1), hasher(), &Hands::at(HOUR));
        assert_eq!(guess.execute(&token().expose()).await, Err(VerifyError::Unknown));
    }
    let mut none = MockApiKeyRepository::new();
    none.expect_find().returning(|_, _| Ok(None));
    let unknown = verify(none, MockSecretHasher::new(), &Hands::at(0));
    assert_eq!(unknown.execute(&token().expose()).await, Err(VerifyError::Unknown));
}

#[tokio::test]
async fn a_live_secret_does_not_pass_as_a_test_key() {
    let verify = verify(store(key(), false, 1), hasher(), &Hands::at(0));
    let test = ApiKeyToken { mode: KeyMode::Test, ..token() };
    assert_eq!(verify.execute(&test.expose()).await, Err(VerifyError::Unknown));
}

#[tokio::test]
async fn a_remembered_key_expires_on_time() {
    let clock = Hands::at(HOUR - 1);
    let mut keys = store(ApiKey { expires_at: Some(at(HOUR)), ..key() }, false, 2);
    keys.expect_revoke().with(eq(key_id()), eq(at(HOUR))).once().returning(|_, _| Ok(None));
    let verify = verify(keys, hasher(), &clock);
    assert!(verify.execute(&token().expose()).await.is_ok());
    clock.set(HOUR);
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Expired));
}

#[tokio::test]
async fn an_expired_key_stays_so_when_the_clock_goes_back() {
    let (clock, memory) = (Hands::at(HOUR - 1), Arc::<VerifiedKeys>::default());
    let mut keys = store(ApiKey { expires_at: Some(at(HOUR)), ..key() }, false, 4);
    // Even where the store cannot be told.
    keys.expect_revoke().times(3).returning(|_, _| Err(unavailable()));
    let verify = VerifyApiKey::new(Arc::new(keys), Arc::new(hasher()), clock.clone(), Arc::clone(&memory));
    assert!(verify.execute(&token().expose()).await.is_ok());
    clock.set(HOUR);
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Expired));
    clock.set(HOUR - 1);
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Expired));
    memory.age(VerifiedKeys::MAX_AGE).await;
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Expired));
}

/// A process that was not there when it was refused, or has another clock.
#[tokio::test]
async fn a_key_that_was_refused_as_expired_stays_so_for_every_process() {
    let key = Arc::new(std::sync::Mutex::new(ApiKey { expires_at: Some(at(HOUR)), ..key() }));
    let process = |now| {
        let (read, written) = (Arc::clone(&key), Arc::clone(&key));
        let mut keys = MockApiKeyRepository::new();
        keys.expect_find().returning(move |_, _| {
            Ok(Some(KeyRecord { key: read.lock().expect("no panic").clone(), partner_disabled: false }))
        });
        keys.expect_revoke().returning(move |_, at| {
            written.lock().expect("no panic").revoked_at = Some(at);
            Ok(None)
        });
        verify(keys, hasher(), &Hands::at(now))
    };
    assert!(process(HOUR - 1).execute(&token().expose()).await.is_ok());
    assert_eq!(process(HOUR).execute(&token().expose()).await, Err(VerifyError::Expired));
    assert_eq!(process(HOUR - 1).execute(&token().expose()).await, Err(VerifyError::Expired));
    assert_eq!(KeyState::of(&key.lock().expect("no panic"), at(0)), KeyState::Expired);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_not_revoked() {
    let mut keys = MockApiKeyRepository::new();
    keys.expect_revoke().with(eq(key_id()), eq(at(7))).once().returning(|_, _| Ok(None));
    let revoke = RevokeApiKey::new(Arc::new(keys), Hands::at(7), Arc::default());
    assert_eq!(revoke.execute(key_id()).await, Ok(None));
}

#[tokio::test]
async fn a_revoked_key_stops_at_once() {
    let clock = Hands::at(0);
    let memory: Arc<VerifiedKeys> = Arc::default();
    let mut keys = store(key(), false, 1);
    keys.expect_revoke()
        .with(eq(key_id()), eq(at(0)))
        .returning(|_, at| Ok(Some(ApiKey { revoked_at: Some(at), ..key() })));
    let keys = Arc::new(keys);
    let revoke = RevokeApiKey::new(keys.clone(), clock.clone(), Arc::clone(&memory));

    let verify = VerifyApiKey::new(keys, Arc::new(hasher()), clock, memory);
    assert!(verify.execute(&token().expose()).await.is_ok());
    assert!(revoke.execute(key_id()).await.expect("revoked").is_some());
    assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Revoked));
}

/// A hasher that has the key revoked after it was read and before its secret is found right.
struct RevokesMeanwhile(RevokeApiKey);

#[async_trait::async_trait]
impl signet_domain::ports::SecretHasher for RevokesMeanwhile {
    async fn hash(&self, _secret: signet_domain::Secret) -> Result<SecretHash, HashError> {
        Err(HashError::Overloaded)
    }

    async fn verify(&self, _secret: signet_domain::Secret, _hash: SecretHash) -> Result<bool, HashError> {
        assert!(self.0.execute(key_id()).await.expect("revoked").is_some());
        Ok(true)
    }
}

#[tokio::test]
async fn a_key_revoked_while_it_is_being_verified_is_not_remembered() {
    let clock = Hands::at(0);
    let memory: Arc<VerifiedKeys> = Arc::default();
    let mut keys = store(key(), false, 1);
    keys.expect_revoke()
        .with(eq(key_id()), eq(at(0)))
        .returning(|_, at| Ok(Some(ApiKey { revoked_at: Some(at), ..key() })));
    let keys = Arc::new(keys);
    let revoke = RevokeApiKey::new(keys.clone(), clock.clone(), Arc::clone(&memory));
    let verify = VerifyApiKey::new(keys, Arc::new(RevokesMeanwhile(revoke)), clock, memory);
    for _ in 0..2 {
        assert_eq!(verify.execute(&token().expose()).await, Err(VerifyError::Revoked));
    }
}

#[tokio::test]
async fn an_outage_or_an_overload_is_no_verdict_on_the_key() {
    let mut keys = MockApiKeyRepository::new();
    keys.expect_find().returning(|_, _| Err(unavailable()));
    let away = verify(keys, MockSecretHasher::new(), &Hands::at(0));
    assert_eq!(away.execute(&token().expose()).await, Err(VerifyError::Store(unavailable())));

    let mut busy = MockSecretHasher::new();
    busy.expect_verify().returning(|_, _| Err(HashError::Overloaded));
    let busy = verify(store(key(), false, 1), busy, &Hands::at(0));
    assert_eq!(busy.execute(&token().expose()).await, Err(VerifyError::Hash(HashError::Overloaded)));
}

fn create(keys: MockApiKeyRepository) -> CreateApiKey {
    CreateApiKey::new(Arc::new(keys), Arc::new(hasher()), Hands::at(HOUR), ids())
}

fn new_key(expires_in: Option<Duration>) -> NewApiKey {
    let (mode, scope) = (KeyMode::Live, KeyScope::ReadWrite);
    NewApiKey { partner_id: PARTNER, name: name("backend"), mode, scope, expires_in }
}

#[tokio::test]
async fn a_new_key_stores_the_hash_and_shows_the_token() {
    for (mode, scope, expires_in) in
        [(KeyMode::Live, KeyScope::ReadWrite, Some(Duration::from_hours(1))), (KeyMode::Test, KeyScope::ReadOnly, None)]
    {
        let expires_at = expires_in.map(|_| at(2 * HOUR));
        let expected = ApiKey { name: name("ci"), mode, scope, created_at: at(HOUR), expires_at, ..key() };
        let mut keys = MockApiKeyRepository::new();
        keys.expect_insert().with(eq(expected.clone())).once().returning(|_| Ok(true));
        let new = NewApiKey { partner_id: PARTNER, name: name("ci"), mode, scope, expires_in };
        let (stored, shown) = create(keys).execute(new).await.expect("created");
        assert_eq!((stored, shown), (expected, ApiKeyToken { mode, ..token() }));
    }
}

#[tokio::test]
async fn a_key_whose_secret_was_not_hashed_is_not_stored() {
    let mut busy = MockSecretHasher::new();
    busy.expect_hash().once().returning(|_| Err(HashError::Overloaded));
    let create = CreateApiKey::new(Arc::new(MockApiKeyRepository::new()), Arc::new(busy), Hands::at(HOUR), ids());
    assert_eq!(create.execute(new_key(None)).await, Err(CreateApiKeyError::Hash(HashError::Overloaded)));
}

#[tokio::test]
async fn a_key_needs_a_partner_and_an_end_that_can_be_written() {
    let mut keys = MockApiKeyRepository::new();
    keys.expect_insert().returning(|_| Ok(false));
    assert_eq!(create(keys).execute(new_key(None)).await, Err(CreateApiKeyError::PartnerNotFound));
    let refused = create(MockApiKeyRepository::new()).execute(new_key(Some(Duration::MAX))).await;
    assert_eq!(refused, Err(CreateApiKeyError::ExpiryOutOfRange));
}

#[tokio::test]
async fn the_list_tells_the_state_of_each_key() {
    let mut keys = MockApiKeyRepository::new();
    let expired = ApiKey { expires_at: Some(at(HOUR)), ..key() };
    let revoked = ApiKey { revoked_at: Some(at(0)), ..expired.clone() };
    let stored = vec![key(), expired, revoked];
    keys.expect_list().with(eq(PARTNER)).returning(move |_| Ok(stored.clone()));
    let list = ListApiKeys::new(Arc::new(keys), Arc::new(MockPartnerRepository::new()), Hands::at(HOUR));
    let states: Vec<_> =
        list.execute(PARTNER).await.expect("listed").expect("a partner").into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Expired, KeyState::Revoked]);
}

#[tokio::test]
async fn a_partner_without_keys_has_an_empty_list_and_an_unknown_one_none() {
    for (id, expected) in [(PARTNER, Some(Vec::new())), (OTHER_PARTNER, None)] {
        let mut keys = MockApiKeyRepository::new();
        keys.expect_list().returning(|_| Ok(Vec::new()));
        let mut partners = MockPartnerRepository::new();
        let partner = Partner { id, name: name("Acme"), created_at: at(0), disabled_at: None };
        partners.expect_list().returning(move || Ok(vec![partner.clone()]));
        let list = ListApiKeys::new(Arc::new(keys), Arc::new(partners), Hands::at(0));
        assert_eq!(list.execute(PARTNER).await, Ok(expected));
    }
}
