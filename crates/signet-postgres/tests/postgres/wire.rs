use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What stands between a store and its server: it passes everything on, or drops the connection in place of the next
/// answer.
pub struct Wire {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    /// How many connections there were when it was armed; 0 while it is not.
    armed: AtomicUsize,
    cuts: AtomicUsize,
}

impl Wire {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::<Shared>::default();
        let cutting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let number = cutting.connections.fetch_add(1, Ordering::SeqCst) + 1;
                pass(client.try_clone().expect("a socket"), server.try_clone().expect("a socket"), || false);
                let cutting = Arc::clone(&cutting);
                pass(server, client, move || cutting.cuts(number));
            }
        });
        Self { port, shared }
    }

    /// Loses the next answer on one of the connections that there are now, and that connection with it. They must be
    /// idle, but for the one that is meant: what is left of the beginning of another would be lost instead.
    pub fn cut_next_answer(&self) {
        self.shared.armed.store(self.shared.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn cuts(&self, connection: usize) -> bool {
        let armed = self.armed.load(Ordering::SeqCst);
        let is_meant =
            connection <= armed && self.armed.compare_exchange(armed, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if is_meant {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        is_meant
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: impl Fn() -> bool + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if cut() || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
