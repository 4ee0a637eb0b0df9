use signet_domain::{
    AuditEntry, AuditPosition, User, UserChange, UserId,
    ports::{AuditFilter, CommitError, EmailHolder, Page, StoreError, UserPage},
};

use super::{
    Event,
    story::{Story, Version},
    window::Window,
};
use crate::behaviours::operation::{Answer, Operation};

/// Whether there was a moment, between the question and its answer, in which the answer was true by the trail.
pub(crate) fn judge(story: &Story, event: &Event) -> bool {
    let asking = Window { after: event.began, before: event.ended };
    match (&event.operation, &event.answer) {
        // Nothing is claimed.
        (_, answer) if is_no_answer(answer) => true,
        (Operation::Commit(change), Answer::Commit(Ok(user))) => {
            // When it was made, the story knows from this very event.
            story
                .version(user.id, user.version.number())
                .is_some_and(|held| held.user == *user && held.entry == change.audit)
        }
        (Operation::Commit(change), Answer::Commit(Err(CommitError::Stale))) => is_stale(story, change, asking),
        (Operation::Commit(change), Answer::Commit(Err(CommitError::EmailTaken { partner_id, holder }))) => {
            *partner_id == change.user.partner_id && is_taken(story, change, *holder, asking)
        }
        (Operation::Find(_, user_id), Answer::Find(Ok(None))) => story.absent(*user_id).and(asking).is_open(),
        (Operation::Find(_, user_id), Answer::Find(Ok(Some(user)))) => {
            user.id == *user_id && held(story, user).is_some_and(|held| held.and(asking).is_open())
        }
        (Operation::List(partner_id, page), Answer::List(Ok(found))) if found.partner_id == *partner_id => {
            listed(story, *page, found).is_some_and(|listed| listed.and(asking).is_open())
        }
        (Operation::Trail(_, filter, before, limit), Answer::Trail(Ok(entries))) => {
            read(story, (*filter, *before, *limit), entries).is_some_and(|read| read.and(asking).is_open())
        }
        _ => false,
    }
}

fn is_no_answer(answer: &Answer) -> bool {
    match answer {
        Answer::Commit(Err(CommitError::Store(error)))
        | Answer::Find(Err(error))
        | Answer::List(Err(error))
        | Answer::Trail(Err(error)) => matches!(error, StoreError::Unavailable { .. } | StoreError::Overloaded),
        _ => false,
    }
}

/// When that user may have been held as it is.
fn held(story: &Story, user: &User) -> Option<Window> {
    let version = story.version(user.id, user.version.number())?;
    (version.user == *user).then(|| story.held(version))
}

/// Another version was held, or none; or the address was taken and given up again, which is decided anew, too.
fn is_stale(story: &Story, change: &UserChange, asking: Window) -> bool {
    let Some(replaces) = change.replaces() else { return false };
    let id = change.user.id;
    let others = story.lives.get(&id).into_iter().flatten().filter(|version| version.user.version != replaces);
    let mut others = others.map(|version| story.held(version)).chain([story.absent(id)]);
    others.any(|window| window.and(asking).is_open())
        || holders(story, change).any(|(_, held)| held.and(asking).is_open())
}

/// Another user had the address; and, for an update, the version that it is made from was held then.
fn is_taken(story: &Story, change: &UserChange, holder: EmailHolder, asking: Window) -> bool {
    let replaced = match change.replaces() {
        None => Some(Window::ALWAYS),
        Some(replaces) => story.version(change.user.id, replaces.number()).map(|version| story.held(version)),
    };
    let asking = replaced.map(|replaced| replaced.and(asking));
    asking.is_some_and(|asking| holders(story, change).any(|(user, held)| user == holder && held.and(asking).is_open()))
}

/// Who else had the address that the change wants, and when.
fn holders(story: &Story, change: &UserChange) -> impl Iterator<Item = (EmailHolder, Window)> {
    let versions = story.lives.values().flatten().filter(|version| version.user.id != change.user.id);
    let same = versions.filter(|version| version.user.email.key() == change.user.email.key());
    same.map(|version| ((&version.user).into(), story.held(version)))
}

/// When the page may have been what it is, with that total.
fn listed(story: &Story, page: Page, found: &UserPage) -> Option<Window> {
    let total = usize::try_from(found.total).ok()?;
    let (there, to_come) = story.order.split_at_checked(total)?;
    let (offset, limit) = (usize::try_from(page.offset()).ok()?, usize::try_from(page.limit()).ok()?);
    let expected = there.iter().skip(offset).take(limit);
    if !expected.eq(found.users.iter().map(|user| &user.id)) {
        return None;
    }
    let first = |id: &UserId| story.version(*id, 1);
    let there = there.iter().filter_map(first).map(Version::is_told);
    let to_come = to_come.iter().filter_map(first).map(Version::to_come);
    let window = there.chain(to_come).fold(Window::ALWAYS, Window::and);
    found.users.iter().try_fold(window, |window, user| Some(window.and(held(story, user)?)))
}

/// When the part of the trail may have been what it is.
fn read(
    story: &Story,
    (filter, before, limit): (AuditFilter, Option<AuditPosition>, u32),
    entries: &[AuditEntry],
) -> Option<Window> {
    let asked = |entry: &&AuditEntry| {
        filter.user_id.is_none_or(|user_id| entry.user_id == user_id)
            && filter.action.is_none_or(|action| entry.action == action)
            && before.is_none_or(|before| entry.position() < before)
    };
    let is_full = entries.len() == usize::try_from(limit).ok()?;
    let mut rest = entries.iter().peekable();
    let mut window = Window::ALWAYS;
    for entry in story.trail.iter().filter(asked) {
        let version = story.version(entry.user_id, entry.version.number())?;
        window = window.and(if rest.next_if(|read| *read == entry).is_some() {
            version.is_told()
        } else if rest.peek().is_none() && is_full {
            break; // cut off
        } else {
            version.to_come()
        });
    }
    rest.peek().is_none().then_some(window)
}
