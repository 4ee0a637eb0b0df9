//! Strict JSON: RFC 8259 in UTF-8 without duplicate keys, and without numbers that would not survive the reading.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};
use signet_domain::{Invalid, Metadata};

use crate::{
    error::{Code, Detail, Failure},
    fields::Fields,
};

/// The members of the object that a request body must be.
pub(crate) fn members(body: &[u8]) -> Result<Fields<'static, Value>, Failure> {
    let text = std::str::from_utf8(body).map_err(|_error| malformed())?;
    let whole: &RawValue = read(text)?;
    if !whole.get().starts_with('{') {
        return Err(Failure::validation(vec![Detail::new("body", "must be a JSON object")]));
    }
    let Object(members) = read(whole.get())?;
    let mut values = BTreeMap::new();
    for (name, raw) in members {
        let value = match value(raw.get(), Metadata::MAX_DEPTH) {
            Ok(value) => Ok(value),
            Err(Refused::Invalid(rule)) => Err(rule),
            Err(Refused::Malformed) => return Err(malformed()),
        };
        values.insert(Cow::Owned(name), value);
    }
    Ok(Fields::new(values, "is not a field of this request"))
}

fn malformed() -> Failure {
    Failure::new(Code::MalformedJson)
}

enum Refused {
    Malformed,
    Invalid(Invalid),
}

impl From<Failure> for Refused {
    fn from(_malformed: Failure) -> Self {
        Self::Malformed
    }
}

/// The messages of the library name offsets and types of its own, so none of them gets out.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|_error| malformed())
}

/// Reads one value. Objects and arrays are opened one level at a time, so that no nesting can exhaust the stack, and
/// numbers are seen as they were written.
fn value(text: &str, levels: usize) -> Result<Value, Refused> {
    match text.as_bytes().first() {
        Some(b'{' | b'[') if levels == 0 => Err(Refused::Invalid(Invalid::new("must be at most 8 levels deep"))),
        Some(b'{') => {
            let Object(members) = read(text)?;
            let inner = |(name, raw): (String, &RawValue)| Ok((name, value(raw.get(), levels - 1)?));
            members.into_iter().map(inner).collect::<Result<Map<_, _>, Refused>>().map(Value::Object)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(text)?;
            let inner = |raw: &RawValue| value(raw.get(), levels - 1);
            items.into_iter().map(inner).collect::<Result<_, _>>().map(Value::Array)
        }
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number).ok_or_else(|| {
            Refused::Invalid(Invalid::new("must hold no number beyond 64-bit integers and double precision"))
        }),
        _ => Ok(read(text)?),
    }
}

/// An object, one level deep, in which no name stands twice.
struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, raw)) = map.next_entry()? {
                    if members.insert(name, raw).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
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
        let bodies: [&[u8]; 19] = [
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
            b"\xef\xbb\xbf{}",
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
