use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use signet_testkit::{CertificateAuthority, TestDatabase};

use crate::{
    database::Place,
    program::{Server, Told, migration_count, run, signet},
};

fn refused(place: &Place, arguments: &[&str]) -> Told {
    let free = ["--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0"];
    // A later option wins nothing: what is given twice is refused too.
    let mut all = vec!["serve"];
    all.extend(free.chunks(2).filter(|option| !arguments.contains(&option[0])).flatten());
    all.extend(arguments);
    let told = run(signet(place.path(), &all));
    assert!(told.code.is_some_and(|code| code != 0), "{arguments:?}: {told:?}");
    told
}

/// The one line that is not a log line.
fn line(told: &Told) -> &str {
    let mut lines = told.err.lines().filter(|line| line.starts_with("error: "));
    let line = lines.next().unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(lines.next(), None, "{told:?}");
    line
}

#[test]
fn a_bad_value_is_refused_in_one_line_without_showing_it() {
    let place = Place::sqlite();
    for (arguments, expected) in [
        (&["--listen", "localhost"][..], "error: --listen <ADDRESS>: must be an IP address and a port"),
        (&["--database-url", "mysql://u:s3cret@h/d"], "error: --database-url <URL>: must start with sqlite://"),
        (
            &["--database-url", "postgres://u:s3%cret@h/d"],
            "error: --database-url <URL>: the database URL must have two hexadecimal digits",
        ),
        (&["--log", "inof"], "error: --log <FILTER>: must be a level (error, warn, info, debug, trace or off)"),
        (&["--tls", "s3cret"], "error: --tls <TLS>: must be self-signed, off or CERT,KEY"),
        (&["--tls", "off", "--listen", "0.0.0.0:0"], "error: --tls off: plain HTTP would show API keys"),
        (&["--nonsense"], "error: there is no option --nonsense here"),
    ] {
        let told = refused(&place, arguments);
        assert_eq!((told.code, told.err.lines().count()), (Some(2), 1), "{told:?}");
        assert!(line(&told).starts_with(expected) && !told.err.contains("s3"), "{told:?}");
    }
    let mut command = signet(place.path(), &["serve"]);
    command.env("SIGNET_LISTEN", "s3cret");
    let told = run(command);
    assert_eq!((told.code, told.err.lines().count()), (Some(2), 1), "{told:?}");
    assert!(told.err.starts_with("error: SIGNET_LISTEN: must be an IP address"), "{told:?}");
    assert!(!told.err.contains("s3cret"), "{told:?}");
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 0, "nothing was made");
}

#[test]
fn what_is_not_there_is_told_in_one_line() {
    let place = Place::sqlite();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    fs::write(
        place.path().join("text.db"),
        "this is no database, but a text that is longer than a header of one, \
        so that nobody can take it for an empty file or for one that was cut short",
    )
    .expect("written");
    for (arguments, expected) in [
        (&["--listen", &address][..], format!("error: cannot listen on {address}: ")),
        (&["--management-listen", &address], format!("error: cannot listen on {address}: ")),
        (&["--tls", "none.crt,none.key"], "error: cannot serve TLS: none.crt: No such file".to_owned()),
        (&["--database-url", "sqlite://no/such/directory/signet.db"], "error: ".to_owned()),
        (&["--database-url", "sqlite://text.db"], "error: ".to_owned()),
        (
            &["--database-url", &format!("postgres://u:s3cret@{address}/d?connect_timeout=2")],
            "error: the database is unavailable".to_owned(),
        ),
        (&["--database-url", "sqlite://new.db", "--no-migrate"], "error: the database is unavailable".to_owned()),
    ] {
        let told = refused(&place, arguments);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(line(&told).starts_with(&expected) && !told.err.contains("s3cret"), "{arguments:?}: {told:?}");
    }
}

