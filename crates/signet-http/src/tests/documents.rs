use std::{fs, path::Path};

use serde_json::Value;
use signet_domain::Name;

use super::support::{World, request};
use crate::{Options, error::Code, openapi_json, openapi_yaml};

#[test]
fn the_document_at_the_top_level_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
    let checked_in = fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == openapi_yaml(), "openapi.yaml has drifted from the code: run `make openapi`");
}

#[test]
fn every_code_of_an_operation_is_documented_with_an_example() {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let text = document.to_string();
    for code in Code::ALL {
        let of_no_operation = matches!(code, Code::RouteNotFound | Code::MethodNotAllowed);
        let example = format!("\"{}\":{{\"summary\"", code.as_str());
        assert_eq!(text.contains(&example), !of_no_operation, "{}", code.as_str());
    }
}

#[test]
fn codes_are_an_open_list_and_request_ids_a_parameter_of_every_operation() {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let code = &document["components"]["schemas"]["ErrorInfo"]["properties"]["code"];
    assert_eq!((&code["type"], code.get("enum")), (&Value::from("string"), None));
    assert_eq!(code["examples"].as_array().map(Vec::len), Some(Code::ALL.len()));
    let servers: Vec<_> = document["servers"].as_array().into_iter().flatten().map(|server| &server["url"]).collect();
    assert_eq!(servers, ["/partner/v1", "https://localhost:4401/partner/v1"], "the first is what Try it out asks");
    let operations =
        document["paths"].as_object().into_iter().flatten().filter_map(|(_, item)| item.as_object()).flatten();
    let mut count = 0;
    for (method, operation) in operations {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut references = parameters.filter_map(|parameter| parameter["$ref"].as_str());
        assert!(references.any(|reference| reference == "#/components/parameters/RequestId"), "{method} {operation}");
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_pattern_of_a_name_refuses_what_the_service_refuses() {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let rule = document.pointer("/components/schemas/User/properties/name/pattern").and_then(Value::as_str);
    let pattern = regex_lite::Regex::new(rule.expect("a pattern")).expect("an expression");
    for character in '\0'..='\u{ffff}' {
        for name in [character.to_string(), format!("a{character}b")] {
            assert_eq!(pattern.is_match(&name), Name::parse(&name).is_ok(), "{name:?}");
        }
    }
}

#[actix_web::test]
async fn swagger_ui_comes_from_the_binary_alone() {
    let world = World::new().await;
    let page = world.send(request("GET", "/docs")).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let html = String::from_utf8(page.body.to_vec()).expect("UTF-8");
    assert!(!html.contains("http"), "nothing from elsewhere");
    let assets: Vec<_> = html.split('"').filter(|part| part.starts_with("docs/")).collect();
    assert_eq!(assets.len(), 3);
    for asset in assets {
        let reply = world.send(request("GET", &format!("/{asset}"))).await;
        assert_eq!(reply.status, 200, "{asset}");
        assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/")), "{asset}");
        assert!(!reply.body.is_empty(), "{asset}");
    }
}

#[actix_web::test]
async fn the_document_is_served_as_json_and_as_yaml() {
    let world = World::new().await;
    let json = world.send(request("GET", "/openapi.json")).await;
    assert_eq!(json.json["openapi"], "3.1.0");
    let yaml = world.send(request("GET", "/openapi.yaml")).await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert_eq!(yaml.body, openapi_yaml());
}

#[actix_web::test]
async fn the_root_shows_a_page_to_browsers_and_nothing_to_programs() {
    let world = World::new().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    for (accept, is_page) in [
        (Some(browser), true),
        (Some("text/html"), true),
        (Some("application/json;q=0.9, text/html"), true),
        (None, false),
        (Some("*/*"), false),
        (Some("application/json"), false),
        (Some("application/json, text/plain, */*"), false),
        (Some("text/html, application/json"), false),
        (Some("text/html;q=0"), false),
        (Some("nonsense"), false),
    ] {
        for method in ["GET", "HEAD"] {
            let sent = request(method, "/");
            let sent = accept.into_iter().fold(sent, |sent, accept| sent.insert_header(("accept", accept)));
            let reply = world.send(sent).await;
            assert_eq!(reply.status.as_u16(), if is_page { 200 } else { 404 }, "{method} {accept:?}");
            if is_page {
                assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
            }
        }
    }
    let posted = world.send(request("POST", "/").insert_header(("accept", browser))).await;
    assert_eq!((posted.status.as_u16(), posted.code()), (404, "route_not_found"));
}

#[actix_web::test]
async fn every_link_of_a_page_leads_somewhere() {
    let world = World::new().await;
    for path in ["/", "/docs"] {
        let page = world.send(request("GET", path).insert_header(("accept", "text/html"))).await;
        for (header, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(page.header(header), Some(value), "{path}");
        }
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        let html = String::from_utf8(page.body.to_vec()).expect("UTF-8");
        let links = html.split("href=\"").skip(1).chain(html.split("src=\"").skip(1));
        let links = links.filter_map(|rest| rest.split('"').next()).filter(|link| !link.starts_with("data:"));
        let links: Vec<_> = links.collect();
        assert!(links.len() >= 3, "{html}");
        for link in links {
            assert!(!link.starts_with('/') && !link.contains(':'), "relative: {link}");
            assert_eq!(world.send(request("GET", &format!("/{link}"))).await.status, 200, "{link}");
        }
    }
    let redirected = world.send(request("GET", "/docs/")).await;
    assert_eq!((redirected.status.as_u16(), redirected.header("location")), (308, Some("../docs")));
}

#[actix_web::test]
async fn pages_can_be_switched_off() {
    let world = World::with(Options { docs: false, ..Options::default() }).await;
    for path in ["/", "/docs", "/docs/", "/docs/init.js", "/docs/swagger-ui.css", "/docs/api.md"] {
        for method in ["GET", "POST"] {
            let reply = world.send(request(method, path).insert_header(("accept", "text/html"))).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (404, "route_not_found"), "{method} {path}");
        }
    }
    for path in ["/openapi.json", "/openapi.yaml"] {
        assert_eq!(world.send(request("GET", path)).await.status, 200, "{path}");
    }
}
