//! What a fuzzer feeds: arbitrary bytes in the place of one part of a request, through the whole application.
//!
//! Each function panics where an answer is none that the document of the API tells of, and otherwise says whether the
//! input was accepted: a corpus that reaches only one of the two ends proves nothing. The programs in `fuzz/` make
//! inputs up, and a test replays those that are kept there. It is compiled for these two alone.
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "a panic is what the callers wait for")]

mod contract;
mod schema;

use actix_web::{
    http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
    test::TestRequest,
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};
use signet_domain::{ApiKeyToken, EmailAddress, KeyScope, MetadataPatch, UserId, UserPatch, ports::UserRepository};

use crate::{
    openapi::examples,
    routes::BASE,
    testing::{Reply, World, bearer, request},
};

/// What no query holds as it stands (RFC 3986, section 3.4): it is percent-encoded, as every client does.
const NOT_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Whatever makes a URI of more than 64 KiB is cut off; the server refuses that before there is a request.
const MAX_IN_URI: usize = 16 * 1024;

/// A body of `register-user`.
pub fn register_user(body: &[u8]) -> bool {
    run(send_body("POST", "/register-user", "identity", body))
}

/// A body of `update-user`.
pub fn update_user(body: &[u8]) -> bool {
    run(send_body("PATCH", "/update-user", "identity", body))
}

/// A compressed body of `register-user`.
pub fn gzip(body: &[u8]) -> bool {
    run(send_body("POST", "/register-user", "gzip", body))
}

/// A query, sent to every operation: none fails, and it was accepted if any of them did so.
pub fn query(bytes: &[u8]) -> bool {
    run(async {
        let (world, _) = scene().await;
        let query = in_uri(bytes, NOT_IN_QUERY);
        let mut accepted = false;
        for (method, path) in contract::operations() {
            accepted |= ask(&world, request(&method, &format!("{path}?{query}"))).await.status.is_success();
        }
        accepted
    })
}

/// The text of an API key.
pub fn api_key(bytes: &[u8]) -> bool {
    let token = str::from_utf8(bytes).ok().and_then(|text| ApiKeyToken::parse(text).ok());
    assert!(token.is_none_or(|token| token.expose().as_bytes() == bytes), "a key has one text");
    // What no header holds gets no further than the server that reads the head.
    let Ok(line) = HeaderValue::from_bytes(&[b"Bearer ", bytes].concat()) else { return false };
    run(async {
        let (world, _) = scene().await;
        let list = request("GET", &format!("{BASE}/all-users")).insert_header((AUTHORIZATION, line));
        judged(&world, list).await.status.is_success()
    })
}

/// A cursor of the audit trail. It belongs to the whole trail or to that of one user, never to both.
pub fn cursor(bytes: &[u8]) -> bool {
    run(async {
        let (world, user_id) = scene().await;
        let all = format!("{BASE}/audit-trail?cursor={}", in_uri(bytes, NON_ALPHANUMERIC));
        let of_one = format!("{all}&userId={user_id}");
        let all = ask(&world, request("GET", &all)).await.status.is_success();
        let of_one = ask(&world, request("GET", &of_one)).await.status.is_success();
        assert!(!(all && of_one), "a cursor belongs to its filters");
        all || of_one
    })
}

/// An e-mail address, which its parser alone judges.
pub fn email(bytes: &[u8]) -> bool {
    let parse = |text: &str| EmailAddress::parse(text).ok();
    let Some(email) = str::from_utf8(bytes).ok().and_then(parse) else { return false };
    let address = email.as_str();
    assert!(address.len() <= EmailAddress::MAX_BYTES && !address.contains(char::is_control), "{address:?}");
    let (local, domain) = address.rsplit_once('@').expect("an address has an @");
    assert!(local.len() <= 64 && !domain.contains(char::is_whitespace), "{address:?}");
    assert_eq!(parse(address).as_ref(), Some(&email), "what was read is read again as the same");
    // IDNA decides about the case of a domain: `ß` is a separate letter there.
    let [upper, lower] = [local.to_uppercase(), local.to_lowercase()].map(|local| format!("{local}@{domain}"));
    for other in [upper, lower, email.key().to_owned()] {
        // Some addresses become too long.
        if let Some(other) = parse(&other) {
            assert_eq!(other.key(), email.key(), "{other} and {email} are the same address");
        }
    }
    true
}

/// A runtime for each input: nothing of one reaches the next.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
}

/// The same for every input, down to the ids, so that a corpus can name what is there: a partner with a valid key and a
/// revoked one, and two users, the first of which was changed once and is returned.
async fn scene() -> (World, UserId) {
    let world = World::new().await;
    let revoked = world.key_of(world.partner, KeyScope::ReadWrite).await;
    world.revoke(&revoked).await;
    let register = |address| world.store.commit(world.build.registration(world.partner, address));
    let john = register("john@example.com").await.expect("a new user");
    let metadata = MetadataPatch::new(examples::metadata().as_object().cloned().unwrap_or_default());
    let patch = UserPatch { metadata: metadata.ok(), ..UserPatch::default() };
    world.store.commit(world.build.change(&john, &patch)).await.expect("a change");
    register("jane@example.com").await.expect("another user");
    (world, john.id)
}

/// Sends a body as it stands. Whoever reads the user afterwards gets what the answer showed.
async fn send_body(method: &str, path: &str, coding: &str, body: &[u8]) -> bool {
    let (world, _) = scene().await;
    let sent = request(method, &format!("{BASE}{path}"))
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CONTENT_ENCODING, coding));
    let reply = ask(&world, sent.set_payload(body.to_vec())).await;
    if let Some(user_id) = reply.json["data"]["userId"].as_str() {
        let again = ask(&world, request("GET", &format!("{BASE}/get-user?userId={user_id}"))).await;
        assert_eq!(again.json["data"], reply.json["data"], "{method} {path} showed something else than is there");
    }
    reply.status.is_success()
}

fn in_uri(bytes: &[u8], encoded: &'static AsciiSet) -> String {
    percent_encode(bytes.get(..MAX_IN_URI).unwrap_or(bytes), encoded).to_string()
}

/// The answer to a request with the partner's key.
async fn ask(world: &World, sent: TestRequest) -> Reply {
    judged(world, sent.insert_header(bearer(&world.key))).await
}

async fn judged(world: &World, sent: TestRequest) -> Reply {
    let sent = sent.to_request();
    let (method, path) = (sent.method().clone(), sent.path().to_owned());
    let reply = world.send_raw(sent).await;
    contract::check(&method, &path, &reply);
    reply
}
