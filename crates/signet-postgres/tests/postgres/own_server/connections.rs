//! The ways to a server that libpq knows.

use std::time::{Duration, Instant};

use signet_domain::ports::PartnerRepository;
use signet_postgres::{ConnectError, PostgresOptions, PostgresStore};
use signet_testkit::{CertificateAuthority, PostgresServer, ServerOptions, TestDatabase};

use crate::support::{Database, ample, durable, is_unavailable, private, until};

async fn partners(url: &str) -> Result<usize, String> {
    let store = PostgresStore::connect(url, ample()).map_err(|error| error.to_string())?;
    store.migrate().await.map_err(|error| error.to_string())?;
    Ok(PartnerRepository::list(&store).await.map_err(|error| error.to_string())?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_and_tcp_lead_to_the_same_database() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    database.partner().await;
    let directory = server.socket_directory().display();
    for url in [
        server.url(database.sql.name()),
        server.socket_url(database.sql.name()),
        format!("postgres:///{}?host={directory}&port={}&user=postgres", database.sql.name(), server.port()),
    ] {
        assert_eq!(partners(&url).await, Ok(1), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_against_the_authority_and_the_host_name() {
    let authority = CertificateAuthority::new();
    let tls = Some(authority.identity(&["localhost"]));
    let server = PostgresServer::start_new(&ServerOptions { tls, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let trust = |name: &str, authority: &CertificateAuthority| {
        let path = folder.path().join(name);
        std::fs::write(&path, authority.certificate()).expect("a file");
        path.display().to_string()
    };
    let right = trust("right.pem", &authority);
    let wrong = trust("wrong.pem", &CertificateAuthority::new());
    let url = |host: &str, mode: &str| {
        format!("postgres://postgres@{host}:{}/{}?sslmode={mode}", server.port(), database.name())
    };

    assert_eq!(partners(&format!("{}&sslrootcert={right}", url("localhost", "verify-full"))).await, Ok(0));
    let refused = partners(&format!("{}&sslrootcert={wrong}", url("localhost", "verify-full"))).await;
    assert!(refused.clone().is_err_and(|error| error.contains("SSL error")), "{refused:?}");
    let refused = partners(&format!("{}&sslrootcert={right}", url("127.0.0.1", "verify-full"))).await;
    assert!(refused.clone().is_err_and(|error| error.contains("does not match host name")), "{refused:?}");
    let refused = partners(&url("localhost", "disable")).await;
    assert!(refused.clone().is_err_and(|error| error.contains("no encryption")), "{refused:?}");

    let store = PostgresStore::connect(&format!("{}&sslrootcert={right}", url("localhost", "verify-full")), ample())
        .expect("a URL");
    store.ready().await.expect("ready");
    let encrypted = database.query(
        "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE application_name = 'signet'",
    );
    assert_eq!(encrypted, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_the_one_that_takes_writes_is_taken() {
    let (read_only, primary) = (private(&["default_transaction_read_only=on"]), private(&[]));
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", read_only.port(), primary.port());
    assert_eq!(partners(&url).await, Ok(0));
}

/// A store on two servers, of which the one that it is connected to is demoted, and what replication would have done to
/// the other one is done.
async fn demoted(build: &signet_conformance::Builder) -> (PostgresStore, PostgresServer, PostgresServer) {
    let (old, new) = (durable(), durable());
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", old.port(), new.port());
    let store = PostgresStore::connect(&url, ample()).expect("a URL");
    store.migrate().await.expect("migrated");
    PartnerRepository::insert(&store, build.partner()).await.expect("inserted in the old one");

    assert_eq!(partners(&new.url("postgres")).await, Ok(0));
    let demote = TestDatabase::create_on(&old);
    demote.execute("ALTER SYSTEM SET default_transaction_read_only = on");
    demote.execute("SELECT pg_reload_conf()");
    let mut session = diesel::Connection::establish(&old.url("postgres")).expect("a session");
    until("the old one is read-only", || is_read_only(&mut session));
    (store, old, new)
}

fn is_read_only(session: &mut diesel::PgConnection) -> bool {
    use diesel::connection::SimpleConnection;
    session
        .batch_execute("CREATE TEMP TABLE probe (); DROP TABLE probe; CREATE TABLE probe (); DROP TABLE probe")
        .is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_demoted_is_left_for_the_new_one() {
    let build = signet_conformance::Builder::new(1);
    let (store, _old, new) = demoted(&build).await;
    PartnerRepository::insert(&store, build.partner()).await.expect("inserted in the new one");
    assert_eq!(partners(&new.url("postgres")).await, Ok(1));
    store.ready().await.expect("the new one takes writes");
}

/// Reads alone would go on for as long as the connections last: it is the probe that notices, and not only tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_demoted_is_left_without_a_write() {
    let (store, _old, new) = demoted(&signet_conformance::Builder::new(1)).await;
    let partners = async || PartnerRepository::list(&store).await.expect("a list").len();
    assert_eq!(partners().await, 1, "from the old one");
    let new = TestDatabase::create_on(&new);
    let deadline = Instant::now() + Duration::from_mins(1);
    // The old one tells each of its sessions by a signal, which takes a moment.
    while new.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet'") == "0" {
        store.ready().await.expect("one of them takes writes");
        assert!(Instant::now() < deadline, "nobody goes to the new one");
    }
    assert_eq!(partners().await, 0, "from the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_read_only_is_not_ready() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    database.store.ready().await.expect("ready");
    database.sql.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.sql.name()));
    let store = PostgresStore::connect(database.sql.url(), ample()).expect("a URL");
    let refused = store.ready().await.expect_err("read-only");
    assert!(is_unavailable(&refused) && refused.to_string().contains("read-only"), "{refused}");
    let refused = PartnerRepository::insert(&store, database.build.partner()).await.expect_err("read-only");
    assert!(is_unavailable(&refused), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_timeouts_unless_somebody_set_others() {
    let server = private(&[]);
    let database = TestDatabase::create_on(&server);
    let settings = |store: PostgresStore| async move {
        let _ = store.ready().await;
        store.migrate().await.expect("migrated");
    };
    let options = PostgresOptions { deadline: Duration::from_millis(1234), ..ample() };
    settings(PostgresStore::connect(database.url(), options).expect("a URL")).await;
    database.execute(&format!("ALTER DATABASE {} SET lock_timeout = 77", database.name()));
    // Not this one: the statements rely on READ COMMITTED.
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_isolation = serializable", database.name()));
    // A function that tells what its session has, where a partner's name would go.
    database.execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.name := concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
                current_setting('idle_in_transaction_session_timeout'), current_setting('application_name'),
                current_setting('TimeZone'), current_setting('plan_cache_mode'),
                current_setting('transaction_isolation'));
            RETURN NEW; END $$;
         CREATE TRIGGER tell BEFORE INSERT ON partners FOR EACH ROW EXECUTE FUNCTION tell()",
    );
    let build = signet_conformance::Builder::new(1);
    for (url, expected) in [
        (database.url().to_owned(), "1234ms 77ms 10s signet UTC force_generic_plan read committed"),
        (
            format!("{}?options=-c%20statement_timeout%3D9s&application_name=mine", database.url()),
            "9s 77ms 10s mine UTC force_generic_plan read committed",
        ),
    ] {
        let store = PostgresStore::connect(&url, options).expect("a URL");
        let partner = build.partner();
        PartnerRepository::insert(&store, partner.clone()).await.expect("inserted");
        let told = database.query(&format!("SELECT name FROM partners WHERE partner_id = '{}'", partner.id));
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_connected_to_is_told_without_the_password() {
    let error = PostgresStore::connect("postgres://u:s3cret@h:x/db", ample()).expect_err("no port");
    assert!(matches!(error, ConnectError::Url(_)) && !error.to_string().contains("s3cret"), "{error}");
    let server = private(&[]);
    let url = format!("postgres://postgres:s3cret@127.0.0.1:{}/nowhere", server.port());
    let error = partners(&url).await.expect_err("no such database");
    assert!(error.contains("\"nowhere\" does not exist") && !error.contains("s3cret"), "{error}");
    let store = PostgresStore::connect(&url, ample()).expect("a URL");
    let error = PartnerRepository::list(&store).await.expect_err("no such database").to_string();
    assert!(error.contains("\"nowhere\" does not exist") && !error.contains("s3cret"), "{error}");
    assert!(!format!("{store:?}").contains("s3cret"));
}
