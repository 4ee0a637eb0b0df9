//! Strict JSON: RFC 8259 in UTF-8 without duplicate keys, and without numbers that would not survive the reading.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};
use signet_domain::{Invalid, Metadata};

use crate::{
    error::{Code, Detail, Failure},
    fields::{Fields, shown},
};

/// The members of the object that a request body must be.
pub(crate) fn members(body: &[u8]) -> Result<Fields<'static, Value>, Failure> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| {
        let place = format!("byte {} is not UTF-8", error.valid_up_to() + 1);
        malformed(&place)
    })?;
    if text.trim_ascii().is_empty() {
        return Err(Failure::saying(Code::MalformedJson, "The request body is empty. Send a JSON object."));
    }
    read_members(text).map_err(|refused| match refused {
        Refused::Malformed { reason, offset } => malformed(&format!("{reason} ({})", place(text, offset))),
        Refused::Invalid(rule) => Failure::validation(vec![Detail::new("body", rule.to_string())]),
    })
}

/// Excel and Windows PowerShell write one in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn malformed(reason: &str) -> Failure {
    Failure::saying(Code::MalformedJson, format!("The request body is not valid JSON: {reason}."))
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn place(text: &str, offset: usize) -> String {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.rsplit('\n').next().unwrap_or_default();
    format!("line {}, column {}", before.matches('\n').count() + 1, line.chars().count() + 1)
}

enum Refused {
    /// It is no JSON, for a reason, from a byte of the body on.
    Malformed {
        reason: Cow<'static, str>,
        offset: usize,
    },
    Invalid(Invalid),
}

fn read_members(body: &str) -> Result<Fields<'static, Value>, Refused> {
    let whole: &RawValue = read(body, body)?;
    if !whole.get().starts_with('{') {
        return Err(Refused::Invalid(Invalid::new("must be a JSON object")));
    }
    let mut values = BTreeMap::new();
    for (name, raw) in object(body, whole.get())? {
        let value = match value(body, raw.get(), Metadata::MAX_DEPTH) {
            Err(Refused::Invalid(rule)) => Err(rule),
            malformed_or_valid => Ok(malformed_or_valid?),
        };
        values.insert(Cow::Owned(name), value);
    }
    Ok(Fields::new(values, "is not a field of this request"))
}

/// Reads a part of the body.
fn read<'a, T: Deserialize<'a>>(body: &str, part: &'a str) -> Result<T, Refused> {
    serde_json::from_str(part).map_err(|error| {
        if error.is_eof() {
            return Refused::Malformed { reason: "it is cut short".into(), offset: offset(body, part) + part.len() };
        }
        let line_start = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let offset = offset(body, part) + line_start + error.column().saturating_sub(1);
        let (before, after) = body.split_at(body.floor_char_boundary(offset));
        let reason = if after.starts_with(['}', ']']) && before.trim_ascii_end().ends_with(',') {
            "a comma with nothing after it"
        } else {
            reason(&error)
        };
        Refused::Malformed { reason: reason.into(), offset }
    })
}

/// Where a part of the body starts in it.
fn offset(body: &str, part: &str) -> usize {
    part.as_ptr().addr() - body.as_ptr().addr()
}

/// Our words for what the library found. Its own name types and offsets, and may change: none of them gets out, and one
/// that is not known here is a syntax error.
fn reason(error: &serde_json::Error) -> &'static str {
    const WORDS: [(&str, &str); 13] = [
        ("expected `:`", "a colon is missing after a name"),
        ("expected `,` or `]`", "a comma or a closing bracket is missing"),
        ("expected `,` or `}`", "a comma or a closing brace is missing"),
        ("expected ident", "a word other than true, false and null"),
        ("expected value", "a value is missing"),
        ("key must be a string", "a name in double quotes is missing"),
        ("trailing characters", "something follows after the end"),
        ("invalid escape", "an unknown escape in a string"),
        ("invalid number", "a malformed number"),
        ("control character", "a control character in a string"),
        ("lone leading surrogate", "a lone surrogate in a string"),
        ("unexpected end of hex escape", "a lone surrogate in a string"),
        ("invalid unicode code point", "a lone surrogate in a string"),
    ];
    let text = error.to_string();
    WORDS.iter().find(|(theirs, _)| text.starts_with(theirs)).map_or("a syntax error", |(_, ours)| ours)
}

