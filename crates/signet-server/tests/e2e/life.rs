use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    database::{Place, on_both},
    program::{Server, json},
};

/// Asks until the answer is that one.
fn becomes(server: &Server, path: &str, expected: u16) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let (status, text) = server.ask(path);
        if status == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{path}: {status} {text}");
        std::thread::yield_now();
    }
}

/// The answer of the management listener, as it stands.
fn raw(server: &Server, line: &str) -> String {
    let mut stream = TcpStream::connect(server.management).expect("a connection");
    write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

on_both! {
    fn a_stopping_server_fails_its_readiness_and_answers_what_it_accepted(place: &Place) {
        let key = place.partner().key;
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let mut server = place.serve(&["--tls", "off"]);
            let body = format!(r#"{{"name": "John Doe", "email": "john{}@example.com"}}"#, signal.as_raw());
            let (first, rest) = body.split_at(20);
            let mut request = TcpStream::connect(server.api).expect("a connection");
            request.set_read_timeout(Some(Duration::from_mins(1))).expect("a limit");
            let length = body.len();
            write!(
                request,
                "POST /partner/v1/register-user HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
            )
            .expect("sent");
            // The answer to Expect tells that the request was accepted.
            let mut asked = [0; 25];
            request.read_exact(&mut asked).expect("100 Continue");
            assert!(asked.starts_with(b"HTTP/1.1 100 Continue"));
            request.write_all(first.as_bytes()).expect("sent");

            let start = server.log.len();
            server.signal(signal);
            server.event(start, "stopping");
            assert_eq!(server.ask("/readyz"), (503, "not ready: stopping\n".to_owned()));
            assert_eq!(server.ask("/livez").0, 200);
            request.write_all(rest.as_bytes()).expect("sent");
            let mut answer = String::new();
            request.read_to_string(&mut answer).expect("an answer, and the end of the connection");
            assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
            assert!(server.wait().success());
            server.event(start, "stopped");
        }
    }

    fn other_signals_do_not_stop_the_service(place: &Place) {
        let mut server = place.serve(&[]);
        for (signal, name, message) in [
            (Signal::HUP, "SIGHUP", "reload requested"),
            (Signal::USR1, "SIGUSR1", "signal ignored"),
            (Signal::USR2, "SIGUSR2", "signal ignored"),
        ] {
            let start = server.log.len();
            server.signal(signal);
            assert_eq!(server.event(start, message)["signal"], name);
            assert_eq!(server.ask("/readyz").0, 200);
        }
        assert!(server.stop().success());
    }

    fn the_management_listener_tells_how_the_service_is(place: &Place) {
        let (server, client) = place.service();
        assert_eq!(server.ask("/livez"), (200, "live\n".to_owned()));
        assert_eq!(server.ask("/readyz"), (200, "ready\n".to_owned()));
        assert_eq!(client.register("john@example.com").status, 201);
        assert_eq!(client.get("/nowhere").status, 404);
        let (status, metrics) = server.ask("/metrics");
        assert_eq!(status, 200);
        for line in [
            r#"http_requests_total{route="/partner/v1/register-user",method="POST",status="201"} 1"#,
            r#"http_requests_total{route="none",method="GET",status="404"} 1"#,
            r#"http_request_duration_seconds_count{route="/partner/v1/register-user",method="POST"} 1"#,
            "signet_database_connections ",
            "signet_verified_keys_misses_total 1",
            "process_resident_memory_bytes ",
        ] {
            assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is missing in\n{metrics}");
        }
        for path in ["/livez", "/readyz", "/metrics"] {
            let head = raw(&server, &format!("HEAD {path}"));
            assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
            let refused = raw(&server, &format!("POST {path}")).to_lowercase();
            assert!(refused.starts_with("http/1.1 405 ") && refused.contains("\r\nallow: get, head\r\n"), "{refused}");
        }
        // Neither listener has the other's routes.
        assert_eq!(server.ask("/partner/v1/all-users").0, 404);
        assert_eq!(client.get("/metrics").status, 404);
    }
}

mod own_server {
    use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};

    use super::*;

    #[test]
    fn an_outage_of_postgres_is_answered_and_ends_with_it() {
        let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
        let database = TestDatabase::create_on(&postgres);
        let place = Place::sqlite();
        let url = ["--database-url", database.url()];
        let arguments = |arguments: &[&'static str]| [arguments, &url].concat();
        let partner = json(place.path(), &arguments(&["partner", "create", "--name", "Acme"]));
        let create = ["key", "create", "--name", "Backend", "--partner", partner["partnerId"].as_str().expect("an id")];
        let key = json(place.path(), &[&create[..], &url].concat());
        let server = Server::start(place.path(), &url);
        let client = server.client(key["apiKey"].as_str().expect("a key"));
        let before = client.register("before@example.com");
        assert_eq!(before.status, 201);

        postgres.stop();
        becomes(&server, "/readyz", 503);
        assert_eq!(server.ask("/livez").0, 200);
        for reply in [client.register("meanwhile@example.com"), client.get("/partner/v1/all-users")] {
            assert_eq!((reply.status, &reply.body["error"]["code"]), (503, &"service_unavailable".into()));
            assert!(reply.headers.contains_key("retry-after"));
            assert!(!reply.body.to_string().contains("127.0.0.1"), "{}", reply.body);
        }
        postgres.start();
        becomes(&server, "/readyz", 200);
        assert_eq!(client.get("/partner/v1/all-users").body["data"]["users"][0], before.body["data"]);
        assert_eq!(client.register("after@example.com").status, 201);
    }

    #[test]
    fn a_server_waits_for_its_database_when_told_to_and_is_seen_to_live() {
        let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
        let database = TestDatabase::create_on(&postgres);
        let place = Place::sqlite();
        postgres.stop();
        std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                Server::start(place.path(), &["--database-url", database.url(), "--wait-for-database", "60s"])
            });
            postgres.start();
            let server = started.join().expect("it serves");
            assert_eq!(server.ask("/readyz").0, 200);
        });
    }
}
