//! A client that goes away does not wait for an answer: what it asked for is not begun.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use rustix::net::sockopt::set_socket_linger;
use rustls::{ClientConnection, StreamOwned};

use crate::{
    database::Place,
    program::Server,
    tls::{connect, version_list},
};

/// How a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It closes, and the kernel says so in good order.
    Close,
    /// It resets the connection.
    Reset,
    /// It sends nothing more, though it would read.
    HalfClose,
    /// It has asked for more before it closes.
    CloseBehindAnother,
}

const WAYS: [Way; 4] = [Way::Close, Way::Reset, Way::HalfClose, Way::CloseBehindAnother];

/// A client that goes that way; what it returns keeps the connection as far as it still does.
fn go(stream: TcpStream, way: Way) -> Option<TcpStream> {
    match way {
        Way::Close | Way::CloseBehindAnother => None,
        Way::Reset => {
            set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
            None
        }
        Way::HalfClose => {
            stream.shutdown(Shutdown::Write).expect("a socket");
            Some(stream)
        }
    }
}

fn registration(key: &str, email: &str) -> String {
    let body = format!(r#"{{"name":"John Doe","email":"{email}"}}"#);
    format!(
        "POST /partner/v1/register-user HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Until so many requests are being answered.
fn wait_for_requests(server: &Server, count: usize) {
    wait_for_metric(server, &format!("http_requests_in_flight {count}"));
}

fn wait_for_metric(server: &Server, expected: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !server.ask("/metrics").1.lines().any(|line| line == expected) {
        assert!(Instant::now() < deadline, "{expected}");
        std::thread::yield_now();
    }
}

/// Every way to go, as `leave` goes it once what it is told to send is seen; it returns what is left.
fn nothing_is_begun_for_whoever_is_gone<T>(tls: &str, leave: impl Fn(&Server, &str, Way) -> T) {
    let place = Place::sqlite();
    let key = place.partner().key;
    let server = place.serve(&["--tls", tls]);
    let client = server.client(&key);
    assert_eq!(client.register("first@example.com").status, 201);
    for way in WAYS {
        // While another has the only writer, a registration waits for it, and a second one for its turn.
        let mut other = place.sqlite_file();
        other.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").expect("the lock");
        let address = format!("stays-{way:?}@example.com");
        std::thread::scope(|scope| {
            let stays = scope.spawn(|| client.register(&address).status);
            // The one that writes, of three.
            wait_for_metric(&server, "signet_database_connections_idle 2.0");
            let start = server.log.len();
            let mut text = registration(&key, &format!("goes-{way:?}@example.com"));
            if way == Way::CloseBehindAnother {
                text += &registration(&key, &format!("follows-{way:?}@example.com"));
            }
            let left = leave(&server, &text, way);
            let ended = server.event(start, "request");
            assert_eq!(ended["status"], 499, "{way:?}: {ended}");
            drop(left);
            wait_for_requests(&server, 1);
            other.batch_execute("COMMIT").expect("the lock is given back");
            assert_eq!(stays.join().expect("no panic"), 201, "{way:?}");
        });
    }
    let users = client.get("/partner/v1/all-users").body.to_string();
    for way in WAYS {
        assert!(users.contains(&format!("stays-{way:?}@")), "{way:?}: {users}");
    }
    assert!(!users.contains("goes-") && !users.contains("follows-"), "{users}");
}

#[test]
fn nothing_is_begun_for_whoever_is_gone_from_plain_http() {
    nothing_is_begun_for_whoever_is_gone("off", |server, text, way| {
        let mut stream = TcpStream::connect(server.api).expect("a connection");
        stream.write_all(text.as_bytes()).expect("sent");
        wait_for_requests(server, 2);
        go(stream, way)
    });
}

/// A connection whose request is seen.
fn ask_over_tls(server: &Server, text: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let trusted = std::fs::read_to_string(server.certificate()).expect("a certificate");
    let mut stream = connect(server, &trusted, version_list(), &[]).expect("a handshake");
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).expect("sent");
    wait_for_requests(server, 2);
    stream
}

#[test]
fn nothing_is_begun_for_whoever_is_gone_without_a_word_from_tls() {
    nothing_is_begun_for_whoever_is_gone("self-signed", |server, text, way| go(ask_over_tls(server, text).sock, way));
}

#[test]
fn nothing_is_begun_for_whoever_is_gone_from_tls_in_good_order() {
    nothing_is_begun_for_whoever_is_gone("self-signed", |server, text, way| {
        let mut stream = ask_over_tls(server, text);
        stream.conn.send_close_notify();
        stream.flush().expect("sent");
        go(stream.sock, way)
    });
}
