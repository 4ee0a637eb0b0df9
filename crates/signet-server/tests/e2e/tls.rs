use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal;
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::ring, version,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_testkit::CertificateAuthority;

use crate::{database::Place, program::Server};

/// A connection to `localhost` whose handshake is done.
pub fn connect(
    server: &Server,
    trusted: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).expect("PEM")).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = "localhost".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let stream = TcpStream::connect(server.api)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_http_1_1_alone_is_offered() {
    let place = Place::sqlite();
    let server = place.serve(&[]);
    let trusted = read(&server.certificate());
    for (spoken, expected) in [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut stream = connect(&server, &trusted, &[spoken], &[b"h2", b"http/1.1"]).expect("a handshake");
        assert_eq!(stream.conn.protocol_version(), Some(expected));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    assert!(connect(&server, &trusted, version_list(), &[b"h2"]).is_err(), "HTTP/2 is not spoken");
}

pub fn version_list() -> &'static [&'static SupportedProtocolVersion] {
    static VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
    &VERSIONS
}

#[test]
fn the_self_signed_certificate_is_made_once_and_its_key_is_private() {
    let place = Place::sqlite();
    let mut server = place.serve(&[]);
    let made = read(&server.certificate());
    let key = server.certificate().with_extension("key");
    assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    assert!(server.stop().success());
    let server = place.serve(&[]);
    assert_eq!(read(&server.certificate()), made);
    assert!(connect(&server, &made, version_list(), &[]).is_ok());
}

#[test]
fn a_certificate_that_is_replaced_takes_effect_without_a_restart() {
    let place = Place::sqlite();
    let (old, new) = (CertificateAuthority::new(), CertificateAuthority::new());
    // As a tool does that renews certificates: a file appears under its name at once, but not both at the same time.
    let write = |authority: &CertificateAuthority| {
        let identity = authority.identity(&["localhost"]);
        for (name, text) in [("tls.crt", identity.certificate), ("tls.key", identity.key)] {
            let draft = place.path().join("draft");
            fs::write(&draft, text).expect("written");
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("an own file");
            fs::rename(&draft, place.path().join(name)).expect("renamed");
        }
    };
    write(&old);
    let server = place.serve(&["--tls", "tls.crt,tls.key"]);
    let mut open = connect(&server, &old.certificate(), version_list(), &[]).expect("the old one");
    let start = server.log.len();
    write(&new);
    server.event(start, "certificate reloaded");
    connect(&server, &new.certificate(), version_list(), &[]).expect("the new one");
    assert!(connect(&server, &old.certificate(), version_list(), &[]).is_err());
    open.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    open.read_to_string(&mut answer).expect("an answer on the connection that was open");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn certificate_near_its_end_is_warned_about_and_read_again_on_sighup() {
    let place = Place::sqlite();
    let authority = CertificateAuthority::new();
    let write = |until: (i32, u8, u8)| {
        let identity = authority.identity_until(&["localhost"], until);
        for (name, text) in [("tls.crt", identity.certificate), ("tls.key", identity.key)] {
            fs::write(place.path().join(name), text).expect("written");
            fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(0o600)).expect("an own file");
        }
    };
    write((2020, 1, 2));
    let server = place.serve(&["--tls", "tls.crt,tls.key"]);
    let warning = server.event(0, "the TLS certificate has expired");
    assert_eq!((&warning["level"], &warning["expires_at"]), (&"WARN".into(), &"2020-01-02T00:00:00Z".into()));
    let expiry = |server: &Server| {
        let metrics = server.ask("/metrics").1;
        let line = metrics.lines().find(|line| line.starts_with("signet_certificate_expiry_timestamp_seconds "));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("{metrics}")).to_owned()
    };
    assert_eq!(expiry(&server), "1577923200");

    let start = server.log.len();
    server.signal(Signal::HUP);
    server.event(start, "certificate reloaded");
    server.event(start, "the TLS certificate has expired");

    drop(server);
    write((2100, 1, 1));
    let server = place.serve(&["--tls", "tls.crt,tls.key"]);
    assert_eq!(expiry(&server), "4102444800");
    assert!(server.log.all().iter().all(|line| !line.contains("the TLS certificate")));
}

#[test]
fn plain_http_on_the_tls_port_gets_a_json_answer() {
    let place = Place::sqlite();
    let server = place.serve(&[]);
    for method in ["GET", "POST", "brew"] {
        let mut stream = TcpStream::connect(server.api).expect("accepted");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream.write_all(format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // What is neither TLS nor a request may end anyhow.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), method != "brew", "{answer}");
        if method != "brew" {
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains("connection: close"), "{head}");
            let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(json["error"]["code"], "validation_failed");
            assert!(json["message"].as_str().is_some_and(|message| message.contains("HTTPS")), "{json}");
        }
    }
}
