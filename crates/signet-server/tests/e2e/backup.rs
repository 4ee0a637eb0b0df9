use std::{
    collections::HashSet,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::Client,
    database::Place,
    program::{Server, Told, run, signet},
};

/// How many registrations are acknowledged before a backup begins, and how many more before it is looked at.
const BEFORE: usize = 100;
const AFTER: usize = 20;

fn backup(place: &Place, file: &str) -> Told {
    run(signet(place.path(), &["backup", file, "--database-url", &place.url()]))
}

/// Set when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Takes a backup while clients register users, and returns the ids of those that were acknowledged before it began.
fn under_load(client: &Client, take: impl FnOnce()) -> HashSet<String> {
    let (stop, acknowledged, begun) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicBool::new(false));
    let until = |count: usize| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while acknowledged.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "too few registrations");
            std::thread::yield_now();
        }
    };
    let register = |thread: usize| {
        let mut before = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let registered = client.register(&format!("john{number}@{thread}.example.com"));
            assert_eq!(registered.status, 201, "{}", registered.body);
            if !begun.load(Ordering::SeqCst) {
                before.push(registered.body["data"]["userId"].as_str().expect("an id").to_owned());
            }
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        before
    };
    std::thread::scope(|scope| {
        // Also where something panics: the clients would go on for ever.
        let stopping = Stop(&stop);
        let register = &register;
        let clients: Vec<_> = (0..4).map(|thread| scope.spawn(move || register(thread))).collect();
        until(BEFORE);
        // Whoever sees this later than the registration's answer counts one too few, never one too many.
        begun.store(true, Ordering::SeqCst);
        take();
        until(acknowledged.load(Ordering::SeqCst) + AFTER);
        drop(stopping);
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    })
}

/// The ids of all users that a server shows.
fn users(client: &Client) -> HashSet<String> {
    let mut ids = HashSet::new();
    loop {
        let page = client.get(&format!("/partner/v1/all-users?limit=100&offset={}", ids.len())).body;
        let users = page["data"]["users"].as_array().unwrap_or_else(|| panic!("{page}"));
        ids.extend(users.iter().map(|user| user["userId"].as_str().expect("an id").to_owned()));
        if page["data"]["pagination"]["hasMore"] == Value::Bool(false) {
            return ids;
        }
    }
}

/// Verifies a restored database, and serves it to the key of the original one.
fn assert_holds(directory: &std::path::Path, url: &str, key: &str, acknowledged: &HashSet<String>) {
    let verified = run(signet(directory, &["verify", "--database-url", url]));
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let server = Server::start(directory, &["--database-url", url]);
    let client = server.client(key);
    let restored = users(&client);
    assert!(acknowledged.len() >= BEFORE && restored.is_superset(acknowledged), "{} are lost", {
        acknowledged.difference(&restored).count()
    });
    assert_eq!(client.register("new@example.com").status, 201, "it goes on from there");
}

#[test]
fn a_copy_taken_under_load_holds_what_was_acknowledged_before_it() {
    let place = Place::sqlite();
    let key = place.partner().key;
    let server = place.serve(&[]);
    fs::create_dir(place.path().join("copies")).expect("made");
    let copy = place.path().join("copies/copy.db");
    let acknowledged = under_load(&server.client(&key), || {
        let told = backup(&place, "copies/copy.db");
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        let bytes = fs::metadata(&copy).expect("a file").len();
        assert_eq!(told.out, format!("The database was copied to copies/copy.db ({bytes} bytes).\n"));
    });
    assert_eq!(fs::metadata(&copy).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(place.path().join("copies")).expect("readable").count(), 1, "nothing is left over");
    drop(server);
    // Elsewhere, as on another machine.
    let elsewhere = Place::sqlite();
    fs::copy(&copy, elsewhere.path().join("signet.db")).expect("copied");
    assert_holds(elsewhere.path(), "sqlite://signet.db", &key, &acknowledged);
}

#[test]
fn what_is_there_is_never_overwritten() {
    let place = Place::sqlite();
    place.partner();
    fs::write(place.path().join("copy.db"), "mine").expect("written");
    std::os::unix::fs::symlink("nowhere", place.path().join("link.db")).expect("linked");
    for (file, reason) in [
        ("copy.db", "it exists already"),
        ("link.db", "it exists already"),
        ("signet.db", "it exists already"),
        ("no/such/directory/copy.db", "No such file or directory"),
    ] {
        let told = backup(&place, file);
        assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (Some(1), "", 1), "{told:?}");
        assert!(told.err.starts_with(&format!("error: cannot make the backup {file}: {reason}")), "{told:?}");
    }
    assert_eq!(fs::read_to_string(place.path().join("copy.db")).expect("a file"), "mine");
    assert!(!place.path().join("nowhere").exists());
    let names = fs::read_dir(place.path()).expect("readable").map(|entry| entry.expect("readable").file_name());
    assert!(names.map(|name| name.into_string().expect("UTF-8")).all(|name| !name.contains(".new")));

    let copied = place.json(&["backup", "other.db"]);
    assert_eq!((&copied["file"], copied["bytes"].is_u64()), (&json!("other.db"), true), "{copied}");
}

