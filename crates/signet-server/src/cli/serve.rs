use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, builder::BoolishValueParser, value_parser};
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::{
    BrowserArgs, DatabaseArgs, RateLimitArg, TlsArg,
    values::{self, address, duration, network, timeout},
};
use crate::{error::Failure, telemetry::LogFormat};

const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(9);

/// Serve the API
///
/// Without options: https://localhost:4401 with a self-signed certificate, and the data in signet.db in the current
/// directory. On SIGTERM, SIGINT and SIGQUIT, readiness fails first, then no more connections are accepted and every
/// accepted request is answered; a second signal ends the process at once. On SIGHUP, the certificate is read again.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listeners")]
pub(crate) struct ServeArgs {
    /// The address of the API; port 0 takes a free one, which the log tells
    #[arg(long, env = "SIGNET_LISTEN", hide_env_values = true)]
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:4401", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// How the API is encrypted: self-signed (a certificate for localhost that is made once and kept), off, or two PEM
    /// files CERT,KEY, which are read again when they change
    #[arg(long, env = "SIGNET_TLS", hide_env_values = true, value_name = "TLS", default_value = "self-signed")]
    pub(crate) tls: TlsArg,

    /// Where the self-signed certificate is kept [default: signet-tls next to the SQLite file, or in the current
    /// directory]
    #[arg(long, env = "SIGNET_TLS_DIR", hide_env_values = true, value_name = "DIRECTORY")]
    pub(crate) tls_dir: Option<PathBuf>,

    /// Allow --tls off on an address that is not loopback, because a proxy in front terminates TLS
    #[arg(long, env = "SIGNET_TLS_TERMINATED_BY_PROXY", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) tls_terminated_by_proxy: bool,

    /// Serve a private key that every user of this machine can read
    #[arg(long, env = "SIGNET_ALLOW_READABLE_KEY", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) allow_readable_key: bool,

    /// A network whose X-Forwarded-For is believed; may be repeated, or a list with commas
    #[arg(long, env = "SIGNET_TRUSTED_PROXY", hide_env_values = true)]
    #[arg(value_name = "CIDR", value_parser = network, value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<IpNet>,

    #[command(flatten)]
    pub(crate) browsers: BrowserArgs,

    #[command(flatten)]
    pub(crate) management: ManagementArgs,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,

    /// How many threads, with a connection each, read from the database; one more writes [default: 2]
    #[arg(long, env = "SIGNET_DATABASE_THREADS", hide_env_values = true, value_name = "N", help_heading = "Database")]
    pub(crate) database_threads: Option<NonZeroU16>,

    /// Create a partner and a key where there are none, and print how to use them
    #[arg(long, env = "SIGNET_DEMO", hide_env_values = true, help_heading = "Database")]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) demo: bool,

