//! Payments that the caller names: a repeated request gets the stored answer, and pays nothing.

use crate::{
    payer::{
        Payer,
        error::PayerError,
        pay::{Payment, account_change},
    },
    protocol::{account::WriteError, amount::Amount, proof::Proof, terms::DepositId},
    store::{
        async_store::{OwnedChange, StoredError},
        change::{Change, Swap},
        codec::{RecordError, decode, encode},
        interface::Store,
        keys::{receipt_key, receipt_of_time_key, receipt_time_key, receipt_times_key},
        table::Table,
    },
    sys::unix_now,
};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use std::{ops::ControlFlow, str::FromStr};

/// The time for which a receipt is kept at least, in seconds: 3 days. The name may pay again afterwards.
pub const RECEIPT_RETENTION: u64 = 3 * 86_400;

/// The longest name, in characters.
const MAX_NAME: usize = 255;

/// Number of receipts removed per write.
const BATCH: usize = 500;

/// The caller's name of one payment: 1 to 255 visible ASCII characters. A payee and an amount do not make a name, because two
/// payments may have both in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentName(String);

/// The reason why a text is no name of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a payment has 1 to 255 visible ASCII characters; use a random one, such as a UUID"
)]
pub struct PaymentNameError;

impl FromStr for PaymentName {
    type Err = PaymentNameError;

    fn from_str(text: &str) -> Result<Self, PaymentNameError> {
        let is_good = (1..=MAX_NAME).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_good
            .then(|| Self(text.to_owned()))
            .ok_or(PaymentNameError)
    }
}

/// A named payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedPayment {
    /// The parts, as when the payment was made.
    pub parts: Vec<Payment>,
    /// True if an earlier request of the same name made the payment.
    pub is_repeated: bool,
}

