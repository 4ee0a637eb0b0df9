use std::{
    cell::RefCell,
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex, Once},
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use signet_conformance::InMemoryStore;
use signet_domain::ApiKeyToken;
use tracing_subscriber::{
    Layer,
    filter::dynamic_filter_fn,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    faults::Fault,
    support::{World, bearer, request},
};
use crate::{Options, RateLimit, log_sampler::LINES_PER_PERIOD};

thread_local! {
    /// Where the events of this thread go, hence of the one test that runs on it.
    static CURRENT: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// What was logged.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while writing").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct CurrentLog;

impl MakeWriter<'_> for CurrentLog {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        CURRENT.with_borrow(Clone::clone).unwrap_or_default()
    }
}

impl Log {
    /// Of this thread from now on. One subscriber serves the whole process: what several that come and go make of the
    /// same events depends on which of them saw an event first.
    pub(super) fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let is_wanted = dynamic_filter_fn(|_, _| CURRENT.with_borrow(Option::is_some));
            let layer = fmt::layer().json().with_writer(CurrentLog).with_filter(is_wanted);
            tracing_subscriber::registry().with(layer).init();
        });
        let log = Self::default();
        CURRENT.set(Some(log.clone()));
        log
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic while writing").clone()).expect("UTF-8")
    }

    /// The fields of each request logged.
    fn requests(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["fields"].clone());
        lines.filter(|fields| fields["message"] == "request").collect()
    }
}

