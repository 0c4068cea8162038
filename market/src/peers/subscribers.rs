//! Subscriptions and their callbacks.

use super::{
    context::Ctx,
    core::{Core, Event},
    error::ChangeError,
    flags::Flags,
    setup::Value,
};
use crate::id::PeerId;

pub(super) type StateCallback<Id> =
    Box<dyn FnMut(&mut Ctx<'_, Id>, &Id, &Flags, &Flags) -> Result<(), ChangeError> + Send>;
pub(super) type FieldCallback<Id> = Box<
    dyn FnMut(
            &mut Ctx<'_, Id>,
            &Id,
            &Flags,
            Option<&Value>,
            Option<&Value>,
        ) -> Result<(), ChangeError>
        + Send,
>;

/// Subscriptions to flags and fields.
pub(super) struct Subscribers<Id> {
    pub(super) state: Vec<(u64, StateCallback<Id>)>,
    pub(super) fields: Vec<(usize, FieldCallback<Id>)>,
}

impl<Id: PeerId> Subscribers<Id> {
    /// Runs the callbacks of one event. Returns the first error.
    pub(super) fn notify(
        &mut self,
        core: &mut Core<Id>,
        event: &Event<Id>,
    ) -> Result<(), ChangeError> {
        let mut result = Ok(());
        match event {
            Event::State { id, old, new } => {
                for (mask, callback) in &mut self.state {
                    let (old, new) = (
                        core.layout.flags(old & *mask),
                        core.layout.flags(new & *mask),
                    );
                    if old != new {
                        result = result.and(callback(&mut Ctx(core), id, &old, &new));
                    }
                }
            }
            Event::Field {
                id,
                index,
                state,
                old,
                new,
            } => {
                let state = core.layout.flags(*state);
                for (_, callback) in self.fields.iter_mut().filter(|(of, _)| of == index) {
                    let called = callback(&mut Ctx(core), id, &state, old.as_ref(), new.as_ref());
                    result = result.and(called);
                }
            }
        }
        result
    }
}
