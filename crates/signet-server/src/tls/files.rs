use std::{fs, io, os::unix::fs::MetadataExt, path::PathBuf};

/// Two PEM files: a chain of certificates, the server's own first, and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trace {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Moves also with the owner and the mode, which decide whether it can be read.
    changed: (i64, i64),
}

/// The state of both files at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traces([Trace; 2]);

impl CertificateFiles {
    /// Fails while one of the files is missing. Symbolic links are followed: that is how Kubernetes replaces files.
    pub(super) fn traces(&self) -> io::Result<Traces> {
        let trace = |path| {
            fs::metadata(path).map(|meta| Trace {
                inode: meta.ino(),
                size: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
            })
        };
        Ok(Traces([trace(&self.certificate)?, trace(&self.key)?]))
    }

    /// Whether users other than the owner and the group of the key's file can read it.
    pub(crate) fn key_is_public(&self) -> bool {
        fs::metadata(&self.key).is_ok_and(|meta| meta.mode() & 0o004 != 0)
    }
}
