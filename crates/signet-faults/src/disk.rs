use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::Text};
use signet_testkit::{Lines, PostgresServer, TestDatabase};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};

use crate::{Client, Ledger, Reply};

/// A small disk, unmounted with this value.
pub(crate) struct Disk(TempDir);

impl Disk {
    /// Mounts one of so many MiB; only root may.
    pub(crate) fn mount(mib: usize) -> Result<Self, String> {
        let place = tempfile::Builder::new().prefix("signet-disk-").tempdir().expect("a folder");
        let size = format!("size={mib}m,mode=755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place.path()))?;
        Ok(Self(place))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        for size in [1024 * 1024, 4096] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives that room back.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }

    /// Puts a folder of the server's data on this disk, as an operator does: moved, and a link in its place.
    pub(crate) fn take_over(&self, postgres: &PostgresServer, folder: &str) {
        postgres.stop();
        let from = postgres.socket_directory().join("data").join(folder);
        run(Command::new("cp").arg("-a").arg(&from).arg(self.path())).expect("it has room");
        fs::remove_dir_all(&from).expect("it is copied");
        std::os::unix::fs::symlink(self.path().join(folder), &from).expect("a link");
        postgres.start();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: who still has a file open there ends soon.
        drop(run(Command::new("umount").arg("--lazy").arg(self.path())));
    }
}

pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).trim().to_owned()) }
}

#[derive(QueryableByName)]
struct Verdict {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// What `PRAGMA integrity_check` says; `ok` where the file is sound.
pub(crate) fn integrity(file: &Path) -> String {
    let mut connection = SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("it opens");
    let verdicts: Vec<Verdict> = sql_query("PRAGMA integrity_check").load(&mut connection).expect("an answer");
    verdicts.into_iter().map(|verdict| verdict.integrity_check).collect::<Vec<_>>().join("; ")
}

/// What `pg_amcheck` finds wrong with the tables and indexes.
pub(crate) fn amcheck(postgres: &PostgresServer, database: &TestDatabase) -> Result<(), String> {
    let mut command = Command::new(postgres.program("pg_amcheck"));
    command.args(["--host=127.0.0.1", "--username=postgres", &format!("--port={}", postgres.port())]);
    run(command.args(["--install-missing", "--heapallindexed", database.name()]))
}

/// Waits until Postgres answers. One that has given up is started, as its operator would; tells whether it was.
pub(crate) async fn comes_back(postgres: &PostgresServer) -> bool {
    const PATIENCE: Duration = Duration::from_mins(1);
    let deadline = Instant::now() + PATIENCE;
    while diesel::PgConnection::establish(&postgres.url("postgres")).is_err() {
        if postgres.log().last().is_some_and(|line| line == Lines::END) {
            postgres.kill();
            postgres.start();
            return true;
        }
        assert!(Instant::now() < deadline, "PostgreSQL does not come back:\n{}", postgres.log().join("\n"));
        sleep(Duration::from_millis(20)).await;
    }
    false
}

/// When a read was begun; its status, or what was wrong with it.
type Seen = (Instant, Result<u16, String>);

/// A client that does nothing but read, and notes when and with what success.
pub(crate) struct Reader {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Reads a user that it registers first, its page and its trail, in turn.
    pub(crate) async fn start(mut client: Client, ledger: &Ledger) -> Self {
        let (name, email) = ("Jane Doe", "reader@example.com");
        let reply = client.register_as("reader", name, email).await.expect("an answer");
        let id = reply.body["data"]["userId"].as_str().expect("registered").to_owned();
        let known = crate::Expected::registered(name.to_owned(), email.to_owned());
        ledger.acknowledge("reader", signet_domain::UserId::parse(&id).expect("an id"), |_| known);
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let paths = [
                format!("/partner/v1/get-user?userId={id}"),
                "/partner/v1/all-users?limit=10".to_owned(),
                "/partner/v1/audit-trail?limit=10".to_owned(),
            ];
            for path in paths.iter().cycle() {
                let begun = Instant::now();
                let outcome = match client.get(path).await {
                    Ok(reply) if reply.status == 200 || reply.is_unavailable() => Ok(reply.status),
                    Ok(Reply { status, body, .. }) => Err(format!("GET {path}: {status} {body}")),
                    Err(error) => Err(format!("GET {path}: {error:?}")),
                };
                noted.lock().unwrap_or_else(PoisonError::into_inner).push((begun, outcome));
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { seen, task }
    }

    /// How many reads that were begun since then were successful, how many `503`, and what else there was.
    pub(crate) fn since(&self, from: Instant) -> (usize, usize, Vec<String>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen: Vec<_> = seen.iter().filter(|(begun, _)| *begun >= from).map(|(_, outcome)| outcome).collect();
        let of = |status| seen.iter().filter(|outcome| outcome.as_ref().is_ok_and(|seen| *seen == status)).count();
        (of(200), of(503), seen.iter().filter_map(|outcome| outcome.as_ref().err().cloned()).collect())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
