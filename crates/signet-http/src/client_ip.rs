use std::{
    net::{IpAddr, SocketAddr},
    str,
    sync::Once,
};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// Where a request came from: the peer, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For`
/// that is no trusted proxy itself.
pub(crate) fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    static WARNED: Once = Once::new();
    let (client, malformed) = find(peer?, headers, trusted);
    if let Some(problem) = malformed {
        // Once: what is wrong is the configuration of a proxy, and every request through it shows it.
        WARNED.call_once(|| {
            tracing::warn!(
                proxy = %client,
                problem,
                "a trusted proxy sends an X-Forwarded-For that cannot be read; the audit trail shows the proxy's address"
            );
        });
    }
    Some(client)
}

/// The client's address, and what is wrong with the hop that ended the search, if one did.
///
/// Read from the right, because everything left of what a trusted proxy wrote is whatever a client made up. For the
/// same reason nothing to the left of a malformed hop is believed: the client is the last trusted proxy then.
fn find(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> (IpAddr, Option<&'static str>) {
    // A listener on [::] sees IPv4 clients as ::ffff:192.0.2.7; nobody writes their address, or a CIDR, like that.
    let mut client = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(client) {
        return (client, None);
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").collect();
    for hop in lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b',')) {
        match parse(hop) {
            Ok(address) => client = address.to_canonical(),
            Err(problem) => return (client, Some(problem)),
        }
        if !is_trusted(client) {
            break;
        }
    }
    (client, None)
}

/// An address, alone or with a port: `203.0.113.9`, `203.0.113.9:51008`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:443`. An error says which kind of thing it is instead, and repeats nothing of it.
fn parse(hop: &[u8]) -> Result<IpAddr, &'static str> {
    let hop = str::from_utf8(hop).map_err(|_error| "bytes that are not text")?.trim();
    let in_brackets = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = match in_brackets {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.ok_or(match hop {
        "" => "an empty hop",
        _ if hop.eq_ignore_ascii_case("unknown") => "the word unknown",
        _ if hop.starts_with('_') => "an obfuscated identifier",
        _ => "not an IP address",
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = ["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")];
        for (peer, forwarded, expected) in [
            ("192.0.2.7", &["203.0.113.1"][..], "192.0.2.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["forged, 203.0.113.1 , 10.0.0.2"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9, 203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9", "203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.9:51008"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.9, 203.0.113.9:51008, 10.0.0.2:80"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["[::ffff:203.0.113.9]:443"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("fd00::1", &["::ffff:203.0.113.1"], "203.0.113.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(line));
            }
            let found = client_ip(peer.parse().ok(), &headers, &trusted);
            assert_eq!(found, expected.parse().ok(), "{peer} {forwarded:?}");
        }
        assert_eq!(client_ip(None, &HeaderMap::new(), &trusted), None);
    }

    #[test]
    fn nothing_left_of_a_malformed_hop_is_believed() {
        let trusted = ["10.0.0.0/8".parse().expect("a network")];
        for (hop, problem) in [
            (&b""[..], "an empty hop"),
            (b"unknown", "the word unknown"),
            (b"Unknown", "the word unknown"),
            (b"_secret", "an obfuscated identifier"),
            (b"\xff", "bytes that are not text"),
            (b"proxy.internal", "not an IP address"),
            (b"203.0.113.9:", "not an IP address"),
            (b"203.0.113.9:65536", "not an IP address"),
            (b"203.0.113.09", "not an IP address"),
            (b"[203.0.113.9]", "not an IP address"),
            (b"[203.0.113.9]:443", "not an IP address"),
            (b"[2001:db8::1", "not an IP address"),
            (b"2001:db8::1]:443", "not an IP address"),
            (b"[2001:db8::1]443", "not an IP address"),
            (b"\"203.0.113.9\"", "not an IP address"),
            (b"for=203.0.113.9", "not an IP address"),
        ] {
            let mut headers = HeaderMap::new();
            let line = [b"198.51.100.9, ", hop, b", 10.0.0.2"].concat();
            let line = HeaderValue::from_bytes(&line).expect("a header");
            headers.append(HeaderName::from_static("x-forwarded-for"), line);
            let peer = "10.0.0.1".parse().expect("an address");
            let expected = ("10.0.0.2".parse().expect("an address"), Some(problem));
            assert_eq!(find(peer, &headers, &trusted), expected, "{}", String::from_utf8_lossy(hop));
        }
    }
}
