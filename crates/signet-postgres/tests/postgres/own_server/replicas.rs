//! What nobody may do, whatever his role.

use crate::support::{Database, private};

/// Not even a session that plays the part of replication touches the trail.
#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_guarded_against_replicas_too() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    let partner = database.partner().await;
    database.user(partner, "john@example.com").await;
    let mut session = database.session();
    session.execute("SET session_replication_role = replica");
    for change in ["UPDATE audit_entries SET action = action", "DELETE FROM audit_entries", "TRUNCATE audit_entries"] {
        let refusal = session.refusal(change);
        assert!(refusal.contains("neither updated nor deleted"), "{change}: {refusal}");
    }
}
