//! Sends what no HTTP client would send.

use std::{
    fs,
    io::{Read, Write},
};

use crate::{
    program::Server,
    tls::{connect, version_list},
};

/// Somebody who writes bytes as they stand, each request on a connection of its own.
pub struct Outsider<'a> {
    server: &'a Server,
    certificate: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl<'a> Outsider<'a> {
    pub fn new(server: &'a Server) -> Self {
        Self { server, certificate: fs::read_to_string(server.certificate()).expect("a certificate") }
    }

    /// The one answer to a request with that method and target, and with these lines among its headers.
    pub fn ask(&self, target: &str, headers: &str, body: &str) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request =
            format!("{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n{body}");
        let mut stream = connect(self.server, &self.certificate, version_list(), &[]).expect("a handshake");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // How the connection ends does not matter.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("UTF-8");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer:?}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}
