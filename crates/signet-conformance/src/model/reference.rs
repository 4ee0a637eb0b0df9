use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Map, Value};
use signet_domain::{
    Action, AuditPosition, PartnerId, Status,
    ports::{CommitError, StoreError, UserPage},
};

use super::{
    step::{Act, Base, Edit, Step, steps},
    world::World,
};
use crate::behaviours::operation::Answer;

/// How many partners there are.
pub(crate) const PARTNERS: usize = 3;

/// What the clock shows at first.
pub(super) const START: i64 = 1_759_244_513_188;

/// What a store holds, and what it has to answer, in plain values and by the shortest rules: nothing in here is used by
/// the domain or by an adapter.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(super) world: World,
    /// What the clock shows, in milliseconds.
    pub(super) now: i64,
    /// Of each partner its users, in the order of their registration.
    pub(super) partners: [Vec<Life>; PARTNERS],
    /// Where each entry stands, in the order in which they were written.
    pub(super) positions: Vec<AuditPosition>,
}

/// Who has which address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) partner: usize,
    pub(super) user: usize,
    pub(super) identity: usize,
}

/// All versions of one user, the first one first.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) user: usize,
    pub(super) versions: Vec<Version>,
}

/// A user, and the change that made it so.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) state: State,
    pub(super) action: Action,
    pub(super) entry: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) name: &'static str,
    pub(super) email: String,
    /// Which address that is, in whatever spelling.
    identity: usize,
    pub(super) status: Status,
    pub(super) metadata: Map<String, Value>,
    pub(super) registered_at: i64,
    pub(super) updated_at: i64,
    pub(super) removed_at: Option<i64>,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::new(World::default())).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        steps(model)
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.perform(step);
        model
    }
}

impl Model {
    /// Of a store without any user.
    pub(crate) fn new(world: World) -> Self {
        Self { world, now: START, partners: [const { Vec::new() }; PARTNERS], positions: Vec::new() }
    }

    /// The id of that partner.
    pub(crate) fn partner(&self, number: usize) -> PartnerId {
        self.world.partner(number)
    }

    /// A number that no user has.
    pub(super) fn unused_user(&self) -> usize {
        self.partners.iter().flatten().map(|life| life.user + 1).max().unwrap_or(0)
    }

    /// All users of all partners.
    pub(super) fn users(&self) -> Vec<Holder> {
        let lives =
            self.partners.iter().enumerate().flat_map(|(partner, lives)| lives.iter().map(move |life| (partner, life)));
        lives.map(|(partner, life)| Holder { partner, user: life.user, identity: life.held().identity }).collect()
    }

    pub(super) fn entries(&self) -> usize {
        self.positions.len()
    }

    pub(super) fn life(&self, partner: usize, user: usize) -> Option<&Life> {
        self.partners.get(partner)?.iter().find(|life| life.user == user)
    }

    /// What a change is made from: the partner's own user; else one that is not its own; else one that never was.
    pub(super) fn base(&self, partner: usize, user: usize, base: Base) -> (State, usize) {
        let own = self.life(partner, user);
        let Some(life) = own.or_else(|| (0..PARTNERS).find_map(|other| self.life(other, user))) else {
            return (State::registered("Nobody", "nobody@example.com".to_owned(), usize::MAX, Map::new(), self.now), 1);
        };
        let version = match base {
            Base::Older(steps) => life.versions.len() - steps.min(life.versions.len() - 1),
            Base::Held | Base::Newer => life.versions.len(),
        };
        let state = life.versions[version - 1].state.clone();
        (state, if matches!(base, Base::Newer) { version + 1 } else { version })
    }

    /// Does the step, and tells what a store has to answer; `None` where there is nothing to ask it for.
    pub(crate) fn perform(&mut self, step: &Step) -> Option<Answer> {
        self.now += step.pause;
        match &step.act {
            Act::Register { partner, user, email, name, metadata } => {
                let (name, metadata) = (name.kept(), metadata.clone());
                let state = State::registered(name, email.kept(), email.identity, metadata, self.now);
                Some(self.commit(*partner, *user, None, state, Action::Registered))
            }
            Act::Change { partner, user, base, edit } => {
                let (state, version) = self.base(*partner, *user, *base);
                let (state, action) = state.edited(edit, self.now)?;
                Some(self.commit(*partner, *user, Some(version), state, action))
            }
            Act::Find { partner, user } => {
                Some(Answer::Find(Ok(self.life(*partner, *user).map(|life| self.told_user(*partner, life)))))
            }
            Act::List { partner, limit, offset } => Some(self.list(*partner, *limit, *offset)),
            Act::Trail { partner, user, action, before, limit } => {
                let before = before.map(|cut| self.position(cut));
                Some(Answer::Trail(Ok(self.told_trail(*partner, *user, *action, before, *limit))))
            }
        }
    }

