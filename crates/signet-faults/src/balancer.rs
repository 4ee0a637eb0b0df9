use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{Client, Endpoint};

/// How often each instance is asked whether it is ready: several times within the shutdown delay.
const PERIOD: Duration = Duration::from_millis(100);

/// One of the instances behind a [`Balancer`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) api: SocketAddr,
    pub(crate) management: SocketAddr,
}

/// What stands before several instances, takes TCP connections, and gives each to the next instance whose `/readyz`
/// answers 200. It looks at no byte, and ends with this value.
pub(crate) struct Balancer {
    address: SocketAddr,
    ready: watch::Receiver<Vec<bool>>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// All of them must be ready.
    pub(crate) async fn start(backends: &[Backend]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, ready) = watch::channel(vec![true; backends.len()]);
        let sender = Arc::new(sender);
        let mut tasks = JoinSet::new();
        for (number, backend) in backends.iter().enumerate() {
            tasks.spawn(probe(number, backend.management, Arc::clone(&sender)));
        }
        let (backends, seen) = (backends.to_vec(), ready.clone());
        tasks.spawn(async move {
            let turn = AtomicUsize::new(0);
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let first = turn.fetch_add(1, Ordering::Relaxed);
                let order = (0..backends.len()).map(|place| (first + place) % backends.len());
                let Some(chosen) = order.into_iter().find(|number| seen.borrow()[*number]) else { continue };
                connections.spawn(pass(client, backends[chosen].api));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, ready, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns once each instance was found ready.
    pub(crate) async fn all_ready(&self) {
        let mut ready = self.ready.clone();
        ready.wait_for(|ready| ready.iter().all(|one| *one)).await.expect("the balancer runs");
    }
}

async fn probe(number: usize, management: SocketAddr, ready: Arc<watch::Sender<Vec<bool>>>) {
    let mut client = Client::new(Endpoint { address: management, tls: None, key: String::new() });
    client.patience = Duration::from_secs(1);
    loop {
        let is_ready = client.get("/readyz").await.is_ok_and(|reply| reply.status == 200);
        ready.send_modify(|ready| ready[number] = is_ready);
        tokio::time::sleep(PERIOD).await;
    }
}

async fn pass(mut client: TcpStream, api: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(api).await else { return };
    for side in [&client, &server] {
        drop(side.set_nodelay(true));
    }
    drop(copy_bidirectional(&mut client, &mut server).await);
}
