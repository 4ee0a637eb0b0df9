use std::{io, net::TcpListener, sync::Mutex};

/// The way in. A listener that closes resets whoever it has let in and not handed over yet, so nobody must be let in any
/// more for a moment before.
#[derive(Debug)]
pub(super) struct Door(Mutex<Option<TcpListener>>);

impl Door {
    /// That of this listener, which stays open until the door is shut.
    pub(super) fn of(listener: &TcpListener) -> io::Result<Self> {
        Ok(Self(Mutex::new(Some(listener.try_clone()?))))
    }

    /// Lets nobody begin a connection; who has begun one comes in. Says whether it can, and lets go of the listener.
    pub(super) fn shut(&self) -> bool {
        let listener = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        listener.is_some_and(|listener| ignore_newcomers(&listener).is_ok())
    }
}

/// The kernel drops the first segment of a connection and no other: a classic BPF program, which on a socket of TCP sees
/// the TCP header first (RFC 9293, section 3.1: the flags are in byte 13).
#[cfg(target_os = "linux")]
fn ignore_newcomers(listener: &TcpListener) -> io::Result<()> {
    use socket2::SockFilter;
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    socket2::SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn ignore_newcomers(_listener: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
