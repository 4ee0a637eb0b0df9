use std::net::IpAddr;

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// Where a request came from: the peer, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For`
/// that is no trusted proxy itself.
///
/// Read from the right, because everything left of what a trusted proxy wrote is whatever a client made up.
pub(crate) fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    // A listener on [::] sees IPv4 clients as ::ffff:192.0.2.7; nobody writes their address, or a CIDR, like that.
    let mut client = peer?.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(client) {
        return Some(client);
    }
    let hops: Vec<_> = headers.get_all("x-forwarded-for").collect();
    for hop in hops.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b',')) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) else {
            break; // a proxy that writes nonsense is believed no further
        };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    Some(client)
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
}
