//! Values in several spellings, each with the form that it must be kept in: written down here, and not computed.

/// The spellings of some e-mail addresses, as they are sent and as they are kept. Those of one row are one address.
const ADDRESSES: [&[(&str, &str)]; 9] = [
    &[
        ("john.doe@example.com", "john.doe@example.com"),
        ("John.Doe@Example.COM", "John.Doe@Example.COM"),
        (" JOHN.DOE@EXAMPLE.COM\u{3000}", "JOHN.DOE@EXAMPLE.COM"),
    ],
    &[
        ("josé@example.com", "josé@example.com"),
        ("jose\u{301}@example.com", "josé@example.com"),
        ("JOSE\u{301}@Example.com", "JOSÉ@Example.com"),
    ],
    &[("jose@example.com", "jose@example.com"), ("JOSE@example.com", "JOSE@example.com")],
    &[
        ("weiß@example.com", "weiß@example.com"),
        ("WEISS@example.com", "WEISS@example.com"),
        ("weiẞ@example.com", "weiẞ@example.com"),
    ],
    &[
        ("ΝΙΚΟΣ.ΠΑΠΑΣ@example.com", "ΝΙΚΟΣ.ΠΑΠΑΣ@example.com"),
        ("νικος.παπας@example.com", "νικος.παπας@example.com"),
        ("νικοσ.παπασ@example.com", "νικοσ.παπασ@example.com"),
    ],
    &[("ångström@example.com", "ångström@example.com"), ("\u{212b}NGSTRÖM@example.com", "ÅNGSTRÖM@example.com")],
    &[("j_e@example.com", "j_e@example.com"), ("J_E@example.com", "J_E@example.com")],
    &[("j%e@example.com", "j%e@example.com")],
    &[
        ("o'brien+{x}@bücher.example", "o'brien+{x}@bücher.example"),
        ("O'Brien+{X}@BÜCHER.example", "O'Brien+{X}@BÜCHER.example"),
    ],
];

/// Names as they are sent and as they are kept.
const NAMES: [(&str, &str); 6] = [
    ("John Doe", "John Doe"),
    ("  John Doe\t", "John Doe"),
    ("Jose\u{301}", "José"),
    ("José", "José"),
    ("名前 👩‍👩‍👧 ' \" \\ % _ ; --", "名前 👩‍👩‍👧 ' \" \\ % _ ; --"),
    ("X", "X"),
];

/// One of the addresses, in one of its spellings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// Which address it is: two with the same number are the same one to a partner.
    pub(crate) identity: usize,
    pub(crate) spelling: usize,
}

impl Address {
    /// There is one for each number; the first few are those that somebody could mix up.
    fn forms(self) -> (String, String) {
        let Some(spellings) = ADDRESSES.get(self.identity) else {
            let number = self.identity;
            let text = match self.spelling % 2 {
                0 => format!("user{number}@example.com"),
                _ => format!("USER{number}@Example.com"),
            };
            return (text.clone(), text);
        };
        let (sent, kept) = spellings[self.spelling % spellings.len()];
        (sent.to_owned(), kept.to_owned())
    }

    pub(crate) fn sent(self) -> String {
        self.forms().0
    }

    pub(crate) fn kept(self) -> String {
        self.forms().1
    }
}

/// One of the names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label(pub(crate) usize);

impl Label {
    pub(crate) fn sent(self) -> &'static str {
        NAMES[self.0 % NAMES.len()].0
    }

    pub(crate) fn kept(self) -> &'static str {
        NAMES[self.0 % NAMES.len()].1
    }
}
