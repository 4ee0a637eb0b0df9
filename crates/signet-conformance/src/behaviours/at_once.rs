//! Many do many things at once to the same users, and the trail can tell how it came about.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use signet_domain::{
    AuditEntry, PartnerId, Status, User, UserId, UserPatch,
    ports::{AuditFilter, Page},
};

use super::{
    model::{operations, random_seed},
    operation::{Answer, Operation, ask},
};
use crate::{
    Adapter, Builder, Scene, email,
    history::{Event, Story, judge},
    name,
};

/// How many do something at once, and how many things each of them does before all is looked at.
const TASKS: usize = 16;
const STEPS: usize = 60;

/// The trail of a partner rebuilds each of its users, in versions from 1 without a gap; and for every answer that was
/// given while many registered, read and changed the same users through the adapter and its peer, there is a moment
/// between the question and the answer in which it was true.
///
/// `SIGNET_MODEL_OPERATIONS` says how many operations there are, `PROPTEST_RNG_SEED` which.
pub async fn the_trail_tells_how_every_answer_came_about(scene: Scene) {
    let config = Config { rng_seed: RngSeed::Fixed(random_seed()), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let begun = Instant::now();
    let mut kinds = BTreeMap::new();
    let mut asked = 0;
    while asked < operations() {
        let plans = vec(vec(step(), STEPS), TASKS).new_tree(&mut runner).expect("plans").current();
        let events = round(&scene, plans).await;
        asked += events.len();
        for event in events {
            *kinds.entry(event.answer.kind()).or_insert(0) += 1;
        }
    }
    println!("{asked} operations of seed {} in {:?}: {kinds:?}", random_seed(), begun.elapsed());
    let unanswered = kinds.remove("failed").unwrap_or(0);
    assert!(unanswered * 20 < asked, "{unanswered} of {asked} were not answered");
    let all = ["committed", "found", "missing", "page", "stale", "taken", "trail"];
    assert_eq!(kinds.into_keys().collect::<Vec<_>>(), all, "what happened says little");
}

#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    user: usize,
    other: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Register,
    Change,
    Readdress,
    Remove,
    /// From what was seen the time before.
    ChangePast,
    FindTheirs,
    List,
    Trail,
}

fn step() -> impl Strategy<Value = Step> {
    use Kind::{Change, ChangePast, FindTheirs, List, Readdress, Register, Remove, Trail};
    let kinds = &[
        Register, Register, Change, Change, Change, Change, Readdress, Readdress, Remove, ChangePast, FindTheirs, List,
        List, Trail, Trail,
    ];
    (select(&kinds[..]), 0..1000_usize, 0..1000_usize).prop_map(|(kind, user, other)| Step { kind, user, other })
}

/// What all of them share.
struct Stage {
    build: Builder,
    partners: [PartnerId; 2],
    users: Mutex<Vec<(PartnerId, UserId)>>,
    ticks: AtomicU64,
}

/// Has everybody do what is planned, judges every answer, and returns all that happened.
async fn round(scene: &Scene, plans: Vec<Vec<Step>>) -> Vec<Event> {
    let partners = [scene.partner().await, scene.partner().await];
    let (users, ticks) = (Mutex::default(), AtomicU64::new(1));
    let stage = Arc::new(Stage { build: scene.build.clone(), partners, users, ticks });
    let adapters: Vec<_> = scene.adapters().cloned().collect();
    let plans = plans.into_iter().map(|plan| (Arc::clone(&stage), adapters.clone(), plan));
    let events = scene.at_once(plans, |_, (stage, adapters, plan)| act(stage, adapters, plan)).await.concat();
    for partner_id in partners {
        let own: Vec<_> = events.iter().filter(|event| asks(event) == partner_id).cloned().collect();
        let (users, trail) = everything(scene, partner_id).await;
        let story = Story::new(&users, trail, &own);
        for event in &own {
            assert!(judge(&story, event), "at no moment was this true: {event:#?}");
        }
        for user in &users {
            assert_eq!(scene.find(user).await.as_ref(), Some(user), "what is listed is found");
        }
    }
    events
}

fn asks(event: &Event) -> PartnerId {
    match &event.operation {
        Operation::Commit(change) => change.user.partner_id,
        Operation::Find(partner_id, _) | Operation::List(partner_id, _) | Operation::Trail(partner_id, ..) => {
            *partner_id
        }
    }
}