    /// How many threads answer requests [default: one for each core]
    #[arg(long, env = "SIGNET_WORKERS", hide_env_values = true, value_name = "N", help_heading = "Limits")]
    #[arg(value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// How many connections may be open at once
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "N", default_value = "10000")]
    pub(crate) max_connections: NonZeroU16,

    /// How many of them may come from one address, or one IPv6 network of 64 bits; those of --trusted-proxy are not
    /// counted [default: any]
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS_PER_ADDRESS", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "N")]
    pub(crate) max_connections_per_address: Option<NonZeroU16>,

    /// How long a connection is kept for its next request: longer than a load balancer in front keeps it
    #[arg(long, env = "SIGNET_IDLE_TIMEOUT", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "DURATION", default_value = "75s", value_parser = timeout)]
    pub(crate) idle_timeout: Duration,

    /// How long a request line and its headers may take, from the first byte on
    #[arg(long, env = "SIGNET_HEAD_TIMEOUT", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    pub(crate) head_timeout: Duration,

    /// How long a request body may take, from the end of the headers on
    #[arg(long, env = "SIGNET_BODY_TIMEOUT", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "DURATION", default_value = "9s", value_parser = timeout)]
    pub(crate) body_timeout: Duration,

    /// How long a client may take to read 64 KiB of an answer
    #[arg(long, env = "SIGNET_WRITE_TIMEOUT", hide_env_values = true, help_heading = "Limits")]
    #[arg(value_name = "DURATION", default_value = "10s", value_parser = timeout)]
    pub(crate) write_timeout: Duration,

    /// How many requests a partner may make per second, with a burst after a colon: 100 or 100:500 [default: any]
    #[arg(long, env = "SIGNET_RATE_LIMIT", hide_env_values = true, value_name = "RATE", help_heading = "Limits")]
    pub(crate) rate_limit: Option<RateLimitArg>,

    /// For how long to answer on after a stop signal while readiness fails, so that load balancers notice
    #[arg(long, env = "SIGNET_SHUTDOWN_DELAY", hide_env_values = true, help_heading = "Shutdown")]
    #[arg(value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) shutdown_delay: Duration,

    /// For how long accepted requests are waited for after that
    #[arg(long, env = "SIGNET_DRAIN_TIMEOUT", hide_env_values = true, help_heading = "Shutdown")]
    #[arg(value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,

    #[command(flatten)]
    pub(crate) logging: LogArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// How log lines look; they go to stderr
    #[arg(long, env = "SIGNET_LOG_FORMAT", hide_env_values = true)]
    #[arg(value_name = "FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace, off) or target=level, with commas
    #[arg(long, env = "SIGNET_LOG", hide_env_values = true)]
    #[arg(value_name = "FILTER", default_value = "info,actix_server=warn,actix_http=off", value_parser = values::filter)]
    pub(crate) log: EnvFilter,

    /// Show the client's address in the line of each request; it is personal data
    #[arg(long, env = "SIGNET_LOG_CLIENT_ADDRESS", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) log_client_address: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ManagementArgs {
    /// The address of /livez, /readyz and /metrics: plain HTTP, for machines; one that is not loopback has to be allowed
    #[arg(long, env = "SIGNET_MANAGEMENT_LISTEN", hide_env_values = true)]
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:4402", value_parser = address)]
    pub(crate) management_listen: SocketAddr,

    /// Allow a --management-listen that is not loopback, because only machines of yours reach it
    #[arg(long, env = "SIGNET_MANAGEMENT_IS_PRIVATE", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    management_is_private: bool,
}

impl ManagementArgs {
    fn is_beyond_loopback(&self) -> bool {
        !self.management_listen.ip().is_loopback()
    }
}

