//! Calls the program over HTTP as a partner would.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{HeaderMap, Response},
    tls::{Certificate, RootCerts, TlsConfig},
};

pub struct Client {
    agent: Agent,
    base: String,
    authorization: String,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Client {
    /// Trusts that certificate and no other.
    pub fn new(url: &str, certificate: Option<&Path>, key: &str) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_mins(1)));
        if let Some(path) = certificate {
            let pem = fs::read(path).expect("a certificate");
            let roots = RootCerts::new_with_certs(&[Certificate::from_pem(&pem).expect("PEM").to_owned()]);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Self { agent: config.build().into(), base: url.to_owned(), authorization: format!("Bearer {key}") }
    }

    pub fn get(&self, path: &str) -> Reply {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.authorization);
        request.call().and_then(read).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends a body with any method, `DELETE` included.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// The same, where there may be no answer.
    pub fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Reply, ureq::Error> {
        let url = format!("{}{path}", self.base);
        let request = match method {
            "POST" => self.agent.post(url),
            "PATCH" => self.agent.patch(url),
            _ => self.agent.delete(url).force_send_body(),
        };
        let request = request.header("Authorization", &self.authorization).header("Content-Type", "application/json");
        request.send(body.to_string()).and_then(read)
    }

    pub fn register(&self, email: &str) -> Reply {
        self.send("POST", "/partner/v1/register-user", &json!({ "name": "John Doe", "email": email }))
    }

    /// Status and body of something that is no JSON.
    pub fn text(&self, path: &str) -> (u16, String) {
        let response = self.agent.get(format!("{}{path}", self.base)).call();
        let mut response = response.unwrap_or_else(|error| panic!("no answer: {error}"));
        (response.status().as_u16(), response.body_mut().read_to_string().expect("text"))
    }
}

fn read(mut response: Response<ureq::Body>) -> Result<Reply, ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone(), body })
}
