//! The properties of characters that the rules for names and addresses go by: Unicode's own data, from `icu_properties`
//! and `unicode-security`.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, JoiningType},
};
use unicode_security::{GeneralSecurityProfile, general_security_profile::IdentifierType};

/// Zero width non-joiner.
pub(crate) const ZWNJ: char = '\u{200C}';
/// Zero width joiner.
pub(crate) const ZWJ: char = '\u{200D}';

/// Characters without ink that Unicode counts among the symbols: the blank Braille pattern, the null notehead, and the
/// blanks of hieroglyphs.
const BLANKS: [char; 4] = ['\u{2800}', '\u{1D159}', '\u{13441}', '\u{13442}'];

/// Letters with a compatibility decomposition, for which UTS #39 restricts them, that everyday words are spelled with:
/// Armenian `և`, Thai and Lao `am`, and the Lao letters `ho no` and `ho mo`.
const COMPOSED_LETTERS: [char; 5] = ['\u{587}', '\u{E33}', '\u{EB3}', '\u{EDC}', '\u{EDD}'];

/// Characters within words that are no letters: the Catalan middle dot, Hebrew geresh and gershayim, two Sindhi
/// abbreviations, the Tibetan tsheg, the ideographic zero and the Katakana middle dot. IDNA allows them, too.
const WITHIN_WORDS: [char; 8] =
    ['\u{B7}', '\u{5F3}', '\u{5F4}', '\u{6FD}', '\u{6FE}', '\u{F0B}', '\u{3007}', '\u{30FB}'];

/// Whether a character leaves no ink: control and format characters, fillers, variation selectors, blanks and spaces.
pub(crate) fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_graphic();
    }
    character.is_whitespace()
        || character.is_control()
        || category(character) == GeneralCategory::Format
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || BLANKS.contains(&character)
}

/// Whether words of a script in modern use are written with it: a letter, a mark or a digit of the General Security
/// Profile of UTS #39, also of the scripts and characters that it calls limited or uncommon in use.
pub(crate) fn is_of_words(character: char) -> bool {
    if COMPOSED_LETTERS.contains(&character) || WITHIN_WORDS.contains(&character) {
        return true;
    }
    let category = category(character);
    let is_of_kind = GeneralCategoryGroup::Letter.contains(category)
        || GeneralCategoryGroup::Mark.contains(category)
        || category == GeneralCategory::DecimalNumber;
    is_of_kind
        && matches!(
            character.identifier_type(),
            Some(
                IdentifierType::Recommended
                    | IdentifierType::Inclusion
                    | IdentifierType::Limited_Use
                    | IdentifierType::Uncommon_Use
            )
        )
}

/// Whether it has a compatibility decomposition and is allowed nevertheless.
pub(crate) fn is_composed_letter(character: char) -> bool {
    COMPOSED_LETTERS.contains(&character)
}

pub(crate) fn is_mark(character: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(character))
}

/// Whether the joiner that ends `before` is used as its script uses it (CONTEXTJ, RFC 5892, appendices A.1 and A.2):
/// after a virama, or a non-joiner between two letters that would be joined.
pub(crate) fn is_joiner_allowed(before: &str, joiner: char, after: &str) -> bool {
    let Some(previous) = before.chars().next_back() else { return false };
    if CodePointMapData::<CanonicalCombiningClass>::new().get(previous) == CanonicalCombiningClass::Virama {
        return true;
    }
    let (left, right) = (joining_type(before.chars().rev()), joining_type(after.chars()));
    joiner == ZWNJ
        && matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// That of the first character that has one; marks in between are transparent.
fn joining_type(characters: impl Iterator<Item = char>) -> Option<JoiningType> {
    let types = CodePointMapData::<JoiningType>::new();
    characters.map(|character| types.get(character)).find(|found| *found != JoiningType::Transparent)
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_words_are_visible() {
        let allowed = ('\0'..=char::MAX).filter(|character| is_of_words(*character));
        assert!(allowed.clone().count() > 100_000);
        for character in allowed {
            assert!(!is_invisible(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn invisible_characters_are_not_of_words() {
        for character in "\0\n \u{7f}\u{85}\u{a0}\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{180b}\u{180e}\u{200b}\u{200e}\
                          \u{2028}\u{202e}\u{2060}\u{2066}\u{2800}\u{3000}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\
                          \u{1d159}\u{e0001}\u{e0041}\u{e0100}"
            .chars()
        {
            assert!(is_invisible(character) && !is_of_words(character), "U+{:04X}", u32::from(character));
        }
        for character in "a1-é語\u{301}👩".chars() {
            assert!(!is_invisible(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn joiners_are_allowed_where_their_script_needs_them() {
        // Persian heh and alef; Sinhala and Malayalam after a virama.
        assert!(is_joiner_allowed("نامه", ZWNJ, "ای"));
        assert!(is_joiner_allowed("ශ්", ZWJ, "රී"));
        assert!(is_joiner_allowed("ഹൃദ്", ZWNJ, "രോഗം"));
        assert!(is_joiner_allowed("م\u{64E}", ZWNJ, "\u{64E}م"), "marks are transparent");
        for (before, joiner, after) in [
            ("", ZWNJ, "ا"),
            ("a", ZWNJ, "b"),
            ("a", ZWJ, "b"),
            ("نامه", ZWJ, "ای"),
            ("نامه", ZWNJ, ""),
            ("ا", ZWNJ, "م"),
            ("م", ZWNJ, "a"),
            ("क", ZWJ, "ष"),
        ] {
            assert!(!is_joiner_allowed(before, joiner, after), "{before} {after}");
        }
    }
}
