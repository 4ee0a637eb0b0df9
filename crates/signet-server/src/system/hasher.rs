use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use async_trait::async_trait;
use rand::Rng;
use signet_domain::{
    Secret, SecretHash,
    ports::{HashError, SecretHasher},
};
use signet_turn::{Jobs, Limits, Refused, Turn};

/// The parameters that OWASP recommends for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Two threads hash: each takes a core and 19 MiB while it does, and requests need the rest. A second's work may wait;
/// whoever comes later is told to come back.
const LIMITS: Limits = Limits { threads: 2, queue: 64, deadline: Duration::from_secs(5) };

/// One thread where two would have all cores. A kernel that preempts nobody before its next tick, whatever the
/// priorities, has each of the threads that a request goes through wait for some milliseconds.
fn limits(cores: usize) -> Limits {
    Limits { threads: LIMITS.threads.min(cores.saturating_sub(1)).max(1), ..LIMITS }
}

/// What a thread that hashes still gets of a core that is wanted by others is a thirtieth: 25 ms of work in a second.
const NICE: i32 = 15;

/// Argon2id (RFC 9106) on threads of its own.
///
/// Whoever knows the id of a key can have wrong secrets verified without end, and it is the keys that take turns: by the
/// stored hash, which the ports hand over in place of an id.
#[derive(Debug, Clone)]
pub(crate) struct Argon2Hasher(Jobs<(), Option<u64>>);

impl Argon2Hasher {
    /// Fails where the system has no thread left.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Turn::start("argon2", limits(cores), ()).map(|turn| Self(turn.jobs()))
    }

    async fn run<T: Send + 'static>(
        &self,
        owner: Option<u64>,
        job: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let work = |(): &()| STEPPED_BACK.with(|()| job());
        match self.0.run(owner, work).await {
            Ok(answer) => answer,
            Err(Refused::Overloaded | Refused::DeadlineExceeded) => Err(HashError::Overloaded),
            Err(Refused::Abandoned) => Err(failed(Refused::Abandoned)),
        }
    }
}

#[async_trait]
impl SecretHasher for Argon2Hasher {
    async fn hash(&self, secret: Secret) -> Result<SecretHash, HashError> {
        self.run(None, move || hash(&secret)).await
    }

    async fn verify(&self, secret: Secret, hash: SecretHash) -> Result<bool, HashError> {
        let mut key = DefaultHasher::new();
        hash.as_str().hash(&mut key);
        self.run(Some(key.finish()), move || verify(&secret, &hash)).await
    }
}

thread_local! {
    static STEPPED_BACK: () = step_back();
}

/// Has this thread leave the cores to those that answer requests, as often as they want them: wrong secrets by the
/// hundred must not make anybody wait. Only on Linux, where a thread has a priority of its own.
fn step_back() {
    if cfg!(target_os = "linux") {
        // It may always be lowered; where it cannot, hashing is as before.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where salts come from")]
fn hash(secret: &Secret) -> Result<SecretHash, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = Salt::new(&salt).map_err(failed)?;
    let text = ParamsString::try_from(&params).map_err(failed)?;
    let output = derive(Algorithm::Argon2id, Version::V0x13, params, secret, &salt, Params::DEFAULT_OUTPUT_LEN)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: text,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(SecretHash::new(phc.to_string()))
}

/// By the parameters of the stored hash, so that keys made under other ones keep working.
fn verify(secret: &Secret, hash: &SecretHash) -> Result<bool, HashError> {
    let phc = PasswordHash::new(hash.as_str()).map_err(failed)?;
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(failed)?;
    let version = phc.version.map(Version::try_from).transpose().map_err(failed)?.unwrap_or_default();
    let params = Params::try_from(&phc).map_err(failed)?;
    let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
        return Err(failed("a part of the stored hash is missing"));
    };
    let output = derive(algorithm, version, params, secret, &salt, expected.len())?;
    // `Output` compares in constant time.
    Ok(output == expected)
}

