use std::{io, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

/// Every signal that service managers and operators send. None of them ends the process without draining.
pub(crate) struct Signals {
    /// SIGTERM, which service managers send, SIGINT, which is Ctrl-C, and SIGQUIT stop the service.
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    /// SIGHUP has the certificate read again.
    hangup: Signal,
    /// Nothing is bound to these two.
    user_1: Signal,
    user_2: Signal,
    reload: Arc<Notify>,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves. `reload` is notified of SIGHUP.
    pub(crate) fn listen(reload: Arc<Notify>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            reload,
        })
    }

    /// Waits for a signal that stops the service and returns its name. Handles all others meanwhile.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.quit.recv() => return "SIGQUIT",
                _ = self.hangup.recv() => {
                    tracing::info!(signal = "SIGHUP", "reload requested");
                    self.reload.notify_one();
                    continue;
                }
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => "SIGUSR2",
            };
            tracing::info!(signal = ignored, "signal ignored");
        }
    }
}
