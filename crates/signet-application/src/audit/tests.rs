use std::sync::Arc;

use mockall::predicate::{always, eq};
use signet_domain::{
    AuditEntry, KeyScope, Version,
    ports::{AuditFilter, MockAuditTrail},
};

use super::*;
use crate::{Error, testing::*};

/// The trail of one user, newest first, as a store returns it.
fn trail(versions: i64) -> Vec<AuditEntry> {
    let entry = registration(PARTNER).audit;
    (1..=versions)
        .rev()
        .map(|number| AuditEntry { version: Version::new(number).expect("valid"), ..entry.clone() })
        .collect()
}

fn query(limit: u32, cursor: Option<String>) -> AuditQuery {
    AuditQuery { filter: AuditFilter::default(), limit, cursor }
}

fn numbers(page: &AuditPage) -> Vec<i64> {
    page.entries.iter().map(|entry| entry.version.number()).collect()
}

#[tokio::test]
async fn pages_follow_one_another_until_there_is_none() {
    let mut port = MockAuditTrail::new();
    let asked = (eq(PARTNER), eq(AuditFilter::default()), always(), eq(3));
    port.expect_entries().with(asked.0, asked.1, asked.2, asked.3).times(2).returning(|_, _, before, limit| {
        let limit = usize::try_from(limit).expect("fits");
        Ok(trail(4)
            .into_iter()
            .filter(|entry| before.is_none_or(|before| entry.position() < before))
            .take(limit)
            .collect())
    });
    let list = ListAuditTrail::new(Arc::new(port));
    let request = request(KeyScope::ReadOnly);
    let first = list.execute(&request, query(2, None)).await.expect("listed");
    assert_eq!(numbers(&first), [4, 3]);
    let second = list.execute(&request, query(2, first.next_cursor)).await.expect("listed");
    assert_eq!((numbers(&second), second.next_cursor), (vec![2, 1], None));
}

#[tokio::test]
async fn what_cannot_be_answered_does_not_reach_the_store() {
    let list = ListAuditTrail::new(Arc::new(MockAuditTrail::new()));
    let request = request(KeyScope::ReadOnly);
    for limit in [0, 101, u32::MAX] {
        let refused = list.execute(&request, query(limit, None)).await;
        assert!(matches!(refused, Err(Error::InvalidField { field: "limit", .. })), "{limit}");
    }
    let refused = list.execute(&request, query(1, Some("made up".to_owned()))).await;
    assert_eq!(refused, Err(Error::InvalidCursor));
}
