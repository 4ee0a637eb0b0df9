//! As much of JSON Schema as the document of the API uses.
//!
//! It is stricter than its standard: a member that is not named is refused, since whoever reads the document cannot know
//! it, and so is a keyword that is not known here, so that none is passed over.

use actix_web::http::Uri;
use regex_lite::Regex;
use serde_json::Value;
use signet_domain::{EmailAddress, Timestamp, UserId};

use super::contract::resolve;

/// What is wrong with the value, if anything is.
pub(super) fn conforms(schema: &'static Value, value: &Value) -> Result<(), String> {
    let keywords = resolve(schema).as_object().ok_or_else(|| format!("no schema for {value}"))?;
    keywords.iter().try_for_each(|(keyword, rule)| keeps(keyword, rule, value))
}

fn keeps(keyword: &str, rule: &'static Value, value: &Value) -> Result<(), String> {
    let kept = match (keyword, value) {
        ("description" | "examples", _) => true,
        ("type", _) => listed(rule).iter().any(|kind| is_a(kind, value)),
        ("enum", _) => listed(rule).contains(value),
        ("anyOf", _) => listed(rule).iter().any(|schema| conforms(schema, value).is_ok()),
        ("format", _) => has_format(rule, value),
        ("pattern", Value::String(text)) => {
            rule.as_str().and_then(|pattern| Regex::new(pattern).ok()).is_some_and(|pattern| pattern.is_match(text))
        }
        ("minLength", Value::String(text)) => text.chars().count() >= bound(rule),
        ("maxLength", Value::String(text)) => text.chars().count() <= bound(rule),
        ("minimum", Value::Number(number)) => number.as_u64() >= rule.as_u64(),
        ("maximum", Value::Number(number)) => number.as_u64() <= rule.as_u64(),
        ("maxProperties", Value::Object(members)) => members.len() <= bound(rule),
        ("required", Value::Object(members)) => {
            listed(rule).iter().all(|name| name.as_str().is_some_and(|name| members.contains_key(name)))
        }
        ("propertyNames", Value::Object(members)) => {
            members.keys().all(|name| conforms(rule, &Value::from(name.as_str())).is_ok())
        }
        ("additionalProperties", Value::Object(members)) => {
            members.values().all(|member| conforms(rule, member).is_ok())
        }
        ("properties", Value::Object(members)) => {
            return members
                .iter()
                .try_for_each(|(name, member)| conforms(&rule[name], member).map_err(|why| format!("{name}: {why}")));
        }
        ("items", Value::Array(items)) => return items.iter().try_for_each(|item| conforms(rule, item)),
        _ => false,
    };
    if kept { Ok(()) } else { Err(format!("{keyword} {rule} does not hold of {value}")) }
}

/// The members of a list, or the one that stands in its place.
fn listed(rule: &'static Value) -> &'static [Value] {
    rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice)
}

fn bound(rule: &Value) -> usize {
    rule.as_u64().and_then(|bound| usize::try_from(bound).ok()).expect("a bound is a number")
}

fn is_a(kind: &Value, value: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || (kind == "integer" && !number.is_f64()),
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

fn has_format(format: &Value, value: &Value) -> bool {
    match (format.as_str(), value) {
        (Some("int64"), Value::Number(number)) => number.is_i64(),
        (Some("uuid"), Value::String(text)) => UserId::parse(text).is_ok_and(|id| id.to_string() == *text),
        (Some("date-time"), Value::String(text)) => Timestamp::parse(text).is_ok(),
        (Some("idn-email"), Value::String(text)) => EmailAddress::parse(text).is_ok_and(|email| email.as_str() == text),
        (Some("uri-reference"), Value::String(text)) => text.parse::<Uri>().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::examples;

    fn schema(schema: Value) -> &'static Value {
        Box::leak(Box::new(schema))
    }

    #[test]
    fn the_examples_conform_and_what_differs_from_them_does_not() {
        let user = schema(json!({ "$ref": "#/components/schemas/User" }));
        let entry = schema(json!({ "$ref": "#/components/schemas/AuditEntry" }));
        assert_eq!(conforms(user, &examples::user()), Ok(()));
        assert_eq!(conforms(entry, &examples::audit_trail()["entries"][0]), Ok(()));
        for (field, wrong) in [
            ("userId", json!("1A123288-24E8-4C6D-A847-501BAB184F5A")),
            ("name", json!("")),
            ("name", json!("  ")),
            ("name", json!("John\nDoe")),
            ("name", json!("x".repeat(201))),
            ("email", json!("john")),
            ("email", json!(" john@example.com")),
            ("status", json!("removed")),
            ("metadata", Value::Null),
            ("metadata", json!([])),
            ("metadata", json!({ "": 1 })),
            ("metadata", json!({ "plan": ["\u{0}"] })),
            ("registeredAt", json!("2025-09-30T15:01:53Z")),
            ("updatedAt", json!(1_759_244_513)),
            ("removedAt", Value::Null),
            ("nickname", json!("Johnny")),
        ] {
            let mut other = examples::user();
            other[field] = wrong;
            assert!(conforms(user, &other).is_err(), "{other}");
        }
        let mut nameless = examples::user();
        nameless.as_object_mut().expect("an object").remove("name");
        assert!(conforms(user, &nameless).is_err());
    }

    #[test]
    fn numbers_keep_their_bounds_and_no_keyword_is_passed_over() {
        let limit = schema(json!({ "type": "integer", "minimum": 1, "maximum": 100 }));
        for (number, kept) in [(json!(1), true), (json!(100), true), (json!(0), false), (json!(101), false)] {
            assert_eq!(conforms(limit, &number).is_ok(), kept, "{number}");
        }
        assert!(conforms(limit, &json!(1.5)).is_err() && conforms(limit, &json!(-1)).is_err());
        assert!(conforms(schema(json!({ "type": "string", "contentEncoding": "base64" })), &json!("")).is_err());
        assert!(conforms(&Value::Null, &json!({})).is_err());
    }
}