#[test]
fn what_cannot_be_copied_is_told_in_one_line() {
    let place = Place::sqlite();
    let told = backup(&place, "copy.db");
    assert_eq!((told.code, told.err.lines().count()), (Some(1), 1), "{told:?}");
    assert!(told.err.contains("signet.db: there is no such file"), "{told:?}");
    assert_eq!(fs::read_dir(place.path()).expect("readable").count(), 0, "nothing was made");
    let arguments = ["backup", "copy.db", "--database-url", "postgres://u:s3cret@db.internal/signet"];
    let told = run(signet(place.path(), &arguments));
    assert_eq!((told.code, told.err.lines().count()), (Some(2), 1), "{told:?}");
    assert!(told.err.contains("pg_dump") && told.err.contains("docs/operations.md"), "{told:?}");
    assert!(!told.err.contains("s3cret"));
}

/// The program as a user who may read that directory and not write to it; as root one may always write.
fn as_reader(place: &Place, arguments: &[&str]) -> Told {
    let mut command = signet(place.path(), arguments);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(command)
}

const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("an own file");
}

#[test]
fn database_in_a_read_only_directory_is_copied_and_verified() {
    let place = Place::sqlite();
    let (server, client) = place.service();
    assert_eq!(client.register("john@example.com").status, 201);
    let database = place.path().join("signet.db");
    // A server that was killed leaves the last changes in its log.
    drop(server);
    let log = place.path().join("signet.db-wal");
    assert!(fs::metadata(&log).expect("a log").len() > 0);
    let files: Vec<_> = ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", database.display())).into();
    let lock = |mode: u32| {
        for file in files.iter().filter(|file| Path::new(file).exists()) {
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(file, Some(NOBODY), Some(NOBODY)).expect("we may");
            }
            set_mode(Path::new(file), 0o400);
        }
        set_mode(place.path(), mode);
    };
    let copies = tempfile::tempdir().expect("a directory");
    set_mode(copies.path(), 0o777);
    let copy = |name: &str| copies.path().join(name).display().to_string();
    let read_both = |name: &str| {
        [&["verify", "--json"][..], &["backup", &copy(name)]].map(|arguments| as_reader(&place, arguments))
    };

    lock(0o555);
    for told in read_both("with-index.db") {
        assert_eq!(told.code, Some(0), "the log is read, too: {told:?}");
    }
    set_mode(place.path(), 0o755);
    fs::remove_file(place.path().join("signet.db-shm")).expect("removed");
    lock(0o555);
    for told in read_both("none.db") {
        assert_eq!((told.code, told.err.lines().count()), (Some(1), 1), "{told:?}");
        assert!(told.err.contains("signet.db-wal holds changes"), "never without them: {told:?}");
    }
    set_mode(place.path(), 0o755);
    for file in &files {
        if Path::new(file).exists() {
            set_mode(Path::new(file), 0o600);
        }
    }
    place.json(&["partner", "list"]);
    assert!(!log.exists(), "a command leaves one whole file");
    lock(0o555);
    let [verified, backed_up] = read_both("whole.db");
    assert_eq!((verified.code, backed_up.code), (Some(0), Some(0)), "{verified:?} {backed_up:?}");
    assert!(verified.out.contains(r#""users":1"#), "{verified:?}");
    set_mode(place.path(), 0o755);
    for name in ["with-index.db", "whole.db"] {
        let verified =
            run(signet(place.path(), &["verify", "--json", "--database-url", &format!("sqlite://{}", copy(name))]));
        assert!(verified.code == Some(0) && verified.out.contains(r#""users":1"#), "{verified:?}");
    }
}

#[test]
fn clean_stop_leaves_the_database_in_one_file() {
    let place = Place::sqlite();
    let (mut server, client) = place.service();
    assert_eq!(client.register("john@example.com").status, 201);
    assert!(place.path().join("signet.db-wal").exists());
    assert!(server.stop().success());
    let names = fs::read_dir(place.path()).expect("readable").map(|entry| entry.expect("readable").file_name());
    let names: HashSet<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    assert_eq!(names, HashSet::from(["signet.db".to_owned(), "signet-tls".to_owned()]));
}

mod own_server {
    use signet_testkit::{PostgresServer, TestDatabase, tool};

    use super::*;

    #[test]
    fn a_dump_taken_under_load_holds_what_was_acknowledged_before_it() {
        let postgres = PostgresServer::shared();
        let place = Place::postgres_on(postgres);
        let key = place.partner().key;
        let server = place.serve(&[]);
        let dump = place.path().join("signet.dump");
        let acknowledged = under_load(&server.client(&key), || {
            let mut command = tool("pg_dump");
            command.args(["--format=custom", "--dbname", &place.url(), "--file"]).arg(&dump);
            let told = run(command);
            assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        });
        drop(server);
        let restored = TestDatabase::create_on(postgres);
        let mut command = tool("pg_restore");
        command.args(["--exit-on-error", "--single-transaction", "--dbname", restored.url()]).arg(&dump);
        let told = run(command);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        assert_holds(place.path(), restored.url(), &key, &acknowledged);
    }
}
