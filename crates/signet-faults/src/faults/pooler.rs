//! `PgBouncer` in transaction mode stands before Postgres, configured as `docs/operations.md` says.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use rand::{RngExt, seq::SliceRandom};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase, free_port};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{Findings, Ledger, Run, Service, Stores, Times, Writers, run::mix, tool};

const WRITERS: usize = 32;
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// What is said there is what is tested here.
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

#[derive(Clone, Copy)]
enum Victim {
    Server,
    Pooler,
    Database,
}

pub(super) async fn in_transaction_mode(run: &Run) -> Findings {
    let mut random = run.random("pooler");
    let mut findings = Findings::default();
    let (servers, poolers, databases) = run.choose((1, 2, 1), (4, 6, 3), (20, 20, 10));
    let goal = run.choose(300, 3_000, 10_000);
    let mut victims =
        [vec![Victim::Server; servers], vec![Victim::Pooler; poolers], vec![Victim::Database; databases]].concat();
    victims.shuffle(&mut random);

    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    let mut session = PgConnection::establish(&postgres.url("postgres")).expect("a session");
    let mut execute = |sql: &str| session.batch_execute(sql).expect(sql);
    execute("CREATE ROLE signet LOGIN");
    execute(&format!("ALTER DATABASE {} OWNER TO signet", database.name()));
    documented("sql").lines().for_each(&mut execute);
    let mut pooler = match Pooler::start(postgres.port()) {
        Ok(pooler) => pooler,
        Err(reason) => {
            findings.promise(false, format!("left out: {reason}"));
            return findings;
        }
    };

    let url = format!("postgres://signet@127.0.0.1:{}/{}?sslmode=disable", pooler.port, database.name());
    let mut service = Service::new(run, &url);
    service.arguments.extend(["--postgres-statement-cache", "off"].map(str::to_owned));
    service.start().await;
    let off = ["--postgres-statement-cache", "off"];
    let partners = ["Acme", "Umbrella"].map(|name| service.endpoint(&service.partner_with(name, &off).key));
    let ledger = Ledger::default();
    let writers = Writers::start(WRITERS, &partners, &ledger, mix(run.seed, "pooler")).await;
    let mut back = Times::default();
    for (number, victim) in victims.iter().enumerate() {
        ledger.reached(ledger.acknowledged().max(goal * number / victims.len()) + 20).await;
        sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        let begun = Instant::now();
        match victim {
            Victim::Server => {
                service.kill();
                service.start().await;
            }
            Victim::Pooler => pooler.restart(),
            Victim::Database => {
                postgres.kill();
                postgres.start();
            }
        }
        ledger.reached(ledger.acknowledged() + 1).await;
        back.add(begun.elapsed());
    }
    ledger.reached(goal).await;
    writers.stop().await;
    findings.promise(service.is_running(), "the service goes on running");
    service.stop();

    let compared = ledger.compare(&Stores::open(&postgres.url(database.name()), service.directory())).await;
    findings.did(format!("{servers} × server, {poolers} × PgBouncer, {databases} × PostgreSQL killed"));
    findings.attempted(&ledger.traffic());
    findings.measured(format!("a write again {:.2} s after a kill at most", back.max().as_secs_f64()));
    findings.compared(&compared, ledger.complaints());
    findings.promise(back.max() <= BACK_WITHIN, format!("a write {BACK_WITHIN:?} after a kill, not {:?}", back.max()));
    findings
}

/// The block in that language of what the documentation says about `PgBouncer`.
fn documented(language: &str) -> &'static str {
    let start = OPERATIONS.find("Behind PgBouncer").expect("a passage on PgBouncer");
    let (_, block) = OPERATIONS[start..].split_once(&format!("```{language}\n")).expect("a block");
    block.split("```").next().expect("the block")
}

/// A `PgBouncer` with a folder and a port of its own, killed with this value.
struct Pooler {
    port: u16,
    directory: TempDir,
    process: Child,
}

impl Pooler {
    fn start(postgres: u16) -> Result<Self, String> {
        let port = free_port();
        let directory = tempfile::Builder::new().prefix("signet-pooler-").tempdir().expect("a folder");
        // It reads them as another user than root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its own folder");
        let users = directory.path().join("users.txt");
        fs::write(&users, "\"signet\" \"\"\n").expect("its own folder");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={postgres}\n{}listen_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\n{}",
            documented("ini"),
            users.display(),
            if rustix::process::geteuid().is_root() { "user = postgres\n" } else { "" },
        );
        fs::write(directory.path().join("pgbouncer.ini"), settings).expect("its own folder");
        let mut process = Self::spawn(directory.path())?;
        tool::becomes_ready(&mut process, port);
        Ok(Self { port, directory, process })
    }

    fn spawn(directory: &Path) -> Result<Child, String> {
        let mut command = tool::tool("pgbouncer");
        command.args(["-q", "pgbouncer.ini"]).current_dir(directory);
        tool::spawn(command, "pgbouncer")
    }

    fn restart(&mut self) {
        self.end();
        self.process = Self::spawn(self.directory.path()).expect("it was there before");
        tool::becomes_ready(&mut self.process, self.port);
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.end();
    }
}
