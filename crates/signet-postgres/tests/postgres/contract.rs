//! The contract of the ports, as every adapter keeps it, with the rights that the service is given and no others.

use signet_conformance::{Adapter, behaviours, run};
use signet_postgres::PostgresOptions;

use crate::support::{Database, ample};

async fn adapter() -> Adapter {
    Database::migrated().await.in_the_role_of_the_service(ample()).adapter()
}

signet_conformance::suite!(adapter);

/// As behind a pooler that hands out another connection for each transaction.
mod without_a_statement_cache {
    use super::*;

    async fn adapter() -> Adapter {
        let options = PostgresOptions { statement_cache: false, ..ample() };
        Database::migrated().await.in_the_role_of_the_service(options).adapter()
    }

    signet_conformance::suite!(adapter);
}

/// Whatever isolation the database gives its sessions.
mod on_a_serializable_database {
    use super::*;

    async fn adapter() -> Adapter {
        Database::serializable(ample()).await.in_the_role_of_the_service(ample()).adapter()
    }

    signet_conformance::suite!(adapter);
}

mod on_a_serializable_database_without_a_statement_cache {
    use super::*;

    async fn adapter() -> Adapter {
        let options = PostgresOptions { statement_cache: false, ..ample() };
        Database::serializable(options).await.in_the_role_of_the_service(options).adapter()
    }

    signet_conformance::suite!(adapter);
}

#[test]
fn a_batch_is_invisible() {
    run("batches", adapter, behaviours::batches::what_is_asked_together_is_answered_as_one_by_one);
}
