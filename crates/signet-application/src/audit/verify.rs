use std::sync::Arc;

use signet_domain::{
    AuditEntry, AuditPosition, PartnerId, User, UserId,
    ports::{AuditFilter, AuditTrail, Page, PartnerRepository, StoreError, UserRepository},
    replay,
};

/// Checks that the audit trail tells the whole truth: that replaying it from nothing rebuilds every user.
pub struct VerifyAuditTrail {
    partners: Arc<dyn PartnerRepository>,
    users: Arc<dyn UserRepository>,
    trail: Arc<dyn AuditTrail>,
}

/// What a verification looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// How many partners were looked at.
    pub partners: u64,
    /// How many users.
    pub users: u64,
    /// How many audit entries.
    pub entries: u64,
    /// The users whose trail tells another story than their row.
    pub findings: Vec<Finding>,
}

/// A user whose trail tells another story than its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The partner.
    pub partner_id: PartnerId,
    /// The user.
    pub user_id: UserId,
    /// What is wrong, without any value of the user's.
    pub reason: String,
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

    /// Looks at every user of every partner, and tells `progress` after each page how many it has seen, and how many
    /// there are under the partners begun so far.
    ///
    /// May run while the service does: a change made meanwhile is no finding.
    pub async fn execute(&self, mut progress: impl FnMut(u64, u64) + Send) -> Result<Verification, StoreError> {
        let mut found = Verification::default();
        let mut total = 0;
        for partner in self.partners.list().await? {
            found.partners += 1;
            let (mut offset, before) = (0, total);
            loop {
                let page = Page::new(Page::MAX_LIMIT, offset)
                    .map_err(|error| StoreError::Unexpected { reason: error.to_string() })?;
                let users = self.users.list(partner.id, page).await?;
                total = before + users.total;
                if users.users.is_empty() {
                    break;
                }
                for user in users.users {
                    offset += 1;
                    self.verify(user, &mut found).await?;
                }
                progress(found.users, total);
            }
        }
        Ok(found)
    }

    async fn verify(&self, user: User, found: &mut Verification) -> Result<(), StoreError> {
        found.users += 1;
        let mut entries = self.entries(&user).await?;
        let mut user = user;
        if entries.last().is_some_and(|last| last.version > user.version) {
            // It changed after its page was read; what it is now must have been in the trail by then or be newer.
            let Some(fresh) = self.users.find(user.partner_id, user.id).await? else {
                found.add(&user, "was there a moment ago and is gone");
                return Ok(());
            };
            user = fresh;
            if entries.last().is_some_and(|last| last.version < user.version) {
                entries = self.entries(&user).await?;
                entries.retain(|entry| entry.version <= user.version);
            }
        }
        found.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        match replay(&entries) {
            Ok(rebuilt) if rebuilt == user => {}
            Ok(_) => found.add(&user, "its trail rebuilds another state than its row"),
            Err(reason) => found.add(&user, &format!("its trail {reason}")),
        }
        Ok(())
    }

    /// All entries of the user, oldest first.
    async fn entries(&self, user: &User) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = AuditFilter { user_id: Some(user.id), action: None };
        let (mut entries, mut before): (Vec<AuditEntry>, Option<AuditPosition>) = (Vec::new(), None);
        loop {
            let page = self.trail.entries(user.partner_id, filter, before, Page::MAX_LIMIT).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.position());
            entries.extend(page);
        }
        entries.reverse();
        Ok(entries)
    }
}

impl Verification {
    fn add(&mut self, user: &User, reason: &str) {
        self.findings.push(Finding { partner_id: user.partner_id, user_id: user.id, reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use signet_domain::{
        Partner, Status, UserPatch, Version,
        ports::{MockAuditTrail, MockPartnerRepository, MockUserRepository, UserPage},
    };

    use super::*;
    use crate::testing::*;

    fn suspended() -> (User, Vec<AuditEntry>) {
        let first = registration(PARTNER);
        let patch = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
        let second = first.user.change(&patch, context(7)).expect("valid").expect("a change");
        (second.user, vec![first.audit, second.audit])
    }

    /// A store in which `row` is what a list shows and `now` what a look-up finds a moment later.
    async fn verify(row: User, now: User, trail: Vec<AuditEntry>) -> Verification {
        let partner = Partner { id: PARTNER, name: name("Club"), created_at: at(0), disabled_at: None };
        let mut partners = MockPartnerRepository::new();
        partners.expect_list().returning(move || Ok(vec![partner.clone()]));
        let mut users = MockUserRepository::new();
        users.expect_list().returning(move |_, page| {
            let users = if page.offset() == 0 { vec![row.clone()] } else { Vec::new() };
            Ok(UserPage { users, total: 1 })
        });
        users.expect_find().returning(move |_, _| Ok(Some(now.clone())));
        let mut port = MockAuditTrail::new();
        port.expect_entries().returning(move |_, _, before, _| {
            let older = |entry: &&AuditEntry| before.is_none_or(|before| entry.position() < before);
            Ok(trail.iter().rev().filter(older).cloned().collect())
        });
        let verify = VerifyAuditTrail::new(Arc::new(partners), Arc::new(users), Arc::new(port));
        verify.execute(|seen, total| assert!(seen <= total)).await.expect("the store answers")
    }

    #[tokio::test]
    async fn a_trail_that_tells_the_truth_gives_no_finding() {
        let (user, trail) = suspended();
        let found = verify(user.clone(), user, trail).await;
        assert_eq!(found, Verification { partners: 1, users: 1, entries: 2, findings: Vec::new() });
    }

    #[tokio::test]
    async fn a_change_made_meanwhile_is_no_finding() {
        let (user, trail) = suspended();
        assert!(verify(registration(PARTNER).user, user, trail).await.findings.is_empty());
    }

    #[tokio::test]
    async fn a_row_or_a_trail_that_was_tampered_with_is_found() {
        let (user, trail) = suspended();
        let before = registration(PARTNER).user;
        let cases = [
            (user.clone(), trail[..1].to_vec()),
            (user.clone(), trail[1..].to_vec()),
            (user.clone(), Vec::new()),
            (before, trail.clone()),
            (
                user.clone(),
                vec![trail[0].clone(), AuditEntry { version: Version::new(3).expect("valid"), ..trail[1].clone() }],
            ),
        ];
        for (row, trail) in cases {
            assert_eq!(verify(row.clone(), row, trail).await.findings.len(), 1);
        }
    }
}
