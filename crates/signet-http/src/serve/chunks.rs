/// The most bytes of extensions and trailers that a body may have. Nobody reads them.
const MAX_UNREAD: usize = 32 * 1024;

/// Finds the end of a chunked body (RFC 9112, section 7.1), in bytes that come in pieces. It is as strict as actix, which
/// would drop the connection where a body is malformed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunksEnd {
    at: At,
    /// Bytes of extensions and trailers so far.
    unread: usize,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// All of them belong to the body, and more will.
    GoOn,
    /// That many of them belong to it, and with these it ends.
    End(usize),
    /// They are no chunks, or have too long extensions or trailers.
    Malformed,
}

/// What is to come. The number is the size of the chunk, or of what is left of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Size(u64),
    SizeSpace(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Trailer,
    TrailerLf,
    LastLf,
    End,
}

impl ChunksEnd {
    /// Looks at the next bytes of the body, and at what may follow it.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Chunks {
        let mut rest = bytes;
        while let [byte, others @ ..] = rest {
            if let At::Data(left) = self.at {
                let length = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                rest = &rest[length..];
                self.at = match left - u64::try_from(length).unwrap_or(left) {
                    0 => At::DataCr,
                    left => At::Data(left),
                };
                continue;
            }
            rest = others;
            match self.at.after(*byte) {
                Some(At::End) => return Chunks::End(bytes.len() - rest.len()),
                Some(next) => self.at = next,
                None => return Chunks::Malformed,
            }
            if matches!(self.at, At::SizeSpace(_) | At::Extension(_) | At::Trailer) {
                self.unread += 1;
                if self.unread > MAX_UNREAD {
                    return Chunks::Malformed;
                }
            }
        }
        Chunks::GoOn
    }
}

impl At {
    /// What is to come after that byte; `None` where it has no place.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size(size) | Self::SizeSpace(size) | Self::Extension(size), b'\r') => Self::SizeLf(size),
            (Self::Size(size) | Self::SizeSpace(size), b';') => Self::Extension(size),
            (Self::Size(size) | Self::SizeSpace(size), b' ' | b'\t') => Self::SizeSpace(size),
            (Self::Extension(size), byte) if byte == b'\t' || !byte.is_ascii_control() => Self::Extension(size),
            (Self::Start, digit) => Self::Size(value(digit)?),
            (Self::Size(size), digit) => Self::Size(size.checked_mul(16)? + value(digit)?),
            (Self::SizeLf(0) | Self::TrailerLf, b'\n') => Self::Trailers,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Start,
            (Self::Trailers, b'\r') => Self::LastLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::Trailers | Self::Trailer, _) => Self::Trailer,
            (Self::LastLf, b'\n') => Self::End,
            _ => return None,
        })
    }
}

fn value(digit: u8) -> Option<u64> {
    char::from(digit).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_pieces_of_any_size() {
        for body in [
            "0\r\n\r\n",
            "5\r\nabcde\r\n0\r\n\r\n",
            "a;b=\"c\"\r\n0\r\n\r\n0\r\n\r\n\r\n00A \r\n0123456789\r\n000\r\n\r\n",
            "1\r\n\r\r\n0;\r\nX: x\r\n Y: \n\n\r\n\r\n",
        ] {
            let followed = format!("{body}0\r\n\r\n");
            for size in 1..=followed.len() {
                let (mut end, mut seen) = (ChunksEnd::default(), 0);
                for piece in followed.as_bytes().chunks(size) {
                    match end.see(piece) {
                        Chunks::GoOn => seen += piece.len(),
                        Chunks::End(length) => {
                            seen += length;
                            break;
                        }
                        Chunks::Malformed => panic!("{body:?} in pieces of {size}"),
                    }
                }
                assert_eq!(seen, body.len(), "{body:?} in pieces of {size}");
            }
            assert_eq!(ChunksEnd::default().see(&body.as_bytes()[..body.len() - 1]), Chunks::GoOn);
        }
        assert_eq!(ChunksEnd::default().see(b"FFFFFFFFFFFFFFFF\r\na"), Chunks::GoOn);
    }

    #[test]
    fn malformed_chunks_are_recognised() {
        for body in [
            "\r\n",
            " 2\r\n",
            "+2\r\n",
            "0x2\r\n",
            "2\n",
            "2\r\r",
            "10000000000000000\r\n",
            "2\r\nab\n",
            "2\r\nabc\r\n",
            "0\r\n\r\r",
            "0\r\nX: x\rY",
            "2 2\r\n",
            "2;a\n",
            "2;\0",
            &format!("2;{}", "a".repeat(MAX_UNREAD + 1)),
            &format!("0\r\nX: {}", "a".repeat(MAX_UNREAD)),
        ] {
            assert_eq!(ChunksEnd::default().see(body.as_bytes()), Chunks::Malformed, "{body:?}");
        }
    }
}
