use serde_json::Value;

use crate::{
    Action, AuditEntry, EmailAddress, Field, Invalid, Metadata, Name, Status, Timestamp, User, UserState, Version,
};

/// The user that its audit trail tells of: all entries of one user, from its registration on, oldest first.
///
/// Needs nothing but the entries, so comparing the result with what a store holds shows whether either was tampered
/// with or lost. Fails where the entries are not the whole story of one user: one is missing, out of order, of another
/// user, or starts from something else than what the one before it left.
pub fn replay<'a>(entries: impl IntoIterator<Item = &'a AuditEntry>) -> Result<User, Invalid> {
    let mut replay = Replay::default();
    entries.into_iter().try_for_each(|entry| replay.add(entry))?;
    replay.finish()
}

/// The same, an entry at a time: a trail of any length takes the memory of one user.
#[derive(Debug, Default)]
pub struct Replay(Option<UserState>);

impl Replay {
    /// Applies the next entry, oldest first.
    pub fn add(&mut self, entry: &AuditEntry) -> Result<(), Invalid> {
        match &mut self.0 {
            Some(state) => follow(state, entry)?,
            None => self.0 = Some(begin(entry)?),
        }
        Ok(())
    }

    /// The user that all entries together tell of.
    pub fn finish(self) -> Result<User, Invalid> {
        User::from_stored(self.0.ok_or_else(|| Invalid::new("has no entries"))?)
    }
}

fn begin(entry: &AuditEntry) -> Result<UserState, Invalid> {
    if entry.action != Action::Registered || entry.version != Version::FIRST {
        return Err(Invalid::new("does not begin with a registration"));
    }
    let value = |field: Field| match entry.changes.get(field) {
        Some(change) if change.from.is_null() => Ok(&change.to),
        Some(_) => Err(Invalid::new("has a registration that changes something")),
        None => Err(Invalid::new("has a registration that is not complete")),
    };
    Ok(UserState {
        id: entry.user_id,
        partner_id: entry.partner_id,
        name: name(value(Field::Name)?)?,
        email: email(value(Field::Email)?)?,
        status: Status::parse(text(value(Field::Status)?)?)?,
        metadata: metadata(value(Field::Metadata)?)?,
        registered_at: entry.occurred_at,
        updated_at: entry.occurred_at,
        removed_at: None,
        version: entry.version,
    })
}

fn follow(state: &mut UserState, entry: &AuditEntry) -> Result<(), Invalid> {
    if (entry.partner_id, entry.user_id) != (state.partner_id, state.id) {
        return Err(Invalid::new("has an entry of another user"));
    }
    if entry.version != state.version.next() || entry.occurred_at < state.updated_at {
        return Err(Invalid::new("has an entry that is missing or out of order"));
    }
    let was_removed = state.removed_at.is_some();
    for (field, change) in entry.changes.iter() {
        if field.of(state) != change.from {
            return Err(Invalid::new("has an entry that starts from something else than the one before it left"));
        }
        apply(state, field, &change.to)?;
    }
    let action = match (was_removed, state.removed_at.is_some()) {
        (false, true) => Action::Removed,
        (true, false) => Action::Restored,
        _ => Action::Updated,
    };
    if entry.action != action || entry.changes.is_empty() {
        return Err(Invalid::new("has an entry whose action is not what it did"));
    }
    state.updated_at = entry.occurred_at;
    state.version = entry.version;
    Ok(())
}

fn apply(state: &mut UserState, field: Field, to: &Value) -> Result<(), Invalid> {
    match field {
        Field::Name => state.name = name(to)?,
        Field::Email => state.email = email(to)?,
        Field::Status => state.status = Status::parse(text(to)?)?,
        Field::Metadata => state.metadata = metadata(to)?,
        Field::RemovedAt if to.is_null() => state.removed_at = None,
        Field::RemovedAt => state.removed_at = Some(Timestamp::parse(text(to)?)?),
    }
    Ok(())
}

fn text(value: &Value) -> Result<&str, Invalid> {
    value.as_str().ok_or_else(|| Invalid::new("has a value that should be text"))
}

// What was valid when it was written is part of the story, whatever a later rule says of it.

