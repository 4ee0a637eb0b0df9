//! The file: who may read it, and what is said when it cannot be opened.

use std::{fs, path::Path};

use signet_domain::ports::{StoreError, UserRepository};
use signet_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{File, lines};

fn refused(location: &Path) -> String {
    let location = location.to_str().expect("UTF-8");
    SqliteStore::open(location, SqliteOptions::default()).expect_err("cannot be opened").to_string()
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_file_and_its_log() {
    use std::os::unix::fs::PermissionsExt;
    let (store, file, build, partner_id) = File::with_a_partner().await;
    store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let directory = file.path().parent().map(fs::read_dir).expect("a directory").expect("readable");
    let mut names = Vec::new();
    for entry in directory.map(|entry| entry.expect("readable")) {
        let mode = entry.metadata().expect("readable").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().expect("UTF-8"));
    }
    names.sort();
    assert_eq!(names, ["signet.db", "signet.db-shm", "signet.db-wal"], "and nothing is left over");
}

#[tokio::test]
async fn a_store_is_found_again_under_its_url() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    drop(store);
    let url = format!("sqlite://{}", file.path().display());
    let again = SqliteStore::open(&url, SqliteOptions::default()).expect("opens");
    assert_eq!(again.migrate().await.map(|it| it.applied), Ok(0));
    assert_eq!(UserRepository::find(&again, partner_id, john.id).await, Ok(Some(john)));
}

#[tokio::test]
async fn a_file_that_is_not_in_wal_mode_is_switched() {
    use diesel::connection::SimpleConnection;
    let file = File::new();
    file.connect().batch_execute("PRAGMA journal_mode = DELETE; CREATE TABLE other (a TEXT)").expect("a table");
    let store = file.open(SqliteOptions::default());
    store.migrate().await.expect("migrates");
    assert_eq!(lines(&mut file.connect(), "SELECT journal_mode AS line FROM pragma_journal_mode"), ["wal"]);
}

#[test]
fn many_switch_a_file_at_once() {
    use diesel::connection::SimpleConnection;
    for round in 0..20 {
        let file = File::new();
        if round % 2 == 0 {
            fs::write(file.path(), "").expect("an empty file");
        } else {
            file.connect().batch_execute("PRAGMA journal_mode = DELETE; CREATE TABLE other (a TEXT)").expect("a table");
        }
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    file.open(SqliteOptions::default())
                });
            }
        });
        assert_eq!(lines(&mut file.connect(), "SELECT journal_mode AS line FROM pragma_journal_mode"), ["wal"]);
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_the_reason() {
    let file = File::new();
    let missing = file.path().join("no/such/directory/signet.db");
    assert!(refused(&missing).contains("No such file or directory"), "{}", refused(&missing));
    assert!(refused(&missing).contains("no/such/directory/signet.db"), "{}", refused(&missing));

    fs::write(file.path(), "This is no database, and far too long to be an empty one.".repeat(100)).expect("written");
    let reason = "file is not a database";
    assert_eq!(refused(&file.path()), format!("cannot open the SQLite database {}: {reason}", file.path().display()));

    let directory = tempfile::tempdir().expect("a directory");
    assert!(refused(directory.path()).contains("unable to open"), "{}", refused(directory.path()));
}

#[tokio::test]
async fn connections_are_counted() {
    let (store, _file) = File::migrated().await;
    let state = store.pool_state();
    assert_eq!((state.connections, state.idle), (3, 3), "two readers and a writer");
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_whose_file_cannot_be_written_to_is_not_ready() {
    let (store, file) = File::migrated().await;
    assert_eq!(store.ready().await, Ok(()));
    // Who runs as root may write to any file, except to one that is gone.
    fs::rename(file.path(), file.path().with_extension("away")).expect("renamed");
    let Err(StoreError::Unavailable { reason }) = store.ready().await else { panic!("it is not ready") };
    assert!(reason.starts_with("the file or its directory cannot be written to"), "{reason}");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("readable");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn closed_or_dropped_store_leaves_one_whole_file() {
    for is_closed in [true, false] {
        let (store, file, build, partner_id) = File::with_a_partner().await;
        let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
        let clone = store.clone();
        if is_closed {
            store.close();
        } else {
            drop((store, clone));
        }
        assert_eq!(names(file.path().parent().expect("a directory")), ["signet.db"]);
        // The one file is all there is.
        let copy = File::new();
        fs::copy(file.path(), copy.path()).expect("copied");
        let copied = copy.open(SqliteOptions::default());
        assert_eq!(UserRepository::find(&copied, partner_id, john.id).await, Ok(Some(john)));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn dangling_link_makes_a_private_database_where_it_leads() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().expect("a directory");
    let [link, other, data] = ["link.db", "other.db", "data"].map(|name| directory.path().join(name));
    fs::create_dir(&data).expect("made");
    symlink("other.db", &link).and_then(|()| symlink("data/signet.db", &other)).expect("linked");
    let store = SqliteStore::open(link.to_str().expect("UTF-8"), SqliteOptions::default()).expect("opens");
    store.migrate().await.expect("migrates");
    for name in names(&data) {
        let mode = fs::metadata(data.join(&name)).expect("readable").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(names(&data), ["signet.db", "signet.db-shm", "signet.db-wal"]);
    assert_eq!(names(directory.path()), ["data", "link.db", "other.db"]);

    let looped = directory.path().join("looped.db");
    symlink("looped.db", &looped).expect("linked");
    assert!(refused(&looped).contains("too many levels of symbolic links"));
}

#[tokio::test]
async fn store_that_is_opened_to_read_makes_nothing_and_writes_nothing() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let location = file.path().display().to_string();
    let reader = SqliteStore::open_to_read(&location, SqliteOptions::default()).expect("opens");
    assert_eq!(UserRepository::find(&reader, partner_id, john.id).await, Ok(Some(john)), "beside a writer");
    assert!(reader.commit(build.registration(partner_id, "jane@example.com")).await.is_err());
    let none = file.path().with_file_name("none.db");
    let refused = SqliteStore::open_to_read(none.to_str().expect("UTF-8"), SqliteOptions::default());
    assert!(refused.expect_err("not there").to_string().contains("there is no such file"));
    assert!(!none.exists());
}
