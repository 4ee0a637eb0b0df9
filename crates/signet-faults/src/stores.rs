use std::{path::Path, sync::Arc, time::Duration};

use signet_application::audit::{Verification, VerifyAuditTrail};
use signet_domain::{
    AuditEntry, PartnerId, User,
    ports::{AuditFilter, AuditTrail, Page, PartnerRepository, StoreError, UserRepository},
};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_sqlite::{SqliteOptions, SqliteStore};

/// A look at the database that is not the service's: what is really there.
pub struct Stores {
    users: Arc<dyn UserRepository>,
    audit: Arc<dyn AuditTrail>,
    partners: Arc<dyn PartnerRepository>,
}

impl Stores {
    /// On the database with that URL, which may be one of the service that runs; a `SQLite` file is searched for in
    /// `directory`.
    ///
    /// # Panics
    /// Where there is no such database.
    #[must_use]
    pub fn open(url: &str, directory: &Path) -> Self {
        let deadline = Duration::from_secs(30);
        if let Some(path) = url.strip_prefix("sqlite://") {
            let path = directory.join(path).display().to_string();
            let options = SqliteOptions { deadline, ..SqliteOptions::default() };
            Self::new(SqliteStore::open(&path, options).expect("a SQLite file"))
        } else {
            let options = PostgresOptions { deadline, ..PostgresOptions::default() };
            Self::new(PostgresStore::connect(url, options).expect("a URL"))
        }
    }

    pub(crate) fn new(store: impl UserRepository + AuditTrail + PartnerRepository + 'static) -> Self {
        let store = Arc::new(store);
        Self { users: store.clone(), audit: store.clone(), partners: store }
    }

    /// All users of all partners. Fails, too, where the total of a list is not the number of its users.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let mut users = Vec::new();
        for partner in self.partners.list().await? {
            let before = users.len();
            loop {
                let offset = u64::try_from(users.len() - before).unwrap_or(u64::MAX);
                let page = self.users.list(partner.id, page(offset)).await?;
                match page.users.is_empty() {
                    true if page.total == offset => break,
                    true => {
                        let reason = format!("the total of partner {} is not the number of its users", partner.id);
                        return Err(StoreError::Unexpected { reason });
                    }
                    false => users.extend(page.users),
                }
            }
        }
        Ok(users)
    }

    /// The whole trail of all partners.
    pub async fn entries(&self) -> Result<Vec<AuditEntry>, StoreError> {
        let mut entries = Vec::new();
        for partner in self.partners.list().await? {
            self.entries_of(partner.id, &mut entries).await?;
        }
        Ok(entries)
    }

    async fn entries_of(&self, partner: PartnerId, entries: &mut Vec<AuditEntry>) -> Result<(), StoreError> {
        let mut before = None;
        loop {
            let page = self.audit.entries(partner, AuditFilter::default(), before, Page::MAX_LIMIT).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.position());
            entries.extend(page);
        }
    }

    /// Rebuilds every user from nothing but its trail.
    pub async fn replay(&self) -> Result<Verification, StoreError> {
        VerifyAuditTrail::new(Arc::clone(&self.partners), Arc::clone(&self.users), Arc::clone(&self.audit))
            .execute(|_| {})
            .await
    }
}

fn page(offset: u64) -> Page {
    Page::new(Page::MAX_LIMIT, offset).expect("a page")
}
