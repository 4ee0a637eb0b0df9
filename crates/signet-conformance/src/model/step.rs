//! What may happen next, drawn with an eye on what has happened.

use proptest::{collection::btree_map, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use signet_domain::{Action, Status};

use super::{
    reference::{Holder, Model, PARTNERS},
    values::{Address, Label},
};

/// One operation. Partners, users and entries are numbers; one that nobody has names what does not exist.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Whether the peer of the adapter is asked.
    pub(crate) peer: bool,
    /// How far the clock goes before it, in milliseconds; also backwards.
    pub(super) pause: i64,
    pub(super) act: Act,
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Register { partner: usize, user: usize, email: Address, name: Label, metadata: Map<String, Value> },
    Change { partner: usize, user: usize, base: Base, edit: Edit },
    Find { partner: usize, user: usize },
    List { partner: usize, limit: u32, offset: u64 },
    Trail { partner: usize, user: Option<usize>, action: Option<Action>, before: Option<Cut>, limit: u32 },
}

/// Which version a change is made from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    Held,
    /// So many before the one that is held, if there are.
    Older(usize),
    /// One that is not there yet.
    Newer,
}

#[derive(Debug, Clone)]
pub(super) enum Edit {
    Patch { name: Option<Label>, email: Option<Address>, status: Option<Status>, metadata: Option<Map<String, Value>> },
    Remove,
}

/// A place in the trail: that of an entry, or one near by that no entry has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) entry: usize,
    pub(super) nudge: Nudge,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Nudge {
    None,
    LeastId,
    GreatestId,
    NextVersion,
    Millis(i64),
}

/// How many addresses there are to quarrel about.
const IDENTITIES: usize = 40;

pub(super) fn steps(model: &Model) -> BoxedStrategy<Step> {
    let pause = prop_oneof![2 => Just(0), 4 => 1..20_i64, 1 => -30..0_i64];
    let act = prop_oneof![
        4 => register(model),
        9 => change(model),
        3 => target(model).prop_map(|(partner, user)| Act::Find { partner, user }),
        2 => list(),
        3 => trail(model),
    ];
    (any::<bool>(), pause, act).prop_map(|(peer, pause, act)| Step { peer, pause, act }).boxed()
}

fn register(model: &Model) -> impl Strategy<Value = Act> + use<> {
    let fresh = model.unused_user();
    // Another partner's user may have the same id; this partner's may not.
    let user = prop_oneof![9 => Just(fresh), 1 => 0..=fresh];
    let new = (partner(), user, address());
    let users = model.users();
    let who = if users.is_empty() {
        new.boxed()
    } else {
        let again = (select(users), 0..3_usize)
            .prop_map(|(Holder { partner, user, identity }, spelling)| (partner, user, Address { identity, spelling }));
        prop_oneof![12 => new, 1 => again].boxed()
    };
    (who, label(), metadata()).prop_map(|((partner, user, email), name, metadata)| Act::Register {
        partner,
        user,
        email,
        name,
        metadata,
    })
}

fn change(model: &Model) -> impl Strategy<Value = Act> + use<> {
    let base = prop_oneof![8 => Just(Base::Held), 2 => (1..4_usize).prop_map(Base::Older), 1 => Just(Base::Newer)];
    let status = select(&Status::ALL[..]);
    let patch = (option::of(label()), option::weighted(0.3, address()), option::of(status), option::of(metadata()));
    let edit = prop_oneof![
        4 => patch.prop_map(|(name, email, status, metadata)| Edit::Patch { name, email, status, metadata }),
        1 => Just(Edit::Remove),
    ];
    (target(model), base, edit).prop_map(|((partner, user), base, edit)| Act::Change { partner, user, base, edit })
}

fn list() -> impl Strategy<Value = Act> {
    let limit = prop_oneof![1..8_u32, Just(100)];
    let offset = prop_oneof![8 => 0..30_u64, 1 => select(&[1 << 32, (1 << 63) - 100, (1 << 63) - 1][..])];
    (partner(), limit, offset).prop_map(|(partner, limit, offset)| Act::List { partner, limit, offset })
}

fn trail(model: &Model) -> impl Strategy<Value = Act> + use<> {
    let action = option::weighted(0.4, select(&Action::ALL[..]));
    let nudge = prop_oneof![
        4 => Just(Nudge::None),
        1 => Just(Nudge::LeastId),
        1 => Just(Nudge::GreatestId),
        1 => Just(Nudge::NextVersion),
        1 => (-3..4_i64).prop_map(Nudge::Millis),
    ];
    let before = (0..=model.entries(), nudge).prop_map(|(entry, nudge)| Cut { entry, nudge });
    let limit = prop_oneof![8 => 1..12_u32, 1 => Just(0), 1 => Just(u32::MAX)];
    let of_user = any::<prop::sample::Index>().prop_map(|index| index.index(5) < 2);
    (target(model), of_user, action, option::of(before), limit).prop_map(
        |((partner, user), of_user, action, before, limit)| {
            let user = of_user.then_some(user);
            Act::Trail { partner, user, action, before, limit }
        },
    )
}

/// Any partner, sometimes one that does not exist.
fn partner() -> impl Strategy<Value = usize> {
    prop_oneof![19 => 0..PARTNERS, 1 => Just(PARTNERS)]
}

/// A user of the partner; sometimes another's, or one that does not exist.
fn target(model: &Model) -> BoxedStrategy<(usize, usize)> {
    let any = (partner(), 0..=model.unused_user());
    let users = model.users();
    if users.is_empty() {
        return any.boxed();
    }
    let own = select(users).prop_map(|Holder { partner, user, .. }| (partner, user));
    prop_oneof![5 => own, 1 => any].boxed()
}

fn address() -> impl Strategy<Value = Address> {
    (0..IDENTITIES, 0..3_usize).prop_map(|(identity, spelling)| Address { identity, spelling })
}

fn label() -> impl Strategy<Value = Label> {
    (0..6_usize).prop_map(Label)
}

/// An object of few keys, so that a patch meets what is there; `null` in it is a value or, in a patch, the end of one.
fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = || {
        prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            select(vec![json!("ä\u{1}\"\\"), json!(0.1), json!([1, null, { "b": null }]), json!(u64::MAX), json!({})]),
        ]
    };
    let key = || select(&["a", "b", "ключ '\"{},\\"][..]).prop_map(str::to_owned);
    let object = btree_map(key(), leaf(), 0..3).prop_map(|object| Value::Object(object.into_iter().collect()));
    btree_map(key(), prop_oneof![leaf(), object], 0..3).prop_map(|object| object.into_iter().collect())
}