/// Does one after the other what is planned, by turns through the adapter and its peer.
async fn act(stage: Arc<Stage>, adapters: Vec<Adapter>, plan: Vec<Step>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut seen: Option<User> = None;
    for step in plan {
        let adapter = &adapters[step.other % adapters.len()];
        let found = match stage.user(step) {
            Some((partner_id, user_id)) => {
                let find = Operation::Find(partner_id, user_id);
                match stage.ask(adapter, find, &mut events).await {
                    Answer::Find(Ok(found)) => found,
                    _ => continue, // no answer
                }
            }
            None => None,
        };
        let past = seen.take();
        if let Some(operation) = stage.operation(step, found.as_ref(), past.as_ref()) {
            stage.ask(adapter, operation, &mut events).await;
        }
        seen = found;
    }
    events
}

impl Stage {
    async fn ask(&self, adapter: &Adapter, operation: Operation, events: &mut Vec<Event>) -> Answer {
        let began = self.ticks.fetch_add(1, Ordering::SeqCst);
        let answer = ask(adapter, operation.clone()).await;
        let ended = self.ticks.fetch_add(1, Ordering::SeqCst);
        if let Answer::Commit(Ok(user)) = &answer
            && user.version == signet_domain::Version::FIRST
        {
            self.users.lock().expect("no panic").push((user.partner_id, user.id));
        }
        events.push(Event { began, ended, operation, answer: answer.clone() });
        answer
    }

    /// The user that is looked at first, and for which partner: one of a few, so that all want the same ones.
    fn user(&self, step: Step) -> Option<(PartnerId, UserId)> {
        let users = self.users.lock().expect("no panic");
        let last = &users[users.len().saturating_sub(8)..];
        let (partner_id, user_id) = step.user.checked_rem(last.len()).map(|index| last[index])?;
        match step.kind {
            Kind::Register | Kind::List => None,
            Kind::FindTheirs => Some((self.partners[usize::from(partner_id == self.partners[0])], user_id)),
            _ => Some((partner_id, user_id)),
        }
    }

    fn operation(&self, step: Step, found: Option<&User>, past: Option<&User>) -> Option<Operation> {
        let Step { kind, user: number, other } = step;
        let partner_id = found.map_or(self.partners[number % 2], |user| user.partner_id);
        let limit = 1 + u32::try_from(other % 40).ok()?;
        if other % 7 == 0 {
            self.build.clock.advance(-5);
        }
        let address = format!("{}{}@example.com", ["user", "USER"][other % 2], number % 24);
        Some(match kind {
            Kind::Register => Operation::Commit(Box::new(self.build.registration(partner_id, &address))),
            Kind::List => Operation::List(partner_id, Page::new(limit, u64::try_from(number % 20).ok()?).ok()?),
            Kind::Trail => {
                let user_id = found.map(|user| user.id).filter(|_| other % 3 == 0);
                Operation::Trail(partner_id, AuditFilter { user_id, action: None }, None, limit)
            }
            Kind::Remove | Kind::Change | Kind::Readdress | Kind::ChangePast => {
                let user = if kind == Kind::ChangePast { past.or(found)? } else { found? };
                let context = self.build.context(user.partner_id);
                let patch = UserPatch {
                    name: Some(name(&format!("User {other}"))),
                    email: (kind == Kind::Readdress).then(|| email(&address)),
                    status: (other % 4 == 0).then_some(Status::Active),
                    metadata: None,
                };
                let change = if kind == Kind::Remove {
                    user.remove(context)
                } else {
                    user.change(&patch, context).expect("valid")
                };
                Operation::Commit(Box::new(change?))
            }
            Kind::FindTheirs => return None,
        })
    }
}

/// All users of a partner in the order of their registration, and its whole trail.
async fn everything(scene: &Scene, partner_id: PartnerId) -> (Vec<User>, Vec<AuditEntry>) {
    let mut users = Vec::new();
    loop {
        let page = scene.list(partner_id, 100, u64::try_from(users.len()).expect("64 bits")).await;
        if page.users.is_empty() {
            break;
        }
        users.extend(page.users);
    }
    (users, scene.trail(partner_id).await)
}
