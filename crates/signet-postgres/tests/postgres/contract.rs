//! The contract of the ports, as every adapter keeps it, with the rights that the service is given and no others.

use signet_conformance::{Adapter, behaviours, run};

use crate::support::Database;

async fn adapter() -> Adapter {
    Database::migrated().await.in_the_role_of_the_service().adapter()
}

signet_conformance::suite!(adapter);

#[test]
fn a_batch_is_invisible() {
    run("batches", adapter, behaviours::batches::what_is_asked_together_is_answered_as_one_by_one);
}
