use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, mpsc, watch},
    time::Instant,
};

/// How many bytes are read at once, and how many such pieces may be on their way.
const PIECE: usize = 16 * 1024;
const ON_THE_WAY: usize = 64;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the proxy.
    ToServer,
    /// From the server behind it.
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides see its end.
    Close,
    /// Both sides see it reset, as when the other machine was switched off and on again.
    Reset,
    /// Only the receiver of the direction sees an end; the other direction stays open.
    Half,
}

/// What stands between a client and a server, and passes everything on until it is told otherwise. It ends with this
/// value; clients of it then see the end of their connections.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _ends: broadcast::Sender<Cut>,
}

struct Shared {
    target: SocketAddr,
    mood: watch::Sender<Mood>,
    plan: Mutex<Plan>,
    cuts: AtomicUsize,
    everything: broadcast::Sender<Cut>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mood {
    /// Nothing goes through, and nobody is told.
    black_hole: bool,
    /// New connections are closed at once.
    refusing: bool,
    /// How long whatever goes through waits first.
    delay: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    /// Tells one from the next.
    number: usize,
    armed: Option<Armed>,
    longest: usize,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    direction: Direction,
    after: usize,
    how: Cut,
    every: bool,
}

impl Proxy {
    /// Starts one in front of that server, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where there is no port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ends = broadcast::Sender::new(4);
        let shared = Arc::new(Shared {
            target,
            mood: watch::Sender::default(),
            plan: Mutex::default(),
            cuts: AtomicUsize::new(0),
            everything: broadcast::Sender::new(4),
        });
        let mut ended = ends.subscribe();
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        if !accepting.mood.borrow().refusing {
                            tokio::spawn(connect(client, Arc::clone(&accepting)));
                        }
                    }
                    _ = ended.recv() => break,
                }
            }
            drop(accepting.everything.send(Cut::Close));
        });
        Self { port, shared, _ends: ends }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Cuts the first connection on which, from now on, that many bytes have gone that way; the next byte is lost. With
    /// 0 bytes to the client, that is right before an answer.
    pub fn cut_after(&self, direction: Direction, bytes: usize, how: Cut) {
        self.arm(Some(Armed { direction, after: bytes, how, every: false }));
    }

    /// The same for every connection, those that are still to come included, until [`heal`](Self::heal).
    pub fn cut_every_after(&self, direction: Direction, bytes: usize, how: Cut) {
        self.arm(Some(Armed { direction, after: bytes, how, every: true }));
    }

    /// Cuts all connections that there are.
    pub fn cut_all(&self, how: Cut) {
        // An error means that there is none.
        drop(self.shared.everything.send(how));
    }

    /// Lets nothing through from now on, either way, and keeps the connections open.
    pub fn black_hole(&self) {
        self.shared.mood.send_modify(|mood| mood.black_hole = true);
    }

    /// Closes new connections at once from now on.
    pub fn refuse(&self) {
        self.shared.mood.send_modify(|mood| mood.refusing = true);
    }

    /// Has whatever comes from now on wait first.
    pub fn delay(&self, delay: Duration) {
        self.shared.mood.send_modify(|mood| mood.delay = delay);
    }

    /// Counts anew, without cutting anything: see [`longest`](Self::longest).
    pub fn count(&self, direction: Direction) {
        self.arm(Some(Armed { direction, after: usize::MAX, how: Cut::Close, every: true }));
    }

    /// How many bytes have gone on one connection while they were counted, at most.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.shared.plan().longest
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.arm(None);
        self.shared.mood.send_replace(Mood::default());
    }

    /// How many connections were cut after a number of bytes.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    fn arm(&self, armed: Option<Armed>) {
        let mut plan = self.shared.plan();
        let longest = if armed.is_some() { 0 } else { plan.longest };
        *plan = Plan { number: plan.number + 1, armed, longest };
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the next bytes may pass, and how the connection ends after them, if it does.
    fn judge(&self, direction: Direction, counted: &mut Counted, next: usize) -> (usize, Option<Cut>) {
        let mut plan = self.plan();
        if counted.plan != plan.number {
            *counted = Counted { plan: plan.number, bytes: 0 };
        }
        let Some(armed) = plan.armed.filter(|armed| armed.direction == direction) else { return (next, None) };
        if next <= armed.after - counted.bytes {
            counted.bytes += next;
            plan.longest = plan.longest.max(counted.bytes);
            return (next, None);
        }
        if !armed.every {
            plan.armed = None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        (armed.after - counted.bytes, Some(armed.how))
    }
}

/// How many bytes have gone one way on one connection since a plan was made.
#[derive(Default)]
struct Counted {
    plan: usize,
    bytes: usize,
}

async fn connect(client: TcpStream, shared: Arc<Shared>) {
    let mut mood = shared.mood.subscribe();
    // Of its own accord, a black hole answers nothing.
    if mood.wait_for(|mood| !mood.black_hole).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    for side in [&client, &server] {
        drop(side.set_nodelay(true));
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let ends = broadcast::Sender::new(4);
    let pump = |from, to, direction| Pump { from, to, direction, shared: Arc::clone(&shared), ends: ends.clone() };
    let one = pump(from_client, to_server, Direction::ToServer);
    let other = pump(from_server, to_client, Direction::ToClient);
    tokio::join!(one.run(), other.run());
}

struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    direction: Direction,
    shared: Arc<Shared>,
    /// Tells the other direction.
    ends: broadcast::Sender<Cut>,
}