    fn commit(&mut self, partner: usize, user: usize, replaces: Option<usize>, state: State, action: Action) -> Answer {
        let held = self.life(partner, user).map(|life| life.versions.len());
        if replaces.is_some() && replaces != held {
            return Answer::Commit(Err(CommitError::Stale));
        }
        let owner =
            self.partners.get(partner).into_iter().flatten().find(|life| life.held().identity == state.identity);
        if let Some(owner) = owner
            && (owner.user != user || replaces.is_none())
        {
            return Answer::Commit(Err(CommitError::email_taken(&self.told_user(partner, owner))));
        }
        let version = Version { state, action, entry: self.positions.len() };
        let Some(lives) = self.partners.get_mut(partner) else { return refused() };
        match lives.iter_mut().find(|life| life.user == user) {
            Some(_) if replaces.is_none() => return refused(),
            Some(life) => life.versions.push(version),
            None => lives.push(Life { user, versions: vec![version] }),
        }
        let life = self.life(partner, user).expect("just written");
        let told = self.told_user(partner, life);
        self.positions.push(self.told_entry(partner, life, life.versions.len()).position());
        Answer::Commit(Ok(told))
    }

    fn list(&self, partner: usize, limit: u32, offset: u64) -> Answer {
        let lives = self.partners.get(partner).map_or(&[][..], Vec::as_slice);
        let (limit, offset) = (usize::try_from(limit).expect("small"), usize::try_from(offset).expect("64 bits"));
        let users = lives.iter().skip(offset).take(limit).map(|life| self.told_user(partner, life)).collect();
        let (partner_id, total) = (self.world.partner(partner), u64::try_from(lives.len()).expect("64 bits"));
        Answer::List(Ok(UserPage { partner_id, users, total }))
    }
}

fn refused() -> Answer {
    Answer::Commit(Err(StoreError::Unexpected { reason: "in whatever words".to_owned() }.into()))
}

impl Life {
    fn held(&self) -> &State {
        &self.versions[self.versions.len() - 1].state
    }
}

impl State {
    fn registered(name: &'static str, email: String, identity: usize, metadata: Map<String, Value>, now: i64) -> Self {
        let status = Status::Active;
        Self { name, email, identity, status, metadata, registered_at: now, updated_at: now, removed_at: None }
    }

    /// What becomes of it, and what that is called; `None` where it stays what it is.
    fn edited(&self, edit: &Edit, now: i64) -> Option<(Self, Action)> {
        let now = now.max(self.updated_at);
        let mut next = self.clone();
        match edit {
            Edit::Remove if self.removed_at.is_some() => {}
            Edit::Remove => (next.status, next.removed_at) = (Status::Inactive, Some(now)),
            Edit::Patch { name, email, status, metadata } => {
                next.name = name.map_or(self.name, super::values::Label::kept);
                if let Some(email) = email {
                    (next.email, next.identity) = (email.kept(), email.identity);
                }
                next.metadata =
                    metadata.as_ref().map_or_else(|| self.metadata.clone(), |patch| merged(&self.metadata, patch));
                next.status = status.unwrap_or(self.status);
                if next.status != Status::Inactive {
                    next.removed_at = None;
                }
            }
        }
        let action = match (self.removed_at, next.removed_at) {
            (None, Some(_)) => Action::Removed,
            (Some(_), None) => Action::Restored,
            _ => Action::Updated,
        };
        if next == *self {
            return None;
        }
        next.updated_at = now;
        Some((next, action))
    }
}

/// JSON Merge Patch, as RFC 7396, section 2, has it.
fn merged(target: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut target = target.clone();
    for (key, change) in patch {
        let value = match change {
            Value::Null => {
                target.remove(key);
                continue;
            }
            Value::Object(patch) => {
                let inner = target.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
                Value::Object(merged(&inner, patch))
            }
            other => other.clone(),
        };
        target.insert(key.clone(), value);
    }
    target
}
