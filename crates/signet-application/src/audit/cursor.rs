use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use signet_domain::{Action, AuditEntryId, AuditPosition, PartnerId, Timestamp, Version, ports::AuditFilter};

use crate::Error;

const POSITION_BYTES: usize = 32;
const DIGEST_BYTES: usize = 8;

/// The text of a cursor: the last position shown, followed by a digest over it, the partner and the filters.
///
/// The digest is no secret and needs none: a cursor opens nothing that its partner could not read anyway. It is there
/// so that a cursor used with other filters, cut short or made up is refused instead of answered with nonsense.
pub(super) fn encode(position: AuditPosition, partner_id: PartnerId, filter: AuditFilter) -> String {
    let mut bytes = Vec::with_capacity(POSITION_BYTES + DIGEST_BYTES);
    bytes.extend(position.occurred_at.unix_millis().to_be_bytes());
    bytes.extend(position.version.number().to_be_bytes());
    bytes.extend(position.entry_id.uuid().as_bytes());
    let digest = digest(&bytes, partner_id, filter);
    bytes.extend(digest);
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str, partner_id: PartnerId, filter: AuditFilter) -> Result<AuditPosition, Error> {
    read(text, partner_id, filter).ok_or(Error::InvalidCursor)
}

fn read(text: &str, partner_id: PartnerId, filter: AuditFilter) -> Option<AuditPosition> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (position, sum) = bytes.split_at_checked(POSITION_BYTES)?;
    if digest(position, partner_id, filter) != sum {
        return None;
    }
    let (occurred_at, rest) = position.split_first_chunk::<8>()?;
    let (version, entry_id) = rest.split_first_chunk::<8>()?;
    Some(AuditPosition {
        occurred_at: Timestamp::from_unix_millis(i64::from_be_bytes(*occurred_at)).ok()?,
        version: Version::new(i64::from_be_bytes(*version)).ok()?,
        entry_id: AuditEntryId::new(uuid::Uuid::from_slice(entry_id).ok()?),
    })
}

fn digest(position: &[u8], partner_id: PartnerId, filter: AuditFilter) -> [u8; DIGEST_BYTES] {
    let mut hasher = Sha256::new();
    hasher.update(b"audit-trail/1");
    hasher.update(position);
    hasher.update(partner_id.uuid().as_bytes());
    match filter.user_id {
        Some(user_id) => hasher.update([&[1], user_id.uuid().as_bytes().as_slice()].concat()),
        None => hasher.update([0]),
    }
    hasher.update(filter.action.map_or("", Action::as_str));
    let mut digest = [0; DIGEST_BYTES];
    digest.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    digest
}

#[cfg(test)]
mod tests {
    use signet_domain::UserId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_reads_back_with_its_own_filters_only() {
        let position = AuditPosition {
            occurred_at: Timestamp::from_unix_millis(1_759_244_513_188).expect("in range"),
            version: Version::FIRST,
            entry_id: AuditEntryId::new(Uuid::from_u128(7)),
        };
        let partner = PartnerId::new(Uuid::from_u128(1));
        let filter = AuditFilter { user_id: Some(UserId::new(Uuid::from_u128(2))), action: Some(Action::Removed) };
        let cursor = encode(position, partner, filter);

        assert_eq!(decode(&cursor, partner, filter), Ok(position));
        let others = [
            (PartnerId::new(Uuid::from_u128(9)), filter),
            (partner, AuditFilter::default()),
            (partner, AuditFilter { action: None, ..filter }),
            (partner, AuditFilter { user_id: None, ..filter }),
        ];
        for (partner, filter) in others {
            assert_eq!(decode(&cursor, partner, filter), Err(Error::InvalidCursor));
        }
        for forged in ["", "a", "AAAA", &cursor[1..], &cursor.to_lowercase(), &format!("{cursor}AA"), &"A".repeat(54)] {
            assert_eq!(decode(forged, partner, filter), Err(Error::InvalidCursor), "{forged}");
        }
    }
}
