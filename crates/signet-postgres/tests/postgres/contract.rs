//! The contract of the ports, as every adapter keeps it.

use crate::support::Database;

signet_conformance::suite!(|| async { Database::migrated().await.adapter() });
