//! An adapter may answer many operations together, and no answer shows it.
//!
//! Not in the [suite](crate::suite!): where two want the same at the same time, the ports do not promise that whoever
//! asked first gets it, and a good adapter may ask several connections at once. This is for one that keeps the order.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Mutex,
};

use futures_util::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, RngSeed, TestRunner},
};
use signet_domain::{
    Action, PartnerId, Status, User, UserChange, UserId, UserPatch,
    ports::{AuditFilter, IdGenerator, Page},
};

use super::{
    claimed_by,
    operation::{Answer, Operation, ask},
    under_id,
};
use crate::{Builder, Scene, email, name, scene::seed};

/// Operations that are handed over together are answered as they are one after the other, each by itself, in any mix.
///
/// The same history happens in two worlds: in the one everybody waits for the answer to the one before, in the other
/// nobody waits. Of each round every answer has to be the same, and in the end all that can be read. The histories are
/// random, and the same in each run.
#[expect(clippy::unused_async, reason = "a behaviour is a future; this one hands its own to proptest")]
pub async fn what_is_asked_together_is_answered_as_one_by_one(scene: Scene) {
    let config = Config {
        cases: 4,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let builders = ["alone", "together"].map(|world| Builder::new(seed(world)));
    let seen = Mutex::new(BTreeSet::new());
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&vec(round(), 6..10), |rounds| {
            let kinds = runtime.block_on(live(&scene, &builders, &rounds))?;
            seen.lock().expect("no panic").extend(kinds);
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let all = ["committed", "found", "missing", "page", "refused", "stale", "taken", "trail"];
    assert_eq!(seen.into_inner().expect("no panic").into_iter().collect::<Vec<_>>(), all, "the histories say little");
}

/// One operation of a round, in numbers that mean the same in both worlds.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    partner: usize,
    user: usize,
    other: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Register,
    /// What was asked just before, once more.
    RegisterAgain,
    /// Under the id of another user.
    RegisterTwin,
    /// Under a partner that does not exist.
    RegisterNowhere,
    /// Without a dispute about any address.
    Change,
    /// To an address that somebody has, or that others want, too.
    Readdress,
    /// A version that is no longer held; these, too, to such an address.
    ChangePast,
    ChangeFuture,
    ChangeUnknown,
    /// A user of another partner.
    ChangeTheirs,
    Find,
    FindUnknown,
    FindTheirs,
    List,
    Trail,
}

/// Members of one round may be answered by different threads, so that no answer may depend on one of another queue: a
/// round registers, or changes, or reads. Half of the rounds that write hold nothing for which a store may have to take
/// a batch apart.
fn round() -> impl Strategy<Value = Vec<Step>> {
    use Kind::{
        Change, ChangeFuture, ChangePast, ChangeTheirs, ChangeUnknown, Find, FindTheirs, FindUnknown, List, Readdress,
        Register, RegisterAgain, RegisterNowhere, RegisterTwin, Trail,
    };
    let of = |kinds: &'static [Kind]| {
        let step = (select(kinds), 0..2_usize, 0..64_usize, 0..64_usize);
        vec(step.prop_map(|(kind, partner, user, other)| Step { kind, partner, user, other }), 1..40)
    };
    prop_oneof![
        of(&[Register]),
        of(&[Register, Register, Register, RegisterAgain, RegisterTwin, RegisterNowhere]),
        of(&[Change, Change, Change, ChangePast, ChangeFuture, ChangeUnknown, ChangeTheirs]),
        of(&[Change, Readdress, Readdress, ChangePast, ChangeFuture]),
        of(&[Find]),
        of(&[Find, FindUnknown, FindTheirs, List, Trail]),
    ]
}

/// What happens in one of the worlds. Ids and times are given out in the same order in both, so the times are equal,
/// and the ids but for the seed.
struct World {
    build: Builder,
    partners: [PartnerId; 2],
    /// Of each partner's users all versions that there were.
    lives: [Vec<Vec<User>>; 2],
}

