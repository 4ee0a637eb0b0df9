use std::{fs, path::Path};

use serde_json::Value;
use signet_domain::Name;

use super::support::{World, request};
use crate::{error::Code, openapi_json, openapi_yaml};

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
