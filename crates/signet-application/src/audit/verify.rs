use std::{collections::HashSet, mem, sync::Arc};

use futures_util::{StreamExt, future::join_all, stream};
use signet_domain::{
    AuditEntry, AuditPosition, EmailAddress, PartnerId, Replay, User, UserId, Version,
    ports::{AuditFilter, AuditTrail, Page, PartnerRepository, StoreError, UserPage, UserRepository},
};

/// How many trails are read at once: enough for the database to have something to do while one is compared.
const AT_ONCE: usize = 16;

/// How many entries of a trail are held at a time, for each of the users compared at once. An entry may have 32 KiB.
pub(super) const PAGE_OF_TRAIL: u32 = 25;

/// Checks that the audit trail tells the whole truth: that replaying it from nothing rebuilds every user, that every
/// entry is one of a user that exists, and that no user is missing.
///
/// A user that went without a trace, its row with all its entries and its place in the partner's count, is not found.
pub struct VerifyAuditTrail {
    partners: Arc<dyn PartnerRepository>,
    users: Arc<dyn UserRepository>,
    trail: Arc<dyn AuditTrail>,
}

/// What a verification looked at, and how much it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verification {
    /// How many partners were looked at.
    pub partners: u64,
    /// How many users.
    pub users: u64,
    /// How many of their audit entries.
    pub entries: u64,
    /// How many findings were told.
    pub findings: u64,
}

/// Where the trail tells another story than the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The partner.
    pub partner_id: PartnerId,
    /// The user, where it can be told which one it is.
    pub user_id: Option<UserId>,
    /// What is wrong, in one line of words and ids, without any value of the user's.
    pub reason: String,
}

/// What a verification tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// How far it is. Every user is two steps: its trail is replayed, and its registration is led back to it.
    Progress {
        /// The steps that are done.
        done: u64,
        /// All of them, as far as they were known at the start.
        total: u64,
    },
    /// Something that it found.
    Finding(Finding),
}

impl VerifyAuditTrail {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(
        partners: Arc<dyn PartnerRepository>,
        users: Arc<dyn UserRepository>,
        trail: Arc<dyn AuditTrail>,
    ) -> Self {
        Self { partners, users, trail }
    }

