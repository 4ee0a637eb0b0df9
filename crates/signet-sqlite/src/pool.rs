use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{
    Connection, SqliteConnection,
    connection::SimpleConnection,
    r2d2::{ConnectionManager, CustomizeConnection},
};
use scheduled_thread_pool::ScheduledThreadPool;
use signet_domain::ports::StoreError;

use crate::errors::{in_words, is_locked, unavailable};

pub(crate) type Pool = diesel::r2d2::Pool<ConnectionManager<SqliteConnection>>;

/// The file could not be opened as a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot open the SQLite database {location}: {reason}")]
pub struct OpenError {
    location: String,
    reason: String,
}

impl OpenError {
    pub(crate) fn new(location: &Path, reason: &(impl ToString + ?Sized)) -> Self {
        Self { location: location.display().to_string(), reason: in_words(&reason.to_string()).to_owned() }
    }
}

/// What connections of a pool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

#[derive(Debug)]
struct Setup {
    access: Access,
    busy_timeout: Duration,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Setup {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        // One process never waits for a lock of its own: it has one writer. The time-out is for another process.
        // WAL with NORMAL loses acknowledged commits when the power fails; FULL syncs each commit.
        let pragmas = format!(
            "PRAGMA busy_timeout = {};
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -{};
             PRAGMA wal_autocheckpoint = 4096;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA query_only = {};",
            self.busy_timeout.as_millis(),
            // KiB. The writer touches the ends of many ranges, and those of every index.
            if self.access == Access::Read { 8 * 1024 } else { 16 * 1024 },
            if self.access == Access::Read { "ON" } else { "OFF" },
        );
        connection.batch_execute(&pragmas).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// The path that `location` names: a path, or one after `sqlite://` or `sqlite:`.
pub(crate) fn path(location: &str) -> Result<PathBuf, OpenError> {
    let path = location.strip_prefix("sqlite://").or_else(|| location.strip_prefix("sqlite:")).unwrap_or(location);
    let refuse = |reason: &str| Err(OpenError::new(Path::new(path), reason));
    match path {
        "" => return refuse("a path is missing"),
        _ if path.starts_with(':') => return refuse("it must be a file: several connections share it"),
        _ if path.contains('?') => return refuse("parameters are not supported"),
        _ => {}
    }
    // SQLite reads a name that starts with `file:` as a URI; an absolute one starts with a slash.
    std::path::absolute(path).and_then(follow_links).map_err(|error| OpenError::new(Path::new(path), &error))
}

/// The file that a symbolic link leads to, whether it exists or not: a new file is made there, private and whole, and
/// `SQLite` keeps its log beside it.
fn follow_links(mut path: PathBuf) -> io::Result<PathBuf> {
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// How many symbolic links may follow each other, as the kernel has it.
const MAX_LINKS: usize = 40;

/// Makes sure that the file exists, readable by its owner alone, and is in WAL mode.
pub(crate) fn prepare(path: &Path, busy_timeout: Duration) -> Result<(), OpenError> {
    if !path.exists() {
        create(path).map_err(|error| OpenError::new(path, &error))?;
    }
    in_wal_mode(path, busy_timeout).map_err(|reason| OpenError::new(path, &reason))
}

/// A name beside that of the file, for as long as it is not whole.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    // Random: two containers on one volume have the same process id. `RandomState` is seeded by the system.
    draft.push(format!(".{:016x}.new", RandomState::new().build_hasher().finish()));
    draft.into()
}

/// The name of a file for `SQLite`.
pub(crate) fn name(path: &Path) -> Result<&str, &'static str> {
    path.to_str().ok_or("the path is not valid UTF-8")
}

/// A new file is switched to WAL under a name of its own, and appears under the right one, whole or not at all: nobody
/// ever finds it half made.
fn create(path: &Path) -> io::Result<()> {
    let draft = draft_of(path);
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(&draft)?;
    let made = in_wal_mode(&draft, Duration::ZERO).map_err(io::Error::other);
    // A file system without hard links gets an empty file, which is switched in its place.
    let linked = made.and_then(|()| fs::hard_link(&draft, path).or_else(|_| options.open(path).map(drop)));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// Of several that switch a file to WAL at the same moment all but one fail at once, whatever the busy timeout says:
/// `SQLite` does not wait for that lock. It does wait for that of a transaction, so each takes its turn behind one.
fn in_wal_mode(path: &Path, busy_timeout: Duration) -> Result<(), String> {
    let start = Instant::now();
    let mut connection = SqliteConnection::establish(name(path)?).map_err(|error| error.to_string())?;
    let mut execute = |sql: &str| connection.batch_execute(sql).map_err(|error| error.to_string());
    execute(&format!("PRAGMA busy_timeout = {}", busy_timeout.as_millis()))?;
    loop {
        match execute("PRAGMA journal_mode = WAL") {
            Err(reason) if is_locked(&reason) && start.elapsed() < busy_timeout => {
                execute("BEGIN EXCLUSIVE; COMMIT")?;
            }
            switched => return switched,
        }
    }
}

/// The name under which the file can be read without a change to it or its directory.
///
/// `SQLite` needs files beside the database to read one in WAL mode. Where they cannot be made, the database alone is read,
/// as a file that nobody changes; but only where it is whole: a log that was left behind holds acknowledged changes.
pub(crate) fn name_to_read(path: &Path) -> Result<String, String> {
    let name = name(path)?;
    if check_writable(path).is_ok() {
        return Ok(name.to_owned());
    }
    let uri = format!("file:{}", name.replace('%', "%25").replace('?', "%3F").replace('#', "%23"));
    let [log, index] = ["-wal", "-shm"].map(|suffix| PathBuf::from(format!("{name}{suffix}")));
    if !fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
        return Ok(format!("{uri}?mode=ro&immutable=1"));
    }
    if index.exists() {
        return Ok(format!("{uri}?mode=ro"));
    }
    Err(format!(
        "{log} holds changes, which cannot be read in a directory that cannot be written to; copy the database and its \
         -wal to another directory",
        log = log.display()
    ))
}

/// Fails where the file or its directory, in which the log lies, cannot be written to. Asks the system and not the file:
/// to open it once more and close it would take the locks of this process away.
pub(crate) fn check_writable(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    for place in [Some(path), path.parent()].into_iter().flatten() {
        rustix::fs::access(place, rustix::fs::Access::WRITE_OK)
            .map_err(|error| unavailable(&format!("the file or its directory cannot be written to: {error}")))?;
    }
    Ok(())
}

/// The connections of a store, closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) read: Pool,
    pub(crate) write: Pool,
}

