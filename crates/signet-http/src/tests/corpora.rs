//! What was ever worth keeping of what a fuzzer may send: it is still answered as the document of the API tells.

use std::{fs, panic::catch_unwind, path::Path};

use crate::fuzzing;

/// Feeds the files of a corpus to its target, each of them, and names those that it cannot stand.
fn replay(target: &str, feed: fn(&[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let (mut accepted, mut refused, mut failed) = (0, 0, Vec::new());
    for file in fs::read_dir(corpus).expect("a corpus") {
        let path = file.expect("a file").path();
        let bytes = fs::read(&path).expect("the content of a file");
        match catch_unwind(|| feed(&bytes)) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(_panic) => failed.push(path),
        }
    }
    assert!(failed.is_empty(), "what each of these did stands above: {failed:#?}");
    assert!(
        accepted > 0 && refused > 0,
        "of {target} {accepted} are accepted and {refused} refused: are the ids others?"
    );
}

#[test]
fn bodies_of_register_user() {
    replay("register_user", fuzzing::register_user);
}

#[test]
fn bodies_of_update_user() {
    replay("update_user", fuzzing::update_user);
}

#[test]
fn compressed_bodies() {
    replay("gzip", fuzzing::gzip);
}

#[test]
fn queries() {
    replay("query", fuzzing::query);
}

#[test]
fn api_keys() {
    replay("api_key", fuzzing::api_key);
}

#[test]
fn cursors() {
    replay("cursor", fuzzing::cursor);
}

#[test]
fn emails() {
    replay("email", fuzzing::email);
}
