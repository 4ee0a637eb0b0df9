use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};
use signet_domain::Invalid;

use crate::error::{Detail, Failure};

/// The longest name that a refusal repeats, in characters. An API key is longer: where one was pasted in place of a name,
/// it must not come back in an error, which programs log.
const LONGEST_NAME: usize = 64;

/// How much of a longer one it shows: of a key, a part of its id and nothing of its secret.
const SHOWN: usize = 24;

/// The named values of a request, from its body or its query, taken one by one. All that is wrong with them is kept,
/// to be told at once.
pub(crate) struct Fields<'a, V> {
    values: BTreeMap<Cow<'a, str>, Result<V, Invalid>>,
    unknown: &'static str,
    details: Vec<Detail>,
}

impl<'a, V> Fields<'a, V> {
    /// `unknown` is what is said of a value that nobody takes.
    pub(crate) fn new(values: BTreeMap<Cow<'a, str>, Result<V, Invalid>>, unknown: &'static str) -> Self {
        Self { values, unknown, details: Vec::new() }
    }

    /// A value that must be there; `None` only with a reason noted.
    pub(crate) fn required<T>(&mut self, name: &'static str, read: impl FnOnce(V) -> Result<T, Invalid>) -> Option<T> {
        if !self.values.contains_key(name) {
            self.details.push(Detail::new(name, "is required"));
        }
        self.optional(name, read)
    }

    /// A value that may be there; `None` also where it is wrong, with the reason noted.
    pub(crate) fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(V) -> Result<T, Invalid>) -> Option<T> {
        let value = self.values.remove(name)?;
        match value.and_then(read) {
            Ok(value) => Some(value),
            Err(rule) => {
                self.details.push(Detail::invalid(name, &rule));
                None
            }
        }
    }

    /// What was read, if nothing is wrong and nothing is left over.
    pub(crate) fn finish<T>(mut self, read: Option<T>) -> Result<T, Failure> {
        let unknown = self.unknown;
        self.details.extend(self.values.into_keys().map(|name| Detail::new(shown(name), unknown)));
        match read {
            Some(read) if self.details.is_empty() => Ok(read),
            _ => Err(Failure::validation(self.details)),
        }
    }
}

/// The name, or the beginning of one that is none.
pub(crate) fn shown(name: Cow<'_, str>) -> String {
    match name.chars().nth(LONGEST_NAME) {
        None => name.into_owned(),
        Some(_) => name.chars().take(SHOWN).chain(['…']).collect(),
    }
}

/// What was read from two places of a request, or what is wrong with both.
pub(crate) fn both<A, B>(one: Result<A, Failure>, other: Result<B, Failure>) -> Result<(A, B), Failure> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(mut one), Err(other)) if one.code == other.code => {
            one.details.extend(other.details);
            Err(one)
        }
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

/// Reads a JSON string.
pub(crate) fn text<T>(parse: impl FnOnce(&str) -> Result<T, Invalid>) -> impl FnOnce(Value) -> Result<T, Invalid> {
    move |value| match value {
        Value::String(text) => parse(&text),
        Value::Null => Err(Invalid::new("must not be null")),
        _ => Err(Invalid::new("must be a string")),
    }
}

/// Reads a JSON object.
pub(crate) fn object<T>(
    parse: impl FnOnce(Map<String, Value>) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    move |value| match value {
        Value::Object(object) => parse(object),
        Value::Null => Err(Invalid::new("must not be null")),
        _ => Err(Invalid::new("must be a JSON object")),
    }
}

/// Reads a query parameter.
pub(crate) fn word<T>(
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> impl FnOnce(Cow<'_, str>) -> Result<T, Invalid> {
    move |value| parse(&value)
}

/// Reads decimal digits and nothing else: no sign, no space, no exponent.
pub(crate) fn count(text: &str) -> Result<u64, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| Invalid::new("must be a non-negative integer"))
}
