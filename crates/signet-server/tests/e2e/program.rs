//! Starts and stops the program.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signet_testkit::Lines;

use crate::client::Client;

/// What a command that has ended told.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The number of migrations; both databases have the same.
pub fn migration_count() -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    std::fs::read_dir(folder).expect("the migrations").count()
}

/// The program with these arguments, in that directory, and without any variable of the machine that could change what
/// it does.
pub fn signet(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIGNET_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Told {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What a command that must succeed with `--json` printed.
pub fn json(directory: &Path, arguments: &[&str]) -> Value {
    let told = run(signet(directory, &[arguments, &["--json"]].concat()));
    assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
    assert_eq!(told.out.lines().count(), 1, "one object: {told:?}");
    serde_json::from_str(&told.out).expect("JSON")
}

/// A server that runs, killed with this value.
pub struct Server {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    pub directory: PathBuf,
    /// What it prints.
    pub out: Lines,
    /// What it logs, as JSON unless asked otherwise.
    pub log: Lines,
    pub api: SocketAddr,
    pub management: SocketAddr,
    https: bool,
}

impl Server {
    /// With free ports; returns once it serves.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::from(directory, signet(directory, &[&["serve"], arguments].concat()))
    }

    /// The same of a command that was prepared otherwise.
    pub fn from(directory: &Path, mut command: Command) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0"]);
        // An argument counts more.
        command.env("SIGNET_LOG_FORMAT", "json");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (out, log) = (Lines::default(), Lines::default());
        let readers =
            vec![out.follow(child.stdout.take().expect("piped")), log.follow(child.stderr.take().expect("piped"))];
        let listening = |listener: &str| {
            let line = log.wait_for(0, |line| match line {
                Lines::END => Some(None),
                line => (field(line, "listener")? == listener).then(|| Some(line.to_owned())),
            });
            line.unwrap_or_else(|| panic!("it ended:\n{}", log.all().join("\n")))
        };
        let management = address(&listening("management"));
        let api = listening("api");
        let https = field(&api, "url").is_some_and(|url| url.starts_with("https:"));
        Self { child, readers, directory: directory.to_owned(), out, log, api: address(&api), management, https }
    }

    /// Its URL, with the name that the self-signed certificate is for.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", if self.https { "https" } else { "http" }, self.api.port())
    }

    /// Where the certificate lies that it makes by itself.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("signet-tls/localhost.crt")
    }

    /// A client that trusts that certificate and holds this key.
    pub fn client(&self, key: &str) -> Client {
        Client::new(&self.url(), self.https.then(|| self.certificate()).as_deref(), key)
    }

    /// Asks the management listener.
    pub fn ask(&self, path: &str) -> (u16, String) {
        Client::new(&format!("http://{}", self.management), None, "").text(path)
    }

    /// The first event from `start` on with that message, waited for if it is still to come.
    pub fn event(&self, start: usize, message: &str) -> Value {
        self.log.wait_for(start, |line| event(line).filter(|event| event["message"] == message))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits until it has ended and everything that it wrote is there.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("it can be waited for");
        for reader in self.readers.drain(..) {
            reader.join().expect("no panic");
        }
        status
    }

    /// Stops it as a service manager does.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn event(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

/// The text of a field of a log line, in either format.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (json, text) = (format!("\"{name}\":\""), format!(" {name}=\""));
    let (_, rest) = line.split_once(&json).or_else(|| line.split_once(&text))?;
    rest.split('"').next()
}

fn address(listening: &str) -> SocketAddr {
    field(listening, "address").and_then(|text| text.parse().ok()).expect("an address")
}
