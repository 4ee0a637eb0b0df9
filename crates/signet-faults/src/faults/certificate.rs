//! The TLS of the API: its certificate replaced under load, and what a scanner says of it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use signet_testkit::{CertificateAuthority, TestDatabase};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use crate::{
    Client, Endpoint, Findings, Outcome, Run, Service,
    certificates::{self, serve_with},
    load::outcome,
    run::mix,
};

const CLIENTS: usize = 16;
/// The files are looked at every second.
const SHOWN_WITHIN: Duration = Duration::from_secs(3);

const SSLYZE: &str = "6.3.1";

pub(super) async fn replaced(run: &Run) -> Findings {
    let times = run.choose(2, 6, 50);
    let database = TestDatabase::create();
    let authority = CertificateAuthority::new();
    let mut service = Service::new(run, database.url());
    serve_with(&mut service, &authority.identity(&["localhost"]));
    service.start().await;
    let tls = certificates::trusting(&authority.certificate());
    let key = service.partner("Acme").key;
    let endpoint = Endpoint { address: service.api(), tls: Some(Arc::clone(&tls)), key };
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for number in 0..CLIENTS {
        let random = StdRng::seed_from_u64(mix(run.seed, number));
        callers.spawn(call(Client::new(endpoint.clone()), random, Arc::clone(&over)));
    }

    let mut slowest = Duration::ZERO;
    let mut not_shown = 0;
    for _ in 0..times {
        sleep(Duration::from_millis(300)).await;
        let identity = authority.identity(&["localhost"]);
        certificates::replace(service.directory(), &identity);
        let wanted = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM");
        let begun = Instant::now();
        while shown(&endpoint, &tls).await.as_ref() != Some(&wanted) {
            if begun.elapsed() > SHOWN_WITHIN {
                not_shown += 1;
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        slowest = slowest.max(begun.elapsed());
    }
    over.store(true, Ordering::SeqCst);
    let (mut done, mut failed) = (0, Vec::new());
    for (number, wrong) in callers.join_all().await {
        done += number;
        failed.extend(wrong);
    }

    let mut findings = Findings::default();
    findings.did(format!("{times} × another certificate and key"));
    findings.measured(format!(
        "{done} requests by {CLIENTS} clients, half of them on new connections; shown after {:.1} s at most",
        slowest.as_secs_f64()
    ));
    findings.lost(format!("{} failed requests", failed.len()));
    findings.promise(done > 0, "requests are answered");
    findings.promise(not_shown == 0, format!("shown within {SHOWN_WITHIN:?}, but for {not_shown}"));
    for what in failed.into_iter().take(5) {
        findings.promise(false, what);
    }
    findings
}

/// How many requests were successful, and what came of the others.
async fn call(mut client: Client, mut random: StdRng, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut done, mut failed) = (0, Vec::new());
    while !over.load(Ordering::SeqCst) {
        if random.random() {
            client.disconnect();
        }
        match outcome(&client.get("/partner/v1/all-users?limit=1").await) {
            Outcome::Done => done += 1,
            other => failed.push(format!("{other:?}")),
        }
        sleep(Duration::from_millis(random.random_range(0..10))).await;
    }
    (done, failed)
}

/// The certificate that a new connection is shown.
async fn shown(endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> Option<CertificateDer<'static>> {
    let stream = TcpStream::connect(endpoint.address).await.ok()?;
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.ok()?;
    let (_, session) = stream.get_ref();
    session.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
}

/// By sslyze, which is installed under `.tools` of the current directory; where it cannot be, the row does not hold.
pub(super) async fn scanned(run: &Run) -> Findings {
    let mut findings = Findings::default();
    let sslyze = match scanner() {
        Ok(sslyze) => sslyze,
        Err(reason) => {
            findings.promise(false, format!("left out: sslyze cannot be had: {reason}"));
            return findings;
        }
    };
    let database = TestDatabase::create();
    let mut service = Service::new(run, database.url());
    serve_with(&mut service, &certificates::of_a_quarter());
    service.start().await;
    let address = format!("localhost:{}", service.api().port());
    let output = Command::new(sslyze).args(["--mozilla_config=intermediate", &address]).output();
    let output = output.expect("the scanner starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = text.split_once("COMPLIANCE AGAINST").map_or("", |(_, verdict)| verdict);
    let complaints: Vec<&str> = verdict.lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
    let (trust, other): (Vec<&str>, Vec<&str>) =
        complaints.into_iter().partition(|complaint| complaint.starts_with("certificate_path_validation"));
    findings.did(format!("sslyze {SSLYZE}, Mozilla's intermediate configuration"));
    findings.measured(format!("{} complaints about trust, {} others", trust.len(), other.len()));
    findings.lost("nothing");
    findings.promise(verdict.contains(&address), format!("it comes to a verdict: {text}"));
    for complaint in other {
        findings.promise(false, complaint);
    }
    findings
}

fn scanner() -> Result<PathBuf, String> {
    let directory = PathBuf::from(format!(".tools/sslyze-{SSLYZE}"));
    let program = directory.join("bin/sslyze");
    if program.exists() {
        return Ok(program);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it fails").to_owned()),
        Err(error) => Err(error.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    let package = format!("sslyze=={SSLYZE}");
    run(Command::new(directory.join("bin/pip")).args(["install", "--quiet", &package]))?;
    Ok(program)
}
