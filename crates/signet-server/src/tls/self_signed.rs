use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use chrono::Datelike;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use signet_domain::Timestamp;

use super::{CertificateFiles, TlsError};

/// The names of this machine that the certificate is for.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// For how many years it is valid. It guards nothing but this machine's own loopback interface.
const YEARS: i32 = 10;

/// The certificate for `localhost` in `directory`; made there at `now` unless it exists. Its key is readable by the
/// owner alone.
pub(crate) fn ensure(directory: &Path, now: Timestamp) -> Result<CertificateFiles, TlsError> {
    // The last part of the path only: what lies above it is somebody's decision, or a typing error.
    match fs::create_dir(directory) {
        Err(error) if !directory.is_dir() => return Err(TlsError::file(directory, error)),
        _ => {}
    }
    let files = CertificateFiles { certificate: directory.join("localhost.crt"), key: directory.join("localhost.key") };
    if !(files.certificate.exists() && files.key.exists()) {
        // Two servers that start at the same time must not mix the certificate of one with the key of the other.
        let lock = directory.join("lock");
        let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(|error| TlsError::file(&lock, error))?;
        if !(files.certificate.exists() && files.key.exists()) {
            make(&files, now)?;
        }
    }
    Ok(files)
}

fn make(files: &CertificateFiles, now: Timestamp) -> Result<(), TlsError> {
    let today = now.to_datetime();
    let day = |years: i32| {
        // The 28th at most, which every month has.
        let number = |value: u32| u8::try_from(value).unwrap_or(1);
        date_time_ymd(today.year() + years, number(today.month()), number(today.day().min(28)))
    };
    let mut params = CertificateParams::new(HOSTS.map(str::to_owned))?;
    // A year of slack for a client whose clock is late.
    (params.not_before, params.not_after) = (day(-1), day(YEARS));
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.distinguished_name.push(DnType::OrganizationName, "Signet self-signed");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    write(&files.key, &key.serialize_pem(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)
}

/// Under a name of its own first, so that a crash leaves no half a file.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let draft = path.with_extension("new");
    let failed = |error| TlsError::file(path, error);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::tls::load;

    fn now() -> Timestamp {
        Timestamp::parse("2028-02-29T12:00:00Z").expect("valid")
    }

    #[test]
    fn it_is_made_once_and_its_key_is_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path().join("tls");
        let files = ensure(&directory, now()).expect("made");
        let before = (fs::read(&files.certificate).expect("read"), fs::read(&files.key).expect("read"));
        let mode = fs::metadata(&files.key).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(!files.key_is_public());
        assert_eq!(ensure(&directory, now()).expect("kept"), files);
        assert_eq!((fs::read(&files.certificate).expect("read"), fs::read(&files.key).expect("read")), before);
        let config = load(&files).expect("a pair that works").config;
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn many_that_start_at_once_share_one_pair() {
        let directory = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            let made: Vec<_> =
                (0..8).map(|_| scope.spawn(|| ensure(directory.path(), now()).map(|files| load(&files)))).collect();
            for thread in made {
                thread.join().expect("no panic").expect("made").expect("a pair that fits");
            }
        });
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let one = ensure(&directory.path().join("one"), now()).expect("made");
        let other = ensure(&directory.path().join("other"), now()).expect("made");
        let mixed = CertificateFiles { certificate: one.certificate.clone(), key: other.key };
        assert!(load(&mixed).expect_err("mixed").to_string().contains("does not fit"));

        let swapped = CertificateFiles { certificate: one.key.clone(), key: one.certificate };
        let error = load(&swapped).expect_err("swapped").to_string();
        assert!(error.ends_with("there is no PEM certificate in it"), "{error}");
        let lost = directory.path().join("no").join("such");
        assert!(ensure(&lost, now()).is_err() && !directory.path().join("no").exists());
        let missing = CertificateFiles { certificate: directory.path().join("none"), key: one.key };
        assert!(load(&missing).expect_err("missing").to_string().contains("No such file"));
    }
}