/// Reads one value. Objects and arrays are opened one level at a time, so that no nesting can exhaust the stack, and
/// numbers are seen as they were written.
fn value(body: &str, text: &str, levels: usize) -> Result<Value, Refused> {
    match text.as_bytes().first() {
        Some(b'{' | b'[') if levels == 0 => Err(Refused::Invalid(Invalid::new("must be at most 8 levels deep"))),
        Some(b'{') => {
            let inner = |(name, raw): (String, &RawValue)| Ok((name, value(body, raw.get(), levels - 1)?));
            let members = object(body, text)?.into_iter().map(inner);
            members.collect::<Result<Map<_, _>, Refused>>().map(Value::Object)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(body, text)?;
            let inner = |raw: &RawValue| value(body, raw.get(), levels - 1);
            items.into_iter().map(inner).collect::<Result<_, _>>().map(Value::Array)
        }
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number).ok_or_else(|| {
            Refused::Invalid(Invalid::new("must hold no number beyond 64-bit integers and double precision"))
        }),
        _ => read(body, text),
    }
}

/// Reads an object, one level deep, in which no name stands twice.
fn object<'a>(body: &str, text: &'a str) -> Result<BTreeMap<String, &'a RawValue>, Refused> {
    let Members(members) = read(body, text)?;
    let mut object = BTreeMap::new();
    for (raw_name, raw) in members {
        let name: String = read(body, raw_name.get())?;
        match object.entry(name) {
            Entry::Vacant(entry) => _ = entry.insert(raw),
            Entry::Occupied(entry) => {
                let reason = format!("the name \"{}\" is given twice", shown(entry.key().into()));
                return Err(Refused::Malformed { reason: reason.into(), offset: offset(body, raw_name.get()) });
            }
        }
    }
    Ok(object)
}

/// The members of an object as they stand in the text.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The number, if it will be written out with the value that it was read with.
fn number(text: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(text).ok()?;
    let survives = !number.is_f64() || decimal(text)? == decimal(&number.to_string())?;
    survives.then_some(number)
}

