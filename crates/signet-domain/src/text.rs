//! The form that every text is brought into before a rule is applied to it.

use unicode_normalization::UnicodeNormalization;

/// Without a byte order mark at the start, trimmed and in Unicode normalization form C (UAX #15).
pub(crate) fn canonical(input: &str) -> String {
    let trimmed = trimmed(input);
    if trimmed.is_ascii() {
        return trimmed.to_owned();
    }
    // Normalization can turn one space character into another, so the ends are trimmed again.
    self::trimmed(&trimmed.nfc().collect::<String>()).to_owned()
}

/// Spreadsheets and editors write U+FEFF at the start of a file, and so of its first value.
fn trimmed(input: &str) -> &str {
    input.trim_start_matches(|character: char| character == '\u{FEFF}' || character.is_whitespace()).trim_end()
}

pub(crate) fn nfc(input: &str) -> String {
    if input.is_ascii() { input.to_owned() } else { input.nfc().collect() }
}
