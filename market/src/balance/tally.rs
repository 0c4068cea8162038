//! Total charged to one client.

use super::{
    error::LoadBalanceError,
    types::{Charged, Notice, VERSION},
};
use std::num::NonZeroU64;

/// The total charged to a client, and the total at which the next notice is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) charged: Charged,
    due: Option<u64>,
    /// True if the tally is stored: the client ever had tokens or has a notice. Other clients leave no record.
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

    /// Returns the tokens missing to the next notice.
    pub(super) fn missing(&self) -> Option<u64> {
        Some(self.due?.saturating_sub(self.charged.total))
    }

    /// True if a notice is due. Schedules the next notice.
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

    /// Writes a version byte, the total, the kind of notice (0: none, 1: once, 2: each time), the tokens of the
    /// notice, and the total at which it is due, or 0.
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
        // A notice is never due at 0, because it needs a charge.
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
