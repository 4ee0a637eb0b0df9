//! What the use cases need from the machine: time, randomness and hashing. No other code asks for them directly.

mod clock;
mod hasher;
mod ids;

pub(crate) use clock::SystemClock;
pub(crate) use hasher::Argon2Hasher;
pub(crate) use ids::RandomIds;
