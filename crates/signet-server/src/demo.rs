//! Something to play with: a partner and a key on a database that has none.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use signet_application::{
    api_keys::{CreateApiKey, NewApiKey},
    partners::CreatePartner,
};
use signet_domain::{
    ApiKeyToken, KeyMode, KeyScope, Name,
    ports::{Clock, IdGenerator, SecretHasher},
};

use crate::{backend::Backend, error::Failure};

/// Makes a partner and a key, unless the database has a partner already; one that was left without a key by a start that
/// was cut short gets it now.
pub(crate) async fn create(
    backend: &Backend,
    hasher: Arc<dyn SecretHasher>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
) -> Result<Option<ApiKeyToken>, Failure> {
    let name = Name::parse("Demo").expect("a name");
    let partner = match backend.partners.list().await?.as_slice() {
        [] => CreatePartner::new(backend.partners.clone(), clock.clone(), ids.clone()).execute(name.clone()).await?,
        [one] if one.name == name && backend.keys.list(one.id).await?.is_empty() => one.clone(),
        _ => return Ok(None),
    };
    let new =
        NewApiKey { partner_id: partner.id, name, mode: KeyMode::Test, scope: KeyScope::ReadWrite, expires_in: None };
    let create = CreateApiKey::new(backend.keys.clone(), hasher, clock, ids);
    let (_, token) =
        create.execute(new).await.map_err(|error| Failure::runtime("cannot create the demo key", error))?;
    Ok(Some(token))
}

/// Tells what to do with the key. This is the only time that it is shown.
pub(crate) fn introduce(out: &mut impl Write, token: &ApiKeyToken, base_url: &str) -> io::Result<()> {
    let key = token.expose();
    let insecure = if base_url.starts_with("https:") { " -k" } else { "" };
    write!(
        out,
        r#"
A partner "Demo" was created. Its API key, which is not shown again:

  {key}

Register a user:

  curl{insecure} -X POST {base_url}/partner/v1/register-user -H "Content-Type: application/json" -H "Authorization: Bearer {key}" -d '{{"name": "John Doe", "email": "john.doe@example.com"}}'

Swagger UI: {base_url}/docs

"#
    )?;
    out.flush()
}

/// The URL to reach this listener with from the same machine. The certificate that is made by itself is for `localhost`.
pub(crate) fn base_url(address: SocketAddr, encrypted: bool) -> String {
    let scheme = if encrypted { "https" } else { "http" };
    let port = address.port();
    match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => format!("{scheme}://localhost:{port}"),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("{scheme}://localhost:{port}"),
        _ => format!("{scheme}://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use signet_domain::{ApiKeyId, Secret};

    use super::*;

    #[test]
    fn the_url_is_one_that_works_on_the_same_machine() {
        for (address, expected) in [
            ("127.0.0.1:4401", "https://localhost:4401"),
            ("0.0.0.0:443", "https://localhost:443"),
            ("[::]:4401", "https://localhost:4401"),
            ("[::1]:4401", "https://[::1]:4401"),
            ("127.0.0.2:4401", "https://127.0.0.2:4401"),
            ("192.0.2.1:4401", "https://192.0.2.1:4401"),
        ] {
            assert_eq!(base_url(address.parse().expect("an address"), true), expected);
        }
        assert_eq!(base_url("127.0.0.1:1".parse().expect("an address"), false), "http://localhost:1");
    }

    #[test]
    fn the_curl_line_is_one_line_with_the_key() {
        let token = ApiKeyToken {
            mode: KeyMode::Test,
            id: ApiKeyId::parse("0123456789abcdef").expect("valid"),
            secret: Secret::parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345").expect("valid"),
        };
        let mut out = Vec::new();
        introduce(&mut out, &token, "https://localhost:4401").expect("written");
        let text = String::from_utf8(out).expect("text");
        let line = text.lines().map(str::trim).find(|line| line.starts_with("curl")).expect("a curl line");
        assert!(line.starts_with("curl -k -X POST https://localhost:4401/partner/v1/register-user "), "{line}");
        assert!(
            line.contains(&format!("\"Authorization: Bearer {}\"", token.expose())) && line.ends_with("}'"),
            "{line}"
        );
    }
}
