use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use signet_domain::{Actor, ApiKeyId, AuditEntryId, ChangeContext, PartnerId, RequestId, Timestamp, UserId};
use uuid::Uuid;

use crate::name;

/// Gives the numbers of one history their ids. No two histories of a run share any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct World {
    pub(crate) seed: u32,
    /// From 1; the ids of number 0 are those of [`SequentialIds`](crate::SequentialIds).
    pub(crate) number: u16,
}

impl World {
    /// The order of ids is not that in which they are given out. A multiple of an odd number is none of another one, also
    /// in the 62 bits that are free.
    fn id(self, number: usize) -> Uuid {
        let scattered = u64::try_from(number).expect("64 bits").wrapping_mul(0x9e37_79b9_7f4a_7c15) & (u64::MAX >> 2);
        let bits = u128::from(self.seed) << 96 | u128::from(self.number) << 80 | u128::from(scattered);
        uuid::Builder::from_u128(bits)
            .with_version(uuid::Version::SortRand)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }

    pub(crate) fn partner(self, number: usize) -> PartnerId {
        PartnerId::new(self.id(number))
    }

    pub(crate) fn user(self, number: usize) -> UserId {
        UserId::new(self.id(number))
    }

    pub(super) fn entry(self, number: usize) -> AuditEntryId {
        AuditEntryId::new(self.id(number))
    }

    /// The circumstances of the change that is written down as that entry.
    pub(super) fn context(self, partner: usize, entry: usize, at: i64) -> ChangeContext {
        let low = u8::try_from(entry % 251).expect("small");
        ChangeContext {
            partner_id: self.partner(partner),
            entry_id: self.entry(entry),
            actor: Actor::ApiKey {
                id: ApiKeyId::parse(&format!("{entry:016}")).expect("16 digits"),
                name: name(["Backend", "Ключ 'CI'"][entry % 2]),
            },
            request_id: RequestId::parse(&format!("model-{entry}")).expect("of the right alphabet"),
            ip_address: match entry % 3 {
                0 => None,
                1 => Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, low))),
                _ => Some(IpAddr::V6(Ipv6Addr::from(u128::from(low)))),
            },
            at: instant(at),
        }
    }
}

pub(super) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).expect("in the years 0001 to 9999")
}
