use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};

use crate::Invalid;

/// What a partner notes about a user: a JSON object (RFC 8259).
///
/// At most 50 keys of 1 to 64 characters each, 16 KiB as compact JSON, 8 levels of nesting (the object itself is the
/// first), no U+0000. It is held as canonical text, compact and with sorted keys, because it is written out a
/// thousand times for each time that somebody changes it.
#[derive(Debug, Clone)]
pub struct Metadata(Box<RawValue>);

/// A JSON Merge Patch (RFC 7396) for [`Metadata`]: `null` deletes a key, an object is merged, all else replaces.
///
/// The patch `null` deletes all of it. Otherwise it has only keys and values that metadata can have: even to delete a key that cannot exist is a mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataPatch(Option<Map<String, Value>>);

impl Metadata {
    /// The most keys the object itself may have.
    pub const MAX_KEYS: usize = 50;
    /// The most characters one of its keys may have.
    pub const MAX_KEY_CHARS: usize = 64;
    /// The most bytes of its compact JSON.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The most levels of nested objects and arrays, the outermost object counted.
    pub const MAX_DEPTH: usize = 8;

    /// Checks the object and brings it into its canonical text.
    pub fn new(object: &Map<String, Value>) -> Result<Self, Invalid> {
        if object.len() > Self::MAX_KEYS {
            return Err(Invalid::new("must have at most 50 keys"));
        }
        check(object)?;
        let metadata = Self::canonical(object)?;
        if metadata.as_json().len() > Self::MAX_BYTES {
            return Err(Invalid::new("must be at most 16 KiB as compact JSON"));
        }
        Ok(metadata)
    }

    /// Brings an object into its canonical text, without regard to the limits.
    pub(crate) fn canonical(object: &Map<String, Value>) -> Result<Self, Invalid> {
        let text = serde_json::to_string(&Sorted::of(object));
        let text = text.and_then(RawValue::from_string).map_err(|_error| Invalid::new("must be a JSON object"))?;
        Ok(Self(text))
    }

    /// Reads [canonical text](Self::as_json) back, as a store returns it. Fails where it is not a JSON object.
    ///
    /// The text is scanned and kept as it is: a page of users must not cost a parse of each one's metadata. The limits
    /// held when it was written, and a later, stricter limit must not make a stored user unreadable.
    pub fn from_stored(text: String) -> Result<Self, Invalid> {
        let is_object = text.starts_with('{');
        let text = RawValue::from_string(text).ok().filter(|_| is_object);
        text.map(Self).ok_or_else(|| Invalid::new("must be a JSON object"))
    }

    /// The compact JSON text, keys sorted.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The object itself.
    #[must_use]
    pub fn to_object(&self) -> Map<String, Value> {
        self.object().unwrap_or_default()
    }

    /// The object, to change it. Fails only on stored text that is nested too deep to be read, which is not ours: it must
    /// not be replaced by an empty object in silence.
    fn object(&self) -> Result<Map<String, Value>, Invalid> {
        serde_json::from_str(self.as_json()).map_err(|_error| Invalid::new("must be a JSON object"))
    }

    /// The metadata after `patch` (RFC 7396, section 2). Fails where that would have too many keys or be too long.
    pub fn merged(&self, patch: &MetadataPatch) -> Result<Self, Invalid> {
        let Some(patch) = &patch.0 else { return Ok(Self::default()) };
        let mut object = self.object()?;
        merge(&mut object, patch);
        Self::new(&object)
    }
}

impl MetadataPatch {
    /// Checks keys, texts and depth as [`Metadata::new`] does. How many and how long counts once it is merged; what is
    /// too much by itself is refused here, as merging never makes it less.
    pub fn new(patch: Map<String, Value>) -> Result<Self, Invalid> {
        check(&patch)?;
        let patch = Self(Some(patch));
        Metadata::default().merged(&patch)?;
        Ok(patch)
    }

    /// Deletes everything: the patch `null`.
    #[must_use]
    pub const fn clear() -> Self {
        Self(None)
    }
}