fn name(value: &Value) -> Result<Name, Invalid> {
    text(value).map(|name| Name::from_stored(name.to_owned()))
}

fn email(value: &Value) -> Result<EmailAddress, Invalid> {
    text(value).map(|address| EmailAddress::from_stored(address.to_owned(), EmailAddress::key_of_stored(address)))
}

fn metadata(value: &Value) -> Result<Metadata, Invalid> {
    value.as_object().map_or_else(|| Err(Invalid::new("has metadata that is no object")), Metadata::canonical)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{Actor, ApiKeyId, AuditEntryId, ChangeContext, MetadataPatch, PartnerId, RequestId, UserId, UserPatch};

    fn context(at: i64) -> ChangeContext {
        ChangeContext {
            partner_id: PartnerId::new(Uuid::from_u128(1)),
            entry_id: AuditEntryId::new(Uuid::from_u128(2)),
            actor: Actor::ApiKey {
                id: ApiKeyId::parse("0123456789abcdef").expect("valid"),
                name: Name::parse("backend").expect("valid"),
            },
            request_id: RequestId::parse("r").expect("valid"),
            ip_address: None,
            at: Timestamp::from_unix_millis(at).expect("in range"),
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Change(UserPatch),
        Remove,
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = proptest::option::of("[a-c]{1,2}".prop_map(|text| Name::parse(&text).expect("valid")));
        let email = proptest::option::of("[a-cA-C]@b\\.co".prop_map(|text| EmailAddress::parse(&text).expect("valid")));
        let status = proptest::option::of(proptest::sample::select(Status::ALL.to_vec()));
        let metadata =
            proptest::option::of(("[a-c]", proptest::option::of(0..3)).prop_map(|(key, value)| {
                MetadataPatch::new([(key, json!(value))].into_iter().collect()).expect("valid")
            }));
        prop_oneof![
            3 => (name, email, status, metadata)
                .prop_map(|(name, email, status, metadata)| Step::Change(UserPatch { name, email, status, metadata })),
            1 => Just(Step::Remove),
        ]
    }

    fn live(steps: &[(Step, i64)]) -> (User, Vec<AuditEntry>) {
        let id = UserId::new(Uuid::from_u128(3));
        let name = Name::parse("John Doe").expect("valid");
        let email = EmailAddress::parse("john@example.com").expect("valid");
        let first = User::register(id, name, email, Metadata::default(), context(0));
        let (mut user, mut entries) = (first.user, vec![first.audit]);
        for (step, at) in steps {
            let change = match step {
                Step::Change(patch) => user.change(patch, context(*at)).expect("within limits"),
                Step::Remove => user.remove(context(*at)),
            };
            if let Some(change) = change {
                user = change.user;
                entries.push(change.audit);
            }
        }
        (user, entries)
    }

    proptest! {
        #[test]
        fn the_trail_of_any_life_rebuilds_the_user(
            steps in proptest::collection::vec((step(), -5_i64..20), 0..12), gap in any::<proptest::sample::Index>()
        ) {
            let (user, mut entries) = live(&steps);
            prop_assert_eq!(replay(&entries), Ok(user));
            // Without one that is not the last, the story has a hole.
            if entries.len() > 1 {
                entries.remove(gap.index(entries.len() - 1));
                prop_assert!(replay(&entries).is_err());
            }
        }
    }

    #[test]
    fn a_tampered_trail_is_no_story() {
        let remove = [(Step::Remove, 7)];
        let (_, entries) = live(&remove);
        let with = |change: fn(&mut AuditEntry)| {
            let mut entries = entries.clone();
            change(&mut entries[1]);
            replay(&entries)
        };
        assert!(with(|_| {}).is_ok());
        assert!(with(|entry| entry.action = Action::Updated).is_err());
        assert!(with(|entry| entry.user_id = UserId::new(Uuid::from_u128(9))).is_err());
        assert!(with(|entry| entry.partner_id = PartnerId::new(Uuid::from_u128(9))).is_err());
        assert!(with(|entry| entry.occurred_at = Timestamp::from_unix_millis(-1).expect("in range")).is_err());
        assert!(with(|entry| entry.changes = crate::Changes::default()).is_err());
        assert!(replay(&[]).is_err());
        assert!(replay(&entries[1..]).is_err());
    }
}
