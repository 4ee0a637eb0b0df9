//! Pages of other origins that may call the API from a browser (the CORS protocol of the Fetch standard). Never with
//! cookies or other credentials of the browser: an API key goes along only where a script puts it into the header.
//!
//! Own code, and not `actix-cors`: that middleware answers preflights itself, without the request id by which the layer
//! below recognises the answers of this service, and refuses in plain text.

use std::str::FromStr;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode, Uri,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
            HeaderValue, ORIGIN, VARY,
        },
    },
};

/// What a page may send besides what every page may.
const ALLOWED: HeaderValue = HeaderValue::from_static("authorization, content-encoding, content-type, x-request-id");

/// What a page may read besides what every page may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("accept-encoding, allow, location, retry-after, www-authenticate, x-request-id");

/// For how many seconds a browser may remember the answer to a preflight: two hours, the most that Chromium allows.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// An origin, as browsers write it: scheme, host and, unless it is the scheme's own, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "must be an origin as browsers write it, such as https://app.example or http://localhost:3000: \
                            lower case, no path, no slash at the end, no default port, and not *";
        let uri: Uri = text.parse().map_err(|_error| RULE)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(RULE) };
        let host = authority.host();
        let canonical = match (scheme, uri.port_u16()) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => format!("{scheme}://{host}"),
            (_, Some(port)) => format!("{scheme}://{host}:{port}"),
        };
        if text == canonical.to_ascii_lowercase() && !host.is_empty() && !host.contains('*') {
            HeaderValue::from_str(text).map(Self).map_err(|_error| RULE)
        } else {
            Err(RULE)
        }
    }
}

/// The answer to a preflight of an allowed origin; `None` for any other request.
pub(crate) fn preflight(request: &HttpRequest, origins: &[Origin], methods: &'static str) -> Option<HttpResponse> {
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let _origin = allowed(request.headers(), origins).filter(|_| asks)?;
    let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(response)
}

/// Lets a page of an allowed origin read the answer, whatever it is.
pub(crate) fn expose(request: &HttpRequest, origins: &[Origin], headers: &mut HeaderMap) {
    if origins.is_empty() {
        return;
    }
    headers.append(VARY, HeaderValue::from(ORIGIN));
    if let Some(Origin(origin)) = allowed(request.headers(), origins) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The origin that the request comes from, if it is one of these.
fn allowed<'a>(headers: &HeaderMap, origins: &'a [Origin]) -> Option<&'a Origin> {
    let sent = headers.get(ORIGIN)?;
    origins.iter().find(|Origin(origin)| origin == sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for good in [
            "https://app.example",
            "http://localhost:3000",
            "https://xn--bcher-kva.example",
            "https://[2001:db8::1]:8443",
            "http://192.0.2.7",
            "capacitor://localhost",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example",
            "//app.example",
            "https://",
            "https://*.example",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example?query",
            "https://app.example#fragment",
            "https://user@app.example",
            "https://app.example:",
            "https://app.example:443",
            "http://app.example:80",
            "https://app.example:99999",
            "https://App.example",
            "HTTPS://app.example",
            "https://bücher.example",
            "https://app.example https://other.example",
            "file:///index.html",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
