use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Lines, binaries,
    certificates::Identity,
    supervisor::{End, Supervisor},
};

/// How a [`PostgresServer`] differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Write through to the disk, as a real server does: for tests that kill it. Otherwise it is fast and forgets.
    pub durable: bool,
    /// Accept TLS with this certificate, and over TCP nothing else.
    pub tls: Option<Identity>,
    /// More lines such as `log_statement=all`.
    pub settings: Vec<String>,
}

/// A Postgres of the test's own, on a free port of 127.0.0.1 and a Unix socket. User `postgres`, no password.
///
/// It ends with this value, or with the test process if that ends first, by whatever way.
#[derive(Debug)]
pub struct PostgresServer {
    directory: PathBuf,
    binaries: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    settings: Vec<String>,
    log: Lines,
    running: Mutex<Option<Supervisor>>,
}

impl PostgresServer {
    /// The server that all tests of this process share, started when it is first asked for. Leave it alone: a test
    /// that stops, kills or freezes takes [one of its own](Self::start_new).
    ///
    /// # Panics
    /// Where Postgres is not installed or does not start, with a line that says what to do.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| {
            let what_to_do = "or set TEST_DATABASE_URL to a server on which databases may be created";
            Self::start_with(&ServerOptions::default(), what_to_do)
        })
    }

    /// Makes and starts a server.
    ///
    /// # Panics
    /// Where Postgres is not installed or does not start, with a line that says what to do.
    #[must_use]
    pub fn start_new(options: &ServerOptions) -> Self {
        let what_to_do = "for a server of this test's own, or leave such tests out (`cargo test -- --skip own_server`)";
        Self::start_with(options, what_to_do)
    }

    fn start_with(options: &ServerOptions, what_to_do: &str) -> Self {
        let binaries = binaries::server_directory().unwrap_or_else(|| {
            panic!("no PostgreSQL 14 or later found: {}, {what_to_do}", binaries::INSTALL);
        });
        let user = binaries::unprivileged_user();
        let directory = new_directory(user);
        run(&binaries.join("initdb"), user, &directory, &INITDB);
        let mut settings = options.settings.clone();
        if !options.durable {
            settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        if let Some(identity) = &options.tls {
            settings.extend(install(identity, &directory, user));
        }
        let log = Lines::default();
        let server = Self { directory, binaries, user, port: free_port(), settings, log, running: Mutex::new(None) };
        server.start();
        server
    }

    /// Makes a copy of it, and starts that with the same settings as a hot standby that streams what this server does.
    /// `name` is what `synchronous_standby_names` calls it by.
    ///
    /// # Panics
    /// Where the server cannot be copied, or the standby does not start.
    #[must_use]
    pub fn start_standby(&self, name: &str) -> Self {
        let directory = new_directory(self.user);
        let place = format!("host=127.0.0.1 port={} user=postgres application_name={name}", self.port);
        let copy = ["-D", "data", "-d", &place, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
        run(&self.program("pg_basebackup"), self.user, &directory, &copy);
        let (binaries, settings) = (self.binaries.clone(), self.settings.clone());
        let (port, log, running) = (free_port(), Lines::default(), Mutex::new(None));
        let standby = Self { directory, binaries, user: self.user, port, settings, log, running };
        standby.start();
        standby
    }

    /// Starts it again on the same port, after [`stop`](Self::stop) or [`kill`](Self::kill); returns once it accepts
    /// connections.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "it runs already");
        for _attempt in 0..20 {
            let start = self.log.len();
            let program = self.binaries.join("postgres");
            let supervisor = Supervisor::start(&program, &self.arguments(), &self.directory, self.user, &self.log);
            let ready = self.log.wait_for(start, |line| match line {
                Lines::END => Some(false),
                line => line.contains("database system is ready to accept").then_some(true),
            });
            if ready {
                *running = Some(supervisor);
                return;
            }
            supervisor.end(End::Kill);
            let log = self.log.all()[start..].join("\n");
            // Somebody else was faster to take the port, and may give it back.
            assert!(log.contains("could not bind"), "PostgreSQL does not start:\n{log}");
        }
        panic!("the port {} is taken", self.port);
    }

    /// A fast shutdown: open sessions are told and ended. Returns once it is down.
    pub fn stop(&self) {
        self.end(End::Stop);
    }

    /// Kills all its processes with SIGKILL, as a crash of the machine would. Returns once they are gone.
    pub fn kill(&self) {
        self.end(End::Kill);
    }

    /// Stops all its processes in their tracks (SIGSTOP): connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// The process id of the postmaster.
    ///
    /// # Panics
    /// Where it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().as_ref().expect("it runs").postmaster
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of the programs that came with it, such as `pg_amcheck`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let path = self.binaries.join(name);
        if path.is_file() {
            return path;
        }
        // Where its folder has links to some of them, the others are where those lead to.
        let server = fs::canonicalize(self.binaries.join("postgres")).unwrap_or_default();
        server.with_file_name(name)
    }

    /// The directory of its Unix socket; its data is in `data` there.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    /// The URL of a database over TCP.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database over the Unix socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let directory = self.directory.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{directory}:{}/{database}", self.port)
    }

    /// What it has written to its log until now.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.all()
    }

    /// What `wanted` makes of the first line of its log from `start` on that it takes, waited for if it is still to come.
    ///
    /// # Panics
    /// After a minute, with the log.
    pub fn wait_for_log<T>(&self, start: usize, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.log.wait_for(start, wanted)
    }

    fn running(&self) -> MutexGuard<'_, Option<Supervisor>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: End) {
        if let Some(supervisor) = self.running().take() {
            supervisor.end(how);
        }
    }

    fn signal(&self, signal: Signal) {
        let postmaster = self.pid();
        // The postmaster first: once stopped it forks no child that would be missed. Each child leads its own process
        // group, so a signal to the postmaster's group would not reach them.
        for pid in std::iter::once(postmaster).chain(children(postmaster)) {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
            // A child may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }

    fn arguments(&self) -> Vec<String> {
        let directory = self.directory.display();
        let mut arguments = vec!["-D".to_owned(), format!("{directory}/data")];
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={directory}"),
            "max_connections=300".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "lc_messages=C".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        for setting in settings.into_iter().chain(self.settings.iter().cloned()) {
            arguments.extend(["-c".to_owned(), setting]);
        }
        arguments
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        match self.running().take() {
            Some(supervisor) => supervisor.end(End::Discard),
            None => drop(fs::remove_dir_all(&self.directory)),
        }
    }
}

const INITDB: [&str; 7] =
    ["-D", "data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];

fn new_directory(user: Option<(u32, u32)>) -> PathBuf {
    let directory = tempfile::Builder::new().prefix("signet-pg-").tempdir().expect("a temporary directory").keep();
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).expect("root may give its directory away");
    }
    directory
}

