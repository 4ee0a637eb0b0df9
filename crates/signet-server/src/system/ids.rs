use rand::distr::{Alphanumeric, SampleString};
use signet_domain::{ApiKeyId, AuditEntryId, PartnerId, RequestId, Secret, UserId, ports::IdGenerator};
use uuid::Uuid;

/// UUIDs of version 7, and base62 text from the thread's cryptographically secure generator (`ChaCha`, seeded and
/// reseeded by the operating system).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RandomIds;

impl IdGenerator for RandomIds {
    fn user_id(&self) -> UserId {
        UserId::new(uuid())
    }

    fn partner_id(&self) -> PartnerId {
        PartnerId::new(uuid())
    }

    fn audit_entry_id(&self) -> AuditEntryId {
        AuditEntryId::new(uuid())
    }

    fn request_id(&self) -> RequestId {
        let mut buffer = Uuid::encode_buffer();
        RequestId::parse(uuid().as_hyphenated().encode_lower(&mut buffer)).expect("a UUID is a request id")
    }

    fn api_key_id(&self) -> ApiKeyId {
        ApiKeyId::parse(&base62(ApiKeyId::CHARS)).expect("letters and digits")
    }

    fn secret(&self) -> Secret {
        Secret::parse(&base62(Secret::CHARS)).expect("letters and digits")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
fn uuid() -> Uuid {
    Uuid::now_v7()
}

/// Each character is drawn by itself and the draws beyond 62 are thrown away, so all are equally likely.
#[expect(clippy::disallowed_methods, reason = "this is where keys and secrets come from")]
fn base62(chars: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), chars)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[test]
    fn ids_are_new_and_in_the_order_of_their_making() {
        let made: Vec<_> = (0..1000).map(|_| RandomIds.user_id()).collect();
        assert!(made.is_sorted() && made.iter().collect::<HashSet<_>>().len() == made.len());
        assert!(made.iter().all(|id| id.uuid().get_version_num() == 7));
        assert_eq!(RandomIds.request_id().as_str().len(), 36);
    }

    #[test]
    fn every_character_of_a_secret_is_equally_likely() {
        let mut counts = BTreeMap::new();
        for _ in 0..2000 {
            for character in RandomIds.secret().expose().chars() {
                *counts.entry(character).or_insert(0_u32) += 1;
            }
        }
        // 64,000 draws: 1032 of each are expected, with a standard deviation of 32. A bias by a modulo of 256 would
        // favour eight characters by a quarter.
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| (820..=1250).contains(count)), "{counts:?}");
        assert_ne!(RandomIds.api_key_id(), RandomIds.api_key_id());
    }
}
