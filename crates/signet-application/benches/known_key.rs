//! How long it takes to know a key again: what every request pays before anything else is looked at.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use divan::Bencher;
use signet_application::api_keys::{CreateApiKey, NewApiKey, VerifyApiKey};
use signet_conformance::{Builder, InMemoryStore, PlainHasher, name};
use signet_domain::{KeyMode, KeyScope, ports::PartnerRepository};

fn main() {
    divan::main();
}

/// The answer of a future that never waits.
fn answer<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// The argument: how many keys are in use.
#[divan::bench(args = [1, 1000])]
fn a_known_key(bencher: Bencher<'_, '_>, keys: usize) {
    let (store, build) = (Arc::new(InMemoryStore::default()), Builder::new(1));
    let (clock, ids) = (Arc::new(build.clock.clone()), Arc::new(build.ids.clone()));
    let partner = build.partner();
    let partner_id = partner.id;
    answer(PartnerRepository::insert(&*store, partner)).expect("inserted");
    let create = CreateApiKey::new(store.clone(), Arc::new(PlainHasher), clock.clone(), ids);
    let verify = VerifyApiKey::new(store, Arc::new(PlainHasher), clock, Arc::default());
    let new = || NewApiKey {
        partner_id,
        name: name("Backend"),
        mode: KeyMode::Live,
        scope: KeyScope::ReadOnly,
        expires_in: None,
    };
    let tokens: Vec<_> = (0..keys).map(|_| answer(create.execute(new())).expect("a key").1.expose()).collect();
    for token in &tokens {
        answer(verify.execute(token)).expect("valid");
    }
    let mut next = tokens.iter().cycle();
    bencher.bench_local(|| answer(verify.execute(next.next().expect("endless"))));
}
