use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use signet_domain::ports::Clock;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use super::{CertificateFiles, Expiry, Loaded, TlsError, files::Traces, load};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a certificate that soon expires is warned about.
const REMINDER: Duration = Duration::from_hours(24);

/// Knows which state of the files was loaded last.
pub(crate) struct Watch {
    files: CertificateFiles,
    known: Option<Traces>,
}

impl Watch {
    /// Loads the files for the first time.
    pub(crate) fn start(files: CertificateFiles, expiry: &Expiry) -> Result<(Self, ServerConfig), TlsError> {
        // Before the loading: a change that happens meanwhile is then found by the next look.
        let known = files.traces().ok();
        let Loaded { config, expires_at } = load(&files)?;
        if let Some(at) = expires_at {
            expiry.set(at);
        }
        Ok((Self { files, known }, config))
    }

    /// Loads the files if they have changed since the last time and are all there; where that was `requested`, in any
    /// case.
    fn look(&mut self, requested: bool) -> Option<Result<Loaded, TlsError>> {
        let traces = self.files.traces().ok();
        if !requested && (traces.is_none() || traces == self.known) {
            return None;
        }
        self.known = traces;
        Some(load(&self.files))
    }
}

/// Puts new certificates into `config` for as long as it runs.
///
/// Looks at the files every second, and at once when `reload` is notified. Warns of a certificate that has expired or
/// soon will: now, every day and after each reload.
///
/// A pair that cannot be served, such as a new certificate whose key is still to come, leaves the old one in place.
pub(crate) async fn keep_fresh(
    mut watch: Watch,
    config: Arc<ArcSwap<ServerConfig>>,
    expiry: Expiry,
    reload: Arc<Notify>,
    clock: Arc<dyn Clock>,
) {
    let [mut ticks, mut reminders] = [PERIOD, REMINDER].map(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let requested = tokio::select! {
            _ = reminders.tick() => {
                expiry.warn(clock.now());
                continue;
            }
            _ = ticks.tick() => false,
            () = reload.notified() => true,
        };
        // The files may be on a network that takes its time.
        let looked = tokio::task::spawn_blocking(move || {
            let found = watch.look(requested);
            (watch, found)
        });
        let Ok((watched, found)) = looked.await else { return };
        watch = watched;
        match found {
            None => {}
            Some(Ok(Loaded { config: fresh, expires_at })) => {
                if watch.files.key_is_public() {
                    // Not refused as at a start: an old certificate that runs out helps nobody.
                    tracing::warn!("every user of this machine can read the new private key");
                }
                config.store(Arc::new(fresh));
                tracing::info!("certificate reloaded");
                if let Some(at) = expires_at {
                    expiry.set(at);
                }
                expiry.warn(clock.now());
            }
            Some(Err(error)) => {
                tracing::warn!(reason = %error, "the new certificate cannot be used; the old one stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use signet_testkit::CertificateAuthority;

    use super::*;

    #[test]
    fn a_new_pair_is_loaded_once_it_is_complete() {
        let directory = tempfile::tempdir().expect("a directory");
        let files =
            CertificateFiles { certificate: directory.path().join("tls.crt"), key: directory.path().join("tls.key") };
        let write = |path, text: &str| {
            let draft = directory.path().join("draft");
            fs::write(&draft, text).and_then(|()| fs::rename(&draft, path)).expect("written");
        };
        let authority = CertificateAuthority::new();
        let [old, new] = [(); 2].map(|()| authority.identity(&["localhost"]));
        write(&files.certificate, &old.certificate);
        write(&files.key, &old.key);
        let (mut watch, _) = Watch::start(files.clone(), &Expiry::default()).expect("a pair");
        assert!(watch.look(false).is_none(), "nothing has changed");

        write(&files.certificate, &new.certificate);
        assert!(watch.look(false).expect("changed").is_err(), "the key does not fit yet");
        assert!(watch.look(false).is_none(), "an error is reported once");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("an own file");
        assert!(watch.look(false).expect("perhaps it can be read now").is_err());
        write(&files.key, &new.key);
        assert!(watch.look(false).expect("changed").is_ok());
        assert!(watch.look(true).expect("requested").is_ok());

        fs::remove_file(&files.key).expect("removed");
        assert!(watch.look(false).is_none(), "a file that is about to be replaced");
        assert!(watch.look(true).expect("requested").is_err());
    }
}
