use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use crate::{text, unicode};

/// The domain in lower-case ASCII, as IDNA (UTS #46, non-transitional) compares it; `None` if it is not valid.
pub(super) fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    // Hyphens in the third and fourth place are not checked: names such as `ab--cd` exist.
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify);
    // UTS #46 takes other characters for dots. Nobody should have to guess where a label ends.
    ascii.ok().filter(|ascii| ascii.matches('.').count() == domain.matches('.').count())
}

/// Appends what all spellings of a text share, whatever case they are in.
///
/// Lower case alone is not enough: `Σ` becomes `σ` or `ς` by its place in a word, and `ß` becomes `SS` but never comes
/// back. So each character goes to lower case, which includes the capitals that have no upper case of their own (`ẞ`),
/// to upper case, where the variants of one letter meet (`ς` and `σ`, `ſ` and `s`), and to lower case again.
pub(super) fn push_caseless(key: &mut String, text: &str) {
    if text.is_ascii() {
        key.extend(text.chars().map(|character| character.to_ascii_lowercase()));
        return;
    }
    let mut decomposed = String::with_capacity(text.len());
    for character in text.chars() {
        if unicode::is_composed_letter(character) {
            decomposed.extend(std::iter::once(character).nfkc());
        } else {
            decomposed.push(character);
        }
    }
    let upper = decomposed.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    key.push_str(&text::nfc(&upper.flat_map(char::to_lowercase).collect::<String>()));
}
