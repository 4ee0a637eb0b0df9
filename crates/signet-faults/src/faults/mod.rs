//! The scenarios, one kind of fault a file.

mod bad_keys;
mod certificate;
mod clock;
mod cuts;
mod disk_errors;
mod failover;
mod fat_pages;
mod full;
mod kills;
mod outages;
mod overload;
mod pooler;
mod slow;
mod smuggling;
mod soak;
mod strangers;
mod terminations;
mod unknown_keys;

pub use smuggling::FORGED_ADDRESSES;

use crate::Scenario;

/// `(name, what is done, function)`, the function being `async fn(&Run) -> Findings`.
macro_rules! scenarios {
    ($(($name:literal, $fault:literal, $run:path),)*) => {
        &[$(Scenario { name: $name, fault: $fault, run: |run| Box::pin($run(run)) },)*]
    };
}

/// All of them, in the order in which they are run.
pub const ALL: &[Scenario] = scenarios![
    ("kill-postgres", "`kill -9` of the server and of PostgreSQL under 8 to 64 writers", kills::on_postgres),
    ("kill-sqlite", "`kill -9` of the server under 8 to 64 writers, on SQLite", kills::on_sqlite),
    ("cut", "the connection to PostgreSQL cut at every byte of a registration", cuts::of_a_registration),
    ("outage-stopped", "PostgreSQL stopped", outages::stopped),
    ("outage-restarted", "PostgreSQL restarted", outages::restarted),
    ("outage-frozen", "PostgreSQL stopped in its tracks", outages::frozen),
    ("outage-black-hole", "nothing passes between server and PostgreSQL", outages::black_hole),
    ("outage-silent", "nothing passes for a while, and all of it afterwards", outages::silent),
    ("outage-exhausted", "all connections of PostgreSQL taken", outages::exhausted),
    ("failover-killed", "the primary killed (`kill -9`), its standby promoted", failover::killed),
    ("failover-demoted", "the primary made read-only under live sessions, its standby promoted", failover::demoted),
    ("failover-frozen", "the primary stopped in its tracks for good, its standby promoted", failover::frozen),
    ("pooler", "PgBouncer in transaction mode before PostgreSQL, and kills", pooler::in_transaction_mode),
    ("full-sqlite", "the disk full, on SQLite", full::under_sqlite),
    ("full-postgres", "the disk of PostgreSQL's tables full", full::under_tables),
    ("full-postgres-log", "the disk of PostgreSQL's log full", full::under_the_log),
    ("errors-sqlite", "EIO and ENOSPC on a write or sync of the server, on SQLite", disk_errors::on_sqlite),
    ("errors-postgres", "EIO and ENOSPC on a write or sync of PostgreSQL", disk_errors::on_postgres),
    ("clock-sqlite", "the clock ±1 h and ±400 days, backwards in mid-run, on SQLite", clock::on_sqlite),
    ("clock-postgres", "the same on PostgreSQL", clock::on_postgres),
    ("sigterm", "SIGTERM under load", terminations::under_load),
    ("rolling", "two instances replaced one after the other behind a balancer", terminations::rolling),
    ("slow-clients", "5,000 clients that write and read slowly", slow::clients),
    ("endless-heads", "4,000 connections with heads that do not end", strangers::heads_without_end),
    ("held-connections", "one client without a key holds every connection", strangers::held_connections),
    ("unread-answers", "400 pages of 1.5 MB that nobody reads", strangers::unread_answers),
    ("bad-keys", "1,000 wrong secrets a second", bad_keys::flood),
    ("unknown-keys", "20,000 made-up keys a second over 3,000 connections", unknown_keys::flood),
    ("overload", "2, 5 and 10 times the load it can carry, open loop", overload::by_all),
    ("noisy-partner", "one partner at 10 times of what it may", overload::by_one),
    ("fat-pages", "8 readers of pages of 100 users with 15 KiB of metadata each", fat_pages::beside_another),
    ("certificate", "the certificate replaced under load", certificate::replaced),
    ("tls-scan", "a scan of the TLS listener", certificate::scanned),
    ("smuggling", "requests that two servers may read differently, and forged addresses", smuggling::through_proxies),
    ("soak", "mixed load with a fault every minute", soak::mixed),
];
