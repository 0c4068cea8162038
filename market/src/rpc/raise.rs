//! Raising of clients to the capacities that the operator has set.

use super::operator::Operator;
use crate::{id::PeerId, pool::set_capacity::SetCapacityError, store::interface::Store};

impl<Id: PeerId, S: Store> Operator<Id, S> {
    /// Raises an active client to its assigned capacity, or as far as its priority allows.
    pub(super) fn raise_to_assigned(&mut self, id: &Id, now_ns: u64) {
        let Some(assigned) = self.assigned.get(id) else {
            return;
        };
        let present = self.clients().pool().capacity(id).unwrap_or(0);
        if present == 0 || present >= assigned {
            return;
        }
        let raised = self.clients_mut().set_capacity(id, assigned, 0, now_ns);
        if let Err(SetCapacityError::PriorityTooLow { available, .. }) = raised
            && available > present
        {
            // Without the priority for more, the client keeps what it has.
            let _ = self.clients_mut().set_capacity(id, available, 0, now_ns);
        }
    }
}
