use std::{env, net::IpAddr};

use crate::url::{ConnectionUrl, InvalidUrl};

/// Whether that connection URL may lead to another machine without proof of which one it is: over TCP to an address that
/// is not loopback, without `sslmode=verify-full` or `verify-ca`. Of several hosts, one is enough.
///
/// What the URL leaves open is taken from the variables that libpq takes it from, such as `PGHOST` and `PGSSLMODE`; a
/// service file is not read, so a URL that leaves it to one is exposed unless it says `sslmode` itself. Connects to
/// nothing.
pub fn is_exposed(url: &str) -> Result<bool, InvalidUrl> {
    // libpq takes a variable that is set to nothing for one that is set.
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    Ok(exposed(&ConnectionUrl::parse(url)?, variable))
}

fn exposed(url: &ConnectionUrl, variable: impl Fn(&str) -> Option<String>) -> bool {
    let has_service = url.parameters().get("service").is_some() || variable("PGSERVICE").is_some();
    let fallback = |name: &str| if has_service { None } else { variable(name) };
    !is_verified(url, fallback) && (has_service || is_remote(url, fallback))
}

fn is_verified(url: &ConnectionUrl, variable: impl Fn(&str) -> Option<String>) -> bool {
    // Two older parameters stand for another one; of all three, the last counts.
    let said = url.parameters().iter().filter_map(|(name, value)| match (name, value) {
        ("sslmode", mode) => Some(mode),
        ("ssl", "true") | ("requiressl", _) => Some("require"),
        _ => None,
    });
    if let Some(mode) = said.last().map(str::to_owned).or_else(|| variable("PGSSLMODE")) {
        return mode == "verify-full" || mode == "verify-ca";
    }
    // The authorities of the system mean verify-full, unless another mode is asked for.
    let root = url.parameters().get("sslrootcert").map(str::to_owned);
    root.or_else(|| variable("PGSSLROOTCERT")).is_some_and(|root| root == "system")
}

fn is_remote(url: &ConnectionUrl, variable: impl Fn(&str) -> Option<String>) -> bool {
    let before_path = Some(url.hosts()).filter(|hosts| !hosts.is_empty());
    let hosts = url.parameters().get("host").or(before_path).map(str::to_owned).or_else(|| variable("PGHOST"));
    let addresses = url.parameters().get("hostaddr").map(str::to_owned).or_else(|| variable("PGHOSTADDR"));
    let (hosts, addresses) = (hosts.unwrap_or_default(), addresses.unwrap_or_default());
    let (hosts, addresses): (Vec<_>, Vec<_>) = (hosts.split(',').collect(), addresses.split(',').collect());
    (0..hosts.len().max(addresses.len())).any(|index| {
        // The address is what is connected to, where there is one; the host is then a name alone.
        let at = |list: &[&str]| list.get(index).copied().unwrap_or_default().to_owned();
        let address = at(&addresses);
        !is_local(&if address.is_empty() { at(&hosts) } else { address })
    })
}

fn is_local(host: &str) -> bool {
    // No host means a Unix socket or localhost; a path, or an @, is a Unix socket.
    host.is_empty()
        || host.starts_with(['/', '@'])
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], url: &str) -> bool {
        let variable = |name: &str| {
            let mut found = variables.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        exposed(&ConnectionUrl::parse(url).expect("valid"), variable)
    }

    #[test]
    fn what_stays_on_this_machine_or_is_verified_is_not_exposed() {
        for url in [
            "postgres://",
            "postgres:///db",
            "postgres://u:p@localhost:5433/db",
            "postgres://LOCALHOST/db",
            "postgres://127.0.0.1,127.8.9.1:5433/db",
            "postgres://[::1]:5433/db?sslmode=disable",
            "postgres://%2Fvar%2Frun%2Fpostgresql/db",
            "postgres:///db?host=/run/postgresql",
            "postgres:///db?host=/run/a,/run/b",
            "postgres://db.internal/db?host=localhost",
            "postgres://db.internal/db?hostaddr=127.0.0.1",
            "postgres://db.internal/db?sslmode=verify-full",
            "postgres://db.internal/db?sslmode=verify-ca&sslrootcert=ca.crt",
            "postgres://db.internal/db?sslmode=disable&sslmode=verify-full",
            "postgres://db.internal/db?ss%6Cmode=verify%2Dfull",
            "postgres://db1.internal,db2.internal/db?sslmode=verify-full",
            "postgres://db.internal/db?sslrootcert=system",
            "postgres:///db?service=main&sslmode=verify-full",
        ] {
            assert!(!with(&[], url), "{url}");
        }
    }

    #[test]
    fn what_leaves_this_machine_unverified_is_exposed() {
        for url in [
            "postgres://db.internal/db",
            "postgres://192.0.2.1/db?sslmode=require",
            "postgres://[2001:db8::1]:5433/db?sslmode=prefer",
            "postgres://0.0.0.0/db",
            "postgres://localhost.example.com/db",
            "postgres://localhost,db.internal/db",
            "postgres://localhost%2Cdb.internal/db",
            "postgres:///db?host=/run/postgresql,db.internal",
            "postgres:///db?host=localhost%2Cdb.internal",
            "postgres://localhost/db?host=db.internal",
            "postgres://localhost/db?hostaddr=192.0.2.1",
            "postgres://localhost,localhost/db?hostaddr=127.0.0.1,192.0.2.1",
            "postgres://localhost,db.internal/db?hostaddr=127.0.0.1,",
            "postgres://db.internal/db?sslmode=verify-full&sslmode=require",
            "postgres://db.internal/db?sslmode=verify-full&ssl=true",
            "postgres://db.internal/db?sslmode=verify-full&requiressl=0",
            "postgres://db.internal/db?sslmode=VERIFY-FULL",
            "postgres://db.internal/db?sslrootcert=system&sslmode=require",
            "postgres://db.internal/db?sslrootcert=ca.crt",
            "postgres:///db?service=main",
            "postgres://localhost/db?service=main",
        ] {
            assert!(with(&[], url), "{url}");
        }
    }

    #[test]
    fn what_the_url_leaves_open_is_taken_from_the_environment() {
        assert!(with(&[("PGHOST", "db.internal")], "postgres:///db"));
        assert!(with(&[("PGHOSTADDR", "192.0.2.1")], "postgres://localhost/db"));
        assert!(!with(&[("PGHOST", "db.internal")], "postgres://localhost/db"));
        assert!(!with(&[("PGSSLMODE", "verify-full")], "postgres://db.internal/db"));
        assert!(with(&[("PGSSLMODE", "verify-full")], "postgres://db.internal/db?sslmode=require"));
        assert!(!with(&[("PGSSLROOTCERT", "system")], "postgres://db.internal/db"));
        assert!(with(&[("PGSERVICE", "main"), ("PGSSLMODE", "verify-full")], "postgres:///db"));
    }
}
