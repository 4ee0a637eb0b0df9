//! A few seconds of `make faults`, with this program: the harness works, and what it shows at length holds in short.

use signet_faults::{Run, Scale, faults};

fn holds(name: &str) {
    let scenario = faults::ALL.iter().find(|scenario| scenario.name == name).expect(name);
    let run = Run { signet: env!("CARGO_BIN_EXE_signet").into(), seed: 1, scale: Scale::Smoke };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let findings = runtime.block_on(scenario.run(&run));
    assert!(findings.hold(), "{findings:?}");
}

#[test]
fn a_kill_of_the_server_on_sqlite_loses_nothing() {
    holds("kill-sqlite");
}

#[test]
fn a_stop_under_load_leaves_no_request_unanswered() {
    holds("sigterm");
}

#[test]
fn instances_are_replaced_without_a_failed_request() {
    holds("rolling");
}

#[test]
fn another_certificate_costs_no_request() {
    holds("certificate");
}

#[test]
fn what_two_servers_may_read_differently_is_answered_once() {
    holds("smuggling");
}

mod own_server {
    use super::*;

    #[test]
    fn a_kill_of_the_server_or_of_postgres_loses_nothing() {
        holds("kill-postgres");
    }

    #[test]
    fn a_registration_that_is_cut_off_is_settled() {
        holds("cut");
    }
}
