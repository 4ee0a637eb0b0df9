//! What the options mean.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{error::Failure, tls::CertificateFiles};

/// Where the data is. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum DatabaseUrl {
    /// `sqlite://` and a path.
    Sqlite(String),
    /// A connection URI of libpq.
    Postgres(String),
}

impl DatabaseUrl {
    /// The directory of the SQLite file, or the current one: where the service keeps other files of its own.
    pub(crate) fn directory(&self) -> PathBuf {
        match self {
            Self::Sqlite(url) => sqlite_path(url).parent().map(Path::to_owned).unwrap_or_default(),
            Self::Postgres(_) => PathBuf::new(),
        }
    }

    /// Whether it is on another machine and TLS does not prove which one.
    pub(crate) fn is_exposed(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => signet_postgres::is_exposed(url).unwrap_or(true),
        }
    }

    /// Fails where there is no such file; of a PostgreSQL that is not known before it is asked.
    pub(crate) fn ensure_there(&self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(url) if !sqlite_path(url).exists() => Err(Failure::Runtime(format!(
                "there is no database {url}; signet serve, migrate and partner create make one"
            ))),
            _ => Ok(()),
        }
    }

    /// The files that hold the data; none for PostgreSQL.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Self::Sqlite(url) = self else { return Vec::new() };
        // SQLite keeps its log and its index beside the file that a symbolic link leads to.
        let Ok(path) = fs::canonicalize(sqlite_path(url)) else { return Vec::new() };
        let beside = |suffix| PathBuf::from([path.as_os_str(), OsStr::new(suffix)].into_iter().collect::<OsString>());
        ["", "-wal", "-shm"].map(beside).into()
    }
}

/// A file that holds the URL of the database.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseUrlFile {
    pub(crate) path: PathBuf,
    pub(crate) url: DatabaseUrl,
}

pub(super) fn database_url_file(text: &str) -> Result<DatabaseUrlFile, String> {
    let content = fs::read_to_string(text).map_err(|error| format!("cannot read the file: {error}"))?;
    let url = content
        .trim_end_matches(['\r', '\n'])
        .parse()
        .map_err(|reason: String| format!("the URL in it is not valid: {reason}"))?;
    Ok(DatabaseUrlFile { path: text.into(), url })
}

fn sqlite_path(url: &str) -> &Path {
    Path::new(url.strip_prefix("sqlite://").unwrap_or(url))
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            signet_postgres::check_url(text).map_err(|error| error.to_string())?;
            Ok(Self::Postgres(text.to_owned()))
        } else if text.strip_prefix("sqlite://").is_some_and(|path| !path.is_empty()) {
            Ok(Self::Sqlite(text.to_owned()))
        } else {
            Err("must start with sqlite:// (and a path) or postgres://".to_owned())
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sqlite(_) => "Sqlite(..)",
            Self::Postgres(_) => "Postgres(..)",
        })
    }
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsArg {
    /// With a certificate for localhost that is made once.
    SelfSigned,
    /// Not at all.
    Off,
    /// With a certificate of one's own.
    Files(CertificateFiles),
}

impl FromStr for TlsArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "self-signed" => Ok(Self::SelfSigned),
            "off" => Ok(Self::Off),
            _ => match text.split_once(',') {
                Some((certificate, key)) if !certificate.is_empty() && !key.is_empty() => {
                    Ok(Self::Files(CertificateFiles { certificate: certificate.into(), key: key.into() }))
                }
                _ => Err("must be self-signed, off or CERT,KEY (two PEM files)"),
            },
        }
    }
}

/// How many requests a partner may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimitArg {
    pub(crate) per_second: NonZeroU32,
    pub(crate) burst: NonZeroU32,
}

impl FromStr for RateLimitArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rate, burst) = text.split_once(':').unwrap_or((text, text));
        match (rate.parse(), burst.parse()) {
            (Ok(per_second), Ok(burst)) => Ok(Self { per_second, burst }),
            _ => Err("must be requests per second, such as 100, or with a burst after a colon, such as 100:500"),
        }
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_error| "must be an IP address and a port, such as 127.0.0.1:4401 or [::1]:4401")
}

pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse().or_else(|_error| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_error| "must be a network or an address, such as 10.0.0.0/8, 192.0.2.7 or fd00::/8")
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_error| "must be a duration with a unit, such as 30s, 5m, 12h or 90d")
}

/// A limit on what a client may take. Shorter than a second, slow networks fail; for hours, anybody holds connections.
pub(super) fn timeout(text: &str) -> Result<Duration, &'static str> {
    let timeout = duration(text)?;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
    if bounds.contains(&timeout) { Ok(timeout) } else { Err("must be 1s to 1h") }
}

pub(super) fn file(text: &str) -> Result<PathBuf, &'static str> {
    match Path::new(text) {
        path if path.file_name().is_some() && !text.ends_with('/') => Ok(path.to_owned()),
        _ => Err("must be the name of a file"),
    }
}

pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than nothing, such as 90d"),
        lifetime => Ok(lifetime),
    }
}

/// The one module of a library that repeats what a client sent: headers of a length that it cannot read. The last word on
/// a module counts, so nobody can ask for it.
const SILENT: &str = "actix_http::h1::decoder=off";

pub(super) fn filter(text: &str) -> Result<EnvFilter, &'static str> {
    // A word that is no level would name a target: a mistyped level would silence everything else.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_clear = text.split(',').all(|part| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level)));
    let filter = is_clear.then(|| EnvFilter::try_new(format!("{text},{SILENT}")).ok()).flatten();
    filter.ok_or("must be a level (error, warn, info, debug, trace or off) or target=level, with commas between them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_known_by_its_scheme_and_shows_no_password() {
        let url: DatabaseUrl = "postgres://u:s3cret@h/d".parse().expect("valid");
        assert_eq!(format!("{url:?}"), "Postgres(..)");
        assert_eq!(url.directory(), Path::new(""));
        for (url, directory) in [
            ("sqlite://signet.db", ""),
            ("sqlite:///var/lib/signet/signet.db", "/var/lib/signet"),
            ("sqlite://data/signet.db", "data"),
        ] {
            assert_eq!(url.parse::<DatabaseUrl>().expect("valid").directory(), Path::new(directory), "{url}");
        }
        for bad in
            ["", "signet.db", "sqlite:signet.db", "sqlite://", "mysql://h/d", "postgres:h", "postgres://u:s3%cret@h/d"]
        {
            assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_and_networks_are_read_as_they_are_written() {
        let limit = |per_second, burst| RateLimitArg {
            per_second: NonZeroU32::new(per_second).expect("positive"),
            burst: NonZeroU32::new(burst).expect("positive"),
        };
        assert_eq!("100".parse(), Ok(limit(100, 100)));
        assert_eq!("100:500".parse(), Ok(limit(100, 500)));
        for bad in ["", "0", "1:0", "-1", "1:2:3", "many"] {
            assert!(bad.parse::<RateLimitArg>().is_err(), "{bad}");
        }
        assert_eq!(network("192.0.2.7").map(|network| network.to_string()).as_deref(), Ok("192.0.2.7/32"));
        assert_eq!(network("fd00::/8").map(|network| network.to_string()).as_deref(), Ok("fd00::/8"));
        assert_eq!(lifetime("90d"), Ok(Duration::from_hours(90 * 24)));
    }

    #[test]
    fn nobody_can_have_logged_what_clients_sent() {
        for asked in ["info", "trace", "actix_http=trace", "actix_http::h1::decoder=trace,info"] {
            let filter = filter(asked).expect("valid").to_string();
            let about: Vec<_> = filter.split(',').filter(|directive| directive.contains("decoder")).collect();
            assert_eq!(about, [SILENT], "{asked}");
        }
    }

    #[test]
    fn mistyped_log_level_is_refused() {
        for good in ["info", "WARN", "off", "signet_http=debug,info", "3"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "signet_http", "info,", "signet_http=inf", "info,signet_http=", "s3cret=what"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