impl Pools {
    /// Merges the log into the file and closes every connection, as soon as what is under way has ended. `SQLite` removes
    /// the log and its index with the last connection. Operations fail from then on.
    pub(crate) fn close(&self) {
        // The last connection has to be one that may write.
        for pool in [&self.read, &self.write] {
            let connections: Vec<_> = (0..pool.max_size()).map_while(|_| pool.get().ok()).collect();
            for mut connection in connections {
                // A reader of another process may keep the log; then it is at least merged, or left as it is.
                let _ = connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
                // A pool keeps its connections until its last user ends, so each gets another one in its place.
                if let Ok(nothing) = SqliteConnection::establish(":memory:") {
                    *connection = nothing;
                }
            }
        }
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        self.close();
    }
}

/// A pool whose connections stay open: nothing closes a file but its end, and a new connection prepares all anew.
///
/// `helper` opens a connection anew where one broke; pools can share it.
pub(crate) fn build(
    (path, name): (&Path, &str),
    (access, size): (Access, u32),
    busy_timeout: Duration,
    helper: &Arc<ScheduledThreadPool>,
) -> Result<Pool, OpenError> {
    Pool::builder()
        .max_size(size)
        .thread_pool(Arc::clone(helper))
        .test_on_check_out(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connection_timeout(busy_timeout)
        .connection_customizer(Box::new(Setup { access, busy_timeout }))
        .build(ConnectionManager::new(name))
        .map_err(|error| OpenError::new(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_url() {
        for (location, expected) in [
            ("sqlite:///var/lib/signet.db", "/var/lib/signet.db"),
            ("sqlite:/var/lib/signet.db", "/var/lib/signet.db"),
            ("/var/lib/signet.db", "/var/lib/signet.db"),
            ("/var/lib/100%#.db", "/var/lib/100%#.db"),
        ] {
            assert_eq!(path(location), Ok(PathBuf::from(expected)));
        }
        let here = std::env::current_dir().expect("a directory");
        for location in ["sqlite://signet.db", "sqlite:signet.db", "signet.db"] {
            assert_eq!(path(location), Ok(here.join("signet.db")));
        }
        for bad in ["", "sqlite://", ":memory:", "sqlite::memory:", "signet.db?mode=ro"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