#[test]
fn the_help_tells_every_option_with_its_variable() {
    let place = Place::sqlite();
    let told = run(signet(place.path(), &["serve", "--help"]));
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
    for word in [
        "--demo",
        "SIGNET_DATABASE_URL",
        "SIGNET_LISTEN",
        "SIGNET_TLS",
        "SIGNET_MANAGEMENT_LISTEN",
        "SIGNET_LOG_FORMAT",
        "sqlite://signet.db",
        "127.0.0.1:4401",
        "127.0.0.1:4402",
        "self-signed",
    ] {
        assert!(told.out.contains(word), "{word} is missing in\n{}", told.out);
    }
    let told = run(signet(place.path(), &["--version"]));
    assert_eq!(told.out, format!("signet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn instances_that_start_at_once_on_an_empty_postgres_all_serve() {
    let database = TestDatabase::create();
    let place = Place::sqlite();
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let started: Vec<_> =
            (0..3).map(|_| scope.spawn(|| Server::start(place.path(), &["--database-url", database.url()]))).collect();
        started.into_iter().map(|server| server.join().expect("it serves")).collect()
    });
    for server in &servers {
        assert_eq!(server.ask("/readyz"), (200, "ready\n".to_owned()));
    }
    let applied = database.query("SELECT count(*) FROM __diesel_schema_migrations");
    assert_eq!(applied, migration_count().to_string());
}

#[test]
fn a_private_key_that_all_can_read_is_refused_unless_allowed() {
    let place = Place::sqlite();
    let identity = CertificateAuthority::new().identity(&["localhost"]);
    let (certificate, key) = (place.path().join("tls.crt"), place.path().join("tls.key"));
    fs::write(&certificate, identity.certificate).expect("written");
    fs::write(&key, identity.key).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("an own file");
    let told = refused(&place, &["--tls", "tls.crt,tls.key"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(line(&told).contains("can read the private key tls.key"), "{told:?}");
    assert!(line(&told).ends_with("or add --allow-readable-key"), "{told:?}");

    let server = place.serve(&["--tls", "tls.crt,tls.key", "--allow-readable-key"]);
    let warning = server.event(0, "every user of this machine can read the private key");
    assert_eq!((&warning["level"], &warning["option"]), (&"WARN".into(), &"--allow-readable-key".into()));
    drop(server);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("an own file");
    let mut server = place.serve(&["--tls", "tls.crt,tls.key"]);
    server.stop();
    assert!(!server.log.all().iter().any(|line| line.contains("WARN")), "{:?}", server.log.all());
}

#[test]
fn a_database_on_another_machine_is_refused_without_verified_tls_unless_allowed() {
    let place = Place::sqlite();
    // Addresses for documentation, where nobody answers.
    for url in ["postgres://u:s3cret@192.0.2.1/d", "postgres://u:s3cret@localhost:1,192.0.2.1:1/d?sslmode=require"] {
        let told = refused(&place, &["--database-url", url]);
        assert_eq!((told.code, told.err.lines().count()), (Some(2), 1), "{told:?}");
        assert!(line(&told).contains("--allow-unverified-database") && !told.err.contains("s3cret"), "{told:?}");
        let told = run(signet(place.path(), &["partner", "list", "--database-url", url]));
        assert_eq!((told.code, told.err.lines().count()), (Some(2), 1), "no command goes there: {told:?}");

        let told = refused(&place, &["--database-url", url, "--allow-unverified-database"]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(line(&told).starts_with("error: the database is unavailable"), "{told:?}");
        assert!(told.err.contains("WARN") && told.err.contains("--allow-unverified-database"), "{told:?}");
    }
}

#[test]
fn plain_http_that_a_proxy_encrypts_is_logged() {
    let place = Place::sqlite();
    let mut command = signet(place.path(), &["serve", "--tls", "off", "--tls-terminated-by-proxy"]);
    command.args(["--listen", "0.0.0.0:0", "--management-listen", "127.0.0.1:0", "--log-format", "json"]);
    command.args(["--database-url", "sqlite://no/such/directory/signet.db"]);
    let told = run(command);
    assert_eq!(told.code, Some(1), "{told:?}");
    let warned = told.err.lines().any(|line| line.contains("WARN") && line.contains("--tls-terminated-by-proxy"));
    assert!(warned, "{told:?}");
}
