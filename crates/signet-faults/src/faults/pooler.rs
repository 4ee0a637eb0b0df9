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
use signet_domain::UserId;
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase, free_port};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{Expected, Findings, Ledger, Run, Service, Stores, Times, Writers, run::mix, tool};

const WRITERS: usize = 32;
/// What the documentation promises, and a query.
const REVOKED_WITHIN: Duration = Duration::from_secs(32);
const POLL: Duration = Duration::from_millis(100);
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
    everything_else_passes(&service, &ledger, &mut findings).await;
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

/// What no writer does: pages, the trail, and every command.
async fn everything_else_passes(service: &Service, ledger: &Ledger, findings: &mut Findings) {
    let off = ["--postgres-statement-cache", "off"];
    let command = |arguments: &[&str]| service.command(&[arguments, &off[..]].concat());
    let partner = service.partner_with("Initech", &off);
    let mut client = service.client(&partner.key);
    let (name, email) = ("John Doe", "john@example.com");
    let reply = client.register_as("john", name, email).await.expect("an answer");
    let user = reply.body["data"]["userId"].as_str().expect("registered").to_owned();
    let known = Expected::registered(name.to_owned(), email.to_owned());
    ledger.acknowledge("john", UserId::parse(&user).expect("an id"), |_| known);
    for (path, list) in [
        ("all-users?limit=10&offset=0".to_owned(), "users"),
        ("audit-trail?limit=10".to_owned(), "entries"),
        (format!("audit-trail?userId={user}"), "entries"),
    ] {
        let reply = client.get(&format!("/partner/v1/{path}")).await.expect("an answer");
        let count = reply.body["data"][list].as_array().map(Vec::len);
        findings.promise((reply.status, count) == (200, Some(1)), format!("{path}: {} {}", reply.status, reply.body));
    }
    let listed = |arguments: &[&str], list: &str| command(arguments)[list].as_array().map_or(0, Vec::len);
    let partners = listed(&["partner", "list"], "partners");
    findings.promise(partners == 3, format!("partner list: {partners}"));
    let keys = listed(&["key", "list", "--partner", &partner.id], "keys");
    findings.promise(keys == 1, format!("key list: {keys}"));
    let verified = command(&["verify"]);
    findings.promise(verified["differences"].as_array().is_some_and(Vec::is_empty), format!("verify: {verified}"));
    let second = ["key", "create", "--name", "Second", "--partner", &partner.id];
    let second = command(&second)["apiKey"].as_str().expect("a key").to_owned();
    let mut second = service.client(&second);
    findings.promise(second.find(&user).await.is_ok_and(|reply| reply.status == 200), "a new key works");
    for (ending, client, code) in [
        (["key", "revoke", &partner.key_id], &mut client, "api_key_revoked"),
        (["partner", "disable", &partner.id], &mut second, "partner_disabled"),
    ] {
        drop(command(&ending));
        let deadline = Instant::now() + REVOKED_WITHIN;
        let told = loop {
            match client.find(&user).await {
                Ok(reply) if reply.status == 200 && Instant::now() < deadline => sleep(POLL).await,
                answer => break answer,
            }
        };
        let told = told.as_ref().map_or("no answer", |reply| reply.code());
        findings.promise(told == code, format!("{ending:?}: {code} within {REVOKED_WITHIN:?}, not {told}"));
    }
    findings.did("pages, the trail, `verify`, lists, and a key and a partner whose end is told within 30 s");
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
