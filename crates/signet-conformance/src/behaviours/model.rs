//! Every answer of a store is that of a model, in any history.

use std::{
    collections::BTreeMap,
    sync::{Mutex, atomic::Ordering},
    time::Instant,
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use proptest_state_machine::ReferenceStateMachine;
use signet_domain::{
    Partner,
    ports::{AuditFilter, UserPage},
    replay,
};

use super::operation::{Answer, Operation, ask};
use crate::{
    Adapter, Scene,
    model::{Model, PARTNERS, Step, World},
};

/// How many operations make one history.
const STEPS: usize = 250;

/// How many operations there are: `SIGNET_MODEL_OPERATIONS`, or as many as take seconds.
pub(super) fn operations() -> usize {
    let given = std::env::var("SIGNET_MODEL_OPERATIONS").ok();
    given.map_or(2_000, |text| text.parse().expect("SIGNET_MODEL_OPERATIONS is a number"))
}

/// The seed of all that is random: `PROPTEST_RNG_SEED`, or the same in each run.
pub(super) fn random_seed() -> u64 {
    match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => 1,
    }
}

/// Whatever is asked, in whatever order, through the adapter and its peer, is answered as a simple model of a store
/// answers it: by the same rules on plain values, without any code of the domain or of an adapter.
///
/// `SIGNET_MODEL_OPERATIONS` says how many operations there are, `PROPTEST_RNG_SEED` which.
#[expect(clippy::unused_async, reason = "a behaviour is a future; this one hands its own to proptest")]
pub async fn every_answer_is_that_of_a_model(scene: Scene) {
    let cases = operations().div_ceil(STEPS);
    let config = Config {
        cases: u32::try_from(cases).expect("32 bits"),
        rng_seed: RngSeed::Fixed(random_seed()),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let begun = Instant::now();
    let (kinds, worlds) = (Mutex::new(BTreeMap::new()), Mutex::new(0));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let outcome = TestRunner::new(config).run(&Model::sequential_strategy(STEPS), |(_, steps, seen)| {
            let number = {
                let mut worlds = worlds.lock().expect("no panic");
                *worlds += 1;
                *worlds
            };
            let model = Model::new(World { seed: scene.build.ids.seed(), number });
            let count = |kind| {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst); // what comes after a failure need not be shrunk
                }
                *kinds.lock().expect("no panic").entry(kind).or_insert(0) += 1;
            };
            runtime.block_on(live(&scene, model, &steps, count))
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
    let kinds = kinds.into_inner().expect("no panic");
    println!("{} operations of seed {} in {:?}: {kinds:?}", cases * STEPS, random_seed(), begun.elapsed());
    let all = ["committed", "found", "missing", "page", "refused", "stale", "taken", "trail", "unchanged"];
    assert_eq!(kinds.into_keys().collect::<Vec<_>>(), all, "the histories say little");
}

/// Lives a history step by step, on the store and in the model.
async fn live(
    scene: &Scene,
    mut model: Model,
    steps: &[Step],
    mut count: impl FnMut(&'static str),
) -> Result<(), TestCaseError> {
    for number in 0..PARTNERS {
        let partner = Partner { id: model.partner(number), ..scene.build.partner() };
        scene.adapter.partners.insert(partner).await.expect("a new partner");
    }
    for (number, step) in steps.iter().enumerate() {
        let asked = model.operation(step);
        let expected = model.perform(step);
        count(expected.as_ref().map_or("unchanged", Answer::kind));
        let adapter = scene.adapters().nth(usize::from(step.peer)).unwrap_or(&scene.adapter);
        match (asked, expected) {
            (Some(asked), Some(expected)) => {
                let answer = ask(adapter, asked).await;
                // In what words a store refuses is its own affair.
                let refused = [&answer, &expected].iter().all(|answer| answer.kind() == "refused");
                prop_assert!(refused || answer == expected, "{number}: {step:?}:\n{answer:#?}\nis not\n{expected:#?}");
            }
            (asked, expected) => prop_assert!(asked.is_none() && expected.is_none(), "{number}: {step:?}: {asked:?}"),
        }
    }
    for adapter in scene.adapters() {
        for partner in 0..PARTNERS {
            compare(adapter, &model, partner).await?;
        }
    }
    Ok(())
}

/// Compares all that there is of a partner, page by page, and each user with what its trail tells.
async fn compare(adapter: &Adapter, model: &Model, number: usize) -> Result<(), TestCaseError> {
    let partner_id = model.partner(number);
    let (pages, trail) = model.everything(number, 7);
    let total = u64::try_from(pages.iter().map(|(_, users)| users.len()).sum::<usize>()).expect("64 bits");
    for (page, users) in pages {
        for user in &users {
            let own = trail.iter().rev().filter(|entry| entry.user_id == user.id);
            prop_assert_eq!(&replay(own).expect("one story"), user);
            let found = ask(adapter, Operation::Find(partner_id, user.id)).await;
            prop_assert_eq!(found, Answer::Find(Ok(Some(user.clone()))));
        }
        let listed = ask(adapter, Operation::List(partner_id, page)).await;
        prop_assert_eq!(listed, Answer::List(Ok(UserPage { partner_id, users, total })));
    }
    let mut before = None;
    for entries in trail.chunks(9).chain([&[][..]]) {
        let read = ask(adapter, Operation::Trail(partner_id, AuditFilter::default(), before, 9)).await;
        prop_assert_eq!(read, Answer::Trail(Ok(entries.to_vec())));
        before = entries.last().map(signet_domain::AuditEntry::position);
    }
    Ok(())
}