impl ServeArgs {
    /// The rules that span more than one option.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.is_plain_beyond_loopback() && !self.tls_terminated_by_proxy {
            return Err(Failure::Usage(
                "--tls off: plain HTTP would show API keys to the network; add --tls-terminated-by-proxy if a proxy in \
                 front encrypts, or listen on a loopback address"
                    .to_owned(),
            ));
        }
        if self.management.is_beyond_loopback() && !self.management.management_is_private {
            return Err(Failure::Usage(
                "--management-listen: plain HTTP would show metrics to the network; add --management-is-private if only \
                 machines of yours reach it, or listen on a loopback address"
                    .to_owned(),
            ));
        }
        if self.browsers.hsts.is_some() && self.tls == TlsArg::Off && !self.tls_terminated_by_proxy {
            return Err(Failure::Usage(
                "--hsts: browsers ignore it over plain HTTP; add --tls-terminated-by-proxy if a proxy in front encrypts, or \
                 leave it out"
                    .to_owned(),
            ));
        }
        if self.body_timeout > DEFAULT_BODY_TIMEOUT && self.drain_timeout <= self.body_timeout {
            return Err(Failure::Usage(
                "--body-timeout: a stop would cut off requests whose bodies may still come; make --drain-timeout longer \
                 than --body-timeout"
                    .to_owned(),
            ));
        }
        self.database.place.check()
    }

    /// Logs what would have been refused, had it not been allowed.
    pub(crate) fn warn_of_what_is_allowed(&self) {
        if self.is_plain_beyond_loopback() {
            tracing::warn!(option = "--tls-terminated-by-proxy", "plain HTTP on an address that is not loopback");
        }
        if self.management.is_beyond_loopback() {
            tracing::warn!(option = "--management-is-private", "metrics on an address that is not loopback");
        }
        if self.database.place.location.url().is_exposed() {
            tracing::warn!(
                option = "--allow-unverified-database",
                "a database on another machine without verified TLS"
            );
        }
        if let Some(file) = self.database.place.location.readable_file() {
            let file = file.display();
            tracing::warn!(option = "--allow-readable-database", %file, "every user of this machine can read the database");
        }
    }

    fn is_plain_beyond_loopback(&self) -> bool {
        self.tls == TlsArg::Off && !self.listen.ip().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(arguments: &[&str]) -> ServeArgs {
        Alone::try_parse_from([&["serve"], arguments].concat()).map(|alone| alone.serve).expect("valid")
    }

    #[test]
    fn plain_http_leaves_the_machine_only_when_told_so() {
        assert!(parse(&[]).check().is_ok());
        assert!(parse(&["--tls", "off"]).check().is_ok());
        assert!(parse(&["--tls", "off", "--listen", "[::1]:0"]).check().is_ok());
        assert!(parse(&["--listen", "0.0.0.0:0"]).check().is_ok());
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
            assert!(parse(&["--tls", "off", "--listen", address]).check().is_err(), "{address}");
            parse(&["--tls", "off", "--listen", address, "--tls-terminated-by-proxy"]).check().expect("asked for");
        }
    }

    #[test]
    fn metrics_leave_the_machine_only_when_told_so() {
        assert!(parse(&["--management-listen", "[::1]:0"]).check().is_ok());
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
            let arguments = ["--management-listen", address];
            let Err(Failure::Usage(line)) = parse(&arguments).check() else { panic!("{address}") };
            assert!(line.contains("--management-is-private"), "{line}");
            parse(&[&arguments[..], &["--management-is-private"]].concat()).check().expect("asked for");
        }
    }

    #[test]
    fn a_database_on_another_machine_is_verified_unless_told_otherwise() {
        let url = |url| ["--database-url", url];
        for far in ["postgres://db.internal/signet", "postgres://localhost,db.internal/signet?sslmode=require"] {
            let Err(Failure::Usage(line)) = parse(&url(far)).check() else { panic!("{far}") };
            assert!(line.contains("--allow-unverified-database") && !line.contains("db.internal"), "{line}");
            parse(&[&url(far)[..], &["--allow-unverified-database"]].concat()).check().expect("allowed");
        }
        parse(&url("postgres://db.internal/signet?sslmode=verify-full")).check().expect("verified");
        parse(&url("postgres://127.0.0.1/signet")).check().expect("of this machine");
    }

    #[test]
    fn hsts_needs_tls_or_a_proxy_that_has_it() {
        parse(&["--hsts", "365d"]).check().expect("over TLS");
        parse(&["--hsts", "365d", "--tls", "off", "--tls-terminated-by-proxy"]).check().expect("over the proxy's TLS");
        let Err(Failure::Usage(line)) = parse(&["--hsts", "365d", "--tls", "off"]).check() else { panic!("no TLS") };
        assert!(line.starts_with("--hsts:"), "{line}");
    }

    #[test]
    fn origins_and_documents_are_read() {
        let args =
            parse(&["--cors-origin", "https://a.example,https://b.example", "--cors-origin", "http://c.example:3000"]);
        assert_eq!(args.browsers.cors_origin.len(), 3);
        assert!(args.browsers.docs && args.browsers.hsts.is_none());
        assert!(!parse(&["--docs", "off"]).browsers.docs && parse(&["--docs", "on"]).browsers.docs);
        for bad in
            [["--cors-origin", "*"], ["--cors-origin", "https://a.example/"], ["--docs", "maybe"], ["--hsts", "1"]]
        {
            assert!(Alone::try_parse_from([&["serve"], &bad[..]].concat()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn timeouts_are_bounded_and_fit_each_other() {
        let parsed = parse(&[]);
        parsed.check().expect("the defaults");
        assert_eq!(parsed.body_timeout, DEFAULT_BODY_TIMEOUT);
        for option in ["--idle-timeout", "--head-timeout", "--body-timeout", "--write-timeout"] {
            for bad in ["0s", "999ms", "61m", "5", "-1s"] {
                assert!(Alone::try_parse_from(["serve", option, bad]).is_err(), "{option} {bad}");
            }
            parse(&[option, "1s"]).check().expect("the shortest");
        }
        let Err(Failure::Usage(line)) = parse(&["--body-timeout", "1m"]).check() else { panic!("accepted") };
        assert!(line.contains("--drain-timeout"), "{line}");
        parse(&["--body-timeout", "1m", "--drain-timeout", "2m"]).check().expect("long enough");
    }

    #[test]
    fn lists_take_commas_and_repetition() {
        let args = parse(&["--trusted-proxy", "10.0.0.0/8,192.0.2.7", "--trusted-proxy", "fd00::/8"]);
        assert_eq!(args.trusted_proxy.len(), 3);
    }
}
