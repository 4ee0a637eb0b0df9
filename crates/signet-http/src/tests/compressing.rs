use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::{
    support::{World, bearer, request},
    wire::{Server, patient},
};
use crate::openapi_yaml;

fn unzip(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    text
}

#[actix_web::test]
async fn a_page_is_compressed_for_a_client_that_accepts_gzip() {
    let world = World::new().await;
    for number in 0..20 {
        let new =
            json!({"name": "John", "email": format!("{number}@example.com"), "metadata": {"a": "b".repeat(4000)}});
        world.call("POST", "/register-user", new).await.data();
    }
    for path in ["/partner/v1/all-users?limit=4", "/partner/v1/all-users?limit=20"] {
        let plain = world.send(request("GET", path).insert_header(bearer(&world.key))).await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
        let accepting = |method| {
            request(method, path).insert_header(bearer(&world.key)).insert_header(("accept-encoding", "br, gzip"))
        };
        let reply = world.send(accepting("GET")).await;
        assert_eq!((reply.header("content-encoding"), reply.header("vary")), (Some("gzip"), Some("accept-encoding")));
        assert_eq!(serde_json::from_str::<Value>(&unzip(&reply.body)).expect("JSON"), plain.json, "{path}");
        assert!(reply.body.len() < plain.body.len() / 10);
        let head = world.send(accepting("HEAD")).await;
        assert_eq!((head.status, head.header("content-encoding")), (reply.status, Some("gzip")));
    }
}

#[actix_web::test]
async fn documents_are_compressed_and_small_refusals_are_not() {
    let world = World::new().await;
    let accepting = |path: &str| request("GET", path).insert_header(("accept-encoding", "gzip"));
    let yaml = world.send(accepting("/openapi.yaml")).await;
    assert_eq!((yaml.header("content-encoding"), unzip(&yaml.body)), (Some("gzip"), openapi_yaml()));
    for path in ["/docs", "/docs/init.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        let plain = world.send(request("GET", path)).await;
        let reply = world.send(accepting(path)).await;
        assert_eq!((reply.header("content-encoding"), unzip(&reply.body).as_bytes()), (Some("gzip"), &plain.body[..]));
        assert_eq!(reply.header("content-type"), plain.header("content-type"));
    }
    let refusal = world.send(accepting("/nowhere")).await;
    assert_eq!((refusal.status.as_u16(), refusal.header("content-encoding")), (404, None));
}

/// Whatever goes over the wire has the length that it announces, or the next answer of the connection is lost.
#[actix_web::test]
async fn a_connection_goes_on_after_compressed_answers() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    for path in ["/docs/swagger-ui-bundle.js", "/openapi.json", "/partner/v1/all-users"] {
        for method in ["GET", "HEAD"] {
            let asked = server.get(path).replacen("GET", method, 1);
            client.send(&asked.replace("\r\n\r\n", "\r\nAccept-Encoding: gzip\r\n\r\n")).await;
            let (length, coding) = client.head_of_answer(method == "GET").await;
            assert!(length > 0 && (coding == Some("gzip".to_owned())) == (length > 1024), "{method} {path}: {length}");
        }
    }
}
