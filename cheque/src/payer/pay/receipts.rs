//! Payments that the caller names: a repeated request gets the stored answer, and pays nothing.

use crate::{
    payer::{
        Payer,
        error::PayerError,
        pay::{Part, Payment, account_change},
    },
    protocol::{
        account::WriteError,
        amount::Amount,
        proof::Proof,
        terms::{Bank, DepositId},
    },
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

/// The number of receipts that [`Payer::prune_receipts_before`] removes at most.
pub const MAX_PRUNED_RECEIPTS: usize = 10 * BATCH;

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
        // Payers of several signers may share a store, and count their payments alike.
        let signer = self.signer().ok_or(PayerError::NoKey)?;
        let name = keccak256([signer.as_slice(), name.0.as_bytes()].concat());
        loop {
            // Before the chain is looked at: the answer to a repetition does not depend on it.
            if let Some(receipt) = self.receipt(name).await? {
                return receipt.answer(payee, token, amount);
            }
            let planned = self.plan_parts(payee, token, amount, payee_cutoff);
            let (parts, payments) = match planned.await {
                Ok(planned) => planned,
                // A request of the same name may have paid meanwhile, and used up what this one finds missing.
                Err(error) => match self.receipt(name).await? {
                    Some(receipt) => return receipt.answer(payee, token, amount),
                    None => return Err(error),
                },
            };
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

    async fn plan_parts(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<(Vec<Part>, Vec<Payment>), PayerError> {
        let parts = self.split(payee, token, amount, payee_cutoff).await?;
        let payments = self.payments(payee, &parts).await?;
        Ok((parts, payments))
    }

    async fn receipt(&self, name: B256) -> Result<Option<Receipt>, StoredError> {
        let key = receipt_key(self.reader.bank(), name).to_vec();
        let bytes = self.store.get(Table::Receipts, key).await?;
        Ok(bytes.as_deref().map(decode).transpose()?)
    }

    /// Removes the receipts of payments before `time`, in seconds since 1970. Returns their number, at most
    /// [`MAX_PRUNED_RECEIPTS`]: then more may be left.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`]. Receipts removed before the error stay removed.
    pub async fn prune_receipts_before(&self, time: u64) -> Result<usize, PayerError> {
        let mut pruned = 0;
        while pruned < MAX_PRUNED_RECEIPTS {
            let bank = *self.reader.bank();
            let remove = move |store: &dyn Store| remove_receipts(store, &bank, time);
            let removed = self.store.blocking(remove).await?;
            pruned += removed;
            if removed < BATCH {
                break;
            }
        }
        Ok(pruned)
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

/// Removes the oldest receipts before `time`, a batch in one write. Returns their number: zero if another process has
/// removed some of them meanwhile.
fn remove_receipts(store: &dyn Store, bank: &Bank, time: u64) -> Result<usize, StoredError> {
    let mut old = Vec::new();
    let mut read = Ok(());
    let mut add = |key: &[u8]| {
        let (at, name) = receipt_of_time_key(key)?;
        if at < time && old.len() < BATCH {
            old.push((key.to_vec(), receipt_key(bank, name)));
            return Ok(ControlFlow::Continue(()));
        }
        Ok(ControlFlow::Break(()))
    };
    store.scan(Table::Receipts, &receipt_times_key(bank), &mut |key, _| {
        add(key).unwrap_or_else(|error: RecordError| {
            read = Err(error);
            ControlFlow::Break(())
        })
    })?;
    read?;
    let receipts: Vec<_> = old
        .iter()
        .map(|(_, key)| store.get(Table::Receipts, key))
        .collect::<Result<_, _>>()?;
    let removal = |key, old| Change {
        table: Table::Receipts,
        key,
        old,
        new: None,
    };
    let changes: Vec<_> = old
        .iter()
        .zip(&receipts)
        .flat_map(|((time_key, key), receipt)| {
            let of_time = removal(&time_key[..], Some(&[][..]));
            [of_time, removal(&key[..], receipt.as_deref())]
        })
        .collect();
    let is_done = changes.is_empty() || store.swap(&changes)? == Swap::Done;
    Ok(if is_done { old.len() } else { 0 })
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
    use crate::store::Memory;

    #[test]
    fn removes_old_receipts_a_batch_in_one_write() {
        let (store, bank) = (Memory::default(), Bank::new(1, Address::repeat_byte(9)));
        for n in 0..1_200_u64 {
            let name = keccak256(n.to_be_bytes());
            let (key, time_key) = (receipt_key(&bank, name), receipt_time_key(&bank, n, name));
            let add = |key, new| Change {
                table: Table::Receipts,
                key,
                old: None,
                new: Some(new),
            };
            let changes = [add(&key[..], &[1][..]), add(&time_key[..], &[][..])];
            assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
        }
        for expected in [500, 500, 100, 0] {
            assert_eq!(remove_receipts(&store, &bank, 1_100).unwrap(), expected);
        }
        let mut left = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            left += 1;
            ControlFlow::Continue(())
        };
        store.scan(Table::Receipts, &[], &mut count).unwrap();
        assert_eq!(left, 2 * 100);
    }

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