fn derive(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    secret: &Secret,
    salt: &Salt,
    length: usize,
) -> Result<Output, HashError> {
    /// glibc learns from the release of a large block to keep blocks of that size for later, 19 MiB per thread; it
    /// never does so above 32 MiB. So more is reserved than used: what is not touched costs nothing, and all of it
    /// goes back to the system at once.
    const RESERVED: usize = 33 * 1024;

    let blocks = params.block_count();
    let mut memory = Vec::new();
    memory.try_reserve_exact(blocks.max(RESERVED)).map_err(failed)?;
    memory.resize(blocks, Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..length).ok_or_else(|| failed("the stored hash is too long"))?;
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(secret.expose().as_bytes(), salt, output, memory)
        .map_err(failed)?;
    Output::new(output).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` hands over")]
fn failed(reason: impl ToString) -> HashError {
    HashError::Failed { reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(last: char) -> Secret {
        Secret::parse(&format!("ABCDEFGHIJKLMNOPQRSTUVWXYZ01234{last}")).expect("valid")
    }

    #[tokio::test]
    async fn a_hash_verifies_its_secret_and_no_other() {
        let hasher = Argon2Hasher::start().expect("threads");
        let hash = hasher.hash(secret('5')).await.expect("hashed");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_ne!(hasher.hash(secret('5')).await.expect("hashed"), hash, "the salt is new each time");
        assert_eq!(hasher.verify(secret('5'), hash.clone()).await, Ok(true));
        assert_eq!(hasher.verify(secret('6'), hash).await, Ok(false));
    }

    /// Made by another implementation, Python's argon2-cffi, with other parameters and a hash of 24 bytes.
    #[tokio::test]
    async fn a_hash_with_other_parameters_is_understood() {
        let hasher = Argon2Hasher::start().expect("threads");
        let hash = SecretHash::new(FOREIGN.to_owned());
        assert_eq!(hasher.verify(secret('5'), hash.clone()).await, Ok(true));
        assert_eq!(hasher.verify(secret('6'), hash).await, Ok(false));
    }

    const FOREIGN: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQxNmJ5dGVzLg$NbyJQi/i8X/GfNBcOZT/rvjZTijcOe4/";

    #[tokio::test]
    async fn what_is_no_hash_is_an_error_and_not_a_refusal() {
        let hasher = Argon2Hasher::start().expect("threads");
        for bad in ["", "secret", "$argon2id$v=19$m=19456,t=2,p=1", "$scrypt$ln=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo"] {
            let verified = hasher.verify(secret('5'), SecretHash::new(bad.to_owned())).await;
            assert!(matches!(verified, Err(HashError::Failed { .. })), "{bad}");
        }
    }

    #[test]
    fn one_core_is_left_alone_and_there_are_never_more_than_two_threads() {
        let threads = [1, 2, 3, 4, 64].map(|cores| limits(cores).threads);
        assert_eq!(threads, [1, 1, 2, 2, 2]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn whoever_hashes_lets_others_go_first() {
        let hasher = Argon2Hasher::start().expect("threads");
        let nice = hasher.run(None, || rustix::process::getpriority_process(None).map_err(failed)).await;
        // Higher where all of the process is.
        assert!(nice.as_ref().is_ok_and(|nice| *nice >= NICE), "{nice:?}");
    }

    #[tokio::test]
    async fn too_many_at_once_are_told_to_come_back() {
        let hasher = Argon2Hasher::start().expect("threads");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..LIMITS.queue * 2 {
            let hasher = hasher.clone();
            tasks.spawn(async move { hasher.hash(secret('5')).await });
        }
        let answers = tasks.join_all().await;
        assert!(answers.contains(&Err(HashError::Overloaded)));
        assert!(answers.iter().any(Result::is_ok));
    }
    #[tokio::test]
    async fn wrong_secrets_for_one_key_keep_no_other_out() {
        let hasher = Argon2Hasher::start().expect("threads");
        let known = hasher.hash(secret('5')).await.expect("hashed");
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..LIMITS.queue * 2 {
            let (hasher, known) = (hasher.clone(), known.clone());
            flood.spawn(async move { hasher.verify(secret('6'), known).await });
        }
        // Into the queue with them.
        tokio::task::yield_now().await;
        assert_eq!(hasher.verify(secret('5'), SecretHash::new(FOREIGN.to_owned())).await, Ok(true));
        let answers = flood.join_all().await;
        assert!(answers.contains(&Err(HashError::Overloaded)), "it was a flood");
        assert!(!answers.contains(&Ok(true)));
    }
}
