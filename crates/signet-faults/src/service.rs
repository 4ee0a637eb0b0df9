use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use signet_testkit::free_port;
use tempfile::TempDir;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Client, Endpoint, Run, Stores};

/// For how long something that must come is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(2);

/// The program, installed in a folder of its own with two ports of its own, which it keeps over all its lives. It is
/// killed with this value.
pub struct Service {
    program: PathBuf,
    directory: TempDir,
    database_url: String,
    api: SocketAddr,
    management: SocketAddr,
    process: Option<Child>,
    /// More arguments for `signet serve`, from the next start on.
    pub arguments: Vec<String>,
    /// More variables for it.
    pub environment: Vec<(String, String)>,
    /// What runs the program in place of the system, such as `strace` with its options; a signal goes to that.
    pub wrapper: Vec<String>,
}

/// A partner with a key.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its id.
    pub id: String,
    /// The id of its key.
    pub key_id: String,
    /// Its key.
    pub key: String,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub resident_kib: u64,
    /// Open files.
    pub files: usize,
    /// Threads.
    pub threads: u64,
}

impl Service {
    /// Installs it on that database, a URL of Postgres or `sqlite://` with a file in the service's own folder.
    ///
    /// It speaks TLS with a certificate of its own, and logs all but requests to `signet.log` in its folder.
    ///
    /// # Panics
    /// Where the system gives no folder.
    #[must_use]
    pub fn new(run: &Run, database_url: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("signet-faults-").tempdir().expect("a folder");
        Self {
            program: run.signet.clone(),
            directory,
            database_url: database_url.to_owned(),
            api: SocketAddr::from(([127, 0, 0, 1], free_port())),
            management: SocketAddr::from(([127, 0, 0, 1], free_port())),
            process: None,
            arguments: ["--log", "info,signet_http::observe=warn"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// Installs it on a `SQLite` file.
    #[must_use]
    pub fn on_sqlite(run: &Run) -> Self {
        Self::new(run, "sqlite://signet.db")
    }

    /// Its folder.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The address of the API.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The address of the management listener.
    #[must_use]
    pub fn management(&self) -> SocketAddr {
        self.management
    }

    /// A new partner with a key, made with the command line of the program.
    ///
    /// # Panics
    /// Where a command fails.
    #[must_use]
    pub fn partner(&self, name: &str) -> Partner {
        self.partner_with(name, &[])
    }

    /// The same with more options for the commands.
    ///
    /// # Panics
    /// Where a command fails.
    #[must_use]
    pub fn partner_with(&self, name: &str, options: &[&str]) -> Partner {
        let text = |value: &Value, name: &str| value[name].as_str().expect(name).to_owned();
        let id = text(&self.command(&[&["partner", "create", "--name", name], options].concat()), "partnerId");
        let key = ["key", "create", "--name", "Backend", "--partner", &id];
        let key = self.command(&[&key[..], options].concat());
        Partner { key_id: text(&key, "keyId"), key: text(&key, "apiKey"), id }
    }

    /// What a command with these arguments prints with `--json`.
    ///
    /// # Panics
    /// Where it fails.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Value {
        let mut command = self.signet(&self.program);
        command.args(arguments).args(["--json", "--database-url", &self.database_url]);
        let output = command.output().expect("the program starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts it and returns once it is ready; tells how long that took.
    ///
    /// # Panics
    /// Where it ends, or is not ready within a minute.
    pub async fn start(&mut self) -> Duration {
        let begun = Instant::now();
        self.spawn();
        self.becomes("/readyz", 200).await;
        begun.elapsed()
    }

    /// Starts it and returns at once.
    ///
    /// # Panics
    /// Where it runs already.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let (program, before) = match self.wrapper.split_first() {
            Some((wrapper, options)) => {
                (PathBuf::from(wrapper), [options, &[self.program.display().to_string()]].concat())
            }
            None => (self.program.clone(), Vec::new()),
        };
        let mut command = self.signet(&program);
        command.args(before).args(["serve", "--log-format", "json", "--database-url", &self.database_url]);
        command.args(["--listen", &self.api.to_string(), "--management-listen", &self.management.to_string()]);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("its own folder");
        command.stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("the program starts"));
    }

    /// Returns once the management listener answers that path with that status; tells how long that took.
    ///
    /// # Panics
    /// Where it does not within a minute, or the program ends.
    pub async fn becomes(&mut self, path: &str, expected: u16) -> Duration {
        let begun = Instant::now();
        loop {
            let status = self.ask(path).await;
            if status == Some(expected) {
                return begun.elapsed();
            }
            assert!(self.is_running(), "the program has ended:\n{}", self.log_tail());
            assert!(begun.elapsed() < PATIENCE, "{path} is still {status:?}:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The status of an answer of the management listener, if there is one within five seconds.
    pub async fn ask(&self, path: &str) -> Option<u16> {
        let mut client = Client::new(Endpoint { address: self.management, tls: None, key: String::new() });
        client.patience = Duration::from_secs(5);
        client.get(path).await.ok().map(|reply| reply.status)
    }

    /// The API, for a client with this key. The service must have been started once, for its certificate.
    ///
    /// # Panics
    /// Where there is no certificate yet.
    #[must_use]
    pub fn endpoint(&self, key: &str) -> Endpoint {
        let is_plain = self.arguments.windows(2).any(|pair| pair == ["--tls", "off"]);
        let tls = (!is_plain).then(|| trusting(&self.directory().join("signet-tls/localhost.crt")));
        Endpoint { address: self.api, tls, key: key.to_owned() }
    }

    /// A client with this key.
    #[must_use]
    pub fn client(&self, key: &str) -> Client {
        Client::new(self.endpoint(key))
    }

    /// Kills it (SIGKILL) and returns once it is gone.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&mut self) {
        self.running().kill().expect("it runs");
        self.wait();
    }

    /// Stops it as a service manager does, and returns once it has ended.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it was not started.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.take().expect("it runs").wait().expect("it can be waited for")
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// Where the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().expect("it can be waited for").is_none())
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn signal(&mut self, signal: Signal) {
        kill_process(pid(self.running()), signal).expect("it runs");
    }

    /// The id of the process.
    ///
    /// # Panics
    /// Where it does not run.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// What the process holds at this moment.
    ///
    /// # Panics
    /// Where it does not run.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let process = self.process.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect(key);
            line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count();
        Usage { resident_kib: number("VmRSS:"), files, threads: number("Threads:") }
    }

    /// Returns once it has closed every connection to its API: what it holds then is its own.
    ///
    /// # Panics
    /// Where it does not within a minute.
    pub async fn is_left(&self) {
        let begun = Instant::now();
        while let count @ 1.. = open_connections(self.api.port()) {
            assert!(begun.elapsed() < PATIENCE, "{count} connections stay open");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its database, seen from outside.
    #[must_use]
    pub fn stores(&self) -> Stores {
        Stores::open(&self.database_url, self.directory())
    }

    /// All that it has logged in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.directory().join("signet.log")
    }

    fn running(&mut self) -> &mut Child {
        self.process.as_mut().expect("it runs")
    }

    /// Without any variable of the machine that could change what it does.
    fn signet(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SIGNET_") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// How many connections to that port of 127.0.0.1 a process still holds on its side, by `/proc/net/tcp` (proc(5)).
fn open_connections(port: u16) -> usize {
    const LISTEN: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let local = format!(":{port:04X}");
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // One that has no inode belongs to the kernel alone.
        matches!(fields[..], [_, address, _, state, _, _, _, _, _, inode, ..]
            if address.ends_with(&local) && state != LISTEN && inode != "0")
    };
    table.lines().filter(is_held).count()
}

fn pid(child: &Child) -> Pid {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Trusts that certificate and no other.
fn trusting(certificate: &Path) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