    /// Looks at every user of every partner and at every entry, and tells `tell` what it finds and how far it is.
    ///
    /// May run while the service does: a change made meanwhile is no finding. Holds a page of users and a few trails at
    /// a time, however many there are. A row that breaks an invariant is a finding; any other failure of the store ends
    /// it.
    pub async fn execute(&self, tell: impl FnMut(Told) + Send) -> Result<Verification, StoreError> {
        let partners = self.partners.list().await?;
        let mut report = Report { verification: Verification::default(), done: 0, total: 0, tell };
        for partner in &partners {
            match self.users.list(partner.id, page(1, 0)?).await {
                Ok(UserPage { total, .. }) => report.total += total * 2,
                // It is told when its turn comes.
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for partner in partners {
            report.verification.partners += 1;
            self.replay_users(partner.id, &mut report).await?;
            self.find_the_gone(partner.id, &mut report).await?;
        }
        Ok(report.verification)
    }

    /// Compares every user with what its trail rebuilds, and their number with the partner's count.
    async fn replay_users<T: FnMut(Told)>(
        &self,
        partner_id: PartnerId,
        report: &mut Report<T>,
    ) -> Result<(), StoreError> {
        let (mut offset, mut limit, mut count) = (0, Page::MAX_LIMIT, 0);
        // An offset counts the users that should be there. Where some are not, a page reaches into the next one.
        let mut page_before: HashSet<UserId> = HashSet::new();
        let mut corrupt_before = None;
        let total = loop {
            let read = match self.users.list(partner_id, page(limit, offset)?).await {
                // One by one, until it is clear which it is.
                Err(StoreError::Corrupt { table: "users", .. }) if limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(error @ StoreError::Corrupt { .. }) => {
                    let is_of_a_user = matches!(error, StoreError::Corrupt { table: "users", .. });
                    if corrupt_before.replace(error.clone()).is_none_or(|before| before != error) {
                        report.find(partner_id, None, error.to_string());
                        count += 1;
                    }
                    if !is_of_a_user {
                        return Ok(());
                    }
                    (offset, limit) = (offset + 1, Page::MAX_LIMIT);
                    continue;
                }
                read => read?,
            };
            if read.users.is_empty() {
                break read.total;
            }
            let is_past_the_end = offset >= read.total;
            let number = u64::try_from(read.users.len()).unwrap_or(u64::MAX);
            offset += number;
            if number < limit.into() {
                // Nothing was behind them.
                offset = offset.max(read.total);
            }
            let ids: HashSet<UserId> = read.users.iter().map(|user| user.id).collect();
            let new: Vec<User> = read.users.into_iter().filter(|user| !page_before.contains(&user.id)).collect();
            count += u64::try_from(new.len()).unwrap_or(u64::MAX);
            self.replay_each(partner_id, new, report).await?;
            if is_past_the_end {
                for id in ids {
                    report.find(partner_id, Some(id), "is registered at a place beyond the partner's count".to_owned());
                }
                break read.total;
            }
            if limit > 1 {
                page_before.clear();
            }
            page_before.extend(ids);
        };
        if total != count {
            report.find(partner_id, None, format!("{total} users were registered, and {count} are there"));
        }
        Ok(())
    }

    async fn replay_each<T: FnMut(Told)>(
        &self,
        partner_id: PartnerId,
        users: Vec<User>,
        report: &mut Report<T>,
    ) -> Result<(), StoreError> {
        let mut compared = stream::iter(users.into_iter().map(|user| self.compare(user))).buffered(AT_ONCE);
        while let Some(compared) = compared.next().await {
            let Compared { user_id, entries, reason } = compared?;
            report.verification.users += 1;
            report.verification.entries += entries;
            if let Some(reason) = reason {
                report.find(partner_id, Some(user_id), reason);
            }
            report.step();
        }
        Ok(())
    }

    async fn compare(&self, user: User) -> Result<Compared, StoreError> {
        let mut compared = Compared { user_id: user.id, entries: 0, reason: None };
        compared.reason = match self.difference(user, &mut compared.entries).await {
            Err(error @ StoreError::Corrupt { .. }) => Some(error.to_string()),
            difference => difference?,
        };
        Ok(compared)
    }

    async fn difference(&self, mut user: User, count: &mut u64) -> Result<Option<String>, StoreError> {
        let (partner_id, user_id) = (user.partner_id, user.id);
        let mut trail = self.pages(partner_id, user_id).await?;
        let mut up_to = None;
        if trail.newest_version() > Some(user.version) {
            // It changed after its page was read; what it is now must have been in the trail by then or be newer.
            let Some(fresh) = self.users.find(partner_id, user_id).await? else {
                return Ok(Some("was there a moment ago and is gone".to_owned()));
            };
            user = fresh;
            if trail.newest_version() < Some(user.version) {
                trail = self.pages(partner_id, user_id).await?;
                up_to = Some(user.version);
            }
        }
        let mut replay = Replay::default();
        let mut wrong = None;
        for before in trail.older.into_iter().rev().map(Some).chain([None]) {
            let mut page = match before {
                Some(before) => self.page_of(partner_id, user_id, Some(before)).await?,
                None => mem::take(&mut trail.newest),
            };
            page.retain(|entry| up_to.is_none_or(|last| entry.version <= last));
            *count += u64::try_from(page.len()).unwrap_or(u64::MAX);
            if wrong.is_none() {
                wrong = page.iter().rev().try_for_each(|entry| replay.add(entry)).err();
            }
        }
        Ok(match wrong.map_or_else(|| replay.finish(), Err) {
            Ok(rebuilt) if rebuilt == user => {
                (!has_own_key(&user)).then(|| "its e-mail key is not that of its address".to_owned())
            }
            Ok(_) => Some("its trail rebuilds another state than its row".to_owned()),
            Err(reason) => Some(format!("its trail {reason}")),
        })
    }

    /// Leads every entry back to its user.
    async fn find_the_gone<T: FnMut(Told)>(
        &self,
        partner_id: PartnerId,
        report: &mut Report<T>,
    ) -> Result<(), StoreError> {
        let mut before: Option<AuditPosition> = None;
        loop {
            let entries = self.trail.entries(partner_id, AuditFilter::default(), before, Page::MAX_LIMIT).await;
            let entries = match entries {
                Err(error @ StoreError::Corrupt { .. }) => {
                    report.find(partner_id, None, format!("{error}: what is older was not led back to its users"));
                    return Ok(());
                }
                entries => entries?,
            };
            let Some(last) = entries.last() else { return Ok(()) };
            before = Some(last.position());
            let ids: HashSet<UserId> = entries.iter().map(|entry| entry.user_id).collect();
            let found = join_all(ids.into_iter().map(async |id| (id, self.users.find(partner_id, id).await))).await;
            let mut gone = HashSet::new();
            for (id, found) in found {
                match found {
                    // A row that is corrupt is there, and was told.
                    Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => {}
                    Ok(None) => drop(gone.insert(id)),
                    Err(error) => return Err(error),
                }
            }
            for entry in entries {
                if gone.contains(&entry.user_id) && self.is_oldest(&entry).await? {
                    report.find(partner_id, Some(entry.user_id), "has entries and no row".to_owned());
                }
                if entry.version == Version::FIRST {
                    report.step();
                }
            }
        }
    }

    /// Whether it is the one entry at which its user is told, who may have others on other pages.
    async fn is_oldest(&self, entry: &AuditEntry) -> Result<bool, StoreError> {
        let mut oldest = None;
        loop {
            let page = self.page_of(entry.partner_id, entry.user_id, oldest).await?;
            match page.last() {
                Some(last) => oldest = Some(last.position()),
                None => return Ok(oldest.is_none_or(|oldest| oldest == entry.position())),
            }
        }
    }

    /// Where the pages of the user's trail begin. No page but the newest is held, so that a long trail takes no memory.
    async fn pages(&self, partner_id: PartnerId, user_id: UserId) -> Result<Pages, StoreError> {
        let newest = self.page_of(partner_id, user_id, None).await?;
        let (mut older, mut before) = (Vec::new(), end_of_full(&newest));
        while let Some(position) = before {
            older.push(position);
            before = end_of_full(&self.page_of(partner_id, user_id, before).await?);
        }
        Ok(Pages { newest, older })
    }

    async fn page_of(
        &self,
        partner_id: PartnerId,
        user_id: UserId,
        before: Option<AuditPosition>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = AuditFilter { user_id: Some(user_id), action: None };
        self.trail.entries(partner_id, filter, before, PAGE_OF_TRAIL).await
    }
}

/// Whether the stored e-mail key is that of the address, or the mark of one that another user had first when the rule
/// changed.
fn has_own_key(user: &User) -> bool {
    let key = EmailAddress::key_of_stored(user.email.as_str());
    user.email.key() == key || user.email.key() == EmailAddress::key_of_collision(&key, user.id)
}

/// The end of a page that others may follow.
fn end_of_full(page: &[AuditEntry]) -> Option<AuditPosition> {
    let is_full = u32::try_from(page.len()).is_ok_and(|number| number >= PAGE_OF_TRAIL);
    page.last().filter(|_| is_full).map(AuditEntry::position)
}

/// The trail of a user.
struct Pages {
    /// The newest entries, newest first.
    newest: Vec<AuditEntry>,
    /// What each of the other pages comes before, newest first.
    older: Vec<AuditPosition>,
}

impl Pages {
    fn newest_version(&self) -> Option<Version> {
        self.newest.first().map(|entry| entry.version)
    }
}

/// What became of one user.
struct Compared {
    user_id: UserId,
    entries: u64,
    reason: Option<String>,
}

struct Report<T> {
    verification: Verification,
    done: u64,
    total: u64,
    tell: T,
}

impl<T: FnMut(Told)> Report<T> {
    fn find(&mut self, partner_id: PartnerId, user_id: Option<UserId>, reason: String) {
        self.verification.findings += 1;
        (self.tell)(Told::Finding(Finding { partner_id, user_id, reason }));
    }

    fn step(&mut self) {
        // Those who were registered meanwhile are not counted.
        self.done = self.total.min(self.done + 1);
        (self.tell)(Told::Progress { done: self.done, total: self.total });
    }
}

fn page(limit: u32, offset: u64) -> Result<Page, StoreError> {
    Page::new(limit, offset).map_err(|error| StoreError::Unexpected { reason: error.to_string() })
}