impl Default for Metadata {
    fn default() -> Self {
        // `{}` is JSON, so the fallback is never taken; it is here because the constructor is not infallible.
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Metadata {}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A value with the keys of its objects in order, whichever order the `Map` of this build keeps: another crate of the
/// same program may have switched `serde_json/preserve_order` on.
#[derive(Serialize)]
#[serde(untagged)]
enum Sorted<'a> {
    Object(BTreeMap<&'a str, Sorted<'a>>),
    Array(Vec<Sorted<'a>>),
    Other(&'a Value),
}

impl<'a> Sorted<'a> {
    fn of(object: &'a Map<String, Value>) -> Self {
        Self::Object(object.iter().map(|(key, value)| (key.as_str(), Self::of_value(value))).collect())
    }

    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Object(object) => Self::of(object),
            Value::Array(items) => Self::Array(items.iter().map(Self::of_value).collect()),
            other => Self::Other(other),
        }
    }
}

/// What holds for metadata and for a patch of it alike: merging keeps each key, text and level of the patch.
fn check(object: &Map<String, Value>) -> Result<(), Invalid> {
    if object.keys().any(|key| key.is_empty() || key.chars().nth(Metadata::MAX_KEY_CHARS).is_some()) {
        return Err(Invalid::new("must have keys of 1 to 64 characters"));
    }
    object.iter().try_for_each(|(key, value)| check_text(key).and_then(|()| check_value(value, 1)))
}

fn check_value(value: &Value, depth: usize) -> Result<(), Invalid> {
    match value {
        Value::String(text) => check_text(text),
        Value::Array(_) | Value::Object(_) if depth == Metadata::MAX_DEPTH => {
            Err(Invalid::new("must be at most 8 levels deep"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, depth + 1)),
        Value::Object(object) => {
            object.iter().try_for_each(|(key, value)| check_text(key).and_then(|()| check_value(value, depth + 1)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), Invalid> {
    if text.contains('\0') { Err(Invalid::new("must not contain U+0000")) } else { Ok(()) }
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(change) => {
                let value = target.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !value.is_object() {
                    *value = Value::Object(Map::new());
                }
                if let Value::Object(object) = value {
                    merge(object, change);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => panic!("not an object"),
        }
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn the_text_is_compact_and_sorted() {
        let metadata = Metadata::new(&object(json!({"b": 1, "a": {"d": [1.5, "x"], "c": null}}))).expect("valid");
        assert_eq!(metadata.as_json(), r#"{"a":{"c":null,"d":[1.5,"x"]},"b":1}"#);
        assert_eq!(Metadata::from_stored(metadata.as_json().to_owned()), Ok(metadata));
        assert_eq!(Metadata::default().as_json(), "{}");
    }

    proptest::proptest! {
        #[test]
        fn a_number_reads_back_to_the_last_bit(number: f64) {
            let metadata = Metadata::new(&object(json!({ "a": number }))).expect("valid");
            proptest::prop_assert_eq!(Metadata::from_stored(metadata.as_json().to_owned()), Ok(metadata));
        }
    }

    #[test]
    fn every_limit_holds_exactly() {
        let keys = |count: usize| (0..count).map(|n| (n.to_string(), Value::Null)).collect::<Map<_, _>>();
        assert!(Metadata::new(&keys(50)).is_ok());
        assert!(Metadata::new(&keys(51)).is_err());

        assert!(Metadata::new(&object(json!({ "ä".repeat(64): 1 }))).is_ok());
        assert!(Metadata::new(&object(json!({ "a".repeat(65): 1 }))).is_err());
        assert!(Metadata::new(&object(json!({ "": 1 }))).is_err());

        assert!(Metadata::new(&object(json!({ "a": "x".repeat(16 * 1024 - 8) }))).is_ok());
        assert!(Metadata::new(&object(json!({ "a": "x".repeat(16 * 1024 - 7) }))).is_err());

        assert!(Metadata::new(&object(nested(8))).is_ok());
        assert!(Metadata::new(&object(nested(9))).is_err());

        assert!(Metadata::new(&object(json!({ "a": ["\0"] }))).is_err());
        assert!(Metadata::new(&object(json!({ "a": { "\0": 1 } }))).is_err());
    }

    /// The test cases of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn patches_merge_as_rfc_7396_says() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let patch = MetadataPatch::new(object(patch)).expect("valid");
            let merged = Metadata::new(&object(target)).expect("valid").merged(&patch);
            assert_eq!(Value::Object(merged.expect("valid").to_object()), expected);
        }
    }

    #[test]
    fn stored_text_is_read_beyond_the_limits() {
        let stored = format!(r#"{{"{}":1}}"#, "k".repeat(20_000));
        let metadata = Metadata::from_stored(stored.clone()).expect("an object");
        assert_eq!(metadata.as_json(), stored);
        let object = metadata.to_object();
        assert_eq!(Metadata::canonical(&object), Ok(metadata));
        assert!(Metadata::new(&object).is_err());
    }

    #[test]
    fn null_patch_clears_and_empty_patch_changes_nothing() {
        let metadata = Metadata::new(&object(json!({"a": {"b": 1}}))).expect("valid");
        assert_eq!(metadata.merged(&MetadataPatch::clear()), Ok(Metadata::default()));
        let empty = MetadataPatch::new(Map::new()).expect("valid");
        assert_eq!(metadata.merged(&empty), Ok(metadata));
    }

    #[test]
    fn a_patch_speaks_of_what_metadata_can_hold() {
        let patch = |value: Value| MetadataPatch::new(object(value));
        for deletes in [json!({}), json!({ "ä".repeat(64): null }), nested(8)] {
            assert!(patch(deletes.clone()).is_ok(), "{deletes}");
        }
        assert!(patch((0..100).map(|n| (n.to_string(), Value::Null)).collect()).is_ok(), "more than there can be");
        for never in [
            json!({ "": null }),
            json!({ "a".repeat(65): null }),
            json!({ "\0": null }),
            json!({ "a": { "\0": null } }),
            json!({ "a": [{ "b": "\0" }] }),
            nested(9),
            (0..51).map(|n| (n.to_string(), json!(n))).collect(),
            json!({ "a": { "b": "x".repeat(16 * 1024) } }),
        ] {
            assert!(patch(never.clone()).is_err(), "{never}");
        }
    }
}
