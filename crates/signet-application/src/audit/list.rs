use std::sync::Arc;

use signet_domain::{
    AuditEntry, Invalid,
    ports::{AuditFilter, AuditTrail, Page},
};

use super::cursor;
use crate::{Error, Request, own::own};

/// Which part of the trail is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Which entries.
    pub filter: AuditFilter,
    /// How many at most, 1 to [`Page::MAX_LIMIT`].
    pub limit: u32,
    /// Where the page before ended: its [`AuditPage::next_cursor`].
    pub cursor: Option<String>,
}

/// One page of the trail, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; `None` where this is the last one.
    pub next_cursor: Option<String>,
}

/// Lists the audit trail of a partner.
pub struct ListAuditTrail {
    trail: Arc<dyn AuditTrail>,
}

impl ListAuditTrail {
    /// Wires the use case to its port.
    #[must_use]
    pub fn new(trail: Arc<dyn AuditTrail>) -> Self {
        Self { trail }
    }

    /// One page of the caller's entries that pass the filter, newest first. A user id that is not the caller's finds
    /// nothing.
    ///
    /// Fails with [`Error::InvalidField`] for a limit out of range, and with [`Error::InvalidCursor`] for a cursor that
    /// this use case did not give out for the same partner and filters.
    pub async fn execute(&self, request: &Request, query: AuditQuery) -> Result<AuditPage, Error> {
        let limit = check_limit(query.limit)?;
        let partner_id = request.partner_id();
        let before = match &query.cursor {
            Some(text) => Some(cursor::decode(text, partner_id, query.filter)?),
            None => None,
        };
        // One more than asked for tells whether there is a next page, without a second query.
        let entries = self.trail.entries(partner_id, query.filter, before, query.limit + 1).await?;
        let mut entries = own(partner_id, entries)?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let last = if has_more { entries.last() } else { None };
        let next_cursor = last.map(|entry| cursor::encode(entry.position(), partner_id, query.filter));
        Ok(AuditPage { entries, next_cursor })
    }
}

fn check_limit(limit: u32) -> Result<usize, Error> {
    let invalid = |reason: Invalid| Error::InvalidField { field: "limit", reason };
    let page = Page::new(limit, 0).map_err(invalid)?;
    usize::try_from(page.limit()).map_err(|_error| invalid(Invalid::new("must be 1 to 100")))
}
