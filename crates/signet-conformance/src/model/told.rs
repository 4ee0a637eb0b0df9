//! What the model holds, as the values that a store has to answer with.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};
use signet_domain::{
    Action, AuditEntry, AuditEntryId, AuditPosition, Changes, Metadata, User, UserState, Version, ports::Page,
};
use uuid::Uuid;

use super::{
    reference::{Life, Model, START, State},
    step::{Cut, Nudge},
    world::instant,
};
use crate::{email, name};

impl Model {
    pub(super) fn told_user(&self, partner: usize, life: &Life) -> User {
        let version = life.versions.len();
        self.told_state(partner, life.user, &life.versions[version - 1].state, version)
    }

    pub(super) fn told_state(&self, partner: usize, user: usize, state: &State, version: usize) -> User {
        let state = UserState {
            id: self.world.user(user),
            partner_id: self.world.partner(partner),
            name: name(state.name),
            email: email(&state.email),
            status: state.status,
            metadata: Metadata::new(&state.metadata).expect("within limits"),
            registered_at: instant(state.registered_at),
            updated_at: instant(state.updated_at),
            removed_at: state.removed_at.map(instant),
            version: told_version(version),
        };
        User::from_stored(state).expect("consistent")
    }

    /// The entry that made that version, from 1.
    pub(super) fn told_entry(&self, partner: usize, life: &Life, version: usize) -> AuditEntry {
        let made = &life.versions[version - 1];
        let before = version.checked_sub(2).map(|index| &life.versions[index].state);
        let context = self.world.context(partner, made.entry, made.state.updated_at);
        AuditEntry {
            id: context.entry_id,
            partner_id: context.partner_id,
            user_id: self.world.user(life.user),
            version: told_version(version),
            action: made.action,
            actor: context.actor,
            changes: changes(before, &made.state),
            request_id: context.request_id,
            ip_address: context.ip_address,
            occurred_at: context.at,
        }
    }

    /// Newest first.
    pub(super) fn told_trail(
        &self,
        partner: usize,
        user: Option<usize>,
        action: Option<Action>,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Vec<AuditEntry> {
        let lives = self.partners.get(partner).into_iter().flatten();
        let lives = lives.filter(|life| user.is_none_or(|user| life.user == user));
        let entries =
            lives.flat_map(|life| (1..=life.versions.len()).map(|version| self.told_entry(partner, life, version)));
        let mut entries: Vec<_> = entries
            .filter(|entry| action.is_none_or(|action| entry.action == action))
            .filter(|entry| before.is_none_or(|before| entry.position() < before))
            .collect();
        entries.sort_by_key(|entry| Reverse(entry.position()));
        entries.truncate(usize::try_from(limit).expect("32 bits"));
        entries
    }

    pub(super) fn position(&self, cut: Cut) -> AuditPosition {
        let newest = self.positions.last().map_or(instant(START), |position| position.occurred_at);
        let nobodys =
            AuditPosition { occurred_at: newest, version: Version::FIRST, entry_id: self.world.entry(cut.entry) };
        let position = self.positions.get(cut.entry).copied().unwrap_or(nobodys);
        match cut.nudge {
            Nudge::None => position,
            Nudge::LeastId => AuditPosition { entry_id: AuditEntryId::new(Uuid::nil()), ..position },
            Nudge::GreatestId => AuditPosition { entry_id: AuditEntryId::new(Uuid::max()), ..position },
            Nudge::NextVersion => AuditPosition { version: position.version.next(), ..position },
            Nudge::Millis(millis) => {
                AuditPosition { occurred_at: instant(position.occurred_at.unix_millis() + millis), ..position }
            }
        }
    }

    /// All that there is of a partner: its users, in pages of that many, and its whole trail, newest first.
    pub(crate) fn everything(&self, partner: usize, limit: u32) -> (Vec<(Page, Vec<User>)>, Vec<AuditEntry>) {
        let lives = &self.partners[partner];
        let size = usize::try_from(limit).expect("32 bits");
        let pages = (0..=lives.len()).step_by(size).map(|offset| {
            let page = Page::new(limit, u64::try_from(offset).expect("64 bits")).expect("a page");
            (page, lives.iter().skip(offset).take(size).map(|life| self.told_user(partner, life)).collect())
        });
        (pages.collect(), self.told_trail(partner, None, None, None, u32::MAX))
    }
}

fn told_version(number: usize) -> Version {
    Version::new(i64::try_from(number).expect("64 bits")).expect("at least 1")
}

/// The fields that differ; of a registration all that it sets.
fn changes(before: Option<&State>, after: &State) -> Changes {
    let (from, to) = (before.map(fields), fields(after));
    let mut changed = Map::new();
    for (field, to) in to {
        let from = from.as_ref().map_or(&Value::Null, |from| &from[&field]);
        if (before.is_none() && field != "removedAt") || (before.is_some() && *from != to) {
            changed.insert(field, json!({ "from": from, "to": to }));
        }
    }
    serde_json::from_value(Value::Object(changed)).expect("the form of changes")
}

fn fields(state: &State) -> Map<String, Value> {
    let fields = json!({
        "name": state.name,
        "email": state.email,
        "status": state.status,
        "metadata": state.metadata,
        "removedAt": state.removed_at.map(instant),
    });
    fields.as_object().expect("an object").clone()
}
