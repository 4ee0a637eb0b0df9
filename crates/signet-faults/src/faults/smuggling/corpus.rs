//! Requests that two servers may read differently, as data.

/// A name, and the bytes, in which [`filled`] fills in what stands in braces. `{hidden}` is a request that nobody may
/// find there unless a proxy did, `{second}` one that anybody may.
pub(super) const CASES: &[(&str, &str)] = &[
    // Two lengths. `{masked}` has one that covers `{rest}`: an empty last chunk and the hidden request.
    ("length and chunks", "{masked}Transfer-Encoding: chunked{rest}"),
    ("chunks and length", "{post}Content-Length: 4\r\n{chunked}{hex}\r\n{hidden}\r\n0\r\n\r\n"),
    ("the same length twice", "{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    ("no length and a length", "{post}Content-Length: 0\r\n{sized}"),
    ("a length and no length", "{post}Content-Length: {size}\r\nContent-Length: 0\r\n\r\n{hidden}"),
    ("a list of lengths", "{post}Content-Length: {size}, {size}\r\n\r\n{hidden}"),
    ("a list of other lengths", "{post}Content-Length: 0, {size}\r\n\r\n{hidden}"),
    ("a length in a trailer", "{post}{chunked}0\r\nContent-Length: {size}\r\n\r\n{second}"),
    // A length that is none.
    ("a length with a plus", "{post}Content-Length: +{size}\r\n\r\n{hidden}"),
    ("a length with a minus", "{post}Content-Length: -0\r\n\r\n{hidden}"),
    ("a hexadecimal length", "{post}Content-Length: 0x{hex}\r\n\r\n{hidden}"),
    ("a length with zeros before it", "{post}Content-Length: 00000000000000000000002\r\n\r\n{}{second}"),
    ("a length with a fraction", "{post}Content-Length: 2.0\r\n\r\n{}{hidden}"),
    ("a length with an underscore", "{post}Content-Length: 0_2\r\n\r\n{}{hidden}"),
    ("a length after a vertical tab", "{post}Content-Length: \u{b}{size}\r\n\r\n{hidden}"),
    ("a length after a no-break space", "{post}Content-Length: \u{a0}{size}\r\n\r\n{hidden}"),
    ("an empty length", "{post}Content-Length: \r\n\r\n{hidden}"),
    ("a length that overflows", "{post}Content-Length: 18446744073709551618\r\n\r\n{}{hidden}"),
    ("a space before the colon", "{post}Content-Length : {size}\r\n\r\n{hidden}"),
    ("an underscore for the hyphen", "{post}Content_Length: {size}\r\n\r\n{second}"),
    ("a length for one hop", "{post}Connection: Content-Length\r\n{sized}"),
    ("no length", "{post}\r\n{second}"),
    // Chunks that one of the two may not see.
    ("xchunked", "{masked}Transfer-Encoding: xchunked{rest}"),
    ("chunked in capitals", "{post}Transfer-Encoding: CHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n{second}"),
    ("chunked in quotes", "{masked}Transfer-Encoding: \"chunked\"{rest}"),
    ("chunked, chunked", "{masked}Transfer-Encoding: chunked, chunked{rest}"),
    ("identity, chunked", "{masked}Transfer-Encoding: identity, chunked{rest}"),
    ("chunked, identity", "{masked}Transfer-Encoding: chunked, identity{rest}"),
    ("chunked, and then identity", "{masked}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity{rest}"),
    ("identity, and then chunked", "{masked}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked{rest}"),
    ("gzip, chunked", "{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{hidden}"),
    ("identity and a length", "{post}Transfer-Encoding: identity\r\n{sized}"),
    ("chunked after a tab", "{masked}Transfer-Encoding:\tchunked{rest}"),
    ("chunked after a vertical tab", "{masked}Transfer-Encoding:\u{b}chunked{rest}"),
    ("chunked before a NUL", "{masked}Transfer-Encoding: chunked\0{rest}"),
    ("chunked before a semicolon", "{masked}Transfer-Encoding: chunked;a=b{rest}"),
    ("chunked on the next line", "{masked}Transfer-Encoding:\r\n chunked{rest}"),
    ("chunked after a bare LF", "{masked}X: x\nTransfer-Encoding: chunked{rest}"),
    ("chunked after a bare CR", "{masked}X: x\rTransfer-Encoding: chunked{rest}"),
    ("chunks after a space", "{masked} Transfer-Encoding: chunked{rest}"),
    ("chunks before a space", "{masked}Transfer-Encoding : chunked{rest}"),
    ("chunks with underscores", "{masked}Transfer_Encoding: chunked{rest}"),
    ("chunks for one hop", "{post}Connection: Transfer-Encoding\r\n{chunked}{chunks}{second}"),
    // Ends of lines.
    ("bare LFs", "GET /docs HTTP/1.1\nHost: localhost\nX-Request-Id: {case}\n\n{second}"),
    ("a bare LF before a length", "{post}X: x\n{sized}"),
    ("a bare CR before a length", "{post}X: x\r{sized}"),
    ("a folded length", "{post}Content-Length:\r\n {size}\r\n\r\n{hidden}"),
    ("a folded header", "{post}X: x\r\n Content-Length: 0\r\n{sized}"),
    ("empty lines before a request", "\r\n\r\n{post}Content-Length: 2\r\n\r\n{}{second}"),
    ("a NUL in a value", "{post}X: a\0b\r\n{sized}"),
    ("a NUL in a name", "{post}X\0: a\r\n{sized}"),
    ("a header without a name", "{post}: x\r\n{sized}"),
    ("a header without a colon", "{post}x\r\n{sized}"),
    // Chunks that are odd.
    ("an extension", "{post}{chunked}2;a=b;c=\"d\"\r\n{}\r\n0\r\n\r\n{second}"),
    ("a long extension", "{post}{chunked}2;{long}\r\n{}\r\n0\r\n\r\n{second}"),
    ("a line end in a quoted extension", "{post}{chunked}2;a=\"\r\n{}\r\n0\r\n\r\n{second}"),
    ("a bare LF in an extension", "{post}{chunked}2;\nxx\r\n{past-hex}\r\n{last}\r\n0\r\n\r\n"),
    ("a bare CR in an extension", "{post}{chunked}2;\rxx\r\n{past-hex}\r\n{last}\r\n0\r\n\r\n"),
    ("a size that overflows", "{post}{chunked}10000000000000002\r\n{}\r\n{last}"),
    ("the largest size", "{post}{chunked}FFFFFFFFFFFFFFFF\r\n{}\r\n{last}"),
    ("a size with 0x", "{post}{chunked}0x2\r\n{}\r\n{last}"),
    ("a size with a plus", "{post}{chunked}+2\r\n{}\r\n{last}"),
    ("a size with a minus", "{post}{chunked}-2\r\n{}\r\n{last}"),
    ("a size with zeros before it", "{post}{chunked}00002\r\n{}\r\n000\r\n\r\n{second}"),
    ("a size after a space", "{post}{chunked} 2\r\n{}\r\n{last}"),
    ("a size before a space", "{post}{chunked}2 \r\n{}\r\n0\r\n\r\n{second}"),
    ("a size before a bare LF", "{post}{chunked}2\n{}\r\n{last}"),
    ("no size", "{post}{chunked}\r\n{}\r\n{last}"),
    ("a chunk before a bare LF", "{post}{chunked}2\r\n{}\n{last}"),
    ("a chunk without an end", "{post}{chunked}2\r\n{}{last}"),
    ("a chunk before other bytes", "{post}{chunked}2\r\n{}XX{last}"),
    ("a last chunk before bare LFs", "{post}{chunked}0\n\n{hidden}"),
    ("trailers", "{post}{chunked}2\r\n{}\r\n0\r\nX: x\r\nHost: elsewhere\r\n\r\n{second}"),
    ("a trailer before bare LFs", "{post}{chunked}2\r\n{}\r\n0\r\nX: x\n\n{hidden}"),
    ("a trailer after a space", "{post}{chunked}0\r\n X: x\r\n\r\n{second}"),
    // An answer before the body.
    ("100-continue", "{post}Expect: 100-continue\r\n{sized}"),
    ("100-continue and chunks", "{post}Expect: 100-continue\r\n{chunked}{chunks}{second}"),
    ("100-continue without a body", "{get}Expect: 100-continue\r\n\r\n{second}"),
    ("100-continue among others", "{post}Expect: x, 100-continue\r\n{sized}"),
    ("100-continue for nobody", "{denied}Expect: 100-continue\r\n{sized}"),
    ("another expectation", "{post}Expect: the-worst\r\n{sized}"),
    ("a body for nobody", "{denied}{sized}"),
    ("chunks for nobody", "{denied}{chunked}{chunks}{second}"),
    ("a body for GET", "{get}{sized}"),
    ("chunks for GET", "{get}{chunked}{chunks}{second}"),
    // Versions.
    ("chunks in HTTP/1.0", "{line} HTTP/1.0\r\n{id}{key}{chunked}{chunks}{hidden}"),
    ("a body in HTTP/1.0", "{line} HTTP/1.0\r\n{id}{key}Connection: keep-alive\r\n{sized}"),
    ("no length in HTTP/1.0", "{line} HTTP/1.0\r\n{id}{key}Connection: keep-alive\r\n\r\n{hidden}"),
    ("HTTP/1.2", "{line} HTTP/1.2\r\n{id}{key}{sized}"),
    ("HTTP/1.10", "{line} HTTP/1.10\r\n{id}{key}{sized}"),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
    // Methods, targets and hosts.
    ("an absolute target", "GET http://localhost/docs HTTP/1.1\r\n{id}\r\n{second}"),
    ("an absolute target elsewhere", "GET http://elsewhere:81/docs HTTP/1.1\r\n{id}\r\n{second}"),
    ("a target of another scheme", "GET ftp://localhost/docs HTTP/1.1\r\n{id}\r\n{second}"),
    ("a target with a head in it", "GET /docs%20HTTP/1.1%0D%0AX:%20x HTTP/1.1\r\n{id}\r\n{second}"),
    ("a target with a space", "GET /docs HTTP/1.1 HTTP/1.1\r\n{id}{sized}"),
    ("a target with a fragment", "GET /docs#x HTTP/1.1\r\n{id}\r\n{second}"),
    ("a target that is an asterisk", "OPTIONS * HTTP/1.1\r\n{id}\r\n{second}"),
    ("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\n{id}\r\n{second}"),
    ("TRACE with a body", "TRACE /docs HTTP/1.1\r\n{id}{sized}"),
    ("an unknown method", "SMUGGLE /docs HTTP/1.1\r\n{id}{sized}"),
    ("two hosts", "{get}Host: elsewhere\r\n{sized}"),
    ("no host", "GET /docs HTTP/1.1\r\n{sized}"),
    // Other protocols.
    ("h2c", "{get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n{hidden}"),
    ("h2c and a body", "{post}Connection: Upgrade\r\nUpgrade: h2c\r\n{sized}"),
    ("a web socket", "{get}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n\r\n{hidden}"),
    ("a web socket and a body", "{post}Connection: Upgrade\r\nUpgrade: websocket\r\n{sized}"),
    ("a web socket and chunks", "{post}Connection: Upgrade\r\nUpgrade: websocket\r\n{chunked}0\r\n\r\n{hidden}"),
    // Sizes.
    ("a header of 12 KiB", "{get}X: {twelve}\r\n{sized}"),
    ("a header of 200 KB", "{get}X: {long}\r\n{sized}"),
    ("300 headers", "{get}{many}{sized}"),
    ("a body beyond the limit", "{post}Content-Length: 200000\r\n\r\n{long}{second}"),
    ("the end before that of the body", "{post}Content-Length: 1000\r\n\r\n{hidden}"),
    // The client wants no more.
    ("a request behind the last one", "{get}Connection: close\r\n\r\n{hidden}"),
    ("a request behind the last body", "{post}Connection: close\r\nContent-Length: 2\r\n\r\n{}{hidden}"),
    ("a request behind the last chunks", "{post}Connection: close\r\n{chunked}2\r\n{}\r\n{last}"),
    // Nothing odd.
    ("a second request", "{get}\r\n{second}"),
    ("a second request after a body", "{post}Content-Length: 2\r\n\r\n{}{second}"),
    ("a second request after chunks", "{post}{chunked}{chunks}{second}"),
];

/// The id of a request of that kind in the case with that number.
pub(super) fn id(kind: &str, number: usize) -> String {
    format!("{kind}-{number}")
}

/// The bytes of a case.
pub(super) fn filled(text: &str, number: usize, key: &str) -> String {
    let request =
        |kind| format!("GET /{kind} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\n\r\n", id(kind, number));
    let (hidden, second) = (request("hidden"), request("second"));
    let past = hidden.len() + "0\r\n\r\n".len();
    [
        ("{masked}", "{post}Content-Length: {past}\r\n"),
        ("{rest}", "\r\n\r\n{last}"),
        ("{last}", "0\r\n\r\n{hidden}"),
        ("{post}", "{line} HTTP/1.1\r\n{id}{key}"),
        ("{denied}", "{line} HTTP/1.1\r\n{id}"),
        ("{get}", "GET /docs HTTP/1.1\r\n{id}"),
        ("{line}", "POST /partner/v1/register-user"),
        ("{id}", "Host: localhost\r\nX-Request-Id: {case}\r\n"),
        ("{key}", &format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n")),
        ("{case}", &id("case", number)),
        ("{sized}", "Content-Length: {size}\r\n\r\n{hidden}"),
        ("{chunked}", "Transfer-Encoding: chunked\r\n\r\n"),
        ("{chunks}", "{hex}\r\n{hidden}\r\n0\r\n\r\n"),
        ("{size}", &hidden.len().to_string()),
        ("{hex}", &format!("{:x}", hidden.len())),
        ("{past}", &past.to_string()),
        ("{past-hex}", &format!("{past:x}")),
        ("{hidden}", &hidden),
        ("{second}", &second),
        ("{many}", &"X: x\r\n".repeat(300)),
        ("{twelve}", &"a".repeat(12 * 1024)),
        ("{long}", &"a".repeat(200_000)),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}
