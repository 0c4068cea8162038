//! The ledger: money of accounts, and payment ids that buy one answer each. SPEC.md section 17.4 has the rules.
//!
//! Every decision is a function of the records and an event. Its changes of records are one batch, and its result is an answer;
//! [`Ledger`] runs decisions against a store, and hands out an answer after its batch is durable.

mod account;
mod admission;
mod authorization;
mod binding;
mod book;
mod channel;
mod crediting;
mod fault;
mod idempotency;
mod judge;
mod listing;
mod lookup;
mod payment;
mod pipeline;
mod records;
mod request;
mod settlement;
mod shell;
mod upkeep;

#[cfg(test)]
pub(crate) mod tests;

pub use account::{AccountKey, Currencies, Currency};
pub use admission::Credited;
pub use authorization::{Authorized, Holding, Standing};
pub use channel::Channel;
pub use fault::LedgerFault;
pub use judge::{Judge, Judging, LiveJudge, Verdict, ViewJudge, ViewOf};
pub use lookup::Settings;
pub use payment::{
    AuthorizationId, Fingerprint, FingerprintParts, IdempotencyKey, MaxPrice, Payment, PaymentId,
};
pub use records::{account::Sums, codec::RecordError};
pub use request::{
    Admission, Admitted, Ask, ChequeState, Outcome, Price, Receipt, Refusal, Room, StoredAnswer,
    Terms,
};
pub use settlement::Extended;
pub use shell::{Ledger, RoomFor};
pub use upkeep::{Prune, Upkeep};

/// The key of the record of a gateway's identity, among those of its ledger.
pub(crate) fn identity_key(payee: cheque::Address) -> Vec<u8> {
    records::keys::Keys::new(payee).identity()
}
