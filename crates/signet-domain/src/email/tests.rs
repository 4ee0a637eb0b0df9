use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn parsed(address: &str) -> EmailAddress {
    EmailAddress::parse(address).unwrap_or_else(|reason| panic!("{address}: {reason}"))
}

fn key_of(address: &str) -> String {
    parsed(address).key
}

fn refusal(address: &str) -> String {
    EmailAddress::parse(address).expect_err(address).to_string()
}

/// The address in upper and in lower case, where these are addresses: some become too long.
fn in_other_cases(given: &EmailAddress) -> impl Iterator<Item = EmailAddress> {
    let (local, domain) = given.as_str().rsplit_once('@').expect("an address");
    let others = [local.to_uppercase(), local.to_lowercase()].map(|local| format!("{local}@{domain}"));
    others.into_iter().filter_map(|other| EmailAddress::parse(&other).ok())
}

#[test]
fn address_is_kept_as_given_and_compared_without_case() {
    let given = parsed(" Johasdn.Doe@Example.COM ");
    assert_eq!(given.as_str(), "Johasdn.Doe@Example.COM");
    assert_eq!(given.key(), "johasdn.doe@example.com");
    assert_eq!(key_of("JOSÉ@example.com"), key_of("jose\u{301}@example.com"));
    let (upper, lower) = ("ΝΙΚΟΣ.ΠΑΠΑΣ@example.com", "νικος.παπας@example.com");
    assert_eq!(key_of(upper), key_of(lower));
    assert_eq!(key_of(lower), "νικοσ.παπασ@example.com");
    assert_eq!(key_of("İx@example.com"), key_of(&"İx@example.com".to_lowercase()));
    assert_eq!(parsed("\u{feff}jane@example.com").as_str(), "jane@example.com");
}

/// Addresses that people have, or could have, in each script.
#[test]
fn addresses_of_every_script_are_accepted() {
    for address in [
        "संपर्क@डाटामेल.भारत",       // Devanagari
        "சோதனை@சோதனை.இந்தியா",      // Tamil
        "எம்எல்@சிங்கப்பூர்.சிங்கப்பூர்", // Tamil, a domain that ends in a mark
        "தகவல்@பள்ளி.இலங்கை",
        "संस्कृतम्@उदाहरण.भारतम्",         // Sanskrit
        "తెలుగు@example.com",          // Telugu
        "ಕನ್ನಡ@example.com",           // Kannada
        "മലയാളം@example.com",          // Malayalam
        "ഹൃദ്\u{200c}രോഗം@example.com", // Malayalam with ZWNJ
        "বাংলা@example.বাংলা",            // Bengali
        "ગુજરાતી@example.com",         // Gujarati
        "ਪੰਜਾਬੀ@example.com",          // Gurmukhi
        "ଓଡ଼ିଆ@example.com",            // Odia
        "ශ්\u{200d}රී@example.ලංකා",     // Sinhala with ZWJ
        "ខ្មែរ@x.example",              // Khmer
        "မြန်မာ@x.example",            // Myanmar
        "ไม้@x.example",               // Thai
        "น้ำ@ตัวอย่าง.ไทย",              // Thai with sara am
        "ນ້ຳໜັງສື@x.example",            // Lao
        "བོད་ཡིག@x.example",            // Tibetan
        "عَرَبِيّ@مثال.مصر",              // Arabic with marks
        "نامه\u{200c}ای@مثال.ایران",  // Persian with ZWNJ
        "اُردُو@x.example",             // Urdu
        "שָׁלוֹם@דוגמה.ישראל",           // Hebrew with points
        "צה״ל@x.example",             // Hebrew with gershayim
        "邮件@例子.中国",             // Chinese
        "郵件〇@x.example",
        "𠮷田@x.example",         // Japanese, beyond the BMP
        "メール@例え.テスト",     // Japanese with the prolonged sound mark
        "佐々木@x.example",       // Japanese with the iteration mark
        "한국어@실례.한국",       // Korean
        "ελληνικά@παράδειγμα.ελ", // Greek
        "почтаё@пример.рф",       // Cyrillic
        "երևան@example.հայ",      // Armenian with the ligature
        "ქართული@მაგალითი.გე",    // Georgian
        "አማርኛ@x.example",         // Ethiopic
        "ދިވެހި@x.example",          // Thaana
        "nguyễn.ánh@x.example",   // Vietnamese
        "şükrü.ığdır@x.example",  // Turkish
        "col·lectiu@x.cat",       // Catalan
        "ᏣᎳᎩ@x.example",          // Cherokee
        "ߒߞߏ@x.example",          // N'Ko
        "ⵜⵉⴼⵉⵏⴰⵖ@x.example",      // Tifinagh
        "ꦗꦮ@x.example",           // Javanese
        "b.müller+tag_1@straße.example",
        "a@localhost",
        "!#$%&'*+-/=?^_`{|}~@example.com",
        "x@ab--cd.example",
        "x@xn--3e0b707e",
    ] {
        let email = parsed(address);
        assert_eq!(email.as_str(), text::nfc(address));
        for other in in_other_cases(&email) {
            assert_eq!(other.key(), email.key(), "{address}");
        }
    }
}

