//! Authorizations of the scheme `exact`: each pays for one request, at one worker at a time.
//!
//! No account is involved: the money moves on the chain, from the client to the seller. The ledger keeps the worker that serves
//! an authorization, and the bought answer. A worker announces a settlement durably before it settles. So after the end of its
//! lease a slow worker can neither settle nor hand out an answer beside its successor.

use crate::ledger::{
    book::Book,
    fault::LedgerFault,
    lookup::Rules,
    payment::{AuthorizationId, Fingerprint},
    records::authorization::{AuthorizationRecord, AuthorizationState},
    request::MAX_RETRY,
    shell::Ledger,
};
use alloy_primitives::{B128, B256, Bytes};

/// A request that is paid by an authorization. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// The authorization.
    pub id: AuthorizationId,
    /// The request's identity.
    pub fingerprint: Fingerprint,
    /// The SHA-256 hash of the payment.
    pub payload: B256,
    /// The second from which the token does not take the authorization.
    pub valid_before: u64,
}

/// A reserved authorization. End it by [`Ledger::release_authorization`] or [`Ledger::end_authorization`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    id: AuthorizationId,
    worker: B128,
    attempt: u64,
    lease_until: u64,
}

impl Holding {
    /// Returns the second from which another worker may take over; renew it before.
    pub const fn lease_until(&self) -> u64 {
        self.lease_until
    }
}

/// What is known of an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The authorization may pay: verify, then reserve.
    New,
    /// The authorization pays for this request at the moment.
    InProgress {
        /// The time after which to try again, in seconds.
        retry_after: u64,
    },
    /// The upstream has answered, and the outcome of the transfer is unknown: reserve, and settle again.
    Unsettled {
        /// The answer.
        answer: Vec<u8>,
    },
    /// The authorization has bought this answer.
    Bought {
        /// The answer.
        answer: Vec<u8>,
        /// What the client was told of the transfer.
        receipt: String,
    },
    /// The authorization has bought an answer that is not kept, or belongs to another request.
    Used,
}

impl Ledger {
    /// Tells what is known of an authorization. Changes nothing.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn authorization(&self, paid: Authorized, now: u64) -> Result<Standing, LedgerFault> {
        self.repeat(move |book, _| {
            let record = book.authorization(paid.id)?;
            Ok(record.map_or(Standing::New, |record| standing(&record, &paid, now)))
        })
        .await
    }

    /// Reserves a verified or unsettled authorization, durably. `Err`: another worker was faster.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn reserve_authorization(
        &self,
        paid: Authorized,
        now: u64,
    ) -> Result<Result<Holding, Standing>, LedgerFault> {
        self.repeat(move |book, rules| reserve(book, rules, &paid, now))
            .await
    }

    /// Prolongs the lease. `None`: another worker has taken over.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn renew_authorization(
        &self,
        holding: &Holding,
        now: u64,
    ) -> Result<Option<Holding>, LedgerFault> {
        let holding = holding.clone();
        self.repeat(move |book, rules| {
            let lease_until = now.saturating_add(rules.settings.lease);
            change(book, &holding, |record| record.lease_until = lease_until)
        })
        .await
    }

    /// Announces the transfer, durably; the worker settles afterwards. `None`: another worker has taken over, and the caller must
    /// neither settle nor answer.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn settle_authorization(
        &self,
        holding: &Holding,
        answer: &[u8],
        now: u64,
    ) -> Result<Option<Holding>, LedgerFault> {
        let (holding, answer) = (holding.clone(), Bytes::copy_from_slice(answer));
        self.repeat(move |book, rules| {
            let settings = rules.settings;
            let is_kept = answer.len() <= settings.max_answer;
            let answer = if is_kept {
                answer.clone()
            } else {
                Bytes::new()
            };
            let lease_until = now.saturating_add(settings.lease);
            change(book, &holding, |record| {
                record.state = AuthorizationState::Settling { answer };
                record.lease_until = lease_until;
            })
        })
        .await
    }

    /// Ends an authorization whose transfer was made. False: another worker has taken over.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn end_authorization(
        &self,
        holding: &Holding,
        receipt: &str,
        now: u64,
    ) -> Result<bool, LedgerFault> {
        let (holding, receipt) = (holding.clone(), receipt.to_owned());
        self.repeat(move |book, rules| {
            let until = now.saturating_add(rules.settings.keep_answers);
            let mut ends = None;
            let changed = change(book, &holding, |record| {
                if let AuthorizationState::Settling { answer } = &record.state {
                    record.state = AuthorizationState::Settled {
                        answer: answer.clone(),
                        receipt: receipt.clone(),
                    };
                }
                record.lease_until = 0;
                record.until = record.until.max(until);
                ends = Some(record.until);
            })?;
            if let Some(until) = ends {
                book.add_authorization_end(until, holding.id)?;
            }
            Ok(changed.is_some())
        })
        .await
    }

    /// Forgets an authorization whose transfer will not be made. The client may show it again.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn release_authorization(&self, holding: &Holding) -> Result<(), LedgerFault> {
        let holding = holding.clone();
        self.repeat(move |book, _| {
            if own(book, &holding)?.is_some() {
                book.set_authorization(holding.id, None);
            }
            Ok(())
        })
        .await
    }
}

