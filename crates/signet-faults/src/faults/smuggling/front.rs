//! The proxies, set up as an operator would: each keeps its connections to the service, and adds the client's address
//! to `X-Forwarded-For`.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Child,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signet_testkit::free_port;
use tempfile::TempDir;

use crate::tool;

const CONFIGURATION: &str = "front.conf";
/// What it logs: an object a request, with the id that it has and, if it was passed on, the server that it went to.
const REQUESTS: &str = "requests.log";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads a body whole, and passes it on with its length.
    Nginx,
    /// It passes a body on as it comes, in chunks if it came in chunks.
    NginxUnbuffered,
    Haproxy,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxUnbuffered => "nginx without a buffer",
            Self::Haproxy => "haproxy",
        }
    }

    /// The program with its arguments, the package that it comes with, and the signal that ends it in good order.
    fn program(self) -> (&'static [&'static str], &'static str, Signal) {
        match self {
            Self::Nginx | Self::NginxUnbuffered => {
                (&["nginx", "-p", ".", "-e", "stderr", "-c", CONFIGURATION], "nginx-light", Signal::QUIT)
            }
            Self::Haproxy => (&["haproxy", "-db", "-f", CONFIGURATION], "haproxy", Signal::USR1),
        }
    }

    /// With short time-outs, so that what is cut short is soon given up, and without a second try of any request.
    fn configuration(self, port: u16, service: SocketAddr) -> String {
        let buffering = if self == Self::NginxUnbuffered { "off" } else { "on" };
        match self {
            Self::Nginx | Self::NginxUnbuffered => format!(
                r#"daemon off;
master_process off;
pid nginx.pid;
events {{}}
http {{
    log_format counted escape=json '{{"id":"$http_x_request_id","to":"$upstream_addr"}}';
    access_log {REQUESTS} counted;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_header_timeout 1s;
    client_body_timeout 1s;
    keepalive_timeout 1s;
    upstream signet {{
        server {service};
        keepalive 1;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://signet;
            proxy_http_version 1.1;
            proxy_request_buffering {buffering};
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_next_upstream off;
        }}
    }}
}}
"#
            ),
            Self::Haproxy => format!(
                r#"global
    log stdout format raw local0
    maxconn 200
    nbthread 1
    hard-stop-after 5s
defaults
    mode http
    log global
    log-format '{{"id":"%[capture.req.hdr(0),json(utf8s)]","to":"%s"}}'
    option dontlognull
    option forwardfor
    http-reuse always
    retries 0
    timeout connect 1s
    timeout client 1s
    timeout http-request 1s
    timeout http-keep-alive 1s
    timeout server 15s
frontend front
    bind 127.0.0.1:{port}
    capture request header X-Request-Id len 64
    default_backend signet
backend signet
    server signet {service}
"#
            ),
        }
    }
}

/// A proxy with a folder and a port of its own, killed with this value.
pub(super) struct Front {
    kind: Kind,
    port: u16,
    directory: TempDir,
    process: Child,
}

impl Front {
    pub(super) fn start(kind: Kind, service: SocketAddr) -> Result<Self, String> {
        let port = free_port();
        let directory = tempfile::Builder::new().prefix("signet-front-").tempdir().expect("a folder");
        let path = |name: &str| directory.path().join(name);
        fs::write(path(CONFIGURATION), kind.configuration(port, service)).expect("its own folder");
        let (program, package, _) = kind.program();
        let mut command = tool::tool(program[0]);
        command.args(&program[1..]).current_dir(directory.path());
        command.stdout(File::create(path(REQUESTS)).expect("its own folder"));
        let mut process = tool::spawn(command, package)?;
        tool::becomes_ready(&mut process, port);
        Ok(Self { kind, port, directory, process })
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Ends it once it has logged all, and returns the ids of the requests that it passed on.
    pub(super) fn stop(mut self) -> Vec<String> {
        let (_, _, signal) = self.kind.program();
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
        self.process.wait().expect("it can be waited for");
        let log = fs::read(self.directory.path().join(REQUESTS)).expect("its own folder");
        let log = String::from_utf8_lossy(&log);
        // haproxy tells of its own beginning and end there, too.
        let requests = log.lines().filter(|line| line.starts_with('{'));
        let requests = requests.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let passed_on = requests.filter(|request| !matches!(request["to"].as_str(), Some("" | "-" | "<NOSRV>")));
        passed_on.map(|request| request["id"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
