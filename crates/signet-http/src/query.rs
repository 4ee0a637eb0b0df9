use std::{borrow::Cow, collections::BTreeMap};

use percent_encoding::percent_decode_str;
use signet_domain::Invalid;

use crate::fields::Fields;

/// The parameters of a query string. One given twice, or not in UTF-8, is noted against its name.
///
/// `%` without two hexadecimal digits stays what it is, and so does `+`: neither can be part of any value that a
/// parameter of this API takes, so both are refused with the value they are in.
pub(crate) fn parameters(query: &str) -> Fields<'_, Cow<'_, str>> {
    let mut values = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        let value = percent_decode_str(value).decode_utf8().map_err(|_error| Invalid::new("must be UTF-8"));
        if let Some(earlier) = values.get_mut(&name) {
            *earlier = Err(Invalid::new("must be given only once"));
        } else {
            values.insert(name, value);
        }
    }
    Fields::new(values, "is not a parameter of this route")
}