impl Pump {
    async fn run(mut self) {
        let (mut everything, mut ended) = (self.shared.everything.subscribe(), self.ends.subscribe());
        let how = tokio::select! {
            how = self.pass() => how.unwrap_or(Cut::Close),
            how = everything.recv() => how.unwrap_or(Cut::Close),
            how = ended.recv() => how.unwrap_or(Cut::Close),
        };
        match how {
            Cut::Half => {
                drop(self.to.shutdown().await);
                // Its socket stays open for the other direction.
                drop(ended.recv().await);
            }
            Cut::Reset => {
                for side in [self.from.as_ref(), self.to.as_ref()] {
                    drop(side.set_zero_linger());
                }
                drop(self.ends.send(how));
            }
            Cut::Close => drop(self.ends.send(how)),
        }
    }

    /// Passes on until it must not. What comes soon after something else waits beside it, and not behind it: a
    /// distance makes nothing narrower.
    async fn pass(&mut self) -> io::Result<Cut> {
        let Self { from, to, direction, shared, .. } = self;
        let (distance, mut mood) = (shared.mood.subscribe(), shared.mood.subscribe());
        let (arrived, mut on_the_way) = mpsc::channel(ON_THE_WAY);
        let take = async {
            // The line ends with whoever feeds it.
            let arrived = arrived;
            let mut buffer = vec![0; PIECE];
            loop {
                let count = from.read(&mut buffer).await?;
                let due = Instant::now() + distance.borrow().delay;
                if count == 0 || arrived.send((due, buffer[..count].to_vec())).await.is_err() {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        let give = async {
            let mut counted = Counted::default();
            while let Some((due, bytes)) = on_the_way.recv().await {
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                }
                if mood.wait_for(|mood| !mood.black_hole).await.is_err() {
                    break;
                }
                let (allowed, cut) = shared.judge(*direction, &mut counted, bytes.len());
                to.write_all(&bytes[..allowed]).await?;
                if let Some(how) = cut {
                    return Ok(how);
                }
            }
            Ok(Cut::Close)
        };
        tokio::pin!(give);
        tokio::select! {
            how = &mut give => how,
            taken = take => {
                taken?;
                give.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything again, and a proxy in front of it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        Proxy::start(address).await
    }

    async fn client(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address()).await.expect("a connection")
    }

    /// What comes back until the end.
    async fn heard(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes.extend(&buffer[..count]);
        }
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test]
    async fn a_connection_is_cut_after_so_many_bytes_and_the_next_one_is_not() {
        let proxy = echo().await;
        for (direction, how) in [
            (Direction::ToServer, Cut::Close),
            (Direction::ToClient, Cut::Close),
            (Direction::ToClient, Cut::Reset),
            (Direction::ToClient, Cut::Half),
        ] {
            let before = proxy.cuts();
            let mut first = client(&proxy).await;
            proxy.cut_after(direction, 3, how);
            first.write_all(b"hello").await.expect("sent");
            let text = heard(&mut first).await;
            // What was on its way when the connection was cut at the other end may be lost.
            assert!("hel".starts_with(&text), "{text}");
            if direction == Direction::ToClient && how != Cut::Reset {
                assert_eq!(text, "hel");
            }
            assert_eq!(proxy.cuts(), before + 1);
            let mut second = client(&proxy).await;
            second.write_all(b"hello").await.expect("sent");
            let mut answer = [0; 5];
            second.read_exact(&mut answer).await.expect("all of it");
        }
    }

    /// Four reads each way: one behind the other, they would take eight times the distance.
    #[tokio::test]
    async fn a_distance_makes_nothing_narrower() {
        let proxy = echo().await;
        let mut stream = client(&proxy).await;
        let distance = Duration::from_secs(1);
        proxy.delay(distance);
        let begun = Instant::now();
        stream.write_all(&vec![7; 4 * PIECE]).await.expect("sent");
        stream.read_exact(&mut vec![0; 4 * PIECE]).await.expect("all of it");
        let took = begun.elapsed();
        assert!((2 * distance..4 * distance).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn every_connection_is_cut_until_it_is_healed() {
        let proxy = echo().await;
        proxy.cut_every_after(Direction::ToClient, 0, Cut::Close);
        for _ in 0..2 {
            let mut stream = client(&proxy).await;
            stream.write_all(b"hello").await.expect("sent");
            assert_eq!(heard(&mut stream).await, "");
        }
        proxy.heal();
        let mut stream = client(&proxy).await;
        stream.write_all(b"hello").await.expect("sent");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("all of it");
        proxy.cut_all(Cut::Close);
        assert_eq!(heard(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_black_hole_gives_back_what_it_took_when_it_is_healed() {
        let proxy = echo().await;
        let mut stream = client(&proxy).await;
        proxy.black_hole();
        stream.write_all(b"hello").await.expect("sent");
        let mut answer = [0; 5];
        let silence = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
        assert!(silence.is_err());
        proxy.heal();
        stream.read_exact(&mut answer).await.expect("all of it");
    }
}