/// A JSON number as sign, significant digits and the power of ten of the last of them.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole.trim_start_matches('-'), fraction].concat();
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((text.starts_with('-'), significant.to_owned(), exponent.checked_add(dropped)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(body: &[u8]) -> Option<Code> {
        let mut fields = match members(body) {
            Ok(fields) => fields,
            Err(failure) => return Some(failure.code),
        };
        let metadata = fields.optional("m", Ok);
        fields.finish(Some(metadata)).err().map(|failure| failure.code)
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        let bodies: [&[u8]; 18] = [
            b"",
            b" ",
            b"{",
            b"nonsense",
            b"{\"m\":1}x",
            b"{\"m\":1}{}",
            b"{'m':1}",
            b"{\"m\":1,}",
            b"{\"m\":01}",
            b"{\"m\":+1}",
            b"{\"m\":NaN}",
            b"{\"m\":\"\xff\"}",
            b"{\"m\":\"\n\"}",
            br#"{"m":"\ud800"}"#,
            br#"{"\ud800":1}"#,
            br#"{"m":1,"m":1}"#,
            br#"{"m":{"a":[{"b":1,"b":2}]}}"#,
            br#"{"m":1,"\u006d":1}"#,
        ];
        for body in bodies {
            assert_eq!(refusal(body), Some(Code::MalformedJson), "{}", String::from_utf8_lossy(body));
        }
    }

    fn message(body: &[u8]) -> String {
        members(body).err().map(|failure| failure.message.into_owned()).unwrap_or_default()
    }

    #[test]
    fn a_malformed_body_is_refused_with_its_reason_and_its_place() {
        let mut wrong = Vec::new();
        for (body, reason) in [
            (&b"{\"m\": \xff}"[..], "byte 7 is not UTF-8"),
            (b"\xff\xfe{\0}\0", "byte 1 is not UTF-8"),
            (b"{\"m\":", "it is cut short (line 1, column 6)"),
            (b"{\n  \"m\": [1,\n", "it is cut short (line 3, column 1)"),
            (b"{\"m\": \"abc", "it is cut short (line 1, column 11)"),
            (b"nonsense", "a word other than true, false and null (line 1, column 2)"),
            (b"name=John", "a word other than true, false and null (line 1, column 2)"),
            (b"{'m':1}", "a name in double quotes is missing (line 1, column 2)"),
            (b"{m:1}", "a name in double quotes is missing (line 1, column 2)"),
            (b"{\"m\" 1}", "a colon is missing after a name (line 1, column 6)"),
            (b"{\"m\":}", "a value is missing (line 1, column 6)"),
            (b"{\"m\":1 \"n\":2}", "a comma or a closing brace is missing (line 1, column 8)"),
            (b"{\"m\":[1 2]}", "a comma or a closing bracket is missing (line 1, column 9)"),
            (b"{\r\n  \"m\": 1,\r\n}", "a comma with nothing after it (line 3, column 1)"),
            (b"{\"m\":[1,]}", "a comma with nothing after it (line 1, column 9)"),
            (b"{} {}", "something follows after the end (line 1, column 4)"),
            (b"{\"m\":01}", "a malformed number (line 1, column 7)"),
            (b"{\"m\":+1}", "a value is missing (line 1, column 6)"),
            (b"{\"m\":NaN}", "a value is missing (line 1, column 6)"),
            (b"{\"m\":\"\\x\"}", "an unknown escape in a string (line 1, column 8)"),
            (b"{\"m\":\"a\nb\"}", "a control character in a string (line 1, column 7)"),
            (br#"{"n":{"m":"x\ud800"}}"#, "a lone surrogate in a string (line 1, column 19)"),
            (br#"{"m":"\ud800\u0041"}"#, "a lone surrogate in a string (line 1, column 18)"),
            (br#"{"\udc00":1}"#, "a lone surrogate in a string (line 1, column 8)"),
            (br#"{"m":1,"m":1}"#, "the name \"m\" is given twice (line 1, column 8)"),
            (br#"{"m":1,"\u006d":1}"#, "the name \"m\" is given twice (line 1, column 8)"),
            (
                "{\n\t\"é\": 1,\n\t\"ß\": {\"ü\": \"日本\", \"ü\": 2}\n}".as_bytes(),
                "the name \"ü\" is given twice (line 3, column 19)",
            ),
        ] {
            let (said, expected) = (message(body), format!("The request body is not valid JSON: {reason}."));
            if said != expected {
                wrong.push((said, expected));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for body in [&b""[..], b" \r\n\t", BYTE_ORDER_MARK] {
            assert_eq!(message(body), "The request body is empty. Send a JSON object.");
        }
    }

    #[test]
    fn a_long_duplicate_name_is_not_repeated() {
        let key = format!("signet_live_0123456789abcdef_{}", "A".repeat(38));
        let message = message(format!("{{\"{key}\":1,\"{key}\":2}}").as_bytes());
        assert!(message.contains("\"signet_live_0123456789ab…\" is given twice"), "{message}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(refusal(b"\xef\xbb\xbf{\"m\":1}"), None);
        assert_eq!(refusal(b"\xef\xbb\xbf\xef\xbb\xbf{}"), Some(Code::MalformedJson), "only one");
    }

    #[test]
    fn what_is_no_object_is_invalid() {
        for body in ["[]", "[\"a\"]", "null", "1", "\"{}\"", "true"] {
            assert_eq!(refusal(body.as_bytes()), Some(Code::ValidationFailed), "{body}");
        }
        assert_eq!(refusal(br#"{"m":1,"n":1}"#), Some(Code::ValidationFailed), "a name nobody knows");
    }

    #[test]
    fn no_nesting_exhausts_the_stack() {
        let nested = |open: &str, levels: usize, close: &str| {
            format!("{{\"m\":{}1{}}}", open.repeat(levels), close.repeat(levels)).into_bytes()
        };
        assert_eq!(refusal(&nested("[", 8, "]")), None);
        assert_eq!(refusal(&nested("[", 9, "]")), Some(Code::ValidationFailed));
        assert_eq!(refusal(&nested("{\"a\":", 8, "}")), None);
        assert_eq!(refusal(&nested("[", 32_000, "]")), Some(Code::ValidationFailed));
        assert_eq!(refusal(&nested("[", 32_000, "")), Some(Code::MalformedJson));
    }

    #[test]
    fn numbers_keep_their_value_or_are_refused() {
        for kept in [
            "0",
            "-0",
            "0e99999999999999999999",
            "0.1",
            "1.0",
            "1.50e2",
            "1E+2",
            "18446744073709551615",
            "-9223372036854775808",
            "1e300",
            "5e-324",
            "100000000000000000000000",
            "0.30000000000000004",
        ] {
            assert_eq!(refusal(format!("{{\"m\":[{kept}]}}").as_bytes()), None, "{kept}");
        }
        for lost in [
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "1e999",
            "1e-999",
            "0.1000000000000000055511151231257827",
        ] {
            assert_eq!(refusal(format!("{{\"m\":[{lost}]}}").as_bytes()), Some(Code::ValidationFailed), "{lost}");
        }
    }

    #[test]
    fn values_arrive_as_they_were_sent() {
        let mut fields = members(br#" { "m" : { "b" : [ 1 , -2.5, "\u00e9\ud83d\ude00", null, true ], "a": {} } } "#)
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(fields.optional("m", Ok), Some(json!({"b": [1, -2.5, "é😀", null, true], "a": {}})));
    }
}
