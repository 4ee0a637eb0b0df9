use std::fmt::Write;

/// Why a text is no connection URL. It never repeats the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database URL {0}")]
pub struct InvalidUrl(&'static str);

/// Fails where the text is no connection URL for [`PostgresStore::connect`](crate::PostgresStore::connect). Connects
/// to nothing.
pub fn check_url(url: &str) -> Result<(), InvalidUrl> {
    ConnectionUrl::parse(url).map(drop)
}

/// A connection URI as libpq reads it (Postgres documentation, section 34.1.1.2), with this service's defaults for
/// what it leaves open.
///
/// What libpq would refuse with an error that repeats a part of the URL is refused here first, and its other messages
/// go through [`hide`](Self::hide), so that no password reaches a log.
pub(crate) struct ConnectionUrl {
    text: String,
    secrets: Vec<String>,
    hosts: String,
    parameters: Parameters,
}

/// Names and values, decoded, in their order.
#[derive(Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The last one of that name, as libpq takes it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl ConnectionUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or(InvalidUrl("must start with postgres://"))?;
        if rest.contains(|character: char| character.is_control() || character == ' ') {
            return Err(InvalidUrl("must not contain spaces or control characters"));
        }
        // libpq looks for the end of the credentials up to the first slash, and nowhere else.
        let (before_path, _) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts_and_more) = match before_path.split_once('@') {
            Some((credentials, _)) => (credentials, &rest[credentials.len() + 1..]),
            None => ("", rest),
        };
        let (location, query) = hosts_and_more.split_once('?').unwrap_or((hosts_and_more, ""));
        // libpq takes `h?user=a&password=p@x` for the credentials of a host `x`, which its messages would show.
        if credentials.split(':').next().is_some_and(|user| user.contains('?')) {
            return Err(InvalidUrl(
                "has an @ among its parameters, or a ? in its user name: write %40 or %3F for them",
            ));
        }
        if location.contains('@') {
            return Err(InvalidUrl("has an @ or / among its credentials: write %40 or %2F for them"));
        }
        let (hosts, _) = location.split_once('/').unwrap_or((location, ""));
        hosts.split(',').try_for_each(check_host)?;

        let mut secrets = Vec::new();
        if let Some((_, password)) = credentials.split_once(':') {
            secrets.push(password);
        }
        let mut parameters = Parameters::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or(InvalidUrl("must have its parameters as name=value, joined by &"))?;
            let name = decode(name)?;
            if ["password", "sslpassword"].contains(&name.as_str()) {
                secrets.push(value);
            }
            parameters.0.push((name, decode(value)?));
        }
        for part in [credentials, location] {
            decode(part)?;
        }
        let decoded = secrets.iter().map(|secret| decode(secret)).collect::<Result<Vec<_>, _>>()?;
        let mut secrets: Vec<_> = secrets.into_iter().map(str::to_owned).chain(decoded).collect();
        secrets.retain(|secret| !secret.is_empty());

        let hosts = hosts.split(',').map(|host| decode(without_port(host))).collect::<Result<Vec<_>, _>>()?.join(",");
        let has_several_hosts = [Some(hosts.as_str()), parameters.get("host"), parameters.get("hostaddr")]
            .into_iter()
            .flatten()
            .any(|hosts| hosts.contains(','));
        let mut text = url.to_owned();
        for (name, value) in DEFAULTS {
            // After a failover the former primary may still accept connections, and refuse every write.
            let wanted = *name != "target_session_attrs" || has_several_hosts;
            if wanted && parameters.get(name).is_none() {
                let separator = if text.contains('?') { '&' } else { '?' };
                // Writing to a String cannot fail.
                let _ = write!(text, "{separator}{name}={value}");
            }
        }
        Ok(Self { text, secrets, hosts, parameters })
    }

    /// The hosts before the path, decoded and joined by commas, without their ports.
    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// What stands behind the question mark.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The message on one line, without the password.
    pub(crate) fn hide(&self, message: &str) -> String {
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        self.secrets.iter().fold(line, |line, secret| line.replace(secret, "***"))
    }
}