/// The stored answer to a named payment.
#[derive(RlpEncodable, RlpDecodable)]
struct Receipt {
    payee: Address,
    token: Address,
    amount: u128,
    parts: Vec<ReceiptPart>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ReceiptPart {
    deposit: B256,
    spent: u128,
    left: u128,
    proof: Bytes,
}

impl Payer {
    /// Pays like [`Payer::pay_before`], once per name: a repeated request returns the same parts with the same proofs, and pays
    /// nothing, for 3 days at least. The receipt is stored in the same transaction as the payment. A request that failed has no
    /// receipt, so its repetition may pay.
    ///
    /// # Errors
    ///
    /// [`PayerError::NameReused`] if the name belongs to a payment of another payee, token or amount; further those of
    /// [`Payer::pay`]. After [`PayerError::Stored`], a repetition finds out whether the payment was made.
    pub async fn pay_named(
        &self,
        name: &PaymentName,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<NamedPayment, PayerError> {
        if amount.is_zero() {
            return Err(WriteError::ZeroAmount.into());
        }
        let name = keccak256(name.0.as_bytes());
        let key = receipt_key(self.reader.bank(), name);
        loop {
            // Before the chain is looked at: the answer to a repetition does not depend on it.
            if let Some(bytes) = self.store.get(Table::Receipts, key.to_vec()).await? {
                let receipt: Receipt = decode(&bytes).map_err(StoredError::from)?;
                return receipt.answer(payee, token, amount);
            }
            let parts = self.split(payee, token, amount, payee_cutoff).await?;
            let payments = self.payments(payee, &parts).await?;
            let receipt = Receipt::new(payee, token, amount, &payments);
            let accounts = parts
                .iter()
                .map(|part| account_change(part.id, payee, &part.old, &part.new));
            let changes = self.additions(name, &receipt).into_iter().chain(accounts);
            if self.store.swap(changes.collect()).await? == Swap::Done {
                self.count_spent_of(&parts);
                return Ok(NamedPayment {
                    parts: payments,
                    is_repeated: false,
                });
            }
            // Another payment has changed an account, or has the same name.
        }
    }

    /// Removes the receipts of payments before `time`, in seconds since 1970. Returns their number.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`]. Receipts removed before the error stay removed.
    pub async fn prune_receipts_before(&self, time: u64) -> Result<usize, PayerError> {
        let mut pruned = 0;
        loop {
            let bank = *self.reader.bank();
            let remove = move |store: &dyn Store| {
                let mut old = Vec::new();
                let mut read = Ok(());
                let prefix = receipt_times_key(&bank);
                store.scan(Table::Receipts, &prefix, &mut |key, _| {
                    match receipt_of_time_key(key) {
                        Ok((at, name)) if at < time && old.len() < BATCH => old.push((at, name)),
                        Ok(_) => return ControlFlow::Break(()),
                        Err(error) => {
                            read = Err(error);
                            return ControlFlow::Break(());
                        }
                    }
                    ControlFlow::Continue(())
                })?;
                read?;
                for (at, name) in &old {
                    remove_receipt(store, &bank, *at, *name)?;
                }
                Ok(old.len())
            };
            let removed = self.store.blocking(remove).await?;
            pruned += removed;
            if removed < BATCH {
                return Ok(pruned);
            }
        }
    }

    /// The changes that add a receipt, under its name and under its time.
    fn additions(&self, name: B256, receipt: &Receipt) -> [OwnedChange; 2] {
        let bank = self.reader.bank();
        let add = |key: Vec<u8>, new: Vec<u8>| OwnedChange {
            table: Table::Receipts,
            key,
            old: None,
            new: Some(new),
        };
        [
            add(receipt_key(bank, name).to_vec(), encode(receipt)),
            add(
                receipt_time_key(bank, unix_now(), name).to_vec(),
                Vec::new(),
            ),
        ]
    }
}

/// Removes one receipt. Another process may have removed it.
fn remove_receipt(
    store: &dyn Store,
    bank: &crate::protocol::terms::Bank,
    time: u64,
    name: B256,
) -> Result<(), StoredError> {
    let (key, time_key) = (receipt_key(bank, name), receipt_time_key(bank, time, name));
    let receipt = store.get(Table::Receipts, &key)?;
    let removal = |key, old| Change {
        table: Table::Receipts,
        key,
        old,
        new: None,
    };
    let changes = [
        removal(&time_key[..], Some(&[][..])),
        removal(&key[..], receipt.as_deref()),
    ];
    let _removed_by_another = store.swap(&changes)?;
    Ok(())
}

impl Receipt {
    fn new(payee: Address, token: Address, amount: Amount, payments: &[Payment]) -> Self {
        let parts = payments.iter().map(|payment| ReceiptPart {
            deposit: payment.deposit.0,
            spent: payment.spent.get(),
            left: payment.left.get(),
            proof: payment.proof.encode().into(),
        });
        Self {
            payee,
            token,
            amount: amount.get(),
            parts: parts.collect(),
        }
    }

    fn answer(
        self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<NamedPayment, PayerError> {
        if (self.payee, self.token, self.amount) != (payee, token, amount.get()) {
            return Err(PayerError::NameReused {
                payee: self.payee,
                amount: Amount::new(self.amount),
            });
        }
        let parts = self.parts.into_iter().map(|part| {
            let damaged = RecordError::Damaged(alloy_rlp::Error::Custom("not a proof"));
            Ok(Payment {
                deposit: DepositId(part.deposit),
                spent: Amount::new(part.spent),
                left: Amount::new(part.left),
                proof: Proof::decode(&part.proof).map_err(|_| StoredError::from(damaged))?,
            })
        });
        Ok(NamedPayment {
            parts: parts.collect::<Result<_, StoredError>>()?,
            is_repeated: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_that_fit_a_header() {
        for good in [
            "a",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            &"x".repeat(255),
        ] {
            assert!(good.parse::<PaymentName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "a\n", &"x".repeat(256)] {
            assert_eq!(bad.parse::<PaymentName>(), Err(PaymentNameError), "{bad}");
        }
    }
}
