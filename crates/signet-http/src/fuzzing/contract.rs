//! Which answers there may be. The document of the API tells it; nothing of it is repeated here.

use std::{collections::BTreeSet, sync::LazyLock};

use actix_web::http::Method;
use serde_json::Value;

use super::schema::conforms;
use crate::{openapi, routes::BASE, testing::Reply};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi()).expect("a document is JSON"));

/// Method and path of each operation.
pub(super) fn operations() -> impl Iterator<Item = (String, String)> {
    members(&DOCUMENT["paths"])
        .flat_map(|(path, item)| members(item).map(move |(method, _)| (method.to_uppercase(), format!("{BASE}{path}"))))
}

/// What a reference leads to; anything else is what it is.
pub(super) fn resolve(value: &'static Value) -> &'static Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(value, |pointer| DOCUMENT.pointer(pointer).unwrap_or(&Value::Null))
}

/// Panics unless the document tells of this answer, to the last member of its body.
pub(super) fn check(method: &Method, path: &str, reply: &Reply) {
    let (status, body) = (reply.status, String::from_utf8_lossy(&reply.body));
    let answer = format!("{method} {path}: {status} {body}");
    // The document tells of these too; but nothing that a client sends may bring them about.
    assert!(!status.is_server_error(), "{answer}");
    let path = path.strip_prefix(BASE).unwrap_or_default();
    let operation = &DOCUMENT["paths"][path][method.as_str().to_lowercase()];
    let documented = resolve(&operation["responses"][status.as_str()]);
    assert!(documented.is_object(), "no such status is documented: {answer}");
    for (name, header) in members(&documented["headers"]) {
        let value = reply.header(name).map_or(Value::Null, Value::from);
        conforms(&resolve(header)["schema"], &value).unwrap_or_else(|why| panic!("{name}: {why}: {answer}"));
    }
    let content = &documented["content"][reply.header("content-type").unwrap_or_default()];
    conforms(&content["schema"], &reply.json).unwrap_or_else(|why| panic!("{why}: {answer}"));
    if !status.is_success() {
        // Each code of the operation has an example, which shows whether details and an id go with it.
        let example = &content["examples"][reply.code()]["value"];
        let (told, mut expected) = (names(&reply.json["error"]), names(&example["error"]));
        // Only a removed user has it.
        expected.retain(|name| *name != "existingUserRemovedAt" || told.contains(name));
        assert_eq!(told, expected, "{answer}");
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn names(value: &Value) -> BTreeSet<&str> {
    members(value).map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use actix_web::http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    };

    use super::*;
    use crate::testing::{World, bearer, request};

    type Change = fn(&mut Reply);

    #[actix_web::test]
    async fn an_answer_that_the_document_does_not_tell_of_is_noticed() {
        const PATH: &str = "/partner/v1/all-users";
        let world = World::new().await;
        let changes: [(bool, Change); 9] = [
            (true, |_| {}),
            (true, |reply| reply.json["message"] = "Try again with a limit.".into()),
            (false, |reply| reply.status = StatusCode::INTERNAL_SERVER_ERROR),
            (false, |reply| reply.status = StatusCode::NOT_FOUND),
            (false, |reply| drop(reply.headers.remove("x-request-id"))),
            (false, |reply| drop(reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html")))),
            (false, |reply| reply.json["error"]["code"] = "user_not_found".into()),
            (false, |reply| reply.json["error"]["hint"] = "limit".into()),
            (false, |reply| reply.json["error"]["details"] = Value::Null),
        ];
        for (number, (told, change)) in changes.into_iter().enumerate() {
            let sent = request("GET", &format!("{PATH}?limit=0")).insert_header(bearer(&world.key));
            let mut reply = world.send_raw(sent.to_request()).await;
            change(&mut reply);
            let checked = catch_unwind(AssertUnwindSafe(|| check(&Method::GET, PATH, &reply)));
            assert_eq!(checked.is_ok(), told, "change {number}");
        }
    }
}