#[test]
fn domains_are_compared_by_idna() {
    assert_eq!(key_of("Info@BÜCHER.example"), "info@xn--bcher-kva.example");
    assert_eq!(key_of("info@bücher.example"), key_of("info@XN--bcher-kva.example"));
    assert_eq!(key_of("info@ｅxample.com"), key_of("info@example.com"), "UTS #46 maps full-width letters");
    assert_ne!(key_of("anna@straße.example"), key_of("anna@strasse.example"));
    assert_ne!(key_of("anna@παπας.example"), key_of("anna@παπασ.example"));
}

#[test]
fn needless_quotes_make_no_other_address() {
    for (given, key) in [
        (r#""john.smith"@example.com"#, "john.smith@example.com"),
        (r#""j\ohn"@example.com"#, "john@example.com"),
        (r#""John Smith"@example.com"#, r#""john smith"@example.com"#),
        (r#""john\ smith"@example.com"#, r#""john smith"@example.com"#),
        (r#""a@b"@example.com"#, r#""a@b"@example.com"#),
        (r#"".a"@example.com"#, r#"".a"@example.com"#),
        (r#""\"\\"@example.com"#, r#""\"\\"@example.com"#),
        ("\"İ\"@example.com", "i\u{307}@example.com"),
    ] {
        let email = parsed(given);
        assert_eq!((email.as_str(), email.key()), (given, key));
    }
}

#[test]
fn refusal_names_its_reason() {
    for (bad, reason) in [
        ("", "must contain an @"),
        (" ", "must contain an @"),
        ("john", "must contain an @"),
        ("john＠example.com", "must contain an @"),
        ("john@", "domain name"),
        ("@example.com", "before the @"),
        ("a b@example.com", "U+0020, a space (character 2)"),
        ("John <john@example.com>", "U+0020, a space (character 5)"),
        ("a@b@c", "U+0040, a character that no address can have there (character 2)"),
        ("a\0@b.c", "U+0000, an invisible character (character 2)"),
        ("\"a\nb\"@c.d", "U+000A, a space (character 3)"),
        ("\"a\tb\"@c.d", "U+0009, a space (character 3)"),
        ("\"\"@c.d", "between the quotes"),
        ("\"a\"b\"@c.d", "U+0022"),
        ("\"a\\\"@c.d", "backslash"),
        ("a\u{200b}b@example.com", "U+200B, an invisible character (character 2)"),
        ("ab\u{202e}@example.com", "U+202E, an invisible character (character 3)"),
        ("a\u{a0}b@example.com", "U+00A0, a space (character 2)"),
        ("a\u{3000}b@example.com", "U+3000, a space (character 2)"),
        ("a\u{2060}b@example.com", "U+2060, an invisible character (character 2)"),
        ("a\u{feff}b@example.com", "U+FEFF, an invisible character (character 2)"),
        ("a\u{ad}b@example.com", "U+00AD, an invisible character (character 2)"),
        ("a\u{3164}b@example.com", "U+3164, an invisible character (character 2)"),
        ("a\u{fe0f}b@example.com", "U+FE0F, an invisible character (character 2)"),
        ("a\u{e0041}b@example.com", "U+E0041, an invisible character (character 2)"),
        ("a\u{200d}b@example.com", "U+200D, a joiner out of place (character 2)"),
        ("a\u{200c}b@example.com", "U+200C, a joiner out of place (character 2)"),
        ("a\u{3002}b@example.com", "U+3002"),
        ("a\u{e000}b@example.com", "U+E000"),
        ("a\u{378}b@example.com", "U+0378"),
        ("ａｂｃ@example.com", "U+FF41"),
        ("👩@example.com", "U+1F469"),
        ("\u{301}a@example.com", "a letter before the mark U+0301 (character 1)"),
        ("a.\u{301}a@example.com", "a letter before the mark U+0301 (character 3)"),
        (".a@example.com", "dot"),
        ("a.@example.com", "dot"),
        ("a..b@example.com", "dot"),
        ("a@example\u{3002}com", "U+3002, a character that no address can have there (character 10)"),
        ("a@exa\u{200b}mple.com", "U+200B, an invisible character (character 6)"),
        ("a@exa\u{ad}mple.com", "U+00AD, an invisible character (character 6)"),
        ("a@exa\u{2060}mple.com", "U+2060"),
        ("a@exa\u{fe0f}mple.com", "U+FE0F"),
        ("a@ex\u{a0}ample.com", "U+00A0, a space (character 5)"),
        ("a@ex\u{200d}ample.com", "domain name"),
        ("a@example\u{2024}com", "domain name"),
        ("a@example..com", "domain name"),
        ("a@example.com.", "domain name"),
        ("a@-example.com", "domain name"),
        ("a@my_host.example", "domain name"),
        ("a@[192.0.2.1]", "domain name"),
        ("a@xn--zzzzzzz99.example", "domain name"),
    ] {
        let told = refusal(bad);
        assert!(told.contains(reason), "{bad:?}: {told}");
    }
}

#[test]
fn each_length_has_its_limit() {
    let label = |length: usize| "d".repeat(length);
    assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(64))).is_ok());
    assert!(EmailAddress::parse(&format!("{}@example.com", "é".repeat(32))).is_ok());
    for long in ["a".repeat(65), "é".repeat(33), format!("\"{} \"", "a".repeat(62))] {
        assert!(refusal(&format!("{long}@example.com")).contains("64 bytes"));
    }
    assert!(EmailAddress::parse(&format!("a@{}.com", label(63))).is_ok());
    assert!(refusal(&format!("a@{}.com", label(64))).contains("domain"));
    let domain = |last| format!("{}.{}.{}.{}", label(63), label(63), label(60), label(last));
    assert!(EmailAddress::parse(&format!("a@{}", domain(63))).is_ok_and(|email| email.as_str().len() == 254));
    assert!(refusal(&format!("ab@{}", domain(63))).contains("254"));
    // 250 bytes as it is written, and more than 253 in ASCII.
    let expands = ["語"; 62].join(".");
    assert!(expands.len() < 250 && refusal(&format!("a@{expands}")).contains("domain"));
}

/// Some characters become several, or others than they came from: İ, ß, ẞ, ᾼ, ς, ı, և …
#[test]
fn no_letter_of_any_script_escapes_by_its_case() {
    let mut letters = 0;
    let has_cases = |letter: &char| letter.to_uppercase().chain(letter.to_lowercase()).any(|other| other != *letter);
    for letter in ('\0'..=char::MAX).filter(has_cases) {
        let Ok(given) = EmailAddress::parse(&format!("a{letter}b@example.com")) else { continue };
        for other in in_other_cases(&given) {
            assert_eq!(other.key(), given.key(), "U+{:04X} and {other}", u32::from(letter));
        }
        letters += 1;
    }
    assert!(letters > 1_400, "{letters}");
}

#[test]
fn stored_address_has_a_key_whatever_it_is() {
    for (stored, key) in [
        ("Info@BÜCHER.example", "info@xn--bcher-kva.example"),
        ("Root@[192.0.2.1]", "root@[192.0.2.1]"),
        ("A\u{3164}B@Bücher.example", "a\u{3164}b@xn--bcher-kva.example"),
        ("A@My_Straße.example", "a@my_strasse.example"),
        ("\"j\\ohn\"@my_host", "john@my_host"),
        ("Nobody", "nobody"),
        ("", ""),
    ] {
        assert_eq!(EmailAddress::key_of_stored(stored), key);
    }
    let stored = EmailAddress::from_stored("Root@[192.0.2.1]".to_owned(), "root".to_owned());
    assert_eq!((stored.as_str(), stored.key()), ("Root@[192.0.2.1]", "root"));
    assert_eq!(
        EmailAddress::from_stored("a@b".to_owned(), "older".to_owned()),
        parsed("a@b"),
        "the key is not compared"
    );
}

#[test]
fn key_of_a_collision_is_no_address() {
    let key = EmailAddress::key_of_collision("john@example.com", UserId::new(Uuid::from_u128(7)));
    assert!(key.starts_with("john@example.com") && EmailAddress::parse(&key).is_err());
}

proptest! {
    #[test]
    fn parsing_is_idempotent_and_so_is_the_key(input in "\\PC{1,20}@[a-zA-Zé]{1,10}\\.[a-z]{2,3}") {
        if let Ok(email) = EmailAddress::parse(&input) {
            prop_assert_eq!(&parsed(email.as_str()), &email);
            prop_assert_eq!(EmailAddress::key_of_stored(email.key()), email.key());
            prop_assert_eq!(EmailAddress::key_of_stored(email.as_str()), email.key());
        }
    }

    #[test]
    fn nothing_invisible_and_no_space_gets_in(
        before in "[a-zé語क]{0,3}", other in any::<char>(), after in "[a-zé語क]{0,3}", in_domain in any::<bool>()
    ) {
        let part = format!("{before}{other}{after}");
        let address = if in_domain { format!("x@{part}.example") } else { format!("{part}@example.com") };
        if let Ok(email) = EmailAddress::parse(&address) {
            prop_assert!(!email.as_str().chars().any(is_invisible), "{}", email);
            prop_assert_eq!(email.as_str().matches('.').count(), 1 + part.matches('.').count());
        }
    }

    #[test]
    fn an_address_in_another_case_is_the_same(local in "[a-zA-Zß-žΑ-ώἀ-ῼıẞİև\u{300}-\u{345}]{1,8}") {
        if let Ok(email) = EmailAddress::parse(&format!("{local}@example.com")) {
            for other in in_other_cases(&email) {
                prop_assert_eq!(other.key(), email.key(), "{} and {}", email, other);
            }
        }
    }

    #[test]
    fn a_stored_text_never_fails(text in ".{0,40}") {
        let key = EmailAddress::key_of_stored(&text);
        let stored = EmailAddress::from_stored(text.clone(), key);
        prop_assert_eq!(stored.as_str(), text);
    }
}