/// Returns what kinds of answers there were.
async fn live(
    scene: &Scene,
    builders: &[Builder; 2],
    rounds: &[Vec<Step>],
) -> Result<BTreeSet<&'static str>, TestCaseError> {
    let mut seen = BTreeSet::new();
    let [mut alone, mut together] = [World::new(scene, &builders[0]).await, World::new(scene, &builders[1]).await];
    for (number, steps) in rounds.iter().enumerate() {
        let mut expected = Vec::new();
        for operation in alone.operations(number, steps) {
            expected.push(ask(&scene.adapter, operation).await);
        }
        // All of them are handed over before the first is answered: nothing here gives way to anybody before.
        let operations = together.operations(number, steps);
        let answers = join_all(operations.into_iter().map(|operation| ask(&scene.adapter, operation))).await;
        for ((one, other), step) in expected.iter().zip(&answers).zip(steps) {
            prop_assert_eq!(together.text(other), alone.text(one), "round {}: {:?}", number, step);
            prop_assert_ne!(one.kind(), "failed", "round {}: {:?}: {:?}", number, step, one);
            seen.insert(one.kind());
        }
        alone.learn(expected);
        together.learn(answers);
    }
    for adapter in scene.adapters() {
        for (one, other) in alone.everything().into_iter().zip(together.everything()) {
            let (one, other) = (ask(adapter, one).await, ask(adapter, other).await);
            prop_assert_eq!(together.text(&other), alone.text(&one), "in the end");
        }
    }
    Ok(seen)
}

impl World {
    async fn new(scene: &Scene, build: &Builder) -> Self {
        let partners = [build.partner(), build.partner()];
        for partner in partners.clone() {
            scene.adapter.partners.insert(partner).await.expect("a new partner");
        }
        Self { build: build.clone(), partners: partners.map(|partner| partner.id), lives: [Vec::new(), Vec::new()] }
    }

    /// An answer without what tells the worlds apart: the seed, with which every id begins. In what words a store
    /// refuses is its own affair.
    fn text(&self, answer: &Answer) -> String {
        match answer.kind() {
            "refused" => "refused".to_owned(),
            _ => format!("{answer:?}").replace(&self.build.ids.prefix(), "…"),
        }
    }

    fn operations(&self, round: usize, steps: &[Step]) -> Vec<Operation> {
        let mut operations: Vec<Operation> = Vec::new();
        let mut changed = HashSet::new();
        for step in steps {
            let again = match operations.last() {
                Some(Operation::Commit(change)) if step.kind == Kind::RegisterAgain => Some(change.clone()),
                _ => None,
            };
            operations.push(match again {
                Some(change) => Operation::Commit(change),
                None => self.operation(round, *step, &mut changed),
            });
        }
        operations
    }

