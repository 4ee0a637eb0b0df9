//! What a store is asked for, with the changes that the domain makes.

use signet_domain::{
    Metadata, MetadataPatch, User, UserPatch,
    ports::{AuditFilter, Page},
};

use super::{
    reference::Model,
    step::{Act, Edit, Step},
};
use crate::{behaviours::operation::Operation, email, name};

impl Model {
    /// What the step asks of a store that holds what the model holds; `None` where the domain finds nothing to change.
    pub(crate) fn operation(&self, step: &Step) -> Option<Operation> {
        let world = self.world;
        let context = |partner| world.context(partner, self.entries(), self.now + step.pause);
        Some(match &step.act {
            Act::Register { partner, user, email: address, name: label, metadata } => {
                let (name, email) = (name(label.sent()), email(&address.sent()));
                let metadata = Metadata::new(metadata).expect("within limits");
                let change = User::register(world.user(*user), name, email, metadata, context(*partner));
                Operation::Commit(Box::new(change))
            }
            Act::Change { partner, user, base, edit } => {
                let (state, version) = self.base(*partner, *user, *base);
                let base = self.told_state(*partner, *user, &state, version);
                let change = match edit {
                    Edit::Remove => base.remove(context(*partner)),
                    Edit::Patch { name: label, email: address, status, metadata } => {
                        let patch = UserPatch {
                            name: label.map(|label| name(label.sent())),
                            email: address.map(|address| email(&address.sent())),
                            status: *status,
                            metadata: metadata
                                .as_ref()
                                .map(|patch| MetadataPatch::new(patch.clone()).expect("a valid patch")),
                        };
                        base.change(&patch, context(*partner)).expect("within limits")
                    }
                };
                Operation::Commit(Box::new(change?))
            }
            Act::Find { partner, user } => Operation::Find(world.partner(*partner), world.user(*user)),
            Act::List { partner, limit, offset } => {
                Operation::List(world.partner(*partner), Page::new(*limit, *offset).expect("a page"))
            }
            Act::Trail { partner, user, action, before, limit } => {
                let filter = AuditFilter { user_id: user.map(|user| world.user(user)), action: *action };
                let before = before.map(|cut| self.position(cut));
                Operation::Trail(world.partner(*partner), filter, before, *limit)
            }
        })
    }
}
