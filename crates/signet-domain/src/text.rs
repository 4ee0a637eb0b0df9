//! How every text that a person typed is brought into one form before it is judged.

use unicode_normalization::UnicodeNormalization;

/// Trimmed and in Unicode normalization form C (UAX #15).
pub(crate) fn canonical(input: &str) -> String {
    let trimmed = input.trim();
    if trimmed.is_ascii() {
        return trimmed.to_owned();
    }
    // Normalizing can turn one space character into another, so the ends are looked at again.
    trimmed.nfc().collect::<String>().trim().to_owned()
}

pub(crate) fn nfc(input: &str) -> String {
    if input.is_ascii() { input.to_owned() } else { input.nfc().collect() }
}