#[actix_web::test]
async fn each_request_leaves_one_line_and_nothing_personal() {
    let log = Log::start();
    let world = World::new().await;
    let new = json!({"name": "Canary Bird", "email": "canary@example.com", "metadata": {"k": "canary"}});
    let reply = world.call("POST", "/register-user", new.clone()).await;
    let request_id = reply.header("x-request-id").map(str::to_owned);
    world.call("POST", "/register-user", new).await;
    world.call("GET", "/get-user?userId=canary", Value::Null).await;
    world.call("GET", "/all-users?email=canary@example.com", Value::Null).await;
    world.send(request("BREW", "/canary?canary=canary")).await;

    let lines = log.requests();
    let seen: Vec<_> =
        lines.iter().map(|line| (line["method"].as_str(), line["route"].as_str(), line["status"].as_u64())).collect();
    assert_eq!(
        seen,
        [
            (Some("POST"), Some("/partner/v1/register-user"), Some(201)),
            (Some("POST"), Some("/partner/v1/register-user"), Some(409)),
            (Some("GET"), Some("/partner/v1/get-user"), Some(400)),
            (Some("GET"), Some("/partner/v1/all-users"), Some(400)),
            (Some("OTHER"), Some("none"), Some(404)),
        ]
    );
    assert_eq!(lines[0]["request_id"].as_str(), request_id.as_deref());
    assert_eq!(lines[0]["partner_id"], world.partner.to_string());
    assert!(world.key.contains(lines[0]["key_id"].as_str().expect("a key id")));
    assert!(lines[0]["latency_us"].is_u64());
    assert_eq!((lines[4].get("partner_id"), lines[4].get("key_id")), (None, None));
    let text = log.text().to_lowercase();
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains(&world.key.to_lowercase()), "{text}");

    let mut registry = Registry::default();
    world.shared.metrics.register(&mut registry);
    let mut metrics = String::new();
    encode(&mut metrics, &registry).expect("text");
    for line in [
        r#"http_requests_total{route="/partner/v1/register-user",method="POST",status="201"} 1"#,
        r#"http_requests_total{route="none",method="OTHER",status="404"} 1"#,
        r#"http_request_duration_seconds_count{route="/partner/v1/register-user",method="POST"} 2"#,
        "http_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[actix_web::test]
async fn a_panic_leaves_its_line_as_any_other_request() {
    let log = Log::start();
    let store = Arc::new(InMemoryStore::default());
    let world = World::over(store.clone(), Arc::new(Fault::Panics), store, Options::default()).await;
    assert_eq!(world.call("GET", "/all-users", Value::Null).await.status, 500);
    let lines = log.requests();
    assert_eq!(
        (lines.len(), &lines[0]["status"], &lines[0]["route"]),
        (1, &json!(500), &json!("/partner/v1/all-users"))
    );
    assert!(log.text().contains("the handler panicked"), "{}", log.text());
}

#[actix_web::test]
async fn a_request_that_its_client_gives_up_is_counted_too() {
    let log = Log::start();
    let store = Arc::new(InMemoryStore::default());
    let world = World::over(store.clone(), store, Arc::new(Fault::Hangs), Options::default()).await;
    let mut call = Box::pin(world.call("GET", "/all-users", Value::Null));
    assert!(futures_util::FutureExt::now_or_never(&mut call).is_none());
    drop(call);
    assert_eq!(log.requests()[0]["status"], 499);
}

#[actix_web::test]
async fn refused_request_is_logged_with_its_code_and_a_well_formed_key_id() {
    let log = Log::start();
    let world = World::new().await;
    let unknown = "signet_test_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123451lBh5l";
    let wrong_checksum = "signet_test_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123451lBh5m";
    for key in [unknown, wrong_checksum, "signet_live_canary"] {
        world.send(request("GET", "/partner/v1/all-users").insert_header(bearer(key))).await;
    }
    world.send(request("GET", "/partner/v1/all-users")).await;
    world.call("GET", "/get-user?userId=1", Value::Null).await;

    let lines = log.requests();
    let seen: Vec<_> = lines.iter().map(|line| (line["code"].as_str(), line["key_id"].as_str())).collect();
    let own_key = ApiKeyToken::parse(&world.key).expect("valid").id;
    assert_eq!(
        seen,
        [
            (Some("invalid_api_key"), Some("0123456789abcdef")),
            (Some("malformed_credentials"), None),
            (Some("malformed_credentials"), None),
            (Some("missing_credentials"), None),
            (Some("validation_failed"), Some(own_key.as_str())),
        ]
    );
    let text = log.text();
    assert!(!text.contains("ABCDEFGH") && !text.contains("canary"), "{text}");
}

#[actix_web::test]
async fn client_address_is_logged_by_option_only() {
    let address = "192.0.2.7:50000".parse().expect("an address");
    for (log_client_address, expected) in [(false, Value::Null), (true, json!("192.0.2.7"))] {
        let log = Log::start();
        let world = World::with(Options { log_client_address, ..Options::default() }).await;
        world.send(request("GET", "/partner/v1/all-users").peer_addr(address)).await;
        assert_eq!(log.requests()[0]["client_address"], expected);
    }
}

#[actix_web::test]
async fn flood_of_refusals_leaves_a_few_lines_and_a_count() {
    let log = Log::start();
    let world = World::new().await;
    for _ in 0..LINES_PER_PERIOD + 5 {
        world.send(request("GET", "/partner/v1/all-users")).await;
        world.call("GET", "/get-user?userId=1", Value::Null).await;
        world.call("GET", "/all-users", Value::Null).await;
    }
    let count = |code: Value| log.requests().iter().filter(|line| line["code"] == code).count();
    let limit = usize::try_from(LINES_PER_PERIOD).expect("few");
    assert_eq!(count(json!("missing_credentials")), limit);
    assert_eq!(count(json!("validation_failed")), limit + 5, "a partner's own mistakes all have their line");
    assert_eq!(count(Value::Null), limit + 5, "answered requests all have their line");

    world.shared.log_sampler.report();
    let text = log.text();
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let report = &reports.last().expect("a line")["fields"];
    assert_eq!((&report["kind"], &report["suppressed"]), (&json!("missing_credentials"), &json!(5)));
    world.send(request("GET", "/partner/v1/all-users")).await;
    assert_eq!(count(json!("missing_credentials")), limit + 1, "the next period starts with lines again");
}

#[actix_web::test]
async fn shed_request_is_counted_by_its_cause() {
    let log = Log::start();
    let per_second = NonZeroU32::MIN;
    let rate_limit = Some(RateLimit { per_second, burst: per_second });
    let world = World::with(Options { rate_limit, ..Options::default() }).await;
    for status in [200, 429, 429] {
        assert_eq!(world.call("GET", "/all-users", Value::Null).await.status, status);
    }
    assert_eq!(log.requests()[2]["code"], "rate_limited");
    let mut registry = Registry::default();
    world.shared.metrics.register(&mut registry);
    let mut metrics = String::new();
    encode(&mut metrics, &registry).expect("text");
    for line in [r#"http_requests_shed_total{cause="rate_limit"} 2"#, r#"http_requests_shed_total{cause="deadline"} 0"#]
    {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