/// Seconds, but for `tcp_user_timeout`, which is in milliseconds. They end connections to a machine that is gone;
/// against one whose kernel still answers, only the deadline of the threads helps.
const DEFAULTS: &[(&str, &str)] = &[
    ("connect_timeout", "2"),
    ("keepalives_idle", "15"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
    ("fallback_application_name", "signet"),
    ("target_session_attrs", "read-write"),
];

fn check_host(host: &str) -> Result<(), InvalidUrl> {
    let port = match host.strip_prefix('[') {
        Some(address) => match address.split_once(']') {
            Some((_, "")) => None,
            Some((_, rest)) => {
                Some(rest.strip_prefix(':').ok_or(InvalidUrl("must have a colon between ] and a port"))?)
            }
            None => return Err(InvalidUrl("lacks the ] of an IPv6 address")),
        },
        None => host.split_once(':').map(|(_, port)| port),
    };
    match port {
        Some(port) if !port.is_empty() && port.parse::<u16>().is_err() => {
            Err(InvalidUrl("must have a port of 1 to 65535 (and %2F, %3A, %40 for / : @ in a password)"))
        }
        _ => Ok(()),
    }
}

/// The name or address of a host that [`check_host`] takes.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decode(part: &str) -> Result<String, InvalidUrl> {
    let refused = InvalidUrl("must have two hexadecimal digits after each % (write %25 for % itself)");
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).ok_or(refused)?;
        let digits = std::str::from_utf8(digits).map_err(|_error| refused)?;
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if byte != 0 => bytes.push(byte),
            _ => return Err(refused),
        }
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_error| InvalidUrl("must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_leaves_open_gets_a_default_and_what_it_says_stands() {
        let url = ConnectionUrl::parse("postgres://h/db?connect_timeout=9").expect("valid");
        assert!(url.as_str().starts_with("postgres://h/db?connect_timeout=9&keepalives_idle=15&"), "{}", url.as_str());
        assert_eq!(url.as_str().matches("connect_timeout").count(), 1);
        assert!(!url.as_str().contains("target_session_attrs"));
        for several in [
            "postgres://a:1,b:2/db",
            "postgresql:///db?host=a,b",
            "postgres:///db?host=a%2Cb",
            "postgres:///db?host=a%2cb",
        ] {
            let url = ConnectionUrl::parse(several).expect("valid");
            assert!(url.as_str().contains("&target_session_attrs=read-write"), "{}", url.as_str());
        }
        let url = ConnectionUrl::parse("postgres://a,b/db?target_session_attrs=any").expect("valid");
        assert!(url.as_str().contains("target_session_attrs=any") && !url.as_str().contains("read-write"));
    }

    #[test]
    fn no_refusal_and_no_message_shows_a_password() {
        for bad in [
            "mysql://u:s3cret@h/db",
            "host=h password=s3cret",
            "postgres://u:s3cret@x@h/db",
            "postgres://u:s3cret/x@h/db",
            "postgres://u:s3cret%zz@h/db",
            "postgres://u:s3cret%00@h/db",
            "postgres://u:s3cret@h:port/db",
            "postgres://u:s3cret@h:99999/db",
            "postgres://u:s3cret@[::1/db",
            "postgres://u:s3cret @h/db",
            "postgres://h/db?password=s3cret=",
            "postgres://h/db?s3cret",
            "postgres://h?user=a&password=p@s3cret",
            "postgres://h?password=x:y@s3cret",
        ] {
            let error = ConnectionUrl::parse(bad).err().expect(bad).to_string();
            assert!(error.starts_with("the database URL ") && !error.contains("s3cret"), "{error}");
        }
        let url = ConnectionUrl::parse("postgres://u:s3%21cret@h/db?sslpassword=0ther").expect("valid");
        assert_eq!(url.hide("no\n\tfor s3%21cret, s3!cret or 0ther"), "no for ***, *** or ***");
    }

    #[test]
    fn the_forms_that_libpq_takes_are_taken() {
        for good in [
            "postgres://",
            "postgresql://localhost",
            "postgresql://localhost:5433",
            "postgresql://user@localhost/db",
            "postgresql://user:secret@localhost?sslmode=require",
            "postgresql://[2001:db8::1234]:5433/database",
            "postgresql://host1:123,host2:456/somedb?application_name=myapp",
            "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
            "postgres:///db?host=/var/run/postgresql&user=me@example.com",
        ] {
            assert!(ConnectionUrl::parse(good).is_ok(), "{good}");
        }
    }
}
