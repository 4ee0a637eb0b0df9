//! Programs of others that stand between clients, service and database.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The program, also where Debian has it, which is not on everyone's path.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Starts it, or tells how to get it.
pub(crate) fn spawn(mut tool: Command, package: &str) -> Result<Child, String> {
    let name = tool.get_program().display().to_string();
    tool.spawn().map_err(|error| format!("{name}: {error}; install it (on Debian: apt-get install {package})"))
}

/// Returns once it takes connections on that port.
pub(crate) fn becomes_ready(process: &mut Child, port: u16) {
    let deadline = Instant::now() + PATIENCE;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while TcpStream::connect(address).is_err() {
        let ended = process.try_wait().expect("it can be waited for");
        assert!(ended.is_none() && Instant::now() < deadline, "nobody listens on {address}: {ended:?}");
        std::thread::yield_now();
    }
}
