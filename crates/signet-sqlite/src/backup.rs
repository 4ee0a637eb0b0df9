use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{
    Connection, QueryResult, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query, sql_types::Text,
};

use crate::pool::{self, OpenError, draft_of};

/// How long the copy waits for another process, which may be recovering the log of one that was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// There is no database to copy.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy could not be made.
    #[error("cannot make the backup {file}: {reason}")]
    File {
        /// Where it should have been.
        file: String,
        /// What went wrong.
        reason: String,
    },
}

/// Copies the database that `location` names, as [`SqliteStore::open`](crate::SqliteStore::open) reads it, to `file`
/// while others use it, and returns the bytes of the copy. Blocks while it does.
///
/// The copy is of one moment: it holds every change that was acknowledged before the call. It is made under another name
/// beside `file` and is on the disk, whole, before it gets its own; nobody but its owner can read it. Writers do not wait
/// for it, but the log of the database grows until it is made.
///
/// Fails where there is no such database, where `file` exists, and where it cannot be written; no `file` is left then.
pub fn backup(location: &str, file: &Path) -> Result<u64, BackupError> {
    let source = pool::path(location)?;
    if !source.exists() {
        return Err(OpenError::new(&source, "there is no such file").into());
    }
    let failed = |reason: String| BackupError::File { file: file.display().to_string(), reason };
    // SQLite reads a name that starts with `file:` as a URI; an absolute one starts with a slash.
    let place = std::path::absolute(file).map_err(|error| failed(error.to_string()))?;
    if place.symlink_metadata().is_ok() {
        return Err(failed(EXISTS.to_owned()));
    }
    let draft = draft_of(&place);
    let made = copy(&source, &draft).and_then(|bytes| publish(&draft, &place).map(|()| bytes));
    // What is left of it where it failed, and its second name where it did not.
    let _ = fs::remove_file(&draft);
    made.map_err(failed)
}

const EXISTS: &str = "it exists already";

fn copy(source: &Path, draft: &Path) -> Result<u64, String> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.write(true).create_new(true).open(draft).map_err(|error| error.to_string())?;
    let name = pool::name_to_read(source)?;
    vacuum(&name, pool::name(draft)?).map_err(|error| error.to_string())?;
    if name != pool::name_to_read(source)? {
        return Err("somebody began to change the database meanwhile".to_owned());
    }
    made.sync_all().and_then(|()| made.metadata()).map(|meta| meta.len()).map_err(|error| error.to_string())
}

fn vacuum(source: &str, draft: &str) -> QueryResult<usize> {
    let connection = SqliteConnection::establish(source);
    let mut connection = connection.map_err(|error| diesel::result::Error::QueryBuilderError(Box::new(error)))?;
    connection
        .batch_execute(&format!("PRAGMA busy_timeout = {}; PRAGMA trusted_schema = OFF", PATIENCE.as_millis()))?;
    sql_query("VACUUM INTO ?").bind::<Text, _>(draft).execute(&mut connection)
}

/// Gives the draft its name, unless somebody else has it by now.
fn publish(draft: &Path, place: &Path) -> Result<(), String> {
    let named = match fs::hard_link(draft, place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => rename(draft, place),
        linked => linked,
    };
    named.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => EXISTS.to_owned(),
        _ => error.to_string(),
    })?;
    let directory = place.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| error.to_string())
}

/// For file systems without hard links.
#[cfg(unix)]
fn rename(draft: &Path, place: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, draft, CWD, place, RenameFlags::NOREPLACE)?)
}
