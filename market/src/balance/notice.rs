//! What clients were charged in all, and when somebody wants to be told of it.

use super::{
    records::LoadBalanceError,
    tracker::{BalanceTracker, NotConnected},
};
use crate::{
    id::NodeId,
    store::{Batch, Store},
};
use std::num::NonZeroU64;

const VERSION: u8 = 1;

/// When to tell of what a client was charged.
///
/// A process that is killed forgets to charge for the last minutes, and what it has told of that: it is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Once: when it is more than so many tokens, which may be now.
    Above(NonZeroU64),
    /// Each time that it has grown by so many tokens, counted from when this was set. One charge of several times as
    /// many is told of once.
    Every(NonZeroU64),
}

/// What a client was charged since it was first known: tokens taken from its balance, and those that it owes beyond it.
/// It does not shrink, expire or get paid back, and ends at 2^64 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Whole tokens.
    pub total: u64,
    /// When somebody wants to be told.
    pub notice: Option<Notice>,
}

/// What was charged, and at what total the next notice is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) charged: Charged,
    due: Option<u64>,
    /// Whether it is stored: for those who ever had tokens or have a notice. Whoever only passes by leaves nothing.
    pub(super) is_kept: bool,
}

impl Tally {
    pub(super) const fn add(&mut self, tokens: u64) {
        self.charged.total = self.charged.total.saturating_add(tokens);
    }

    pub(super) fn set(&mut self, notice: Option<Notice>) {
        self.charged.notice = notice;
        self.is_kept |= notice.is_some();
        self.due = notice.and_then(|notice| match notice {
            Notice::Above(total) => total.get().checked_add(1),
            Notice::Every(tokens) => self.charged.total.checked_add(tokens.get()),
        });
    }

    /// How much is missing to the next notice.
    pub(super) fn missing(&self) -> Option<u64> {
        Some(self.due?.saturating_sub(self.charged.total))
    }

    /// Whether a notice is due; if so, the next one is later.
    pub(super) fn take_notice(&mut self) -> bool {
        let total = self.charged.total;
        let Some(due) = self.due.take_if(|due| *due <= total) else {
            return false;
        };
        if let Some(Notice::Every(tokens)) = self.charged.notice {
            let over = (total - due) % tokens;
            self.due = (total - over).checked_add(tokens.get());
        }
        true
    }

    /// A version byte, the total, 0 (no notice), 1 (once) or 2 (each time), its tokens, and the total at which it is due
    /// or 0.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let (kind, tokens) = match self.charged.notice {
            None => (0, 0),
            Some(Notice::Above(tokens)) => (1, tokens.get()),
            Some(Notice::Every(tokens)) => (2, tokens.get()),
        };
        let mut bytes = vec![VERSION];
        bytes.extend(self.charged.total.to_be_bytes());
        bytes.push(kind);
        bytes.extend(tokens.to_be_bytes());
        // A notice is never due at 0: it takes a charge.
        bytes.extend(self.due.unwrap_or(0).to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, LoadBalanceError> {
        let length = bytes.len();
        let damaged = || LoadBalanceError::Damaged { length };
        let (&found, rest) = bytes.split_first().ok_or_else(damaged)?;
        if found != VERSION {
            return Err(LoadBalanceError::Version { found });
        }
        Self::parse(rest).ok_or_else(damaged)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (total, rest) = bytes.split_first_chunk()?;
        let (&kind, rest) = rest.split_first()?;
        let ([tokens, due], []) = rest.as_chunks() else {
            return None;
        };
        let tokens = NonZeroU64::new(u64::from_be_bytes(*tokens));
        let notice = match (kind, tokens) {
            (0, None) => None,
            (1, Some(tokens)) => Some(Notice::Above(tokens)),
            (2, Some(tokens)) => Some(Notice::Every(tokens)),
            _ => return None,
        };
        let total = u64::from_be_bytes(*total);
        Some(Self {
            charged: Charged { total, notice },
            due: Some(u64::from_be_bytes(*due)).filter(|due| *due > 0),
            is_kept: true,
        })
    }
}

impl<Id: NodeId, S: Store> BalanceTracker<Id, S> {
    /// What a client, connected or not, was charged up to now.
    ///
    /// It is stored, with the balance, of whoever ever had tokens or has a notice. Of others it is forgotten when they
    /// disconnect.
    pub fn charged(&self, id: &Id, now_ns: u64) -> Result<Charged, LoadBalanceError> {
        match self.settled(id, now_ns) {
            Ok(balance) => Ok(balance.tally.charged),
            Err(NotConnected) => Ok(self.records.tally(id.as_ref())?.charged),
        }
    }

    /// Clients of whom a total or a notice is stored, connected or not, in order of their ids' bytes.
    pub fn clients_charged(&self) -> Result<Vec<Id>, LoadBalanceError> {
        self.records.charged()
    }

    /// Sets or ends the notices of clients, connected or not, and stores that, together with `also`, in one transaction.
    /// What is due of them happens in [`poll`](Self::poll), as [`BalanceEvent::Noticed`](super::BalanceEvent::Noticed).
    ///
    /// # Errors
    ///
    /// If the store fails; then nothing has changed.
    pub fn set_notices<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a Id>,
        notice: Option<Notice>,
        also: Batch,
        now_ns: u64,
    ) -> Result<(), LoadBalanceError> {
        let ids: Vec<_> = ids.into_iter().collect();
        // All are charged before the first is written: those of one address owe one debt.
        for id in &ids {
            let _ = self.update(id, now_ns, |_, _| {});
        }
        let (mut batch, mut changed) = (also, Vec::new());
        for id in ids {
            let connected = self.settled(id, now_ns).ok();
            let mut tally = match &connected {
                Some(balance) => balance.tally,
                None => self.records.tally(id.as_ref())?,
            };
            tally.set(notice);
            match connected {
                // The total must not be ahead of the balance that it was taken from.
                Some(mut balance) => {
                    balance.tally = tally;
                    let address = self.clients.get(id).map(|client| &*client.address);
                    self.put_balance(&mut batch, id, address, &balance, now_ns);
                }
                None => self.records.put_tally(&mut batch, id.as_ref(), tally),
            }
            changed.push((id, tally));
        }
        self.records.write(batch, &self.expiration, now_ns)?;
        for (id, tally) in changed {
            // A notice of somebody who is not connected waits in the store.
            let _ = self.update(id, now_ns, |balance, _| balance.tally = tally);
        }
        Ok(())
    }
}