    fn operation(&self, round: usize, step: Step, changed: &mut HashSet<UserId>) -> Operation {
        let Step { kind, partner, user, other } = step;
        let (ours, theirs) = (self.partners[partner], self.partners[1 - partner]);
        let register = |partner_id| {
            let local = if other % 2 == 0 { "user" } else { "USER" };
            self.build.registration(partner_id, &format!("{local}{}@example.com", user % 24))
        };
        let commit = |change| Operation::Commit(Box::new(change));
        let life = || self.life(partner, user).map_or_else(|| vec![register(ours).user], <[User]>::to_vec);
        let held = || life().pop().expect("a version");
        match kind {
            Kind::Register | Kind::RegisterAgain => commit(register(ours)),
            Kind::RegisterTwin => commit(under_id(held().id, register(ours))),
            Kind::RegisterNowhere => commit(register(self.build.ids.partner_id())),
            Kind::Change | Kind::Readdress if changed.insert(held().id) => commit(self.change(round, step, &held())),
            Kind::ChangePast if life().len() > 1 => {
                let life = life();
                commit(self.change(round, step, &life[life.len() - 2]))
            }
            // Of two changes to one version either may win, so there is one at most; nor does it lead to this version.
            Kind::Change | Kind::Readdress | Kind::ChangePast | Kind::ChangeFuture => {
                let next = self.build.renaming(&held(), "Next").user;
                commit(self.change(round, step, &self.build.renaming(&next, "After next").user))
            }
            Kind::ChangeUnknown => commit(self.change(round, step, &register(ours).user)),
            Kind::ChangeTheirs => commit(claimed_by(theirs, self.change(round, step, &held()))),
            Kind::Find => Operation::Find(ours, held().id),
            Kind::FindUnknown => Operation::Find(ours, self.build.ids.user_id()),
            Kind::FindTheirs => Operation::Find(theirs, held().id),
            Kind::List => {
                let (limit, offset) = (1 + u32::try_from(user).expect("small"), u64::try_from(other).expect("small"));
                Operation::List(ours, Page::new(limit, offset).expect("a page"))
            }
            Kind::Trail => {
                let user_id = (other % 3 == 0).then(|| held().id);
                let action = (other % 4 == 0).then_some(Action::Updated);
                Operation::Trail(ours, AuditFilter { user_id, action }, None, 20)
            }
        }
    }

    fn life(&self, partner: usize, user: usize) -> Option<&[User]> {
        let lives = &self.lives[partner];
        user.checked_rem(lives.len()).map(|number| &*lives[number])
    }

    /// Renames the user and restores it if it is removed; or removes it; or gives it another address as well.
    ///
    /// Who wants the address that another gives up in the same round may be first or last. So every other user keeps its
    /// address for a round, and the disputes are about these, and about a few that nobody has.
    fn change(&self, round: usize, step: Step, user: &User) -> UserChange {
        let Step { kind, partner, user: number, other } = step;
        if kind == Kind::Change && other % 5 == 0 && user.removed_at.is_none() {
            return self.build.removal(user);
        }
        let lives = &self.lives[partner];
        let number = number.checked_rem(lives.len()).unwrap_or(number);
        let stays = |number: usize| number % 2 == round % 2;
        let address = match (kind, other % 2) {
            _ if stays(number) => None,
            (Kind::Change, 0) => Some(format!("own.{round}.{number}@example.com")),
            (Kind::Change, _) => None,
            (_, 0) => Some(format!("wanted.{round}.{}@example.com", other % 5)),
            _ => {
                let staying = lives.iter().enumerate().filter(|(number, _)| stays(*number));
                let taken: Vec<_> = staying.filter_map(|(_, life)| life.last()).map(|user| &user.email).collect();
                other.checked_rem(taken.len()).map(|number| taken[number].as_str().to_uppercase())
            }
        };
        let patch = UserPatch {
            // Never the one it has.
            name: Some(name(&format!("User in version {}", user.version.next().number()))),
            email: address.map(|address| email(&address)),
            status: user.removed_at.map(|_| Status::Active),
            metadata: None,
        };
        self.build.change(user, &patch)
    }

    fn learn(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            if let Answer::Commit(Ok(user)) = answer {
                let partner = usize::from(user.partner_id == self.partners[1]);
                let lives = &mut self.lives[partner];
                match lives.iter_mut().find(|life| life[0].id == user.id) {
                    Some(life) => life.push(user),
                    None => lives.push(vec![user]),
                }
            }
        }
    }

    /// Asks for all that there is.
    fn everything(&self) -> Vec<Operation> {
        let whole = self.partners.into_iter().flat_map(|partner_id| {
            let page = Page::new(100, 0).expect("a page");
            [Operation::List(partner_id, page), Operation::Trail(partner_id, AuditFilter::default(), None, 10_000)]
        });
        let users = self.lives.iter().flatten().map(|life| Operation::Find(life[0].partner_id, life[0].id));
        whole.chain(users).collect()
    }
}