fn run(program: &Path, user: Option<(u32, u32)>, directory: &Path, arguments: &[&str]) {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{} failed:\n{}", program.display(), String::from_utf8_lossy(&output.stderr));
}

/// Writes the certificate where the server finds it and returns the settings that tell it so.
fn install(identity: &Identity, directory: &Path, user: Option<(u32, u32)>) -> Vec<String> {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).expect("the directory takes files");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("an own file");
        if let Some((uid, gid)) = user {
            chown(&path, Some(uid), Some(gid)).expect("root may give its file away");
        }
        path.display().to_string()
    };
    let access = "local all all trust\nhostssl all all all trust\n";
    vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", write("server.crt", &identity.certificate)),
        format!("ssl_key_file={}", write("server.key", &identity.key)),
        format!("hba_file={}", write("access.conf", access)),
    ]
}

/// A port below those that the kernel gives to anyone who asks for any, so that nobody takes it while a test has its
/// server down.
///
/// # Panics
/// Where all of them are taken.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    let start = std::process::id().wrapping_mul(31);
    (0..COUNT)
        .find_map(|_| {
            let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let port = u16::try_from(FIRST + number).ok()?;
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
        })
        .expect("a free port")
}

fn children(parent: u32) -> Vec<u32> {
    let wanted = parent.to_string();
    let parent_of = |pid: u32| -> Option<bool> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim() == wanted)
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid).unwrap_or(false))
        .collect()
}