fn standing(record: &AuthorizationRecord, paid: &Authorized, now: u64) -> Standing {
    let is_same = record.fingerprint == paid.fingerprint && record.payload == paid.payload;
    let is_live = record.lease_until > now;
    match &record.state {
        // Nothing was settled, so nothing was bought.
        AuthorizationState::Serving if !is_live => Standing::New,
        AuthorizationState::Settling { answer } if is_same && !is_live => match answer.is_empty() {
            true => Standing::New,
            false => Standing::Unsettled {
                answer: answer.to_vec(),
            },
        },
        AuthorizationState::Serving | AuthorizationState::Settling { .. } if is_same => {
            let retry_after = record.lease_until.saturating_sub(now).clamp(1, MAX_RETRY);
            Standing::InProgress { retry_after }
        }
        AuthorizationState::Settled { answer, receipt } if is_same && !answer.is_empty() => {
            Standing::Bought {
                answer: answer.to_vec(),
                receipt: receipt.clone(),
            }
        }
        _ => Standing::Used,
    }
}

fn reserve(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    paid: &Authorized,
    now: u64,
) -> Result<Result<Holding, Standing>, LedgerFault> {
    let old = book.authorization(paid.id)?;
    let known = old
        .as_ref()
        .map_or(Standing::New, |record| standing(record, paid, now));
    if !matches!(known, Standing::New | Standing::Unsettled { .. }) {
        return Ok(Err(known));
    }
    let settings = rules.settings;
    let until = now.saturating_add(settings.keep_answers);
    let record = AuthorizationRecord {
        fingerprint: paid.fingerprint,
        payload: paid.payload,
        worker: settings.worker,
        attempt: old.as_ref().map_or(0, |old| old.attempt).saturating_add(1),
        lease_until: now.saturating_add(settings.lease),
        until: until.max(paid.valid_before),
        state: match known {
            Standing::Unsettled { answer } => AuthorizationState::Settling {
                answer: answer.into(),
            },
            _ => AuthorizationState::Serving,
        },
    };
    let holding = Holding {
        id: paid.id,
        worker: record.worker,
        attempt: record.attempt,
        lease_until: record.lease_until,
    };
    book.add_authorization_end(record.until, paid.id)?;
    book.set_authorization(paid.id, Some(&record));
    Ok(Ok(holding))
}

/// Changes the record of a worker's own reservation.
fn change(
    book: &mut Book<'_>,
    holding: &Holding,
    change: impl FnOnce(&mut AuthorizationRecord),
) -> Result<Option<Holding>, LedgerFault> {
    let Some(mut record) = own(book, holding)? else {
        return Ok(None);
    };
    change(&mut record);
    book.set_authorization(holding.id, Some(&record));
    Ok(Some(Holding {
        lease_until: record.lease_until,
        ..holding.clone()
    }))
}

fn own(book: &mut Book<'_>, holding: &Holding) -> Result<Option<AuthorizationRecord>, LedgerFault> {
    let record = book.authorization(holding.id)?;
    Ok(
        record
            .filter(|record| record.worker == holding.worker && record.attempt == holding.attempt),
    )
}
