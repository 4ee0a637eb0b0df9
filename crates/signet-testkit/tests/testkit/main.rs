//! The kit is tested against the installed Postgres.

use std::process::{Command, Stdio};

use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};

#[test]
fn databases_are_apart_from_each_other_and_dropped() {
    let one = TestDatabase::create();
    let two = TestDatabase::create();
    one.execute("CREATE TABLE t (n int)");
    assert_eq!(two.query("SELECT to_regclass('t') IS NULL"), "t");
    let name = one.name().to_owned();
    drop(one);
    assert_eq!(two.query(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")), "0");
}

mod own_server {
    use super::*;

    #[test]
    fn a_durable_server_keeps_what_was_committed_before_a_kill() {
        let server = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
        let database = TestDatabase::create_on(&server);
        database.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
        server.kill();
        server.start();
        assert_eq!(database.query("SELECT n FROM t"), "7");
        server.freeze();
        server.thaw();
        server.stop();
        server.start();
        assert_eq!(database.query("SELECT n FROM t"), "7");
    }

    #[test]
    fn a_standby_follows_and_takes_over() {
        let primary = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
        let database = TestDatabase::create_on(&primary);
        let standby = primary.start_standby("spare");
        database.execute("ALTER SYSTEM SET synchronous_standby_names = 'spare'");
        database.execute("SELECT pg_reload_conf()");
        while database.query("SELECT sync_state FROM pg_stat_replication") != "sync" {}
        database.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
        primary.kill();
        let program = primary.program("psql");
        let psql = |sql: &str| {
            let output = Command::new(&program).args(["-XqtAc", sql]).arg(standby.url(database.name())).output();
            String::from_utf8_lossy(&output.expect("psql").stdout).trim().to_owned()
        };
        assert_eq!(psql("SELECT pg_promote()"), "t");
        assert_eq!(psql("INSERT INTO t VALUES (8) RETURNING (SELECT n FROM t)"), "7");
    }

    /// Runs this test binary again as the process that is killed.
    #[test]
    fn the_server_dies_with_the_process_that_started_it() {
        const CHILD: &str = "SIGNET_TESTKIT_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let server = PostgresServer::start_new(&ServerOptions::default());
            println!("\nsupervised {} {}", server.pid(), server.socket_directory().display());
            server.freeze();
            std::process::abort();
        }
        let output = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "own_server::the_server_dies_with_the_process_that_started_it", "--nocapture"])
            .env(CHILD, "1")
            .stderr(Stdio::null())
            .output()
            .expect("runs");
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = output.lines().find(|line| line.starts_with("supervised")).expect("the child's line");
        let words: Vec<&str> = line.split(' ').collect();
        // `output` has waited for the end of the pipe that the shell shares with nobody, so only the clean-up may lag.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while std::path::Path::new(words[2]).exists() {
            assert!(std::time::Instant::now() < deadline, "the directory is still there");
            std::thread::yield_now();
        }
        let state = std::fs::read_to_string(format!("/proc/{}/stat", words[1])).unwrap_or_default();
        assert!(!state.contains("(postgres)"), "{state}");
    }
}
