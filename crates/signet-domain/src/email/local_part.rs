use std::borrow::Cow;

use super::forbidden;
use crate::{
    Invalid,
    unicode::{ZWJ, ZWNJ, is_joiner_allowed, is_mark, is_of_words},
};

/// The most bytes of UTF-8 before the @ (RFC 5321, section 4.5.3.1.1).
const MAX_BYTES: usize = 64;

/// Checks the part before the @ and returns it without needless quotes and backslashes, for the key.
pub(super) fn check(local: &str) -> Result<Cow<'_, str>, Invalid> {
    if local.is_empty() {
        return Err(Invalid::new("must have something before the @"));
    }
    if local.len() > MAX_BYTES {
        return Err(Invalid::new("must have at most 64 bytes (octets of UTF-8) before the @"));
    }
    match quoted_content(local) {
        Some(content) => check_quoted(content).map(Cow::Owned),
        None => check_dot_atom(local, 1).map(|()| Cow::Borrowed(local)),
    }
}

fn quoted_content(local: &str) -> Option<&str> {
    local.strip_prefix('"')?.strip_suffix('"')
}

/// Words of letters, marks, digits and the ASCII characters of `atext` (RFC 5322, section 3.2.3), a dot between two.
fn check_dot_atom(text: &str, first_position: usize) -> Result<(), Invalid> {
    let mut previous = '.';
    for (position, (offset, character)) in (first_position..).zip(text.char_indices()) {
        check_character(text, offset, character, position)?;
        if character == '.' && previous == '.' {
            return Err(dots());
        }
        if previous == '.' && is_mark(character) {
            let code = u32::from(character);
            return Err(Invalid::new(format!(
                "must have a letter before the mark U+{code:04X} (character {position})"
            )));
        }
        previous = character;
    }
    if previous == '.' { Err(dots()) } else { Ok(()) }
}

fn dots() -> Invalid {
    Invalid::new("must not have a dot at the start, before the @ or next to another dot")
}

fn check_character(text: &str, offset: usize, character: char, position: usize) -> Result<(), Invalid> {
    let is_allowed = match character {
        '.' => true,
        ZWNJ | ZWJ => {
            let (before, after) = (&text[..offset], &text[offset + character.len_utf8()..]);
            is_joiner_allowed(before, character, after)
        }
        ascii if ascii.is_ascii() => is_atext(ascii),
        other => is_of_words(other),
    };
    if is_allowed { Ok(()) } else { Err(forbidden(character, position)) }
}

const fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(
            character,
            '!' | '#'
                | '$'
                | '%'
                | '&'
                | '\''
                | '*'
                | '+'
                | '-'
                | '/'
                | '='
                | '?'
                | '^'
                | '_'
                | '`'
                | '{'
                | '|'
                | '}'
                | '~'
        )
}

/// Reads the content of a quoted string (RFC 5322, section 3.2.4), and quotes it again if it needs that.
fn check_quoted(content: &str) -> Result<String, Invalid> {
    let mut text = String::with_capacity(content.len());
    let mut is_escaped = false;
    // The quote is the first character.
    for (position, (offset, character)) in (2..).zip(content.char_indices()) {
        match character {
            '\\' if !is_escaped => {
                is_escaped = true;
                continue;
            }
            '"' if !is_escaped => return Err(forbidden(character, position)),
            ' '..='~' => {}
            _ => check_character(content, offset, character, position)?,
        }
        is_escaped = false;
        text.push(character);
    }
    if is_escaped {
        return Err(Invalid::new("must not end its quoted part with a backslash"));
    }
    if text.is_empty() {
        return Err(Invalid::new("must have something between the quotes"));
    }
    if check_dot_atom(&text, 1).is_ok() {
        return Ok(text);
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
